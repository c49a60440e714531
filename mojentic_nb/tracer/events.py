"""What the tracer keeps, as values. Times are in seconds since the epoch, durations in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mojentic_nb.llm import FinishReason, LLMMessage, LLMToolCall, Usage

__all__ = ["LLMCallTracerEvent", "LLMResponseTracerEvent", "ToolCallTracerEvent", "TracerEvent"]


@dataclass(frozen=True, slots=True)
class TracerEvent:
    """Something that happened; all that belongs to one run has the same `correlation_id`."""

    timestamp: float
    correlation_id: str


@dataclass(frozen=True, slots=True)
class LLMCallTracerEvent(TracerEvent):
    """A request was sent. `messages` are those that the run's request before did not have."""

    model: str
    messages: tuple[LLMMessage, ...]
    tools: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LLMResponseTracerEvent(TracerEvent):
    """A request was answered, or failed with `error`; an error that came after the answer stands alone."""

    model: str
    content: str
    tool_calls: tuple[LLMToolCall, ...]
    finish_reason: FinishReason | None
    usage: Usage
    duration: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCallTracerEvent(TracerEvent):
    """A tool was called; `result` is what the model was told."""

    tool_name: str
    arguments: Mapping[str, Any]
    result: str
    is_error: bool
    duration: float
