"""The events of a run, guarded: one thread, or one task, iterates them at a time."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from inspect import GEN_CREATED, GEN_RUNNING, GEN_SUSPENDED, getgeneratorstate
from types import AsyncGeneratorType
from typing import Any, Self, cast

from .events import Event

__all__ = ["AsyncEvents", "Events"]

TWO_READERS = "Another thread, task or tool is iterating this run. Iterate it in one place at a time, or ask again."


class Events(Generator[Event, None, None]):
    """Events for one thread at a time. Its reader is the last thread that claimed it."""

    def __init__(self, events: Generator[Event, None, None]) -> None:
        self._events = events
        self._reader = weakref.ref(threading.current_thread())

    def claim(self) -> Self:
        """Make the current thread the reader; raises as :meth:`check` does."""
        self.check()
        self._reader = weakref.ref(threading.current_thread())
        return self

    def check(self) -> None:
        """Raise RuntimeError while another thread iterates the events, also if it is between two of them."""
        state, reader = getgeneratorstate(self._events), self._reader()
        begun = state == GEN_SUSPENDED and reader is not None and reader.is_alive()
        if state == GEN_RUNNING or (begun and reader is not threading.current_thread()):
            raise RuntimeError(TWO_READERS)

    @property
    def begun(self) -> bool:
        """Whether the first event has been requested."""
        return getgeneratorstate(self._events) != GEN_CREATED

    @property
    def are_mine(self) -> bool:
        """Whether the current thread may close them: it is the reader, and isn't just reading one."""
        return self._reader() is threading.current_thread() and getgeneratorstate(self._events) != GEN_RUNNING

    def __next__(self) -> Event:
        try:
            return next(self._events)
        except ValueError as error:
            if error.__traceback__ and error.__traceback__.tb_next is None:  # not from within: it runs elsewhere
                raise RuntimeError(TWO_READERS) from None
            raise

    def send(self, value: None) -> Event:
        """Send to the generator."""
        return self._events.send(value)

    def throw(self, *error: Any) -> Event:  # noqa: ANN401 (of two forms)
        """Throw into the generator."""
        return self._events.throw(*error)


class AsyncEvents(AsyncGenerator[Event, None]):
    """Events for one task at a time. `is_over` tells whether the run has ended."""

    def __init__(self, events: AsyncGenerator[Event, None], is_over: Callable[[], bool]) -> None:
        self._events = cast("AsyncGeneratorType[Event, None]", events)
        self._is_over = is_over
        self._begun = False
        self._reader: Callable[[], asyncio.Task[Any] | None] = current_task

    def claim(self) -> Self:
        """Make the current task the reader; raises as :meth:`check` does."""
        self.check()
        task = current_task()
        self._reader = current_task if task is None else weakref.ref(task)
        return self

    def check(self) -> None:
        """Raise RuntimeError while another task iterates the events, also if it is between two of them."""
        reader = self._reader()
        begun = self._begun and not self._is_over() and reader is not None and not reader.done()
        if self._events.ag_running or (begun and reader is not current_task()):
            raise RuntimeError(TWO_READERS)

    def asend(self, value: None) -> Coroutine[Any, Any, Event]:
        """Send to the generator."""
        if self._events.ag_running:
            raise RuntimeError(TWO_READERS)
        self._begun = True
        return self._events.asend(value)

    def athrow(self, *error: Any) -> Coroutine[Any, Any, Event]:  # noqa: ANN401 (of two forms)
        """Throw into the generator."""
        return self._events.athrow(*error)

    def aclose(self) -> Coroutine[Any, Any, None]:
        """Close the generator."""
        return self._events.aclose()


def current_task() -> asyncio.Task[Any] | None:
    """Return the current task; None outside of an event loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
