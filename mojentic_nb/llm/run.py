"""One answer on its way, driven synchronously or asynchronously.

A warning for whoever gets the text of an answer alone: without a run, nothing else says that it isn't whole.

A run that ends with an object, and what there is of the object while it comes.
"""

from __future__ import annotations

import asyncio
import threading
import warnings
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import aclosing, closing, contextmanager, suppress
from inspect import GEN_CREATED, GEN_RUNNING, GEN_SUSPENDED, getgeneratorstate
from types import AsyncGeneratorType, TracebackType
from typing import Any, Generic, Self, cast

from .concurrency import pause
from .config import CompletionConfig
from .conversation import Conversation
from .errors import BadRequestError, IncompleteAnswerWarning, LLMError
from .events import Event, FinishReason, Notice, StepFinish, TextDelta, Usage
from .messages import LLMMessage
from .request import Gateway, Request, astream
from .structured import Answer, Object
from .tools.runner import ToolRunner

__all__ = ["AsyncObjectStream", "AsyncRun", "ObjectStream", "Run", "warn_if_incomplete"]

UNSET = "the model's or the provider's own, as `max_tokens` isn't set"


def warn_if_incomplete(conversation: Conversation) -> None:
    """Warn the caller of the function that calls this one, if the answer was cut off or filtered."""
    match conversation.finish_reason:
        case "length":
            said = f"it reached {limits(conversation.config, conversation.limit)}. Raise the limit, or ask for less."
        case "content_filter":
            said = "the provider's content filter ended it. Rephrase the question, or try another model."
        case _:
            return
    warnings.warn(f"The answer is incomplete: {said}", IncompleteAnswerWarning, stacklevel=3)


def limits(config: CompletionConfig, ceiling: str) -> str:
    """The `ceiling` of ours that ended the answer, else the limits of tokens; without one the provider has its own."""
    if ceiling:
        return f"the limit {ceiling}={getattr(config, ceiling, None)}"
    names = ("max_tokens", "num_predict", "num_ctx")
    said = [f"{name}={value}" for name in names if (value := getattr(config, name) or 0) > 0]  # -1 sets none
    return f"a token limit ({', '.join(said) or UNSET})"


TWO_READERS = (
    "The run is being iterated, by another thread or task, or a tool. Iterate it in one place at a time, or ask again."
)


