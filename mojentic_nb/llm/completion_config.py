"""The path at which programs written for Mojentic find the settings; they live in :mod:`mojentic_nb.llm.config`."""

from .config import CompletionConfig

__all__ = ["CompletionConfig"]
