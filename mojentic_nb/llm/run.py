"""One answer, driven synchronously or asynchronously.

A caller holds a :class:`Run` or an :class:`AsyncRun`. The generators `drive` and `adrive` do the work: they send each
request of the conversation, feed it the model's events, and run the calls.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import aclosing, closing, contextmanager, suppress
from typing import Self

from .concurrency import pause
from .conversation import Conversation
from .errors import LLMError
from .events import Event, FinishReason, Notice, TextDelta, Usage
from .incomplete import warn_if_incomplete
from .messages import LLMMessage
from .readers import AsyncEvents, Events
from .request import Gateway, Request, astream
from .tools.runner import ToolRunner

__all__ = ["AsyncRun", "BaseRun", "Run"]


class BaseRun:
    """What runs of both kinds have."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    @property
    def conversation(self) -> Conversation:
        """The state of the run; it stays readable after the run is gone."""
        return self._conversation

    @property
    def messages(self) -> list[LLMMessage]:
        """The conversation with the answer so far: right at any time, also after an interrupt."""
        return self._conversation.messages

    @property
    def partial(self) -> LLMMessage | None:
        """The model's last message so far; None before its first character."""
        return self._conversation.partial

    @property
    def usage(self) -> Usage:
        """Tokens used so far, as the provider reports them: at the end of each request, and from some before that."""
        return self._conversation.usage

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the answer ended; None until then."""
        return self._conversation.finish_reason

    def cancel(self) -> None:
        """Stop, from any thread: the provider's request ends at once, and the iteration soon after, with a Finish.

        What has arrived is kept, results of tools as well. Asynchronous tools are cancelled. Others can't be stopped:
        they go on, and their results are ignored. A tool that runs in the thread of a synchronous run is waited for.
        Does nothing after the end.
        """
        self._conversation.cancellation.cancel()


class Run(BaseRun):
    """An answer that streams: iterate it once for its events, or :meth:`text` for the text alone.

    Nothing is sent before the iteration starts. As a context manager it closes the provider's request on the way out,
    which is what an interrupt needs. Iterating raises :class:`~mojentic_nb.llm.errors.LLMError`.

    Another thread may :meth:`cancel` it. A thread that iterates it, or enters it as a context manager, before the one
    that began is done gets a RuntimeError; threads that take turns share one ``iter(run)``.
    """

    def __init__(self, gateway: Gateway, conversation: Conversation, runner: ToolRunner) -> None:
        super().__init__(conversation)
        self._events = Events(drive(gateway, conversation, runner, weakref.ref(self)))

    def __iter__(self) -> Iterator[Event]:
        return self._events.claim()

    def text(self, *, warn: bool = False) -> Iterator[str]:
        """Iterate the answer's text, piece by piece; closing the iterator early closes the run.

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
        if not self._events.begun or not self._events.are_mine:
            self.cancel()
        if self._events.are_mine:
            self._events.close()

    def __enter__(self) -> Self:
        self._events.check()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncRun(BaseRun):
    """The same for ``async for``. It doesn't block the event loop; synchronous tools run in threads.

    As an asynchronous context manager it closes the provider's request on the way out, which is what the cancellation
    of a task needs. The rules about threads that a :class:`Run` has are about tasks here.
    """

    def __init__(self, gateway: Gateway, conversation: Conversation, runner: ToolRunner) -> None:
        super().__init__(conversation)
        events = adrive(gateway, conversation, runner, weakref.ref(self))
        self._events = AsyncEvents(events, lambda: conversation.ended)

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._events.claim()

    async def text(self, *, warn: bool = False) -> AsyncIterator[str]:
        """The same as :meth:`Run.text`, for ``async for``."""
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
        self._events.check()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


# The generators know their run by a weak reference only. If the two held one another, a run that was left by `break`
# would keep its request open until Python's garbage collector found the cycle.


def drive(
    gateway: Gateway, conversation: Conversation, runner: ToolRunner, run: Callable[[], Run | None]
) -> Generator[Event, None, None]:
    """Ask the model and run its calls until it is done."""
    with ending(conversation, lambda: run() or Run(gateway, conversation, runner)):
        while (request := conversation.request()) is not None:
            yield from ask(gateway, conversation, request)
            with closing(runner.run(conversation.pending_calls())) as reports:
                for report in reports:
                    yield from conversation.feed(report)
        yield from conversation.end()


def ask(gateway: Gateway, conversation: Conversation, request: Request) -> Generator[Event, None, None]:
    """Send one request, and retry it if the conversation allows."""
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
            async with aclosing(runner.arun(conversation.pending_calls())) as reports:
                async for report in reports:
                    for event in conversation.feed(report):
                        yield event
        for event in conversation.end():
            yield event


async def aask(gateway: Gateway, conversation: Conversation, request: Request) -> AsyncGenerator[Event, None]:
    """The same, asynchronously."""
    cancellation = request.cancellation
    while not cancellation.cancelled:
        try:
            async with aclosing(astream(gateway, request)) as model_events:
                async for model_event in model_events:
                    for event in conversation.feed(model_event):
                        yield event
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


@contextmanager
def ending(conversation: Conversation, run: Callable[[], Run | AsyncRun]) -> Iterator[None]:
    """Tell the conversation how the run ends if it ends early, and give an error its run."""
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