class BaseRun:
    """What both kinds of run tell of themselves."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    @property
    def conversation(self) -> Conversation:
        """What the run is made of; it stays readable when nothing refers to the run any more."""
        return self._conversation

    @property
    def messages(self) -> list[LLMMessage]:
        """The conversation with the answer as far as it has come: right at any time, also after an interrupt."""
        return self._conversation.messages

    @property
    def partial(self) -> LLMMessage | None:
        """The model's last message as far as it has come; None before its first character."""
        return self._conversation.partial

    @property
    def usage(self) -> Usage:
        """Tokens used so far, as the provider reports them: at the end of each request, some also on the way."""
        return self._conversation.usage

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the answer ended; None while it has not."""
        return self._conversation.finish_reason

    def cancel(self) -> None:
        """Stop, from any thread: the provider's request ends at once, and the iteration soon after, with a Finish.

        What has arrived is kept, results of tools as well. Asynchronous tools are cancelled; others can't be stopped
        and go on unheard. One that runs in the thread of a synchronous run is waited for. Does nothing after the end.
        """
        self._conversation.cancellation.cancel()


class Run(BaseRun):
    """An answer that streams: iterate it once for its events, or :meth:`text` for the answer alone.

    Nothing is sent before the iteration starts. As a context manager it closes the provider's request on the way out,
    which is what an interrupt needs. Iterating raises :class:`~mojentic_nb.llm.errors.LLMError`.

    Another thread may :meth:`cancel` it. One that iterates it, or enters it as a context manager, before the thread
    that began is done gets a RuntimeError; threads that take turns share one ``iter(run)``.
    """

    def __init__(self, gateway: Gateway, conversation: Conversation, runner: ToolRunner) -> None:
        super().__init__(conversation)
        self._events = drive(gateway, conversation, runner, weakref.ref(self))
        self._iterator = Events(self._events)
        self._reader = weakref.ref(threading.current_thread())

    def __iter__(self) -> Iterator[Event]:
        self._check_readers()
        self._reader = weakref.ref(threading.current_thread())
        return self._iterator

    def _check_readers(self) -> None:
        """Raise RuntimeError where another thread iterates the run, also if it is between two events."""
        state, reader = getgeneratorstate(self._events), self._reader()
        begun = state == GEN_SUSPENDED and reader is not None and reader.is_alive()
        if state == GEN_RUNNING or (begun and reader is not threading.current_thread()):
            raise RuntimeError(TWO_READERS)

    def text(self, *, warn: bool = False) -> Iterator[str]:
        """Iterate the answer's text, piece by piece; ending the iteration early closes the run.

        With `warn`, an answer that was cut off or filtered ends with an
        :class:`~mojentic_nb.llm.errors.IncompleteAnswerWarning`.
        """
        with self:
            for event in self:
                if isinstance(event, TextDelta):
                    yield event.delta
                elif isinstance(event, Notice):
                    event.warn()
        if warn:
            warn_if_incomplete(self.conversation)

    def close(self) -> None:
        """End the provider's request at once, keeping what has arrived. Does nothing after the end.

        In another thread than the one that iterates, it does what :meth:`cancel` does.
        """
        state = getgeneratorstate(self._events)
        mine = self._reader() is threading.current_thread() and state != GEN_RUNNING
        if state == GEN_CREATED or not mine:
            self.cancel()
        if mine:
            self._events.close()

    def __enter__(self) -> Self:
        self._check_readers()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Events(Generator[Event, None, None]):
    """The events of a run: a generator that says what is wrong when two threads iterate it."""

    def __init__(self, events: Generator[Event, None, None]) -> None:
        self._events = events

    def __next__(self) -> Event:
        try:
            return next(self._events)
        except ValueError as error:
            if error.__traceback__ and error.__traceback__.tb_next is None:  # not from within: it runs elsewhere
                raise RuntimeError(TWO_READERS) from None
            raise

    def send(self, value: None) -> Event:
        """Do what the generator does."""
        return self._events.send(value)

    def throw(self, *error: Any) -> Event:  # noqa: ANN401 (of two forms)
        """Do what the generator does."""
        return self._events.throw(*error)


class AsyncRun(BaseRun):
    """The same for ``async for``; nothing it does blocks the event loop, tools that would run in threads.

    As an asynchronous context manager it closes the provider's request on the way out, which is what the cancellation
    of a task needs. What holds for threads with a :class:`Run` holds for tasks here.
    """

    def __init__(self, gateway: Gateway, conversation: Conversation, runner: ToolRunner) -> None:
        super().__init__(conversation)
        self._events = AsyncEvents(adrive(gateway, conversation, runner, weakref.ref(self)))
        self._reader: Callable[[], asyncio.Task[Any] | None] = current_task

    def __aiter__(self) -> AsyncIterator[Event]:
        self._check_readers()
        task = current_task()
        self._reader = current_task if task is None else weakref.ref(task)
        return self._events

    def _check_readers(self) -> None:
        """Raise RuntimeError where another task iterates the run, also if it is between two events."""
        reader = self._reader()
        begun = self._events.begun and not self._conversation.ended and reader is not None and not reader.done()
        if self._events.running or (begun and reader is not current_task()):
            raise RuntimeError(TWO_READERS)

    async def text(self, *, warn: bool = False) -> AsyncIterator[str]:
        """Iterate the answer's text, piece by piece; closing the iterator early closes the run.

        With `warn`, an answer that was cut off or filtered ends with an
        :class:`~mojentic_nb.llm.errors.IncompleteAnswerWarning`.
        """
        async with self:
            async for event in self:
                if isinstance(event, TextDelta):
                    yield event.delta
                elif isinstance(event, Notice):
                    event.warn()
        if warn:
            warn_if_incomplete(self.conversation)

    async def aclose(self) -> None:
        """End the provider's request at once, keeping what has arrived. Does nothing after the end."""
        if self.finish_reason is None:
            self.cancel()
        with suppress(RuntimeError):  # another task is in the middle of it: that one ends it
            await self._events.aclose()

    async def __aenter__(self) -> Self:
        self._check_readers()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class AsyncEvents(AsyncGenerator[Event, None]):
    """The same of an asynchronous run, which two tasks may iterate. `begun` tells whether an event was asked for."""

    def __init__(self, events: AsyncGenerator[Event, None]) -> None:
        self._events = cast("AsyncGeneratorType[Event, None]", events)
        self.begun = False

    @property
    def running(self) -> bool:
        """Whether somebody waits for an event."""
        return self._events.ag_running

    def __anext__(self) -> Coroutine[Any, Any, Event]:
        if self._events.ag_running:
            raise RuntimeError(TWO_READERS)
        self.begun = True
        return self._events.__anext__()

    def asend(self, value: None) -> Coroutine[Any, Any, Event]:
        """Do what the generator does."""
        return self._events.asend(value)

    def athrow(self, *error: Any) -> Coroutine[Any, Any, Event]:  # noqa: ANN401 (of two forms)
        """Do what the generator does."""
        return self._events.athrow(*error)

    def aclose(self) -> Coroutine[Any, Any, None]:
        """Do what the generator does."""
        return self._events.aclose()


