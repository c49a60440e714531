"""One answer on its way, driven synchronously or asynchronously."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import aclosing, closing, contextmanager, suppress
from inspect import GEN_CREATED, GEN_RUNNING, GEN_SUSPENDED, getgeneratorstate
from types import AsyncGeneratorType, TracebackType
from typing import Any, Self, cast

from .completeness import warn_if_incomplete
from .concurrency import pause
from .conversation import Conversation
from .errors import LLMError
from .events import Event, FinishReason, Notice, TextDelta, Usage
from .messages import LLMMessage
from .request import Gateway, Request, astream
from .tools.runner import ToolRunner

__all__ = ["AsyncRun", "BaseRun", "Run"]

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
