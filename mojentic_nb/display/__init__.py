"""How an answer is shown."""

from .plain import printable
from .stream import show

__all__ = ["printable", "show"]
