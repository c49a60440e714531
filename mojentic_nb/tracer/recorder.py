"""What becomes of one run's happenings: a fold of them into the tracer's events.

Nothing is kept for each token but its text. The recorder belongs to its run and goes with it, so that runs that nobody
reads to their end leave nothing behind.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from io import StringIO

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

__all__ = ["Recorder"]


class Recorder:
    """Takes note of one run, and hands what is worth keeping to `store`.

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
        # Times within a run are told by a clock that is never set back.
        self._epoch = time.time() - time.perf_counter()
        self._begun: float | None = None
        self._model = ""
        self._known = 0
        self._usage = Usage()
        self._response: Response | None = None
        self._batch: Batch | None = None

    def record(self, happening: Request | Event | Exception) -> None:
        """Take note of what the run tells."""
        if self._response is not None:
            if type(happening) is TextDelta:  # nearly all happenings are
                self._response.arrived()
                self._response.text.write(happening.delta)
                return
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
        """Prepare the context of a tool: the one that this is called in."""
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
        """Keep the result of a call of this run, unless it is known: it is told when it is there, and in its turn."""
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
                success_count=len(batch.told) - batch.failures,
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
    """What has come of a request so far."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.first: float | None = None
        self.text = StringIO()  # takes a fraction of what a list of a million pieces takes
        self.reasoning = StringIO()
        self.calls: list[LLMToolCall] = []

    def arrived(self) -> None:
        """Note when the first piece of the answer came."""
        if self.first is None:
            self.first = time.perf_counter()

    def take(self, happening: Request | Event | Exception) -> None:
        """Take in what belongs to the answer."""
        match happening:
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
        self.told: set[int] = set()  # by identity: a model may give two calls one id
        self.failures = 0

    def has(self, call: LLMToolCall) -> bool:
        """Whether the call is one of these, and not one that a tool tells of in its progress."""
        return any(call is own for own in self.calls)

    def is_news(self, result: ToolResult) -> bool:
        """Whether the result was not told before."""
        if id(result.call) in self.told:
            return False
        self.told.add(id(result.call))
        self.failures += result.is_error
        return True


def output_type(request: Request) -> str | None:
    """The kind of answer that is asked for, where it isn't text."""
    form = (request.config.response_format or {}).get("type")
    return "json" if request.schema or form == "json_object" else None
