"""What it takes to follow a run: that it is one, that it comes to its end, an event loop that hears an interrupt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from mojentic_nb.llm import AsyncRun, Run

from .transcript import Transcript

__all__ = ["WAKE", "check", "check_ended", "waking"]

WAKE = 0.1  # seconds; an event loop with nothing to do does not see that the cell was interrupted


def check(run: object, kind: type, method: str, other: str) -> None:
    """Raise TypeError unless `run` is of that kind."""
    if not isinstance(run, kind):
        what = "an AsyncRun" if isinstance(run, AsyncRun) else "a Run" if isinstance(run, Run) else repr(run)
        advice = f"use {other}()" if isinstance(run, Run | AsyncRun) else "give it what broker.stream() returned"
        raise TypeError(f"LiveView.{method}() takes {kind.__name__}, not {what}: {advice}.")


def check_ended(transcript: Transcript) -> None:
    """Raise ValueError if the run had no events left that would have ended it."""
    if not transcript.ended:
        raise ValueError("The run was iterated before: ask again, and show what broker.stream() returns.")


@asynccontextmanager
async def waking() -> AsyncIterator[None]:
    """Wake the event loop now and then within the block."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(WAKE)

    ticking = asyncio.create_task(tick())
    try:
        yield
    finally:
        with suppress(RuntimeError):  # the event loop was closed under it
            ticking.cancel()
