"""Runs the tools that a model called, several at once.

A tool may have attributes: `sequential` (it runs alone: calls before it finish first, those after it wait), `approval`
(someone must allow each call), `timeout` (in seconds), and `is_async`, if its ``run`` doesn't look asynchronous but is.

Asynchronous tools run on the event loop of an asynchronous run, or on one of their own; synchronous tools run in
threads. The loop enforces limits, timeouts and approvals in both cases. A tool that runs alone in a synchronous run,
without a timeout, stays in the caller's thread, where an interrupt reaches it.

A thread can't be stopped from outside. A tool that is still running when its time is up, or when the run is cancelled,
goes on, and its result is ignored; a generator stops at its next report. Asynchronous tools are cancelled.

Whatever goes wrong becomes a result that the model reads, so that it can correct the call or do without. Only an
interrupt ends the run.
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

from .batch import PendingCall, ToolBatch
from .llm_tool import find_tool
from .results import done, failed, with_printed
from .running import PRINTED, RUNNING, Printed

__all__ = ["AsyncParallelToolRunner", "SerialToolRunner", "ToolRunner"]

ToolEvent = ToolProgress | ToolResult
EmitEvent = Callable[[ToolEvent], object]


@dataclass(frozen=True, slots=True)
class Unawaited:
    """What an asynchronous tool returned. Its value still has to be awaited."""

    value: object


class RunningTool:
    """The tool of a `pending` call from its start to its result. Its time starts when this is made."""

    def __init__(self, pending: PendingCall) -> None:
        self._pending = pending
        self._started = time.perf_counter()
        self._listening = True
        self._printed = Printed()

    def run_here(self) -> Generator[ToolEvent | Unawaited, None, None]:
        """Run the tool in this thread. Yield its progress and at last its result, or what must be awaited."""
        context = copy_context()  # the tool's own: the caller's may change between two steps
        context.run(self._enter)
        steps = self._pending.steps()
        try:
            while isinstance(event := self._advance(partial(context.run, next, steps)), ToolProgress):
                yield event
            yield event
        finally:
            with suppress(Exception):  # nobody reads errors of the cleanup any more
                context.run(steps.close)

    async def run_on_loop(self, emit: EmitEvent) -> None:
        """Run the tool, on this event loop or in a thread as it needs, for as long as it may take."""
        emit(await self._in_time(self._run(emit)))

    async def await_rest(self, unawaited: Unawaited, emit: EmitEvent) -> None:
        """Await an asynchronous tool that was called in another thread."""
        emit(await self._in_time(self._awaited(unawaited.value, emit)))

    async def _in_time(self, work: Awaitable[ToolResult]) -> ToolResult:
        try:
            result = await settled(work, self._pending.timeout)
        except TimeoutError:
            return self._kept(self._pending.overdue())
        finally:
            self._listening = False
        return self._failed(result.error) if isinstance(result, Raised) else result

    async def _run(self, emit: EmitEvent) -> ToolResult:
        self._enter()  # in this task
        if self._pending.is_async:
            return await self._awaited(self._pending.begin(), emit)
        loop = asyncio.get_running_loop()

        def tell(progress: ToolProgress) -> None:
            taken = threading.Event()
            with suppress(RuntimeError):  # the event loop is closed
                loop.call_soon_threadsafe(self._tell, emit, progress, taken)
                taken.wait(PATIENCE)  # no faster than the event loop reads them

        last = await asyncio.wrap_future(in_background(partial(self._run_in_thread, tell)))
        return await self._awaited(last.value, emit) if isinstance(last, Unawaited) else last

    def _run_in_thread(self, tell: Callable[[ToolProgress], None]) -> ToolResult | Unawaited:
        """Run the tool. If nobody listens any more, its next report ends it."""
        with closing(self.run_here()) as events:
            for event in events:
                if not isinstance(event, ToolProgress):
                    return event
                tell(event)
                if not self._listening:
                    break
        return Unawaited(None)

    async def _awaited(self, value: object, emit: EmitEvent) -> ToolResult:
        """Await `value` and return the result. That of an asynchronous generator is its last value."""
        self._enter()  # in this task
        if inspect.isawaitable(value):
            value = await value
        if inspect.isasyncgen(value):
            last = None
            async with aclosing(value) as steps:
                async for step in steps:
                    if not isinstance(step, Event):  # which a run yields that the tool made
                        last = step
                    self._tell(emit, self._progress(step))
            value = last
        return self._done(value)

    def _advance(self, step: Callable[[], object]) -> ToolEvent | Unawaited:
        """Run the tool by one `step`, until it reports or ends."""
        try:
            return self._progress(step())
        except StopIteration as end:
            value = end.value
        except BaseException as error:  # noqa: BLE001 (a tool may raise anything)
            return self._failed(error)
        return Unawaited(value) if inspect.isawaitable(value) or inspect.isasyncgen(value) else self._done(value)

    def _progress(self, value: object) -> ToolProgress:
        return ToolProgress(self._pending.call.id or "", value, self._pending.call)

    def _tell(self, emit: EmitEvent, progress: ToolProgress, taken: threading.Event | None = None) -> None:
        if self._listening:
            emit(progress)
        if taken:
            taken.set()

    def _done(self, value: object) -> ToolResult:
        try:
            return self._kept(done(self._pending.call, value))
        except Exception as error:  # noqa: BLE001 (of the value's own code)
            return self._failed(error)

    def _failed(self, error: BaseException) -> ToolResult:
        if isinstance(error, KeyboardInterrupt):
            raise error
        return self._kept(failed(self._pending.call, error))

    def _enter(self) -> None:
        """Set up the tool's context: its call, where it prints, and the tracer's span."""
        RUNNING.set(self._pending.call)
        PRINTED.set(self._printed)
        self._pending.batch.enter(self._pending.call)

    def _kept(self, result: ToolResult) -> ToolResult:
        result = with_printed(result, self._printed)
        result = replace(result, duration=time.perf_counter() - self._started)
        self._pending.batch.keep(result)
        return result


class ToolRunner:
    """Runs up to `max_concurrency` calls at once, each for at most `timeout` seconds unless its tool has its own limit.

    Raises ValueError for limits that allow nothing to run.
    """

    def __init__(self, max_concurrency: int = 16, *, timeout: float | None = None) -> None:
        if max_concurrency < 1:
            raise ValueError(f"`max_concurrency` must be at least 1, not {max_concurrency!r}.")
        if timeout is not None and not timeout > 0:  # nor is NaN
            raise ValueError(f"`timeout` must be more than 0 seconds, or None for no limit, not {timeout!r}.")
        self.max_concurrency = max_concurrency
        self.timeout = timeout

    def run(self, batch: ToolBatch) -> Generator[ToolEvent, None, None]:
        """Yield the tools' progress, and a result for each call when it is done; fewer if the run is cancelled."""
        for group in self._groups(batch):
            if len(group) == 1 and not group[0].is_async and group[0].timeout is None:
                yield from run_alone(group[0])
            else:
                yield from self._together(group)

    async def arun(self, batch: ToolBatch) -> AsyncGenerator[ToolEvent, None]:
        """The same, asynchronously."""
        for group in self._groups(batch):
            async with aclosing(self._atogether(group)) as events:
                async for event in events:
                    yield event

    def _groups(self, batch: ToolBatch) -> Iterator[list[PendingCall]]:
        """Yield the groups of calls that may run at once, until the run is cancelled."""
        calls = [PendingCall(call, find_tool(call.name, batch.tools), batch, self.timeout) for call in batch.calls]

        def group_of(numbered: tuple[int, PendingCall]) -> int:
            number, pending = numbered
            return number if pending.sequential or self.max_concurrency == 1 else -1

        for _, group in groupby(enumerate(calls), group_of):
            if not batch.cancellation.cancelled:
                yield [pending for _, pending in group]

    def _together(self, group: list[PendingCall]) -> Generator[ToolEvent, None, None]:
        """Run a group of calls on an event loop of their own and in threads. Approvals are asked for in this thread."""
        with closing(from_own_loop(partial(self._perform, group), group[0].batch.cancellation)) as heard:
            for event in heard:
                if isinstance(event, Question):
                    event.put()
                elif isinstance(event, BaseException):
                    raise event
                else:
                    yield event

    async def _atogether(self, group: list[PendingCall]) -> AsyncGenerator[ToolEvent, None]:
        """Run a group of calls on this event loop; those that would block it run in threads."""
        heard: asyncio.Queue[ToolEvent | Question | BaseException | None] = asyncio.Queue()
        cancellation = group[0].batch.cancellation
        stop = partial(heard.put_nowait, None)
        work = asyncio.create_task(self._perform(group, heard.put_nowait))
        work.add_done_callback(lambda _: stop())
        try:
            with cancellation.on_cancel(partial(asyncio.get_running_loop().call_soon_threadsafe, stop)):
                while (event := await heard.get()) is not None and not cancellation.cancelled:
                    if isinstance(event, Question):
                        event.put()
                    elif isinstance(event, BaseException):
                        raise event
                    else:
                        yield event
        finally:
            work.cancel()
            await asyncio.wait([work])

    async def _perform(self, group: list[PendingCall], emit: Emit) -> None:
        """Run a group of calls on this event loop. Emit their events, questions to ask, and errors to raise."""
        slots = asyncio.Semaphore(self.max_concurrency)
        tasks = [asyncio.create_task(perform(pending, slots, emit)) for pending in group]
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
    """Whether a `pending` call may run. The reader of events asks, since an interrupt has to end the question, too."""

    pending: PendingCall
    answer: Future[object] = field(default_factory=Future)

    def put(self) -> None:
        """Ask, in this thread."""
        self.answer.set_result(self.pending.ask())


