"""Running the tools that a model called, several at once.

A tool may say of itself, by attributes, that it is `sequential` (it runs alone: calls before it are done, those after
it wait), that it wants `approval`, how many seconds it may take (`timeout`), and, where its ``run`` does not look it,
that it is asynchronous (`is_async`).

Synchronous tools run in threads, so that several can run together; one that runs alone in a synchronous run, with no
timeout, stays in the caller's thread, where an interrupt reaches it. Asynchronous tools run on the event loop of an
asynchronous run, else on one of their own. A thread can't be stopped from outside: what is still running when its time
is up, or when the run is cancelled, goes on unheard.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import aclosing
from functools import partial
from itertools import groupby
from math import inf
from queue import Empty, SimpleQueue

from mojentic_nb.llm.events import ToolResult
from mojentic_nb.llm.threads import in_background, in_daemon, in_thread

from .job import Approve, Happening, Job, ToolBatch, adenial, ahappenings, denial, happenings

__all__ = ["Approve", "AsyncParallelToolRunner", "SerialToolRunner", "ToolBatch", "ToolRunner"]

PATIENCE = 1.0  # seconds that a cancelled asynchronous tool has to clean up


class ToolRunner:
    """Runs up to `max_concurrency` calls at once, each for `timeout` seconds at most unless its tool says otherwise.

    Raises ValueError for limits that let nothing run.
    """

    def __init__(self, max_concurrency: int = 16, *, timeout: float | None = None) -> None:
        if max_concurrency < 1:
            raise ValueError(f"max_concurrency={max_concurrency!r} lets nothing run: give 1 or more.")
        if timeout is not None and timeout <= 0:
            raise ValueError(f"timeout={timeout!r} lets nothing run: give seconds, or None for no limit.")
        self.max_concurrency = max_concurrency
        self.timeout = timeout

    def run(self, batch: ToolBatch) -> Generator[Happening, None, None]:
        """Yield what the tools report, and a result for each call as it is there; fewer if the run is cancelled."""
        for jobs in self._groups(batch):
            if len(jobs) == 1 and not jobs[0].is_async and jobs[0].timeout is None:
                yield from alone(jobs[0], batch.approve)
            else:
                yield from self._together(jobs, batch)

    async def arun(self, batch: ToolBatch) -> AsyncGenerator[Happening, None]:
        """The same, asynchronously."""
        for jobs in self._groups(batch):
            async with aclosing(self._atogether(jobs, batch)) as happenings:
                async for happening in happenings:
                    yield happening

    def _groups(self, batch: ToolBatch) -> Iterator[list[Job]]:
        """The calls that may run at once, one group after the other, until the run is cancelled."""
        tools = {str(tool.descriptor["function"]["name"]): tool for tool in batch.tools}
        jobs = [Job(call, tools.get(call.name), tuple(tools), self.timeout) for call in batch.calls]
        for _, group in groupby(enumerate(jobs), lambda numbered: numbered[0] if numbered[1].sequential else -1):
            if not batch.cancellation.cancelled:
                yield [job for _, job in group]

    def _together(self, jobs: list[Job], batch: ToolBatch) -> Generator[Happening, None, None]:
        """Run `jobs` in threads."""
        waiting = deque(jobs)
        deadlines: dict[Job, float] = {}
        heard: SimpleQueue[tuple[Job, Happening] | None] = SimpleQueue()
        with batch.cancellation.on_cancel(partial(heard.put, None)):
            while waiting or deadlines:
                if waiting and len(deadlines) < self.max_concurrency and not batch.cancellation.cancelled:
                    job = waiting.popleft()
                    if refusal := denial(job, batch.approve):
                        yield refusal
                        continue
                    deadlines[job] = time.monotonic() + (inf if job.timeout is None else job.timeout)
                    in_background(partial(pump, job, heard))
                    continue
                try:
                    happened = heard.get(timeout=until(min(deadlines.values(), default=inf)))
                except Empty:
                    happened = overdue(deadlines)
                if happened is None:
                    return
                job, happening = happened
                if job in deadlines:  # else its time was up
                    if isinstance(happening, ToolResult):
                        del deadlines[job]
                    yield happening

    async def _atogether(self, jobs: list[Job], batch: ToolBatch) -> AsyncGenerator[Happening, None]:
        """Run `jobs` on the event loop, those that would block it in threads."""
        loop = asyncio.get_running_loop()
        heard: asyncio.Queue[Happening | None] = asyncio.Queue()
        slots = asyncio.Semaphore(self.max_concurrency)
        tasks = [asyncio.create_task(perform(job, batch.approve, slots, heard.put_nowait)) for job in jobs]
        left = len(jobs)
        try:
            with batch.cancellation.on_cancel(partial(loop.call_soon_threadsafe, heard.put_nowait, None)):
                while left and (happening := await heard.get()) is not None:
                    left -= isinstance(happening, ToolResult)
                    yield happening
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=PATIENCE)


class SerialToolRunner(ToolRunner):
    """Runs one call after the other."""

    def __init__(self, *, timeout: float | None = None) -> None:
        super().__init__(1, timeout=timeout)


class AsyncParallelToolRunner(ToolRunner):
    """Runs up to `max_concurrency` calls at once, by default four, as in Mojentic."""

    def __init__(self, max_concurrency: int = 4, *, timeout: float | None = None) -> None:
        super().__init__(max_concurrency, timeout=timeout)


def alone(job: Job, approve: Approve | None) -> Generator[Happening, None, None]:
    """Run a call in this thread."""
    if refusal := denial(job, approve):
        yield refusal
    else:
        yield from happenings(job)


def pump(job: Job, heard: SimpleQueue[tuple[Job, Happening] | None]) -> None:
    """Run a call in this thread, for the one that listens."""

    async def apump() -> None:
        async for happening in ahappenings(job):
            heard.put((job, happening))

    if job.is_async:
        asyncio.run(apump())
        return
    for happening in happenings(job):
        heard.put((job, happening))


def until(deadline: float) -> float | None:
    """How many seconds there are until then; None if it never comes."""
    return None if deadline == inf else max(0.0, deadline - time.monotonic())


def overdue(deadlines: dict[Job, float]) -> tuple[Job, Happening]:
    """The job whose time is up first, and its result."""
    job = min(deadlines, key=lambda job: deadlines[job])
    return job, job.overdue()


async def perform(
    job: Job, approve: Approve | None, slots: asyncio.Semaphore, hear: Callable[[Happening], None]
) -> None:
    """Run a call once there is a free slot for it, for the one that hears."""
    if refusal := await adenial(job, approve):
        hear(refusal)
        return
    async with slots:
        steps = ahappenings(job) if job.is_async else in_thread(happenings(job), in_daemon)
        try:
            async with asyncio.timeout(job.timeout) as limit, aclosing(steps) as happened:
                async for happening in happened:
                    hear(happening)
        except TimeoutError:
            if not limit.expired():
                raise
            hear(job.overdue())
