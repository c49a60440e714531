"""What a request says about calling tools."""

from __future__ import annotations

from .request import Request

__all__ = ["chosen", "is_forced"]


def chosen(request: Request) -> str | None:
    """The request's choice: *auto*, *none*, *required* or a tool's name; None if there is none, or are no tools."""
    return request.tool_choice if request.tools else None


def is_forced(choice: str | None) -> bool:
    """Whether a call has to come of it."""
    return choice not in (None, "auto", "none")
