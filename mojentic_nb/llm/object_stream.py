"""A run that ends with an object, and what there is of the object while it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Generic, Self, cast

from .conversation import Conversation
from .errors import BadRequestError
from .events import Event, Notice, StepFinish, TextDelta
from .run import AsyncRun, BaseRun, Run
from .structured import Answer, Object

__all__ = ["AsyncObjectStream", "ObjectStream"]

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
