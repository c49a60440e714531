"""Turns: a view shows one run at a time, in the order of asking, from any thread and any event loop.

An ``asyncio.Lock`` belongs to one event loop. JupyterLab may run the callbacks of widgets in subshells, each a thread
with its own loop that may end at any time. So each caller that waits holds a ticket, which any thread can grant.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, wait
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from mojentic_nb.llm.concurrency import set_to

from .surface import TICK

__all__ = ["Turns"]


@dataclass(frozen=True, slots=True, eq=False)
class Ticket:
    """A place in the line: `granted` is done when it is its turn, `loop` is the event loop that waits, if any."""

    loop: asyncio.AbstractEventLoop | None = None
    thread: int = field(default_factory=threading.get_ident)
    granted: Future[None] = field(default_factory=Future)


held: ContextVar[tuple[Ticket, ...]] = ContextVar("held", default=())


class Turns:
    """Grants one turn at a time. Raises RuntimeError where the wait for it would never end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: list[Ticket] = []  # the first one has the turn

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn in this thread, and hold it within the ``with`` block."""
        with self._queued(Ticket()) as ticket:
            while not ticket.granted.done():
                wait([ticket.granted], TICK)
                self._advance()
            yield

    @asynccontextmanager
    async def aturn(self) -> AsyncIterator[None]:
        """Wait for a turn asynchronously. An interrupt ends the wait even in an idle event loop."""
        with self._queued(Ticket(asyncio.get_running_loop())) as ticket:
            while not ticket.granted.done():
                await asyncio.wait([asyncio.wrap_future(ticket.granted)], timeout=TICK)
                self._advance()
            yield

    @contextmanager
    def _queued(self, ticket: Ticket) -> Iterator[Ticket]:
        around = held.get()
        with self._lock:
            self._check(ticket, around)
            self._line.append(ticket)
        self._advance()
        try:
            with set_to(held, (*around, ticket)):
                yield ticket
        finally:
            with self._lock:
                self._line = [each for each in self._line if each is not ticket]
            self._advance()

    def _check(self, ticket: Ticket, around: tuple[Ticket, ...]) -> None:
        """Raise RuntimeError if the holder of the turn waits for the caller, which is in its thread or its tool."""
        blocked = ticket.loop is None and any(each.thread == ticket.thread for each in self._line)
        if blocked or any(each in self._line for each in around):
            raise RuntimeError("This `LiveView` is still showing another run. Wait for its end, or make another view.")

    def _advance(self) -> None:
        """Grant the first in line its turn, without those whose event loop was closed."""
        with self._lock:
            self._line = [each for each in self._line if each.loop is None or not each.loop.is_closed()]
            if self._line and not self._line[0].granted.done():
                self._line[0].granted.set_result(None)