Emit = Callable[[ToolEvent | Question | BaseException], None]


async def perform(pending: PendingCall, slots: asyncio.Semaphore, emit: Emit) -> None:
    """Run a call, if it may run, once a slot is free."""
    try:
        refusal = await pending.decision(await ask_reader(pending, emit) if pending.asks else pending.ask())
        if refusal:
            emit(refusal)
        elif not pending.batch.cancellation.cancelled:
            async with slots:
                await RunningTool(pending).run_on_loop(emit)
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 (the reader raises it; a task must not)
        emit(error)


async def ask_reader(pending: PendingCall, emit: Emit) -> object:
    """Have the reader ask whether the call may run, and return the answer."""
    question = Question(pending)
    emit(question)
    return await asyncio.wrap_future(question.answer)


def run_alone(pending: PendingCall) -> Generator[ToolEvent, None, None]:
    """Run a call in this thread, except for what must be awaited."""
    refusal = decide_here(pending)
    if refusal:
        yield refusal
    elif not pending.batch.cancellation.cancelled:
        yield from run_here(pending)


def decide_here(pending: PendingCall) -> ToolResult | None:
    """Return the result of a call that may not run; None if it may, or if the run was cancelled meanwhile."""
    said = pending.ask()
    if not inspect.isawaitable(said):
        return pending.verdict(said)

    async def decide(tell: Callable[[tuple[ToolResult | None]], None]) -> None:
        tell((await pending.decision(said),))

    with closing(from_own_loop(decide, pending.batch.cancellation)) as decisions:
        return next(decisions, (None,))[0]


def run_here(pending: PendingCall) -> Generator[ToolEvent, None, None]:
    """Run a call in this thread until the run is cancelled."""
    running, cancellation = RunningTool(pending), pending.batch.cancellation
    with closing(running.run_here()) as events:
        for event in events:
            if isinstance(event, Unawaited):
                yield from from_own_loop(partial(running.await_rest, event), cancellation)
            else:
                yield event
            if cancellation.cancelled:
                return
