"""What happens in the runs of one cell: kept for its response, and told to the notebook's tracer."""

from __future__ import annotations

from mojentic_nb.llm import Event, LLMToolCall
from mojentic_nb.llm.request import Request
from mojentic_nb.llm.tracing import RunTracer, enter_tool
from mojentic_nb.tracer import TracerSystem

__all__ = ["EventLog"]


class EventLog:
    """Stands between a broker and `tracer`, for one run. `events` are those of the run, so far."""

    def __init__(self, tracer: TracerSystem) -> None:
        self.correlation_id = ""
        self.events: list[Event] = []
        self._tracer = tracer
        self._recorder: RunTracer | None = None

    def begin(self, correlation_id: str) -> EventLog:
        """Listen to a run that begins."""
        self.correlation_id = correlation_id
        self._recorder = self._tracer.begin(correlation_id)
        return self

    def record(self, happening: Request | Event | Exception) -> None:
        """Take note of what the run tells, and pass it on."""
        if not isinstance(happening, Request | Exception):
            self.events.append(happening)
        if self._recorder is not None:
            self._recorder.record(happening)

    def enter(self, call: LLMToolCall) -> None:
        """Have the tracer prepare the context of a tool."""
        enter_tool(self._recorder, call)