def current_task() -> asyncio.Task[Any] | None:
    """The task that runs; None outside of an event loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


# The generators know their run by a weak reference only. Else the two would hold one another, and the request of a run
# that was left by `break` would go on until Python looks for such cycles.


def drive(
    gateway: Gateway, conversation: Conversation, runner: ToolRunner, run: Callable[[], Run | None]
) -> Generator[Event, None, None]:
    """Ask the model and run its calls until it is done."""
    with ending(conversation, lambda: run() or Run(gateway, conversation, runner)):
        while (request := conversation.request()) is not None:
            yield from ask(gateway, conversation, request)
            with closing(runner.run(conversation.pending_calls())) as happenings:
                for happening in happenings:
                    yield from conversation.feed(happening)
        yield from conversation.end()


@contextmanager
def ending(conversation: Conversation, run: Callable[[], Run | AsyncRun]) -> Iterator[None]:
    """Have the conversation know how it ends before its time, and an error know the run."""
    try:
        yield
    except Exception as error:
        conversation.fail(error)
        if isinstance(error, LLMError):
            error.run = run()
        raise
    except BaseException:  # the reader is gone
        conversation.leave()
        raise


def ask(gateway: Gateway, conversation: Conversation, request: Request) -> Generator[Event, None, None]:
    """Send one request, again if need be."""
    cancellation = request.cancellation
    while not cancellation.cancelled:
        try:
            with closing(gateway.stream(request)) as events:
                for event in events:
                    yield from conversation.feed(event)
                    if cancellation.cancelled or conversation.cut:
                        return
            conversation.check_answered()
            return
        except Exception as error:
            if cancellation.cancelled:
                return
            if (retry := conversation.retry(error)) is None:
                raise
        yield retry
        cancellation.wait(retry.delay)


async def adrive(
    gateway: Gateway, conversation: Conversation, runner: ToolRunner, run: Callable[[], AsyncRun | None]
) -> AsyncGenerator[Event, None]:
    """The same, asynchronously."""
    with ending(conversation, lambda: run() or AsyncRun(gateway, conversation, runner)):
        while (request := conversation.request()) is not None:
            async with aclosing(aask(gateway, conversation, request)) as events:
                async for event in events:
                    yield event
            async with aclosing(runner.arun(conversation.pending_calls())) as happenings:
                async for happening in happenings:
                    for event in conversation.feed(happening):
                        yield event
        for event in conversation.end():
            yield event


async def aask(gateway: Gateway, conversation: Conversation, request: Request) -> AsyncGenerator[Event, None]:
    """The same, asynchronously."""
    cancellation = request.cancellation
    while not cancellation.cancelled:
        try:
            async with aclosing(astream(gateway, request)) as events:
                async for event in events:
                    for seen in conversation.feed(event):
                        yield seen
                    if cancellation.cancelled or conversation.cut:
                        return
            conversation.check_answered()
            return
        except Exception as error:
            if cancellation.cancelled:
                return
            if (retry := conversation.retry(error)) is None:
                raise
        yield retry
        await pause(cancellation, retry.delay)


# Of an answer's text before it is parsed again, so that the work for a long one is no square of its length.
GROWTH = 1.01


class BaseObjectStream(BaseRun, Generic[Object]):
    """What both kinds of stream tell of the object and of the run."""

    run: Run | AsyncRun

    def __init__(self, conversation: Conversation, answer: Answer[Object]) -> None:
        super().__init__(conversation)
        self._answer = answer
        self._shown: Object | None = None
        self._length = 0
        self._due = 1

    @property
    def object(self) -> Object | None:
        """The object, whole and validated; None while it is not there."""
        return self._answer.object

    @property
    def snapshot(self) -> Object | None:
        """The object as far as it has come, None before its beginning; read from the text at each call.

        It is of the type that was asked for, but not validated: fields that have not arrived are None, or their
        default. Text grows; a value that can't be cut in two is there when it is whole, except that of a number the
        digits so far count. What has not changed since the last time (the rows of a list that are complete) is the
        same object.
        """
        if self._answer.there:
            return self._answer.object
        message = self.partial
        return self._answer.type.draft(message.content or "") if message else None

    def _grown(self, event: Event) -> Iterator[Object]:
        """The snapshot after `event`, if there is to be one and it differs from the last."""
        if isinstance(event, StepFinish):  # what comes now is another answer
            self._length, self._due = 0, 1
        if isinstance(event, Notice):
            event.warn()
        if not isinstance(event, TextDelta):
            return
        self._length += len(event.delta)
        if self._length < self._due:
            return
        self._due = int(self._length * GROWTH) + 1
        snapshot = self.snapshot
        if snapshot is not None and snapshot != self._shown:
            self._shown = snapshot
            yield snapshot

    def _last(self) -> Iterator[Object]:
        if self._answer.there:
            yield self._result()

    def _result(self) -> Object:
        """The object; raises BadRequestError if the run ended without it."""
        if self._answer.there:
            return cast("Object", self._answer.object)
        error = self._answer.error or BadRequestError(
            f"The run ended before the {self._answer.type.name} came: ask again. Its part is in the error's partial."
        )
        error.partial, error.run = self.partial, self.run
        raise error


class ObjectStream(BaseObjectStream[Object]):
    """An object on its way: iterate it for what there is of it, the last time for all; or :meth:`read` it.

    The values are of the type that was asked for; all but the last are snapshots (:attr:`snapshot`), one each time that
    the text has grown by a hundredth and the value has changed. An answer that is no such object is asked for once
    more, from the beginning. `run` is the run beneath: iterate that instead for its events, and look at
    :attr:`snapshot` when you like. Iterating raises :class:`~mojentic_nb.llm.errors.LLMError`.
    """

    run: Run

    def __init__(self, conversation: Conversation, run: Run, answer: Answer[Object]) -> None:
        super().__init__(conversation, answer)
        self.run = run

    def __iter__(self) -> Iterator[Object]:
        with self.run:
            for event in self.run:
                yield from self._grown(event)
        yield from self._last()

    def read(self) -> Object:
        """The object, when all has come; raises :class:`~mojentic_nb.llm.errors.BadRequestError` if there is none."""
        with self.run:
            for event in self.run:
                if isinstance(event, Notice):
                    event.warn()
        return self._result()

    def close(self) -> None:
        """End the provider's request at once, keeping what has arrived; see :meth:`Run.close`."""
        self.run.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncObjectStream(BaseObjectStream[Object]):
    """The same for ``async for``; nothing it does blocks the event loop."""

    run: AsyncRun

    def __init__(self, conversation: Conversation, run: AsyncRun, answer: Answer[Object]) -> None:
        super().__init__(conversation, answer)
        self.run = run

    async def __aiter__(self) -> AsyncIterator[Object]:
        async with self.run:
            async for event in self.run:
                for snapshot in self._grown(event):
                    yield snapshot
        for last in self._last():
            yield last

    async def read(self) -> Object:
        """The object, when all has come; raises :class:`~mojentic_nb.llm.errors.BadRequestError` if there is none."""
        async with self.run:
            async for event in self.run:
                if isinstance(event, Notice):
                    event.warn()
        return self._result()

    async def aclose(self) -> None:
        """End the provider's request at once, keeping what has arrived. Does nothing after the end."""
        await self.run.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
