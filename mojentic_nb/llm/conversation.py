"""The rules of a run, without I/O: what to ask next, and how a model's events become the assistant's message.

Reasoning that a server leaves in the text, between ``<think>`` and ``</think>``, as events of its own.

One request to the model: how its events become the assistant's message, and the results of its calls the next.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from io import StringIO
from itertools import chain
from typing import Any

from .cancellation import Cancellation
from .config import CompletionConfig
from .errors import IncompleteStreamError, LLMError, MaxToolIterationsExceededError
from .events import (
    Event,
    Finish,
    FinishReason,
    ModelEvent,
    Notice,
    ReasoningDelta,
    Retry,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolProgress,
    ToolResult,
    Usage,
)
from .messages import LLMMessage, LLMToolCall, MessageRole
from .openai_messages import Message, checked_messages
from .request import Request, Tally, Tool
from .structured import Answer
from .tools.batch import Approve, ToolBatch
from .tracing import Tracer, enter_tool, tell

__all__ = ["Conversation"]

OPEN, CLOSE = "<think>", "</think>"


class ThinkTags:
    """Feed it a step's text as it comes; a tag may be split anywhere.

    Only a tag before the first word counts: further down it is something the answer talks about.
    """

    def __init__(self) -> None:
        self._kept = ""
        self._read = self._before

    def feed(self, text: str) -> Iterator[TextDelta | ReasoningDelta]:
        """Yield what `text` tells, keeping back what may be part of a tag."""
        self._kept += text
        yield from self._read()

    def end(self) -> Iterator[TextDelta | ReasoningDelta]:
        """Yield what was kept back and turned out to be no tag."""
        kept, self._kept = self._kept, ""
        if kept:
            yield ReasoningDelta(kept) if self._read == self._inside else TextDelta(kept)

    def _before(self) -> Iterator[TextDelta | ReasoningDelta]:
        start = self._kept.lstrip()
        if start.startswith(OPEN):
            self._kept = start.removeprefix(OPEN)
            self._read = self._inside
            yield from self._read()
        elif not OPEN.startswith(start):
            self._read = self._answer
            yield from self._read()

    def _inside(self) -> Iterator[TextDelta | ReasoningDelta]:
        reasoning, tag, answer = self._kept.partition(CLOSE)
        if tag:
            self._kept = answer
            self._read = self._gap
        else:
            held = next((n for n in range(len(CLOSE) - 1, 0, -1) if reasoning.endswith(CLOSE[:n])), 0)
            reasoning = reasoning[: len(reasoning) - held]
            self._kept = CLOSE[:held]
        if reasoning:
            yield ReasoningDelta(reasoning)
        if tag:
            yield from self._read()

    def _gap(self) -> Iterator[TextDelta | ReasoningDelta]:
        self._kept = self._kept.lstrip()
        if self._kept:
            self._read = self._answer
            yield from self._read()

    def _answer(self) -> Iterator[TextDelta | ReasoningDelta]:
        text, self._kept = self._kept, ""
        if text:
            yield TextDelta(text)


NOT_RUN = "The call was stopped before it had a result."


class Step:
    """One request to the model, and what has come of it."""

    def __init__(self, *, think_tags: bool) -> None:
        self.asked = False
        self.seen = False
        self.retries = 0
        self.finish_reason: FinishReason | None = None
        self.calls: list[LLMToolCall] = []
        self._results: dict[int, ToolResult] = {}
        self._heard: set[int] = set()
        self._told = 0
        self.text = StringIO()  # not a list of a million pieces, each with an overhead of ten times its text
        self._thinking = StringIO()
        self._details: list[dict[str, object]] = []
        self._tags = ThinkTags() if think_tags else None

    def feed(self, event: ModelEvent | ToolProgress | ToolResult) -> Sequence[ModelEvent | ToolProgress | ToolResult]:
        """Take an event in; get it back, or those that it turns out to be."""
        self.seen = True
        if isinstance(event, ToolResult):
            return self._in_turn(event)
        parts: Sequence[ModelEvent | ToolProgress | ToolResult] = (event,)
        if self._tags and isinstance(event, TextDelta):
            parts = list(self._tags.feed(event.delta))
        elif self._tags and not isinstance(event, ReasoningDelta):
            parts = [*self._tags.end(), event]
        for part in parts:
            self._take(part)
        return parts

    def _take(self, event: ModelEvent | ToolProgress | ToolResult) -> None:
        match event:
            case TextDelta(delta):
                self.text.write(delta)
            case ReasoningDelta(delta, details):
                self._thinking.write(delta)
                if details is not None:
                    self._details.append(dict(details))
            case ToolCallEnd(call):
                self.calls.append(call)
            case StepFinish(finish_reason):
                self.finish_reason = finish_reason

    def keep(self, result: ToolResult) -> ToolResult:
        """Take the result of a call before it is told, from any thread; get back the call's first one, which counts."""
        return self._results.setdefault(id(result.call), result)

    def _in_turn(self, result: ToolResult) -> Sequence[ToolProgress | ToolResult]:
        """The results whose turn it is now that `result` is to be told; if none is, the news that there is one."""
        first = self.keep(result)
        self._heard.add(id(result.call))
        ready: list[ToolResult] = []
        while (call := self.untold) and id(call) in self._heard:
            ready.append(self._results[id(call)])
            self._told += 1
        return ready or [ToolProgress(result.call.id or "", first, result.call)]

    @property
    def untold(self) -> LLMToolCall | None:
        """The first call whose result the reader has not been told."""
        return self.calls[self._told] if self._told < len(self.calls) else None

    def unanswered(self) -> list[LLMToolCall]:
        """The calls that have no result."""
        return [call for call in self.calls if id(call) not in self._results]

    def message(self) -> LLMMessage | None:
        """The assistant's message, None while there is nothing of it."""
        text, thinking = self.text.getvalue(), self._thinking.getvalue()
        if not (text or thinking or self.calls):
            return None
        return LLMMessage(
            role=MessageRole.Assistant,
            content=text if text or not self.calls else None,
            thinking=thinking or None,
            tool_calls=self.calls or None,
            reasoning_details=self._details or None,
        )

    def messages(self) -> list[LLMMessage]:
        """The assistant's message and the results of its calls, in the order of the calls."""
        message = self.message()
        if message is None:
            return []
        results = [self._results.get(id(call)) for call in self.calls]
        return [message, *(answered(call, result) for call, result in zip(self.calls, results, strict=True))]


