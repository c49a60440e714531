"""The tracer: a reader of runs that keeps the last events of all of them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from mojentic_nb.llm import Event, Finish, LLMToolCall, StepFinish, TextDelta, ToolCallEnd, ToolResult, Usage
from mojentic_nb.llm.gateways.base import Request

from .events import LLMCallTracerEvent, LLMResponseTracerEvent, ToolCallTracerEvent, TracerEvent

__all__ = ["TracerSystem"]

KEPT = 10_000  # events; older ones are forgotten


@dataclass
class OpenRun:
    """A run under way: its last request, and what has come of that."""

    request: Request
    started: float
    text: list[str] = field(default_factory=list)
    calls: list[LLMToolCall] = field(default_factory=list)


class TracerSystem:
    """Give it to a broker, ``LLMBroker(…, tracer=tracer)``, and ask it afterwards what happened."""

    def __init__(self) -> None:
        self._events: deque[TracerEvent] = deque(maxlen=KEPT)
        self._open: dict[str, OpenRun] = {}

    def get_events(
        self,
        event_type: type[TracerEvent] | None = None,
        start_time: float | None = None,
        end_time: float | None = None,
        filter_func: Callable[[TracerEvent], bool] | None = None,
    ) -> list[TracerEvent]:
        """The events kept, oldest first: of that type, from that time to that, and that the filter lets pass."""
        return [
            event
            for event in list(self._events)  # another thread may go on
            if (event_type is None or isinstance(event, event_type))
            and (start_time is None or event.timestamp >= start_time)
            and (end_time is None or event.timestamp <= end_time)
            and (filter_func is None or filter_func(event))
        ]

    def clear(self) -> None:
        """Forget all events."""
        self._events.clear()

    def record(self, correlation_id: str, happening: Request | Event | Exception) -> None:
        """Take note of what a run tells."""
        run = self._open.get(correlation_id)
        match happening:
            case Request():
                self._sent(correlation_id, happening, run)
            case TextDelta(delta) if run:
                run.text.append(delta)
            case ToolCallEnd(call) if run:
                run.calls.append(call)
            case StepFinish() if run:
                self._answered(correlation_id, run, happening)
            case ToolResult(call, output, is_error, duration):
                self._events.append(
                    ToolCallTracerEvent(
                        time.time(), correlation_id, call.name, call.arguments, output, is_error, duration
                    )
                )
            case Exception():
                if run:
                    self._answered(correlation_id, run, None, happening)
                self._open.pop(correlation_id, None)
            case Finish():
                self._open.pop(correlation_id, None)

    def _sent(self, correlation_id: str, request: Request, before: OpenRun | None) -> None:
        known = len(before.request.messages) if before else 0
        names = tuple(str(tool.descriptor["function"]["name"]) for tool in request.tools)
        self._open[correlation_id] = OpenRun(request, time.monotonic())
        self._events.append(
            LLMCallTracerEvent(time.time(), correlation_id, request.model, request.messages[known:], names)
        )

    def _answered(
        self, correlation_id: str, run: OpenRun, end: StepFinish | None, error: Exception | None = None
    ) -> None:
        self._events.append(
            LLMResponseTracerEvent(
                time.time(),
                correlation_id,
                run.request.model,
                "".join(run.text),
                tuple(run.calls),
                end.finish_reason if end else None,
                end.usage if end else Usage(),
                time.monotonic() - run.started,
                str(error) if error else None,
            )
        )
        run.text, run.calls = [], []
