"""Where asynchronous code meets what blocks or waits."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from .cancellation import Cancellation

__all__ = ["in_background", "in_daemon", "in_own_loop", "in_thread", "pause"]

Item = TypeVar("Item")
END = object()


def in_background(function: Callable[[], Item]) -> Future[Item]:
    """Call `function` in a thread of its own, in this context; a program's end does not wait for it."""
    future: Future[Item] = Future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(function))
        except BaseException as error:  # noqa: BLE001 (whoever waits for the future raises it)
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


async def in_daemon(function: Callable[..., Item], *arguments: Any) -> Item:  # noqa: ANN401 (the function's)
    """The same as :func:`asyncio.to_thread`, in a new thread, for what may hang: that one has but few of them."""
    return await asyncio.wrap_future(in_background(lambda: function(*arguments)))


def in_own_loop(awaitable: Awaitable[Item]) -> Item:
    """What `awaitable` gives, run on an event loop of its own, in another thread: here one may be running."""

    async def wait() -> Item:
        return await awaitable

    return in_background(lambda: asyncio.run(wait())).result()


async def in_thread(
    items: Generator[Item, None, None], call: Callable[..., Coroutine[Any, Any, Any]] = asyncio.to_thread
) -> AsyncGenerator[Item, None]:
    """Yield `items`, each made in a thread by `call`, so that the event loop goes on meanwhile."""
    try:
        while (item := await call(next, items, END)) is not END:
            yield item
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
