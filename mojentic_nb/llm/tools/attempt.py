"""A tool being run, from its start to its result.

Whatever goes wrong is told to the model, which can mend it or do without; only an interrupt goes through.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import aclosing, closing, suppress
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial

from mojentic_nb.llm.concurrency import PATIENCE, Raised, in_background, settled
from mojentic_nb.llm.events import Event, ToolProgress, ToolResult

from .batch import Job
from .results import done, failed, with_printed
from .running import PRINTED, RUNNING, Printed

__all__ = ["Attempt", "Happening", "Pending"]

Happening = ToolProgress | ToolResult
Hear = Callable[[Happening], object]


@dataclass(frozen=True, slots=True)
class Pending:
    """What an asynchronous tool returned, from which its value is still to be had."""

    value: object


class Attempt:
    """One attempt at a `job`, whose time runs from when this is made."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._started = time.perf_counter()
        self._heard = True
        self._printed = Printed()

    def here(self) -> Generator[Happening | Pending, None, None]:
        """Run the tool in this thread: yield its progress and, last, its result or what is still to be awaited."""
        context = copy_context()  # of the tool alone: the caller's is another between two steps
        context.run(self._enter)
        steps = self._job.steps()
        try:
            while isinstance(happening := self._advance(partial(context.run, next, steps)), ToolProgress):
                yield happening
            yield happening
        finally:
            with suppress(Exception):  # what cleaning up raises concerns nobody any more
                context.run(steps.close)

    async def on_loop(self, hear: Hear) -> None:
        """Run the tool, on this event loop or in a thread as it needs, for as long as it may take."""
        hear(await self._in_time(self._through(hear)))

    async def rest(self, pending: Pending, hear: Hear) -> None:
        """Run the rest of an asynchronous tool that was called elsewhere."""
        hear(await self._in_time(self._awaited(pending.value, hear)))

    async def _in_time(self, work: Awaitable[ToolResult]) -> ToolResult:
        try:
            result = await settled(work, self._job.timeout)
        except TimeoutError:
            return self._kept(self._job.overdue())
        finally:
            self._heard = False
        return self._failed(result.error) if isinstance(result, Raised) else result

    async def _through(self, hear: Hear) -> ToolResult:
        self._enter()  # in this task
        if self._job.is_async:
            return await self._awaited(self._job.begin(), hear)
        loop = asyncio.get_running_loop()

        def tell(progress: ToolProgress) -> None:
            taken = threading.Event()
            with suppress(RuntimeError):  # the event loop is closed
                loop.call_soon_threadsafe(self._tell, hear, progress, taken)
                taken.wait(PATIENCE)  # not faster than the event loop can take it

        last = await asyncio.wrap_future(in_background(partial(self._in_this_thread, tell)))
        return await self._awaited(last.value, hear) if isinstance(last, Pending) else last

    def _in_this_thread(self, tell: Callable[[ToolProgress], None]) -> ToolResult | Pending:
        """Run the tool; once nobody listens any more, its next report ends it."""
        with closing(self.here()) as happenings:
            for happening in happenings:
                if not isinstance(happening, ToolProgress):
                    return happening
                tell(happening)
                if not self._heard:
                    break
        return Pending(None)

    async def _awaited(self, value: object, hear: Hear) -> ToolResult:
        """The result, when `value` has been awaited; the last value of an asynchronous generator is its result."""
        self._enter()  # in this task
        if inspect.isawaitable(value):
            value = await value
        if inspect.isasyncgen(value):
            last = None
            async with aclosing(value) as steps:
                async for step in steps:
                    if not isinstance(step, Event):  # which a run yields that the tool made
                        last = step
                    self._tell(hear, self._progress(step))
            value = last
        return self._done(value)

    def _advance(self, step: Callable[[], object]) -> Happening | Pending:
        """Run the tool till it reports or ends, by one `step` of it."""
        try:
            return self._progress(step())
        except StopIteration as end:
            value = end.value
        except BaseException as error:  # noqa: BLE001 (a tool may raise anything)
            return self._failed(error)
        return Pending(value) if inspect.isawaitable(value) or inspect.isasyncgen(value) else self._done(value)

    def _progress(self, value: object) -> ToolProgress:
        return ToolProgress(self._job.call.id or "", value, self._job.call)

    def _tell(self, hear: Hear, progress: ToolProgress, taken: threading.Event | None = None) -> None:
        if self._heard:
            hear(progress)
        if taken:
            taken.set()

    def _done(self, value: object) -> ToolResult:
        try:
            return self._kept(done(self._job.call, value))
        except Exception as error:  # noqa: BLE001 (of the value's own code)
            return self._failed(error)

    def _failed(self, error: BaseException) -> ToolResult:
        if isinstance(error, KeyboardInterrupt):
            raise error
        return self._kept(failed(self._job.call, error))

    def _enter(self) -> None:
        """Have the context that runs the tool know its call, where it prints, and the tracer's span."""
        RUNNING.set(self._job.call)
        PRINTED.set(self._printed)
        self._job.batch.enter(self._job.call)

    def _kept(self, result: ToolResult) -> ToolResult:
        result = with_printed(result, self._printed)
        result = replace(result, duration=time.perf_counter() - self._started)
        self._job.batch.keep(result)
        return result
