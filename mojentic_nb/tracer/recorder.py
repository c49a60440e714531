"""The tracer: records the runs of brokers and keeps their last events.

A :class:`Recorder` folds the events of one run into the tracer's. It keeps nothing for each token but its text. It
belongs to its run and goes with it, so runs that nobody reads to their end leave nothing behind.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from io import StringIO
from os import PathLike
from pathlib import Path
from typing import TextIO

from mojentic_nb.llm import (
    Event,
    Finish,
    LLMToolCall,
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
from mojentic_nb.llm.redaction import without_secrets
from mojentic_nb.llm.request import Request, tool_name

from .events import (
    LLMCallTracerEvent,
    LLMResponseTracerEvent,
    RetryTracerEvent,
    RunTracerEvent,
    ToolBatchTracerEvent,
    ToolCallTracerEvent,
    TracerEvent,
)
from .jsonl import lines
from .reported import ReportedCalls
from .store import EventStore, Kind
from .waterfall import Waterfall

__all__ = ["TracerSystem"]


class Recorder:
    """Records one run, and passes the tracer's events to `store`.

    `enter` is called before a tool runs, in its context, with the call, the time, the correlation id and the run's id.
    """

    def __init__(
        self,
        store: Callable[[TracerEvent], object],
        correlation_id: str,
        enter: Callable[[LLMToolCall, float, str, str], object],
    ) -> None:
        self._store = store
        self._enter = enter
        self._correlation_id = correlation_id
        self._run_id = str(uuid.uuid4())
        # Times within a run are those of a clock that is never set back.
        self._epoch = time.time() - time.perf_counter()
        self._begun: float | None = None
        self._model = ""
        self._known = 0
        self._usage = Usage()
        self._response: Response | None = None
        self._batch: Batch | None = None

    def record(self, happening: Request | Event | Exception) -> None:
        """Record a request, an event, or the error that ends the run."""
        if self._response is not None:
            self._response.take(happening)
        match happening:
            case Request():
                self._sent(happening)
            case Retry(attempt, delay, reason):
                now = time.perf_counter()
                self._store(
                    RetryTracerEvent(
                        *self._stamp(now),
                        model=self._model,
                        attempt=attempt,
                        delay=delay,
                        reason=without_secrets(reason),
                    )
                )
            case StepFinish():
                self._answered(happening)
            case ToolProgress(_, ToolResult() as result):
                self._called(result)
            case ToolResult():
                self._called(happening)
                self._in_turn(happening)
            case Finish() | Exception():
                self._ended(happening)

    def enter(self, call: LLMToolCall) -> None:
        """Prepare the context of a tool, which is the current one."""
        self._enter(call, *self._stamp(time.perf_counter()))

    def _stamp(self, now: float) -> tuple[float, str, str]:
        return self._epoch + now, self._correlation_id, self._run_id

    def _sent(self, request: Request) -> None:
        self._response = Response()
        now = self._response.started
        self._begun = self._begun or now
        self._model = request.model
        messages, self._known = request.messages[self._known :], len(request.messages)
        self._store(
            LLMCallTracerEvent(
                *self._stamp(now),
                model=request.model,
                messages=messages,
                tools=tuple(map(tool_name, request.tools)),
                temperature=request.config.temperature,
                max_tokens=request.config.token_limit,
                top_p=request.config.top_p,
                top_k=request.config.top_k,
                output_type=output_type(request),
            )
        )

    def _answered(self, end: StepFinish | None, error: Exception | None = None) -> None:
        response, self._response = self._response, None
        if response is None:
            return
        now = time.perf_counter()
        usage = end.usage if end else Usage()
        self._usage += usage
        if response.calls:
            self._batch = Batch(response.calls)
        self._store(
            LLMResponseTracerEvent(
                *self._stamp(now),
                model=self._model,
                content=response.text.getvalue(),
                reasoning=response.reasoning.getvalue(),
                tool_calls=tuple(response.calls),
                finish_reason=end.finish_reason if end else None,
                usage=usage,
                duration=now - response.started,
                time_to_first_token=None if response.first is None else response.first - response.started,
                error=without_secrets(str(error)) if error else None,
                error_type=type(error).__name__ if error else None,
                response_id=end.response_id if end else None,
                response_model=end.response_model if end else None,
            )
        )

    def _called(self, result: ToolResult) -> None:
        """Keep the result of a call of this run, once: it may arrive twice, when it is done and in its turn."""
        batch = self._batch
        if batch is None or not batch.has(result.call) or not batch.is_news(result):
            return
        self._store(
            ToolCallTracerEvent(
                *self._stamp(time.perf_counter()),
                tool_name=result.call.name,
                arguments=result.call.arguments,
                result=result.output,
                is_error=result.is_error,
                outcome=result.outcome,
                duration=result.duration,
                call_id=result.call.id,
            )
        )

    def _in_turn(self, result: ToolResult) -> None:
        batch = self._batch
        if batch is None or result.call is not batch.calls[-1]:
            return
        self._batch = None
        now = time.perf_counter()
        self._store(
            ToolBatchTracerEvent(
                *self._stamp(now),
                batch_id=str(uuid.uuid4()),
                tool_names=tuple(call.name for call in batch.calls),
                success_count=len(batch.answered) - batch.failures,
                failure_count=batch.failures,
                duration=now - batch.started,
            )
        )

    def _ended(self, end: Finish | Exception) -> None:
        error = end if isinstance(end, Exception) else None
        self._answered(None, error)
        now = time.perf_counter()
        self._store(
            RunTracerEvent(
                *self._stamp(now),
                model=self._model,
                finish_reason=end.finish_reason if isinstance(end, Finish) else None,
                usage=self._usage,
                duration=now - (self._begun or now),
                error=without_secrets(str(error)) if error else None,
                error_type=type(error).__name__ if error else None,
            )
        )


class Response:
    """The response to a request so far."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.first: float | None = None
        self.text = StringIO()  # takes a fraction of what a list of a million pieces takes
        self.reasoning = StringIO()
        self.calls: list[LLMToolCall] = []

    def arrived(self) -> None:
        """Note the time of the first piece."""
        if self.first is None:
            self.first = time.perf_counter()

    def take(self, happening: Request | Event | Exception) -> None:
        """Take in what belongs to the response."""
        match happening:
            case TextDelta(delta):
                self.arrived()
                self.text.write(delta)
            case ReasoningDelta(delta):
                self.arrived()
                self.reasoning.write(delta)
            case ToolCallStart() | ToolCallDelta():
                self.arrived()
            case ToolCallEnd(call):
                self.arrived()
                self.calls.append(call)


