"""What happened when, as rows of a waterfall: requests, tool calls, waits before a retry, errors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mojentic_nb.llm import Usage

from .events import (
    LLMCallTracerEvent,
    LLMResponseTracerEvent,
    RetryTracerEvent,
    RunTracerEvent,
    TimedTracerEvent,
    ToolCallTracerEvent,
    TracerEvent,
    seconds,
    tokens,
)

__all__ = ["Row", "Timeline", "ticks"]


@dataclass(frozen=True, slots=True)
class Row:
    """Something that took its time. `start` and `end` are in seconds since the epoch, `first` is a duration.

    `ended` says in a word how, `failure` why it failed, if it did.
    """

    kind: Literal["request", "tool", "retry", "error"]
    name: str
    start: float
    end: float
    ended: str
    failure: str = ""
    first: float | None = None
    usage: Usage | None = None
    speed: float | None = None


class Timeline:
    """The rows of `events` in the order of their beginnings, and what can be said of all of them."""

    def __init__(self, events: Sequence[TracerEvent]) -> None:
        self.rows = sorted(clipped(rows(events)), key=lambda row: (row.start, row.kind != "request"))
        self.start = min((row.start for row in self.rows), default=0.0)
        self.end = max((row.end for row in self.rows), default=0.0)
        self.usage = sum((row.usage for row in self.rows if row.usage), Usage())
        runs = [event for event in events if isinstance(event, RunTracerEvent)]
        self.outcome = (runs[-1].finish_reason or "failed") if runs else ""

    @property
    def duration(self) -> float:
        """How long it took from the first beginning to the last end."""
        return self.end - self.start

    def summary(self) -> str:
        """All of it in a line."""
        if not self.rows:
            return "No requests."
        counted = [counts(self.rows, "request"), counts(self.rows, "tool", "tool call"), counts(self.rows, "retry")]
        used = tokens(self.usage)
        parts = [
            ", ".join(filter(None, counted)),
            seconds(self.duration),
            f"{used} tokens" if used else "",
            self.outcome,
        ]
        return " · ".join(filter(None, parts))


def rows(events: Iterable[TracerEvent]) -> list[Row]:
    """A row for each of `events` that took its time, and one for each request that is not answered yet."""
    found: list[Row] = []
    sent: dict[tuple[str, str], LLMCallTracerEvent] = {}
    last = 0.0
    for event in events:
        last = max(last, event.timestamp)
        run = (event.correlation_id, event.run_id)
        match event:
            case LLMCallTracerEvent():
                sent[run] = event
            case LLMResponseTracerEvent():
                sent.pop(run, None)
                found.append(request(event))
            case ToolCallTracerEvent():
                found.append(tool(event))
            case RetryTracerEvent():
                name = f"wait before retry {event.attempt}"
                end = event.timestamp + positive(event.delay)
                found.append(Row("retry", name, event.timestamp, end, "retried", event.reason or "failed"))
            case RunTracerEvent() if (failure := described(event)) and all(row.failure != failure for row in found):
                found.append(Row("error", "end of the run", event.timestamp, event.timestamp, "failed", failure))
    found += [Row("request", event.model, event.timestamp, last, "under way") for event in sent.values()]
    return found


def request(event: LLMResponseTracerEvent) -> Row:
    """The row of a request."""
    return Row(
        "request",
        event.model,
        began(event),
        event.timestamp,
        "failed" if event.error is not None else event.finish_reason or "",
        described(event),
        first=event.time_to_first_token,
        usage=event.usage,
        speed=event.tokens_per_second,
    )


def described(event: LLMResponseTracerEvent | RunTracerEvent) -> str:
    """The error of a request or a run, if it failed."""
    return ": ".join(filter(None, [event.error_type, event.error]))


def tool(event: ToolCallTracerEvent) -> Row:
    """The row of a tool call; one that failed says why."""
    failure = (event.result or "failed") if event.is_error else ""
    return Row("tool", event.tool_name, began(event), event.timestamp, event.outcome, failure)


def began(event: TimedTracerEvent) -> float:
    """When it began."""
    return event.timestamp - positive(event.duration)


def positive(time: float) -> float:
    """A duration that can be drawn, whatever a program recorded."""
    return time if math.isfinite(time) and time > 0 else 0.0


def clipped(found: list[Row]) -> list[Row]:
    """The rows with the waits that were ended before their time cut off at the end of all else."""
    end = max((row.end for row in found if row.kind != "retry"), default=math.inf)
    return [replace(row, end=max(row.start, min(row.end, end))) if row.kind == "retry" else row for row in found]


def counts(found: Iterable[Row], kind: str, name: str = "") -> str:
    """How many rows there are of a kind; nothing if there are none."""
    count = sum(row.kind == kind for row in found)
    plural = "retries" if kind == "retry" else f"{name or kind}s"
    return f"{count:,} {plural if count > 1 else name or kind}" if count else ""


def ticks(duration: float, most: int = 6) -> list[tuple[float, str]]:
    """Round times from 0 to `duration`, at most `most` after the first, and what to write at them."""
    if duration <= 0:
        return [(0.0, "0")]
    unit, name = next((unit, name) for limit, unit, name in UNITS if duration < limit)
    least = duration / unit / most
    size = 10.0 ** math.floor(math.log10(least))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= least * (1 - 1e-9))
    times = [number * step for number in range(int(duration / unit / step + 1e-9) + 1)]
    return [(time * unit, f"{round(time, 9):g} {name}" if time else "0") for time in times]


UNITS = [(1.0, 0.001, "ms"), (120.0, 1.0, "s"), (math.inf, 60.0, "min")]  # for durations below the first number
