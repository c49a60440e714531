"""How an answer is shown."""

from .stream import show

__all__ = ["show"]
