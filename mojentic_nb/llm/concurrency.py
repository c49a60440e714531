"""Threads, timers and event loops: where asynchronous code meets code that blocks. No other module creates any."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from .cancellation import Cancellation

__all__ = ["PATIENCE", "Raised", "from_own_loop", "in_background", "in_thread", "pause", "set_to", "settled"]

Item = TypeVar("Item")
END = object()
PATIENCE = 1.0  # seconds for a cancelled asynchronous function to clean up


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception of an awaitable, as a value."""

    error: BaseException


def in_background(function: Callable[[], Item]) -> Future[Item]:
    """Call `function` in its own thread, in this context; the program's end doesn't wait for it."""
    future: Future[Item] = Future()
    future.set_running_or_notify_cancel()  # from now on nobody can cancel it
    context = contextvars.copy_context()

    def run() -> None:
        try:
            future.set_result(context.run(function))
        except BaseException as error:  # noqa: BLE001 (whoever waits for the future raises it)
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


@contextmanager
def set_to(variable: ContextVar[Item], value: Item) -> Iterator[None]:
    """Set `variable` to `value` within the block.

    The garbage collector may end the block of an abandoned coroutine in another context, which keeps its own value.
    """
    before = variable.get()
    variable.set(value)
    try:
        yield
    finally:
        if variable.get() is value:
            variable.set(before)


async def in_thread(items: Generator[Item, None, None]) -> AsyncGenerator[Item, None]:
    """Yield `items`, each of which a thread makes, so that the event loop runs meanwhile."""
    try:
        while (item := await asyncio.to_thread(next, items, END)) is not END:
            yield item  # type: ignore[misc]
    finally:
        with suppress(ValueError):  # it is running in its thread, and is closed when that drops it
            items.close()


async def pause(cancellation: Cancellation, seconds: float) -> None:
    """Wait for `seconds`, or until the cancellation."""
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(woken.set)

    with cancellation.on_cancel(wake), suppress(TimeoutError):
        await asyncio.wait_for(woken.wait(), seconds)


async def settled(awaitable: Awaitable[Item], timeout: float | None = None) -> Item | Raised:
    """Return the result of `awaitable` or what it raised, also a CancelledError of its own, or an interrupt.

    Raises TimeoutError after `timeout` seconds. The awaitable is cancelled then, or if the waiting task is, and has a
    moment to clean up.
    """
    task = asyncio.create_task(caught(awaitable))
    try:
        if not (await asyncio.wait([task], timeout=timeout))[0]:
            raise TimeoutError
        return Raised(asyncio.CancelledError()) if task.cancelled() else task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=PATIENCE)


async def caught(awaitable: Awaitable[Item]) -> Item | Raised:
    """Return the result of `awaitable` or what it raised: an interrupt raised in a task would end the event loop."""
    try:
        return await awaitable
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001
        return Raised(error)


def from_own_loop(
    main: Callable[[Callable[[Item], None]], Coroutine[Any, Any, None]], cancellation: Cancellation
) -> Generator[Item, None, None]:
    """Yield the items that `main` passes to its argument, a function, until it ends or the cancellation.

    It runs on its own event loop in another thread, since a loop may be running in this one. What it raises is raised
    here. If it is running when this generator ends, it is cancelled, and has a moment to clean up.
    """
    items: SimpleQueue[Item | None] = SimpleQueue()

    def stop() -> None:
        items.put(None)

    with own_loop(main(items.put), stop) as ended, cancellation.on_cancel(stop):
        while (item := items.get()) is not None and not cancellation.cancelled:
            yield item
        if not cancellation.cancelled and (raised := ended.result()):
            raise raised.error


@contextmanager
def own_loop(main: Coroutine[Any, Any, None], stop: Callable[[], None]) -> Iterator[Future[Raised | None]]:
    """Run `main` on an event loop in another thread, and `stop` there after its end.

    It is cancelled at the end of the block, which waits a moment for it. The loop closes when all its tasks have ended.
    """
    loop = asyncio.new_event_loop()
    task = loop.create_task(caught(main))
    ended: Future[Raised | None] = Future()

    async def run() -> Raised | None:
        return await task

    def run_loop() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            try:
                ended.set_result(runner.run(run()))
            except BaseException as error:  # noqa: BLE001 (it was cancelled, or something stopped the loop)
                ended.set_result(Raised(error))
            stop()

    in_background(run_loop)
    try:
        yield ended
    finally:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(task.cancel)
        with suppress(TimeoutError):
            ended.result(2 * PATIENCE)
