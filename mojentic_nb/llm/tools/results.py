"""What comes of a tool call: what the model is told, and what a person is shown."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pydantic_core import to_jsonable_python

from mojentic_nb.llm.events import ToolOutcome, ToolResult
from mojentic_nb.llm.gateways.assembly import mended
from mojentic_nb.llm.messages import LLMToolCall

__all__ = ["ToolOutput", "described", "done", "failed"]


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What a tool returns that has one thing for the model and another for the person who watches.

    `output` goes to the model, text as it is and all else as JSON; `display` is shown.
    """

    output: object
    display: object


def done(call: LLMToolCall, value: object) -> ToolResult:
    """The result of a call whose tool returned `value`; raises what JSON has no way to say."""
    parts = value if isinstance(value, ToolOutput) else ToolOutput(value, value)
    return ToolResult(call, mended(as_text(parts.output)), display=parts.display)


def failed(call: LLMToolCall, error: BaseException, outcome: ToolOutcome = "failed") -> ToolResult:
    """The result of a call that ended with `error`."""
    said = described(error) if outcome == "failed" else str(error)
    return ToolResult(call, mended(said), is_error=True, display=error, outcome=outcome)


def described(error: BaseException) -> str:
    """An error in words: its type, what it says, and what is in it if it is a group."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 (of the error's own code)
        said = "(it has no readable message)"
    if isinstance(error, BaseExceptionGroup):
        said = f"{error.message}: {'; '.join(map(described, error.exceptions))}"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def as_text(value: object) -> str:
    """A tool's value for the model."""
    jsonable = value if isinstance(value, str) else to_jsonable_python(value, fallback=plain, bytes_mode="base64")
    return jsonable if isinstance(jsonable, str) else json.dumps(jsonable, ensure_ascii=False)


def plain(value: object) -> object:
    """An object of a type that is unknown here as what JSON has: NumPy's and pandas' say it of themselves."""
    listed = getattr(value, "tolist", None)
    return listed() if callable(listed) else str(value)
