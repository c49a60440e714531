"""Mojentic's path of the settings, which are in :mod:`mojentic_nb.llm.config`."""

from .config import CompletionConfig

__all__ = ["CompletionConfig"]
