"""What it takes to follow a run: it has to be one and come to its end, and the kernel to hear clicks and interrupts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version

from mojentic_nb.llm import AsyncRun, Run
from mojentic_nb.llm.concurrency import in_background

from .surface import kernel
from .transcript import Transcript

__all__ = ["WAKE", "check", "check_ended", "clicks_arrive", "hears_clicks", "waking"]

BUSY = 1.0  # seconds after which a kernel that does not answer is taken to be busy
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


def clicks_arrive(run: Run | AsyncRun) -> bool:
    """Whether a click in a view can reach the kernel while `run` is followed here: not before ipykernel 7."""
    if kernel() is None or int(version("ipykernel").partition(".")[0]) < 7:
        return False
    return isinstance(run, AsyncRun) or threading.current_thread() is not threading.main_thread()


async def hears_clicks() -> bool:
    """Whether the kernel's event loop is free now, to hear of a click."""
    loop = kernel().io_loop
    if loop.asyncio_loop is asyncio.get_running_loop():
        return True
    heard = threading.Event()
    loop.add_callback(heard.set)
    return await asyncio.wrap_future(in_background(partial(heard.wait, BUSY)))


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
