"""Runs whose answer is an object: :class:`ObjectStream` yields the object as it grows, and reads it at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Generic, Self, cast

from .conversation import Conversation
from .errors import BadRequestError
from .events import Event, Notice, StepFinish, TextDelta
from .run import AsyncRun, BaseRun, Run
from .structured import Answer, Object

__all__ = ["AsyncObjectStream", "ObjectStream"]

GROWTH = 1.01  # of the text between two snapshots, so that parsing a long answer doesn't cost the square of its length


class BaseObjectStream(BaseRun, Generic[Object]):
    """What streams of both kinds have."""

    run: Run | AsyncRun

    def __init__(self, conversation: Conversation, answer: Answer[Object]) -> None:
        super().__init__(conversation)
        self._answer = answer
        self._shown: Object | None = None
        self._length = 0
        self._due = 1

    @property
    def object(self) -> Object | None:
        """The complete, validated object; None until then."""
        return self._answer.object

    @property
    def snapshot(self) -> Object | None:
        """The object so far, None before its beginning; read from the text at each call.

        It has the type that you asked for, but isn't validated: fields that haven't arrived are None, or their default.
        Text grows; any other value appears when it is complete, except that the digits of a number count as they
        arrive. What hasn't changed since the last snapshot (the complete rows of a list) is the same object.
        """
        if self._answer.there:
            return self._answer.object
        message = self.partial
        return self._answer.type.draft(message.content or "") if message else None

    def _grown(self, event: Event) -> Iterator[Object]:
        """Yield the snapshot after `event`, if one is due and it differs from the last."""
        if isinstance(event, Notice):
            event.warn()
        elif isinstance(event, StepFinish):  # another answer may follow
            self._length, self._due = 0, 1
        elif isinstance(event, TextDelta):
            self._length += len(event.delta)
            if self._length >= self._due:
                self._due = int(self._length * GROWTH) + 1
                snapshot = self.snapshot
                if snapshot is not None and snapshot != self._shown:
                    self._shown = snapshot
                    yield snapshot

    def _result(self) -> Object:
        """Return the object; raise BadRequestError if the run ended without it."""
        if self._answer.there:
            return cast("Object", self._answer.object)
        error = self._answer.error or BadRequestError(
            f"The run ended before the {self._answer.type.name} was complete. Ask again. Its part is `error.partial`."
        )
        error.partial, error.run = self.partial, self.run
        raise error


class ObjectStream(BaseObjectStream[Object]):
    """An object that streams: iterate it for snapshots and at last the object itself, or :meth:`read` it.

    Each value has the type that you asked for. There is a :attr:`snapshot` whenever the text has grown by one percent
    and the value has changed; the last value is complete and validated. A reply that doesn't match the type is
    requested once more, and the object starts over. To see the events, iterate `run` instead, and read
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
        if self._answer.there:
            yield self._result()

    def read(self) -> Object:
        """Return the object at its end. Raises :class:`~mojentic_nb.llm.errors.BadRequestError` if there is none."""
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

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncObjectStream(BaseObjectStream[Object]):
    """The same for ``async for``. It doesn't block the event loop."""

    run: AsyncRun

    def __init__(self, conversation: Conversation, run: AsyncRun, answer: Answer[Object]) -> None:
        super().__init__(conversation, answer)
        self.run = run

    async def __aiter__(self) -> AsyncIterator[Object]:
        async with self.run:
            async for event in self.run:
                for snapshot in self._grown(event):
                    yield snapshot
        if self._answer.there:
            yield self._result()

    async def read(self) -> Object:
        """Return the object at its end. Raises :class:`~mojentic_nb.llm.errors.BadRequestError` if there is none."""
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

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
