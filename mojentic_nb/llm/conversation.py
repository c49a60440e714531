"""The rules of a run, without I/O.

A :class:`Conversation` decides what to request next, when to retry, and which calls still need a result. It leaves to
:class:`~mojentic_nb.llm.step.Step` how the events of one request become messages.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
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
    ToolProgress,
    ToolResult,
    Usage,
)
from .messages import LLMMessage, MessageRole
from .openai_messages import Message, checked_messages
from .request import Request, Tally, Tool
from .step import NOT_RUN, Step, sendable
from .structured import Answer
from .tools.batch import Approve, ToolBatch
from .tracing import Tracer, begin, enter_tool, tell

__all__ = ["Conversation"]

DELTAS = (TextDelta, ReasoningDelta, ToolCallDelta)
LONGEST_WAIT = 60.0  # seconds; if a provider asks for more, the error is raised instead


class Conversation:
    """The messages of one run, and what happens next.

    To drive it, send each :meth:`request` until there is none, :meth:`feed` it the model's events,
    :meth:`check_answered`, feed it the events of running the :meth:`pending_calls`; then :meth:`end` it. `ended` tells
    whether the run is over: done, stopped or failed. `limit` is the setting that cut the answer off,
    *max_answer_chars* or *max_stream_bytes*, or "". `cut` tells the driver to close the request's stream.

    Raises TypeError and ValueError for messages that can't be sent
    (:func:`~mojentic_nb.llm.openai_messages.checked_messages`).
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
        self.config = config
        self.usage = Usage()
        self.cancellation = Cancellation()
        self.ended = False
        self.limit = ""
        self.cut = False
        self.model = model
        self._tools: tuple[Tool, ...] = () if config.max_tool_iterations == 0 else tuple(tools)
        self._tool_choice = tool_choice if self._tools else None
        self._approve = approve
        self._answer = answer
        self._tracer = begin(tracer, correlation_id)
        self._max_retries = max_retries
        self._messages = checked_messages(messages)
        self._finish_reason: FinishReason | None = None
        self._rounds = 0
        self._retries = 0
        self._step = Step(think_tags=config.think_tags)
        self._asked = False
        self._tally = Tally()
        self._notices: set[Notice] = set()
        self._room = math.inf

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the run ended; None until then."""
        cancelled = self.cancellation.cancelled and not self.ended
        return self._finish_reason or ("cancelled" if cancelled else None)

    @property
    def partial(self) -> LLMMessage | None:
        """The assistant's last message so far, None before its first character."""
        return self._step.message()

    @property
    def messages(self) -> list[LLMMessage]:
        """All messages so far, those of the current step included; a new list each time.

        Providers accept them as they are. A call without a result has one that says so. If the run was stopped before
        the model said a word, the assistant's message is empty, so that the user doesn't speak twice in a row.
        """
        messages = [*self._messages, *self._step.messages()]
        if self._finish_reason == "cancelled" and messages[-1].role is not MessageRole.Assistant:
            messages.append(LLMMessage(role=MessageRole.Assistant, content=""))
        return messages

    def request(self) -> Request | None:
        """Return the next request to the model; None when the run is done.

        Raises :class:`~mojentic_nb.llm.errors.MaxToolIterationsExceededError`, and
        :class:`~mojentic_nb.llm.errors.BadRequestError` if the final reply isn't the object that was asked for.
        """
        if self.finish_reason == "max_steps":
            rounds = f"{self._rounds} round{'s' * (self._rounds != 1)}"
            raise MaxToolIterationsExceededError(
                f"The model still called tools after {rounds}. Raise `max_tool_iterations`, or ask for less."
            )
        if self._answer and self._answer.error:
            raise self._answer.error
        if self.ended or self._finish_reason or self.cancellation.cancelled:
            return None
        self._messages += self._step.messages()
        if self._answer and self._answer.correction and not self._step.calls:
            if not self._step.messages():  # the model has its turn even if it said nothing
                self._messages.append(LLMMessage(role=MessageRole.Assistant, content=""))
            self._messages.append(LLMMessage(content=self._answer.correction))
        self._step = Step(think_tags=self.config.think_tags)
        self._asked, self._retries = True, 0
        self._room = self.config.max_answer_chars or math.inf
        self.cut = False
        request = Request(
            self.model,
            tuple(map(sendable, self._messages)),
            self.config,
            self._tools,
            self._answer.type.model if self._answer else None,
            self._tool_choice,
            self.cancellation,
        )
        self._tally = request.tally
        if self._tool_choice not in (None, "none"):
            self._tool_choice = "auto"  # if every request required a call, the model could never answer
        self._trace(request)
        return request

    def feed(self, event: ModelEvent | ToolProgress | ToolResult) -> Iterable[Event]:
        """Take in one event, of the model or of a running tool. Return the events that the reader gets.

        If the answer is longer than `max_answer_chars` allows, its end is among them, and `cut` is set.
        """
        if isinstance(event, DELTAS):
            self._room -= len(event.delta)
        elif isinstance(event, Notice):
            return self._feed_notice(event)
        elif isinstance(event, StepFinish) and event.usage == Usage():
            event = replace(event, usage=self._tally.usage)
        events = self._step.feed(event)
        if self._tracer is not None:
            for each in events:
                tell(self._tracer, each)
        if self._room < 0 and not self.cut:
            self.cut = True
            return chain(events, self.feed(StepFinish("length", limit="max_answer_chars")))
        if isinstance(event, StepFinish):
            return chain(events, self._finish_step(event))
        return events

    def _feed_notice(self, notice: Notice) -> Sequence[Notice]:
        """Return the notice, unless the reader has had it: a gateway repeats it with each request."""
        if notice in self._notices:
            return ()
        self._notices.add(notice)
        self._trace(notice)
        return (notice,)

    def _finish_step(self, finish: StepFinish) -> Iterable[Event]:
        """Decide how to go on after a reply. Return results for calls that won't run, or a Retry of the object."""
        self.usage += finish.usage
        self.limit = finish.limit
        if finish.finish_reason == "cancelled":
            self._finish_reason = "cancelled"
        elif not self._step.calls:
            self._finish_reason = finish.finish_reason
            return self._read_object(finish.finish_reason) if self._answer else ()
        elif self._rounds == self.config.max_tool_iterations:
            self._finish_reason = "max_steps"
            return self._answer_all("The call didn't run: the limit of tool rounds was reached.")
        else:
            self._rounds += 1
        return ()

    def _read_object(self, finish_reason: FinishReason) -> Iterator[Event]:
        """Read the object in the final reply; yield a Retry if the model is to be asked once more."""
        if self._answer and (retry := self._answer.read(self._step.text.getvalue(), finish_reason)):
            self._finish_reason = None
            self._trace(retry)
            yield retry

    def pending_calls(self) -> ToolBatch:
        """Return the calls that still need a result, and everything needed to run them."""
        step, enter = self._step, partial(enter_tool, self._tracer)
        return ToolBatch(step.unanswered(), self._tools, self._approve, self.cancellation, step.keep, enter)

    def check_answered(self) -> None:
        """Raise :class:`~mojentic_nb.llm.errors.IncompleteStreamError` if the model's reply ended without a StepFinish.

        The error is transient: if nothing had arrived, :meth:`retry` allows another attempt.
        """
        if self._step.finish_reason is None:
            what = "answer broke off before its end" if self._step.seen else "reply ended before the answer began"
            error = IncompleteStreamError(f"The {what}. Ask again.")
            error.transient, error.advice = True, "Ask again."
            raise error

    def retry(self, error: Exception) -> Retry | None:
        """Return the Retry of the request that failed with `error`; None if it can't help, or a part was seen."""
        if not isinstance(error, LLMError) or not error.transient or self._step.seen:
            return None
        attempt = self._retries + 1
        delay = error.retry_after
        if delay is None:
            delay = 0.5 * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)  # noqa: S311 (no secret)
        if attempt > self._max_retries or delay > LONGEST_WAIT:
            return None
        self._retries = attempt
        retry = Retry(attempt, delay, error.reason)
        self._trace(retry)
        return retry

    def fail(self, error: Exception) -> None:
        """End the run with `error`, and give the error the part of the answer that had arrived."""
        self.ended = True
        if self._step.finish_reason is None:
            self.usage += self._tally.usage
        if isinstance(error, LLMError):
            error.partial = self.partial
        self._trace(error)

    def leave(self) -> None:
        """End a run that nobody reads any more. The tracer still gets its last events."""
        self.cancellation.cancel()
        for _ in self.end():
            pass

    def end(self) -> Iterator[Event]:
        """Yield the run's last events, once :meth:`request` returns None; nothing the second time."""
        if self.ended:
            return
        if self._asked and self._step.finish_reason is None:
            yield from self.feed(StepFinish("cancelled"))
        yield from self._answer_all(NOT_RUN)
        self._finish_reason = self._finish_reason or "cancelled"
        self.ended = True
        finish = Finish(self._finish_reason, self.usage, self.limit)
        self._trace(finish)
        yield finish

    def _answer_all(self, why: str) -> Iterator[Event]:
        while call := self._step.next_call:
            yield from self.feed(ToolResult(call, why, is_error=True, outcome="cancelled"))

    def _trace(self, happening: Request | Event | Exception) -> None:
        if self._tracer is not None:
            tell(self._tracer, happening)
