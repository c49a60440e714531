"""The tracer's events, as values. Times are in seconds since the epoch, durations in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mojentic_nb.llm import FinishReason, LLMMessage, LLMToolCall, Usage
from mojentic_nb.llm.events import ToolOutcome
from mojentic_nb.llm.text import printable

__all__ = [
    "LLMCallTracerEvent",
    "LLMResponseTracerEvent",
    "RetryTracerEvent",
    "RunTracerEvent",
    "TimedTracerEvent",
    "ToolBatchTracerEvent",
    "ToolCallTracerEvent",
    "TracerEvent",
    "seconds",
    "short",
    "tokens",
]

NO_USAGE = Usage()
AT_ONCE = 0.01  # seconds; the pieces of a whole answer are microseconds apart, whatever the speed of the model


@dataclass(frozen=True, slots=True)
class TracerEvent:
    """Something that happened, at `timestamp`.

    Events that belong together have the same `correlation_id`. Those of one run also have the same `run_id`, which is
    empty if a program recorded the event by hand.
    """

    timestamp: float
    correlation_id: str = ""
    run_id: str = ""

    def printable_summary(self) -> str:
        """Return the event for a person to read: one line, and details below it."""
        when = datetime.fromtimestamp(self.timestamp).astimezone().isoformat(" ", "milliseconds")
        return "\n   ".join([f"[{when}] {type(self).__name__} {self.correlation_id}".rstrip(), *self._details()])

    def _details(self) -> list[str]:
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class LLMCallTracerEvent(TracerEvent):
    """A request is sent. `messages` are those that the run's previous request didn't have.

    `output_type` is *json* if the request asks for an object, or for JSON.
    """

    model: str
    messages: tuple[LLMMessage, ...] = ()
    tools: tuple[str, ...] = ()
    temperature: float | None = None
    max_tokens: int | None = None
    top_p: float | None = None
    top_k: int | None = None
    output_type: str | None = None

    def _details(self) -> list[str]:
        messages = [f"{message.role.value}: {short(message.content or '')}" for message in self.messages]
        return [f"model: {self.model}", *messages, *([f"tools: {', '.join(self.tools)}"] if self.tools else [])]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryTracerEvent(TracerEvent):
    """A request failed for `reason`, and is sent again after `delay` seconds; `attempt` counts from 1."""

    model: str
    attempt: int
    delay: float
    reason: str

    def _details(self) -> list[str]:
        return [f"attempt {self.attempt} after {seconds(self.delay)}: {short(self.reason)}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedTracerEvent(TracerEvent):
    """Something that took `duration` seconds and ended at `timestamp`."""

    duration: float = 0.0

    @property
    def started(self) -> float:
        """When it began."""
        return self.timestamp - self.duration

    @property
    def call_duration_ms(self) -> float:
        """The duration in milliseconds, by Mojentic's name for it."""
        return self.duration * 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class LLMResponseTracerEvent(TimedTracerEvent):
    """A request has a reply, or failed with `error`, of the class `error_type`; a cancelled one has a part of a reply.

    `duration` and `time_to_first_token` include the time that retries took. `response_id` and `response_model` are the
    provider's names for the response and the model that wrote it.
    """

    model: str
    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[LLMToolCall, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage = NO_USAGE
    time_to_first_token: float | None = None
    error: str | None = None
    error_type: str | None = None
    response_id: str | None = None
    response_model: str | None = None

    @property
    def tokens_per_second(self) -> float | None:
        """How fast the answer arrived after its first token; None if that is unknown, as for one that arrived whole."""
        if self.time_to_first_token is None or self.usage.output_tokens < 2:
            return None
        time = self.duration - self.time_to_first_token
        return (self.usage.output_tokens - 1) / time if time >= AT_ONCE else None

    def _details(self) -> list[str]:
        calls = [f"calls: {short(call.name)}({short(call.json_arguments())})" for call in self.tool_calls]
        content = [f"content: {short(self.content)}"] if self.content else []
        first = "" if self.time_to_first_token is None else f", first token after {seconds(self.time_to_first_token)}"
        ended = f"{self.finish_reason or short(self.error or '')} after {seconds(self.duration)}{first}"
        return [f"model: {self.model}", *content, *calls, ended, *counted(self.usage)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallTracerEvent(TimedTracerEvent):
    """A tool was called; `result` is the text that the model reads, `outcome` how the call ended."""

    tool_name: str
    arguments: Mapping[str, Any]
    result: str
    is_error: bool = False
    outcome: ToolOutcome = "done"
    call_id: str | None = None
    caller: str | None = None

    def _details(self) -> list[str]:
        return [
            f"{short(self.tool_name)}({short(str(dict(self.arguments)))})",
            f"{self.outcome} after {seconds(self.duration)}: {short(self.result)}",
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolBatchTracerEvent(TimedTracerEvent):
    """All calls of one step have results."""

    tool_names: tuple[str, ...]
    success_count: int
    failure_count: int
    batch_id: str = ""
    caller: str | None = None

    def _details(self) -> list[str]:
        counts = f"{self.success_count} done, {self.failure_count} not"
        return [f"{', '.join(self.tool_names)}: {counts}, after {seconds(self.duration)}"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTracerEvent(TimedTracerEvent):
    """A run is over: it finished, was cancelled, or failed with `error`. `usage` is the sum over its requests."""

    model: str
    finish_reason: FinishReason | None = None
    usage: Usage = NO_USAGE
    error: str | None = None
    error_type: str | None = None

    def _details(self) -> list[str]:
        return [f"{self.finish_reason or short(self.error or '')} after {seconds(self.duration)}", *counted(self.usage)]


def short(text: str, length: int = 100) -> str:
    """Return `text` on one line, with every character visible, cut off after `length` characters."""
    line = "".join(letter if letter.isprintable() else " " for letter in printable(text[: length + 1]))
    return line if len(line) <= length else f"{line[: length - 1]}…"


def seconds(time: float) -> str:
    """Return a time with its unit, rounded to the digits that matter."""
    if time < 0.01:
        return f"{time * 1000:.1f} ms"
    if time < 1:
        return f"{time * 1000:.0f} ms"
    if time < 60:
        return f"{time:.2f} s" if time < 9.995 else f"{time:.1f} s"
    return f"{round(time) // 60} min {round(time) % 60:02} s"


def tokens(usage: Usage) -> str:
    """Return the tokens in and out, and how many came from the provider's cache; "" if none were counted."""
    cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
    about = "≈" * usage.estimated
    return f"{about}{usage.input_tokens:,}{cached} → {about}{usage.output_tokens:,}" if usage != NO_USAGE else ""


def counted(usage: Usage) -> list[str]:
    """Return the line about the tokens, if any were counted."""
    return [f"tokens: {tokens(usage)}"] if usage != NO_USAGE else []
