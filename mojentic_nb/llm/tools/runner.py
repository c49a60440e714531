"""Running the tools that a model called, several at once.

A tool may say of itself, by attributes, that it is `sequential` (it runs alone: calls before it are done, those after
it wait), that it wants `approval`, how many seconds it may take (`timeout`), and, where its ``run`` does not look it,
that it is asynchronous (`is_async`).

Asynchronous tools run on the event loop of an asynchronous run, else on one of their own; synchronous ones in threads.
The loop sees to limits, times and approvals in both cases. A tool that runs alone in a synchronous run, with no
timeout, stays in the caller's thread, where an interrupt reaches it.

A thread can't be stopped from outside: what is still running when its time is up, or when the run is cancelled, goes on
unheard, a generator to its next report. Asynchronous tools are cancelled.

A tool being run, from its start to its result.

Whatever goes wrong is told to the model, which can mend it or do without; only an interrupt goes through.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import aclosing, closing, suppress
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby

from mojentic_nb.llm.concurrency import PATIENCE, Raised, from_own_loop, in_background, settled
from mojentic_nb.llm.events import Event, ToolProgress, ToolResult

from .batch import Job, ToolBatch
from .llm_tool import find_tool
from .results import done, failed, with_printed
from .running import PRINTED, RUNNING, Printed

__all__ = ["AsyncParallelToolRunner", "SerialToolRunner", "ToolRunner"]

Happening = ToolProgress | ToolResult
Report = Callable[[Happening], object]


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

    async def on_loop(self, hear: Report) -> None:
        """Run the tool, on this event loop or in a thread as it needs, for as long as it may take."""
        hear(await self._in_time(self._through(hear)))

    async def rest(self, pending: Pending, hear: Report) -> None:
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

    async def _through(self, hear: Report) -> ToolResult:
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

    async def _awaited(self, value: object, hear: Report) -> ToolResult:
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

    def _tell(self, hear: Report, progress: ToolProgress, taken: threading.Event | None = None) -> None:
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


class ToolRunner:
    """Runs up to `max_concurrency` calls at once, each for `timeout` seconds at most unless its tool says otherwise.

    Raises ValueError for limits that let nothing run.
    """

    def __init__(self, max_concurrency: int = 16, *, timeout: float | None = None) -> None:
        if max_concurrency < 1:
            raise ValueError(f"max_concurrency={max_concurrency!r} lets nothing run: give 1 or more.")
        if timeout is not None and not timeout > 0:  # nor is NaN
            raise ValueError(f"timeout={timeout!r} lets nothing run: give seconds, or None for no limit.")
        self.max_concurrency = max_concurrency
        self.timeout = timeout

    def run(self, batch: ToolBatch) -> Generator[Happening, None, None]:
        """Yield what the tools report, and a result for each call as it is there; fewer if the run is cancelled."""
        for jobs in self._groups(batch):
            if len(jobs) == 1 and not jobs[0].is_async and jobs[0].timeout is None:
                yield from alone(jobs[0])
            else:
                yield from self._together(jobs)

    async def arun(self, batch: ToolBatch) -> AsyncGenerator[Happening, None]:
        """The same, asynchronously."""
        for jobs in self._groups(batch):
            async with aclosing(self._atogether(jobs)) as happenings:
                async for happening in happenings:
                    yield happening

    def _groups(self, batch: ToolBatch) -> Iterator[list[Job]]:
        """The calls that may run at once, one group after the other, until the run is cancelled."""
        jobs = [Job(call, find_tool(call.name, batch.tools), batch, self.timeout) for call in batch.calls]

        def group_of(numbered: tuple[int, Job]) -> int:
            number, job = numbered
            return number if job.sequential or self.max_concurrency == 1 else -1

        for _, group in groupby(enumerate(jobs), group_of):
            if not batch.cancellation.cancelled:
                yield [job for _, job in group]

    def _together(self, jobs: list[Job]) -> Generator[Happening, None, None]:
        """Run `jobs`, on an event loop of their own and in threads; what the hook is asked, it is asked in this one."""
        with closing(from_own_loop(partial(self._perform, jobs), jobs[0].batch.cancellation)) as heard:
            for happening in heard:
                if isinstance(happening, Question):
                    happening.put()
                elif isinstance(happening, BaseException):
                    raise happening
                else:
                    yield happening

    async def _atogether(self, jobs: list[Job]) -> AsyncGenerator[Happening, None]:
        """Run `jobs` on this event loop, those that would block it in threads."""
        heard: asyncio.Queue[Happening | Question | BaseException | None] = asyncio.Queue()
        cancellation = jobs[0].batch.cancellation
        stop = partial(heard.put_nowait, None)
        work = asyncio.create_task(self._perform(jobs, heard.put_nowait))
        work.add_done_callback(lambda _: stop())
        try:
            with cancellation.on_cancel(partial(asyncio.get_running_loop().call_soon_threadsafe, stop)):
                while (happening := await heard.get()) is not None and not cancellation.cancelled:
                    if isinstance(happening, Question):
                        happening.put()
                    elif isinstance(happening, BaseException):
                        raise happening
                    else:
                        yield happening
        finally:
            work.cancel()
            await asyncio.wait([work])

    async def _perform(self, jobs: list[Job], hear: Hear) -> None:
        """Run `jobs` on this event loop, and have their happenings heard, what is to be asked, or to be raised."""
        slots = asyncio.Semaphore(self.max_concurrency)
        tasks = [asyncio.create_task(perform(job, slots, hear)) for job in jobs]
        try:
            await asyncio.wait(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


class SerialToolRunner(ToolRunner):
    """Runs one call after the other."""

    def __init__(self, *, timeout: float | None = None) -> None:
        super().__init__(1, timeout=timeout)


class AsyncParallelToolRunner(ToolRunner):
    """Runs up to `max_concurrency` calls at once, by default four, as in Mojentic."""

    def __init__(self, max_concurrency: int = 4, *, timeout: float | None = None) -> None:
        super().__init__(max_concurrency, timeout=timeout)


@dataclass(frozen=True, slots=True)
class Question:
    """Whether a job may run, to be asked where its happenings are heard; that is where an interrupt has to end it."""

    job: Job
    answer: Future[object] = field(default_factory=Future)

    def put(self) -> None:
        """Ask here."""
        self.answer.set_result(self.job.ask())


Hear = Callable[[Happening | Question | BaseException], None]


async def perform(job: Job, slots: asyncio.Semaphore, hear: Hear) -> None:
    """Run a call, if it may, once there is a free slot for it."""
    try:
        refusal = await job.decision(await asked(job, hear) if job.asks else job.ask())
        if refusal:
            hear(refusal)
        elif not job.batch.cancellation.cancelled:
            async with slots:
                await Attempt(job).on_loop(hear)
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 (the reader raises it; a task must not)
        hear(error)


async def asked(job: Job, hear: Hear) -> object:
    """What the hook says of the call."""
    question = Question(job)
    hear(question)
    return await asyncio.wrap_future(question.answer)


def alone(job: Job) -> Generator[Happening, None, None]:
    """Run a call in this thread, but for what has to be awaited of it."""
    refusal = decision_here(job)
    if refusal:
        yield refusal
    elif not job.batch.cancellation.cancelled:
        yield from here(job)


def decision_here(job: Job) -> ToolResult | None:
    """The result of a call that may not run; None if it may, or if the run was cancelled meanwhile."""
    said = job.ask()
    if not inspect.isawaitable(said):
        return job.verdict(said)

    async def decide(tell: Callable[[tuple[ToolResult | None]], None]) -> None:
        tell((await job.decision(said),))

    with closing(from_own_loop(decide, job.batch.cancellation)) as decisions:
        return next(decisions, (None,))[0]


def here(job: Job) -> Generator[Happening, None, None]:
    """Run a call that may run in this thread, until the run is cancelled."""
    attempt, cancellation = Attempt(job), job.batch.cancellation
    with closing(attempt.here()) as happenings:
        for happening in happenings:
            if isinstance(happening, Pending):
                yield from from_own_loop(partial(attempt.rest, happening), cancellation)
            else:
                yield happening
            if cancellation.cancelled:
                return
