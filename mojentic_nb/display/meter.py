"""The status of a run: how far it is, the tokens it uses, and how fast they arrive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, cast, get_args

from mojentic_nb.llm import (
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    Retry,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolProgress,
    ToolResult,
    Usage,
)
from mojentic_nb.llm.text import join_surrogates

from .blocks import Status
from .render.labels import AT_ONCE

__all__ = ["Meter"]

PERIOD = 0.25  # seconds between two updates of numbers: nobody reads faster, and each update costs bytes
FINISHES: dict[FinishReason, str] = {
    "length": "cut off at max_tokens",
    "content_filter": "ended by the content filter",
}

Ending = Literal["done", "stopped", "failed"]


class Meter:
    """Follows the events of a run of `model`; `clock` returns seconds."""

    def __init__(self, model: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun = clock()
        self._model = join_surrogates(model)
        self._state: str = "waiting"
        self._finish = ""
        self._usage = Usage()  # of the completed requests
        self._chunks = 0
        self._pieces = 0  # of the current request
        self._first_token: float | None = None
        self._first: float | None = None  # piece of the current request
        self._last = 0.0
        self._streamed = 0.0  # seconds in which pieces arrived, in the completed requests
        self._reported = self._fields(0.0)
        self._fresh = True

    def seconds(self) -> float:
        """Return the time since the beginning."""
        return round(self._clock() - self._begun, 3)

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self._state in get_args(Ending)

    def feed(self, event: Event, *, running: bool) -> None:
        """Read the next event; `running` tells whether tool calls wait for their results after it."""
        match event:
            case TextDelta(delta) | ReasoningDelta(delta) | ToolCallDelta(_, delta):
                self._count_piece(bool(delta))
            case ToolCallStart() | ToolCallEnd():  # some gateways receive a call whole
                self._count_piece(0)
            case StepFinish(reason, usage):
                # What a provider reports before the end is less than what has arrived.
                least = self._pieces if reason == "cancelled" or event.limit else 0
                self._end_request(replace(usage, output_tokens=max(least, usage.output_tokens)))
                self._state = "tools" if running else "waiting"
            case Finish("cancelled", usage):
                self._total(usage)
                tokens = self._usage.output_tokens
                about = "≈" * self._usage.estimated
                self._end("stopped", f"stopped after {about}{tokens:,} token{'s' * (tokens != 1)}")
            case Finish(reason, usage):
                self._total(usage)
                self._end("done", f"cut off at {event.limit}" if event.limit else FINISHES.get(reason, ""))
            case ToolProgress() | ToolResult() | Retry():
                self._state = "tools" if running else "waiting"

    def fail(self, usage: Usage) -> None:
        """Note that the run failed, and used so many tokens."""
        self._total(usage)
        self._end("failed", "failed")

    def status(self) -> Status:
        """Return the status as last reported."""
        return cast(Status, dict(self._reported))

    def take_changes(self) -> dict[str, Any]:
        """Return the fields of the status that changed since the last report, all of them the first time.

        Returns none if only numbers changed within :data:`PERIOD`.
        """
        now = self.seconds()
        recent = now - self._reported["seconds"] < PERIOD
        if not self._fresh and recent and self._reported["state"] == self._state:
            return {}
        fields = self._fields(now)
        changed = {name: value for name, value in fields.items() if self._fresh or self._reported[name] != value}
        self._reported, self._fresh = fields, False
        return changed

    def _count_piece(self, count: int) -> None:
        self._state = "streaming"
        self._chunks += count
        self._pieces += count
        self._last = self.seconds()
        if self._first is None:
            self._first = self._last
        if self._first_token is None:
            self._first_token = self._last

    def _end_request(self, usage: Usage) -> None:
        """Add up the current request; without a provider's count its pieces count."""
        self._usage += replace(usage, output_tokens=usage.output_tokens or self._pieces)
        self._streamed += self._streaming()
        self._pieces, self._first = 0, None

    def _total(self, usage: Usage) -> None:
        """Replace the sum by the run's own `usage` if that knows more."""
        self._end_request(Usage())
        if usage.estimated or usage.input_tokens > self._usage.input_tokens:
            self._usage = usage  # with the last request, which had no end

    def _end(self, state: Ending, finish: str) -> None:
        self._state, self._finish = state, finish

    def _streaming(self) -> float:
        return 0.0 if self._first is None else self._last - self._first

    def _fields(self, now: float) -> dict[str, Any]:
        tokens, streamed = self._usage.output_tokens + self._pieces, self._streamed + self._streaming()
        return {
            "model": self._model,
            "state": self._state,
            "input_tokens": self._usage.input_tokens,
            "output_tokens": tokens,
            "cached_tokens": self._usage.cached_tokens,
            "reasoning_tokens": self._usage.reasoning_tokens,
            "estimated": self._usage.estimated,
            "chunks": self._chunks,
            "seconds": now,
            "first_token_seconds": self._first_token,
            "tokens_per_second": round(tokens / streamed, 1) if streamed >= AT_ONCE else None,
            "finish": self._finish,
        }