class Batch:
    """The calls of a step while their tools run."""

    def __init__(self, calls: list[LLMToolCall]) -> None:
        self.started = time.perf_counter()
        self.calls = calls
        self.answered: set[int] = set()  # by identity: a model may give two calls one id
        self.failures = 0

    def has(self, call: LLMToolCall) -> bool:
        """Return whether the call is one of these, and not one in a tool's progress."""
        return any(call is own for own in self.calls)

    def is_news(self, result: ToolResult) -> bool:
        """Return whether the result is the call's first."""
        if id(result.call) in self.answered:
            return False
        self.answered.add(id(result.call))
        self.failures += result.is_error
        return True


def output_type(request: Request) -> str | None:
    """Return the kind of answer that was asked for, if it isn't text."""
    form = (request.config.response_format or {}).get("type")
    return "json" if request.schema or form == "json_object" else None


class TracerSystem(ReportedCalls):
    """Records what happens in a broker's runs: ``LLMBroker(…, tracer=tracer)``.

    `event_store` keeps the events, by default the last 10,000. While the tracer isn't `enabled`, it keeps none. It
    serves any number of runs and brokers, in several threads at once. A notebook shows it as the waterfall of the last
    run.
    """

    def __init__(self, event_store: EventStore | None = None, enabled: bool = True) -> None:
        self.event_store = EventStore() if event_store is None else event_store
        self.enabled = enabled

    def begin(self, correlation_id: str) -> Recorder:
        """Return the recorder of a new run."""
        return Recorder(self.record_event, correlation_id, self.event_store.enter)

    def record_event(self, event: TracerEvent) -> None:
        """Keep `event`, if the tracer is enabled."""
        if self.enabled:
            self.event_store.store(event)

    def get_events(
        self,
        event_type: type[Kind] | None = None,
        start_time: float | None = None,
        end_time: float | None = None,
        filter_func: Callable[[Kind], object] | None = None,
        *,
        correlation_id: str | None = None,
    ) -> list[Kind]:
        """Return the kept events, in order.

        Only those of the class `event_type`, from `start_time` to `end_time` (both included, in seconds since the
        epoch), with that `correlation_id`, and for which `filter_func` returns something true.
        """
        return self.event_store.get_events(event_type, start_time, end_time, filter_func, correlation_id=correlation_id)

    def get_last_n_tracer_events(self, n: int, event_type: type[Kind] | None = None) -> list[Kind]:
        """Return the last `n` events, of that type if it is given."""
        return self.event_store.get_last_n_events(n, event_type)

    def clear(self) -> None:
        """Forget all events."""
        self.event_store.clear()

    def enable(self) -> None:
        """Keep events from now on."""
        self.enabled = True

    def disable(self) -> None:
        """Stop keeping events. Those that are kept stay."""
        self.enabled = False

    def waterfall(self, correlation_id: str | None = None) -> Waterfall:
        """Return when each request and tool call began and ended: of the last run, or of all events with that id.

        Print it, or have a notebook show it. Raises LookupError for an id that no event has.
        """
        events = self.get_events(correlation_id=correlation_id)
        if correlation_id is not None:
            if not events:
                raise LookupError(
                    f"No event has the correlation id {correlation_id!r}. `get_events()` lists those that exist."
                )
            return Waterfall(events)
        last = events[-1:]
        return Waterfall([event for event in events if run_of(event) == run_of(*last)])

    def to_jsonl(self, path_or_file: str | PathLike[str] | TextIO | None = None) -> str | None:
        """Write the events as JSON, one object per line, to a path or file, or return them.

        ``pandas.read_json(path, lines=True)`` makes a table of them.
        """
        text = lines(self.get_events())
        if path_or_file is None:
            return "".join(text)
        if isinstance(path_or_file, (str, PathLike)):
            with Path(path_or_file).open("w", encoding="utf-8") as file:
                file.writelines(text)
        else:
            path_or_file.writelines(text)
        return None

    def __repr__(self) -> str:
        return "<TracerSystem>"

    def _repr_html_(self) -> str:
        return self.waterfall()._repr_html_()


def run_of(event: TracerEvent) -> tuple[str, str]:
    """Return what identifies the run of an event."""
    return event.correlation_id, event.run_id