def answered(call: LLMToolCall, result: ToolResult | None) -> LLMMessage:
    """The message that answers `call`, also where it has no result."""
    output, is_error, images = (result.output, result.is_error, result.images) if result else (NOT_RUN, True, ())
    return LLMMessage(
        role=MessageRole.Tool, content=output, tool_calls=[call], image_paths=list(images) or None, is_error=is_error
    )


LONGEST_WAIT = 60.0  # seconds; a provider that asks for more is not waited for
NOTHING_SAID = "(no answer)"


class Conversation:
    """Holds the messages of one run.

    Drive it: send each :meth:`request` until there is none, :meth:`feed` it the model's events, :meth:`check_answered`,
    feed it what running the :meth:`pending_calls` yields, then :meth:`end` it. Raises TypeError and ValueError for
    messages that can't be sent (:func:`~mojentic_nb.llm.openai_messages.checked_messages`).
    """

    def __init__(  # noqa: PLR0913 (all but three by name)
        self,
        model: str,
        messages: Iterable[Message],
        config: CompletionConfig,
        *,
        tools: Sequence[Tool] = (),
        tool_choice: str | None = None,
        approve: Approve | None = None,
        answer: Answer[Any] | None = None,
        tracer: Tracer | None = None,
        correlation_id: str = "",
        max_retries: int = 0,
    ) -> None:
        self.usage = Usage()
        self.cancellation = Cancellation()
        self._tools: tuple[Tool, ...] = () if config.max_tool_iterations == 0 else tuple(tools)
        self._tool_choice = tool_choice if self._tools else None
        self._approve = approve
        self._model = model
        self._config = config
        self._answer = answer
        self._tracer = None if tracer is None else tracer.begin(correlation_id)
        self._max_retries = max_retries
        self._messages = checked_messages(messages)
        self._finish_reason: FinishReason | None = None
        self._plain = not config.think_tags
        self._rounds = 0
        self._ended = False
        self._step = Step(think_tags=config.think_tags)
        self._tally = Tally()
        self._notices: set[Notice] = set()
        self._room = config.max_answer_chars or math.inf
        self._limit = ""
        self.cut = False

    @property
    def config(self) -> CompletionConfig:
        """How the answer is to be generated."""
        return self._config

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the run ended; None while it has not."""
        cancelled = self.cancellation.cancelled and not self._ended
        return self._finish_reason or ("cancelled" if cancelled else None)

    @property
    def limit(self) -> str:
        """The setting that ended the answer, *max_answer_chars* or *max_stream_bytes*; "" if it was another limit."""
        return self._limit

    @property
    def ended(self) -> bool:
        """Whether the run is over: done, stopped or failed."""
        return self._ended

    @property
    def partial(self) -> LLMMessage | None:
        """The assistant's last message as far as it has arrived, None before its first character."""
        return self._step.message()

    @property
    def messages(self) -> list[LLMMessage]:
        """All messages, those of the step under way included; a new list each time.

        Providers take them as they are: a call that has no result yet has one here that says so, and where the run was
        stopped before the model said a word, it says nothing here, so that the user does not speak twice in a row.
        """
        messages = [*self._messages, *self._step.messages()]
        if self._finish_reason == "cancelled" and messages[-1].role is not MessageRole.Assistant:
            messages.append(LLMMessage(role=MessageRole.Assistant, content=""))
        return messages

    def request(self) -> Request | None:
        """What to ask the model next; None when the run is done.

        Raises :class:`~mojentic_nb.llm.errors.MaxToolIterationsExceededError`, and
        :class:`~mojentic_nb.llm.errors.BadRequestError` where its last word is not the object that it was asked for.
        """
        if self.finish_reason == "max_steps":
            raise MaxToolIterationsExceededError(
                f"The model still called tools after {self._rounds} rounds: raise max_tool_iterations, or ask for less."
            )
        if self._answer and self._answer.error:
            raise self._answer.error
        if self._ended or self._finish_reason or self.cancellation.cancelled:
            return None
        if self._step.asked:
            self._messages += self._step.messages()
            if self._answer and self._answer.correction and not self._step.calls:
                self._messages += corrected(self._answer.correction, said=bool(self._step.messages()))
        self._step = Step(think_tags=self._config.think_tags)
        self._step.asked = True
        self.cut = False
        self._room = self._config.max_answer_chars or math.inf
        messages = tuple(map(acceptable, self._messages))
        request = Request(
            self._model,
            messages,
            self._config,
            self._tools,
            self._answer.type.model if self._answer else None,
            self._tool_choice,
            self.cancellation,
        )
        self._tally = request.tally
        if self._tool_choice not in (None, "none"):
            self._tool_choice = "auto"  # a call that is always required would never let the model answer
        self._trace(request)
        return request

    def feed(self, event: ModelEvent | ToolProgress | ToolResult) -> Iterable[Event]:
        """Take one event, of the model or of a running tool; iterate what the reader is to see of it.

        Where the answer is longer than it may be, its end is among that, `cut` is set, and nothing more of the request
        is to be read.
        """
        if self._plain and isinstance(event, TextDelta):  # nearly all events are
            self._step.seen = True
            self._step.text.write(event.delta)
            if self._tracer is not None:
                tell(self._tracer, event)
            self._room -= len(event.delta)
            return (event,) if self._room >= 0 else chain((event,), self._cut())
        if isinstance(event, Notice):
            return self._noted(event)
        if isinstance(event, StepFinish) and event.usage == Usage():
            event = replace(event, usage=self._tally.usage)
        seen = self._step.feed(event)
        if self._tracer is not None:
            for happening in seen:
                self._trace(happening)
        if isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta):
            self._room -= len(event.delta)
            return seen if self._room >= 0 else chain(seen, self._cut())
        if isinstance(event, StepFinish) and self._limit_reached(event):
            return chain(seen, self._answer_all("The call was not run: the limit of tool rounds was reached."))
        return chain(seen, self._read_object()) if isinstance(event, StepFinish) and self._answer else seen

    def _noted(self, notice: Notice) -> Sequence[Notice]:
        """The notice, unless the reader has had it: a gateway gives it with each request."""
        if notice in self._notices:
            return ()
        self._notices.add(notice)
        self._trace(notice)
        return (notice,)

    def _cut(self) -> Iterable[Event]:
        """End the answer, which is longer than it may be."""
        self.cut = True
        return self.feed(StepFinish("length", limit="max_answer_chars"))

    def _limit_reached(self, event: StepFinish) -> bool:
        """Whether the step that ends with `event` calls tools once too often; count it."""
        self.usage += event.usage
        self._limit = event.limit
        if not self._step.calls or event.finish_reason == "cancelled":
            self._finish_reason = event.finish_reason
        elif self._rounds == self._config.max_tool_iterations:
            self._finish_reason = "max_steps"
        else:
            self._rounds += 1
        return self._finish_reason == "max_steps"

    def _read_object(self) -> Iterator[Event]:
        """Read the object in the model's last word; a Retry if it is to be asked for once more."""
        if self._answer and self._finish_reason not in (None, "cancelled"):
            retry = self._answer.read(self._step.text.getvalue(), self._finish_reason)
            if retry:
                self._finish_reason = None
                self._trace(retry)
                yield retry

    def pending_calls(self) -> ToolBatch:
        """The calls that wait for their results, and what it takes to run them."""
        step = self._step
        enter = partial(enter_tool, self._tracer)
        return ToolBatch(tuple(step.unanswered()), self._tools, self._approve, self.cancellation, step.keep, enter)

    def check_answered(self) -> None:
        """Raise an error if the model's events ended before it said that it was done.

        The :class:`~mojentic_nb.llm.errors.IncompleteStreamError` is transient: if nothing came, :meth:`retry` allows
        another attempt.
        """
        if self._step.finish_reason is None:
            what = (
                "The answer broke off before its end" if self._step.seen else "The reply ended before the answer began"
            )
            error = IncompleteStreamError(f"{what}: ask again.")
            error.transient = True
            raise error

    def retry(self, error: Exception) -> Retry | None:
        """How the request that failed with `error` is to be tried again; None if it isn't.

        It never is once a part of its answer was seen.
        """
        if not isinstance(error, LLMError) or not error.transient or self._step.seen:
            return None
        attempt = self._step.retries + 1
        delay = error.retry_after
        if delay is None:
            delay = 0.5 * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)  # noqa: S311 (no secret)
        if attempt > self._max_retries or delay > LONGEST_WAIT:
            return None
        self._step.retries = attempt
        retry = Retry(attempt, delay, str(error))
        self._trace(retry)
        return retry

    def fail(self, error: Exception) -> None:
        """Take note that the run ends with `error`, and give it the part of the answer that had arrived."""
        self._ended = True
        if self._step.finish_reason is None:
            self.usage += self._tally.usage
        if isinstance(error, LLMError):
            error.partial = self.partial
        self._trace(error)

    def leave(self) -> None:
        """Take note that nobody reads on: the run ends without a reader, and the tracer is told."""
        self.cancellation.cancel()
        for _ in self.end():
            pass

    def end(self) -> Iterator[Event]:
        """Yield the run's last events, for when :meth:`request` gives None; nothing if they were all there before."""
        if self._ended:
            return
        if self._step.asked and self._step.finish_reason is None:
            yield from self.feed(StepFinish("cancelled"))
        yield from self._answer_all(NOT_RUN)
        self._finish_reason = self._finish_reason or "cancelled"
        self._ended = True
        finish = Finish(self._finish_reason, self.usage, self._limit)
        self._trace(finish)
        yield finish

    def _answer_all(self, why: str) -> Iterator[Event]:
        while call := self._step.untold:
            yield from self.feed(ToolResult(call, why, is_error=True, outcome="cancelled"))

    def _trace(self, happening: Request | Event | Exception) -> None:
        if self._tracer is not None:
            tell(self._tracer, happening)


def acceptable(message: LLMMessage) -> LLMMessage:
    """`message` as a provider takes it: an object as JSON, and of an assistant that said nothing, that it did so.

    Some refuse a message with nothing in it, and some a user who speaks twice in a row, so it can't be left out.
    """
    if message.tool_calls or (message.content or "").strip():
        return message
    if message.object is not None:
        said = message.object.model_dump_json()
    elif message.role is MessageRole.Assistant:
        said = NOTHING_SAID
    else:
        return message
    return message.model_copy(update={"content": said, "thinking": None, "reasoning_details": None})


def corrected(correction: str, *, said: bool) -> list[LLMMessage]:
    """What follows an answer that is to be given again; the model has its turn also where it `said` nothing."""
    nothing = [] if said else [LLMMessage(role=MessageRole.Assistant, content="")]
    return [*nothing, LLMMessage(content=correction)]
