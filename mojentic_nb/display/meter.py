"""The status of a run: how far it is, what it cost, how fast it came."""

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
from mojentic_nb.llm.text import mended

from .blocks import Status
from .render.labels import AT_ONCE

__all__ = ["Meter"]

PERIOD = 0.25  # seconds between two updates of numbers: a reader can't read faster, and each costs bytes
FINISHES: dict[FinishReason, str] = {
    "length": "cut off at max_tokens",
    "content_filter": "ended by the content filter",
    "max_steps": "ended at the limit of tool rounds",
}

Ending = Literal["done", "stopped", "failed"]


class Meter:
    """Keeps the status of a run by its events; `clock` gives seconds."""

    def __init__(self, model: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun = clock()
        self._model = mended(model)
        self._state: str = "waiting"
        self._finish = ""
        self._usage = Usage()  # of the requests that are done
        self._chunks = 0
        self._pieces = 0  # of the request under way
        self._first_token: float | None = None
        self._first: float | None = None  # piece of the request under way
        self._last = 0.0
        self._streamed = 0.0  # seconds in which pieces came, in the requests that are done
        self._told = self._fields(0.0)
        self._fresh = True

    def seconds(self) -> float:
        """The time since this was made."""
        return round(self._clock() - self._begun, 3)

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self._state in get_args(Ending)

    def feed(self, event: Event, *, running: bool) -> None:
        """Take the next event in; `running` tells whether calls wait for their results after it."""
        match event:
            case TextDelta(delta) | ReasoningDelta(delta) | ToolCallDelta(_, delta):
                self._piece(bool(delta))
            case ToolCallStart() | ToolCallEnd():  # some gateways have a call at once
                self._piece(0)
            case StepFinish(_, usage):
                self._step(usage)
                self._state = "tools" if running else "waiting"
            case Finish("cancelled"):
                self._step(Usage())
                tokens = self._usage.output_tokens
                self.end("stopped", f"stopped after {tokens:,} token{'s' * (tokens != 1)}")
            case Finish(reason):
                self._step(Usage())
                self.end("done", FINISHES.get(reason, ""))
            case ToolProgress() | ToolResult() | Retry():
                self._state = "tools" if running else "waiting"

    def end(self, state: Ending, finish: str) -> None:
        """The run is over, for the reason that `finish` tells."""
        self._state, self._finish = state, finish

    def status(self) -> Status:
        """The status as it was last told."""
        return cast(Status, dict(self._told))

    def taken(self) -> dict[str, Any]:
        """The fields of the status that changed, all of them the first time.

        There are none while only numbers grow and the last time was a moment ago.
        """
        now = self.seconds()
        if not self._fresh and self._told["state"] == self._state and now - self._told["seconds"] < PERIOD:
            return {}
        fields = self._fields(now)
        changed = {name: value for name, value in fields.items() if self._fresh or self._told[name] != value}
        self._told, self._fresh = fields, False
        return changed

    def _piece(self, count: int) -> None:
        self._state = "streaming"
        self._chunks += count
        self._pieces += count
        self._last = self.seconds()
        if self._first is None:
            self._first = self._last
        if self._first_token is None:
            self._first_token = self._last

    def _step(self, usage: Usage) -> None:
        """The request under way is done; what the provider does not count counts by its pieces."""
        self._usage += replace(usage, output_tokens=usage.output_tokens or self._pieces)
        self._streamed += self._streaming()
        self._pieces, self._first = 0, None

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
            "chunks": self._chunks,
            "seconds": now,
            "first_token_seconds": self._first_token,
            "tokens_per_second": round(tokens / streamed, 1) if streamed >= AT_ONCE else None,
            "finish": self._finish,
        }
