"""What comes of a tool call: what the model is told, and what a person is shown."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pydantic_core import to_jsonable_python

from mojentic_nb.llm.events import ToolOutcome, ToolResult
from mojentic_nb.llm.gateways.assembly import mended
from mojentic_nb.llm.messages import LLMToolCall

__all__ = ["ToolOutput", "done", "failed"]


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
    said = f"{type(error).__name__}: {error}" if outcome == "failed" else str(error)
    return ToolResult(call, mended(said), is_error=True, display=error, outcome=outcome)


def as_text(value: object) -> str:
    """A tool's value for the model."""
    if isinstance(value, str):
        return value
    return json.dumps(to_jsonable_python(value, fallback=str, bytes_mode="base64"), ensure_ascii=False)
