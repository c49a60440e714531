"""What a request says about calling tools, checked before a provider is asked."""

from __future__ import annotations

from mojentic_nb.llm.errors import ConfigurationError

from .base import Request

__all__ = ["chosen", "is_forced"]

MODES = ("auto", "none", "required")


def chosen(request: Request) -> str | None:
    """The request's choice: *auto*, *none*, *required* or a tool's name; None if there is none, or are no tools.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for a name that no tool has.
    """
    choice = request.tool_choice
    if choice is None or not request.tools:
        return None
    names = [str(tool.descriptor["function"]["name"]) for tool in request.tools]
    if choice not in (*MODES, *names):
        raise ConfigurationError(
            f"tool_choice={choice!r} names no tool: give one of {', '.join(names)}, or {', '.join(MODES)}."
        )
    return choice


def is_forced(choice: str | None) -> bool:
    """Whether a call has to come of it."""
    return choice not in (None, "auto", "none")
