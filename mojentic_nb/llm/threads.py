"""Where asynchronous code meets what blocks or waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import suppress
from typing import TypeVar

from .cancellation import Cancellation

__all__ = ["in_thread", "pause"]

Item = TypeVar("Item")
END = object()


async def in_thread(items: Generator[Item, None, None]) -> AsyncGenerator[Item, None]:
    """Yield `items`, each made in a thread, so that the event loop goes on meanwhile."""
    try:
        while (item := await asyncio.to_thread(next, items, END)) is not END:
            yield item  # type: ignore[misc]
    finally:
        with suppress(ValueError):  # it runs on in its thread, and is closed when it is forgotten there
            items.close()


async def pause(cancellation: Cancellation, seconds: float) -> None:
    """Wait that long, or until the cancellation."""
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(woken.set)

    with cancellation.on_cancel(wake), suppress(TimeoutError):
        await asyncio.wait_for(woken.wait(), seconds)
