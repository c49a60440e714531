"""What a person sees of a tool's result, by its type."""

from __future__ import annotations

import json

from mojentic_nb.llm import ToolResult

from .blocks import Part
from .values import bounded, indented, said

__all__ = ["parts", "tells_all"]


def parts(result: ToolResult) -> list[Part] | None:
    """What a person sees of `result`; None where it is an error, which says all."""
    if isinstance(result.display, BaseException) or (result.is_error and result.display is None):
        return None
    value = parsed(result.output) if result.display is None else result.display
    if isinstance(value, str):
        return [{"type": "text", "text": bounded(value)}]
    try:
        return [{"type": "json", "text": bounded(indented(value))}]
    except Exception:  # noqa: BLE001
        return [{"type": "text", "text": bounded(said(value))}]


def tells_all(result: ToolResult) -> bool:
    """Whether a person who sees `result` sees what the model was told."""
    if isinstance(result.display, BaseException):
        return said(result.display) in result.output
    return result.display is None or result.display == parsed(result.output) or result.display == result.output


def parsed(text: str) -> object:
    """The JSON object or list that `text` is, else the text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict | list) else text
