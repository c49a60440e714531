"""Runs that end while tools run: at once, with what was finished, and with a history that providers accept."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import time
from collections.abc import Callable

import pytest
from driving import BOTH, begin, closed_after, events_of, interrupted_after
from grammar import assert_acceptable, assert_run
from loopback import PATIENCE
from toolbox import QUESTION, STOPPED, Gate, Tool, calling, disguised, kept, outputs, reports, step

from mojentic_nb.llm import (
    AsyncRun,
    Event,
    LLMBroker,
    LLMMessage,
    LLMToolCall,
    Run,
    ToolCallEnd,
    ToolProgress,
    ToolResult,
)
from mojentic_nb.llm.gateways import ScriptedGateway

ACCEPTED = LLMMessage(content="Go on.")


@pytest.fixture
def end():
    """Opened at the end of the test, for what waits in threads."""
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture(autouse=True)
def no_complaints(caplog: pytest.LogCaptureFixture):
    """No task is destroyed that waits, no error is lost on the way: asyncio would log it."""
    yield
    gc.collect(1)  # the younger ones: NumPy and pandas are loaded
    assert caplog.text == ""


def sent_with(history: list[LLMMessage]) -> tuple[LLMMessage, ...]:
    """The messages that reach the provider when `history` is asked with."""
    gateway = ScriptedGateway(["Yes."])
    LLMBroker("a-model", gateway).generate([*history, ACCEPTED])
    return gateway.requests[0].messages


def is_news(event: Event) -> bool:
    """Whether it tells of a result before its turn."""
    return isinstance(event, ToolProgress) and isinstance(event.value, ToolResult)


async def hang() -> None:
    await asyncio.Event().wait()


def stopped_at(run: Run | AsyncRun, moment: Callable[[Event], bool], way: str) -> list[Event]:
    """The events until the `moment`, when the run is stopped that way, and what comes after that."""
    events: list[Event] = []

    def stop(event: Event) -> None:
        events.append(event)
        if moment(event):
            if way == "cancel":
                run.cancel()
            else:
                raise {"interrupt": KeyboardInterrupt, "error": ZeroDivisionError}[way]

    async def stop_async() -> None:
        async with run:
            async for event in run:
                stop(event)

    def stop_sync() -> None:
        with run:
            for event in run:
                stop(event)

    try:
        asyncio.run(stop_async()) if isinstance(run, AsyncRun) else stop_sync()
    except (KeyboardInterrupt, ZeroDivisionError):
        assert way != "cancel"
    return events


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("way", ["cancel", "interrupt", "error"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_result_that_came_early_is_kept(how: str, way: str, asynchronous: bool, end: Gate):
    tools = [Tool(hang if asynchronous else end.pass_through, "slow"), Tool(lambda: "quick", "quick")]
    run = calling(how, tools, "slow", "quick", "slow")

    began = time.monotonic()
    events = stopped_at(run, is_news, way)

    assert time.monotonic() - began < PATIENCE / 2
    assert kept(run) == [STOPPED, "quick", STOPPED]
    assert run.finish_reason == "cancelled"
    assert_acceptable(sent_with(run.messages))
    if way == "cancel":
        assert_run(events)
        assert outputs(events) == kept(run)


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("way", ["cancel", "interrupt", "error"])
def test_a_result_that_the_reader_had_not_come_to_is_kept_too(how: str, way: str, end: Gate):
    def steps():
        yield "begun"
        end.pass_through()

    def quick() -> str:
        return "quick"

    def is_begun(event: Event) -> bool:
        """Seen by a reader who then sleeps while the other tool ends."""
        if begun := isinstance(event, ToolProgress) and event.value == "begun":
            deadline = time.monotonic() + PATIENCE
            while kept(run)[1] != "quick" and time.monotonic() < deadline:
                time.sleep(0.001)
        return begun

    run = calling(how, [Tool(steps), Tool(quick)])

    events = stopped_at(run, is_begun, way)

    assert kept(run) == [STOPPED, "quick"]
    if way == "cancel":
        assert_run(events)
        assert outputs(events) == kept(run)


def test_a_task_that_is_cancelled_cancels_its_asynchronous_tools():
    async def clean() -> None:
        running.set()
        try:
            await hang()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    async def cancel() -> AsyncRun:
        run = calling("async", [Tool(clean)], "clean", "clean")
        task = asyncio.create_task(read(run))
        await asyncio.to_thread(running.wait, PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cleaned == [True, True]
        return run

    running, cleaned = Gate(), []
    run = asyncio.run(cancel())

    assert kept(run) == [STOPPED, STOPPED]
    assert_acceptable(sent_with(run.messages))


async def read(run: AsyncRun) -> list[Event]:
    async with run:
        return [event async for event in run]


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("count", [1, 2])
def test_asynchronous_tools_are_cancelled_with_the_run(how: str, count: int):
    async def clean():
        try:
            yield "begun"
            await hang()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    cleaned = []
    run = calling(how, [Tool(clean)], *["clean"] * count)
    events = events_of(run, lambda event: run.cancel() if reports([event]) else None)

    assert_run(events)
    assert cleaned
    assert kept(run) == [STOPPED] * count


@pytest.mark.parametrize("how", BOTH)
def test_what_looks_plain_and_is_not_is_cancelled_too(how: str):
    async def clean() -> None:
        running.open()
        try:
            await hang()
        finally:
            cleaned.open()

    def cancel() -> None:
        running.pass_through()
        run.cancel()

    running, cleaned = Gate(), Gate()
    run = calling(how, [Tool(disguised(clean), "clean")])
    canceller = threading.Thread(target=cancel)
    canceller.start()
    events = events_of(run)
    canceller.join()

    assert cleaned.is_set()
    assert_run(events)
    assert kept(run) == [STOPPED]


@pytest.mark.parametrize("how", BOTH)
def test_a_tool_that_refuses_to_be_cancelled_is_left_behind(how: str):
    async def stubborn() -> None:
        try:
            running.open()
            await hang()
        except asyncio.CancelledError:
            await asyncio.sleep(1.5)

    async def stop() -> float:
        task = asyncio.create_task(read(run))
        await asyncio.to_thread(running.wait, PATIENCE)
        began = time.monotonic()
        run.cancel()
        await task
        return time.monotonic() - began

    def stop_sync() -> float:
        canceller = threading.Thread(target=lambda: (running.wait(PATIENCE), run.cancel()))
        canceller.start()
        events_of(run)
        canceller.join()
        return 1.0

    running = Gate()
    run = calling(how, [Tool(stubborn)])

    assert (asyncio.run(stop()) if how == "async" else stop_sync()) < 1.4
    assert kept(run) == [STOPPED]


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("kind", ["plain", "steps", "coroutine", "looks plain"])
def test_an_interrupt_in_a_tool_ends_the_run(how: str, count: int, kind: str):
    def plain():
        raise KeyboardInterrupt

    def steps():
        yield 1
        raise KeyboardInterrupt

    async def coroutine():
        raise KeyboardInterrupt

    function = {"plain": plain, "steps": steps, "coroutine": coroutine, "looks plain": disguised(coroutine)}[kind]
    run = calling(how, [Tool(function, "interrupt")], *["interrupt"] * count)

    with pytest.raises(KeyboardInterrupt):
        events_of(run)

    assert run.finish_reason == "cancelled"
    assert kept(run) == [STOPPED] * count
    assert_acceptable(sent_with(run.messages))


@pytest.mark.no_cover  # an interrupt that comes while coverage takes note of a line leaves its lock taken
@pytest.mark.parametrize("count", [1, 2], ids=["alone", "together"])
def test_ctrl_c_reaches_a_tool_alone_and_who_waits_for_several(count: int, end: Gate):
    """A signal is seen when Python runs in the main thread: more of them are sent, until one was seen."""

    def interrupt() -> None:
        running.pass_through()
        while not seen.wait(0.01):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    def once(*_: object) -> None:
        if not seen.is_set():
            seen.set()
            raise KeyboardInterrupt

    def hang() -> None:
        running.open()
        end.pass_through()

    running, seen = Gate(), threading.Event()
    run = calling("sync", [Tool(hang)], *["hang"] * count)
    before = signal.signal(signal.SIGINT, once)
    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            events_of(run)
    finally:
        interrupter.join()
        signal.signal(signal.SIGINT, before)

    assert kept(run) == [STOPPED] * count
    assert run.finish_reason == "cancelled"
    assert_acceptable(sent_with(run.messages))


@pytest.mark.parametrize("kind", ["thread", "loop"])
def test_a_program_goes_on_where_a_tool_that_hangs_was_left(kind: str, end: Gate):
    """A blocked event loop can't be cancelled; that of a synchronous run is left to itself."""

    async def block() -> None:
        running.open()
        end.pass_through()

    def wait() -> None:
        running.open()
        end.pass_through()

    running = Gate()
    run = calling("sync", [Tool(block if kind == "loop" else wait, "hang")], "hang", "hang")
    canceller = threading.Thread(target=lambda: (running.wait(PATIENCE), run.cancel()))
    canceller.start()
    events = events_of(run)
    canceller.join()

    assert_run(events)
    assert kept(run) == [STOPPED] * 2


# Every event of a run whose tools run together, and where each thing happens when the reader has seen what is before
# it, so that there is but one order.


class Orchestra:
    """Tools that end when the reader has seen so many events."""

    def __init__(self) -> None:
        self.seen = 0
        self._changed = threading.Condition()

    def see(self) -> None:
        with self._changed:
            self.seen += 1
            self._changed.notify_all()

    def leave(self) -> None:
        with self._changed:
            self.seen = 10**9
            self._changed.notify_all()

    def after(self, number: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.seen >= number, PATIENCE)

    def tools(self) -> list[Tool]:
        def slow() -> str:
            self.after(7 + 3)  # 7 for the first step; the report of "steps", and two early results
            return "slow"

        def steps():
            yield "report"
            self.after(7 + 1)
            return "steps"

        async def coroutine() -> str:
            while self.seen < 7 + 2:
                await asyncio.sleep(0)
            raise OSError("no disk")

        def last() -> str:
            return "last"

        return [Tool(slow), Tool(steps), Tool(coroutine), Tool(last, sequential=True)]

    def run(self, how: str) -> Run | AsyncRun:
        script = [step("slow", "steps", "coroutine"), step("last", "last", first=3), "Done."]
        return begin(LLMBroker("a-model", ScriptedGateway(script)), how, QUESTION, self.tools())


FINISHED = ["slow", "steps", "OSError: no disk", "last", "last"]
COUNT = 7 + 3 + 3 + 5 + 2 + 3  # a step, its early news, its results; a step, its results; the answer


def conducted(orchestra: Orchestra, run: Run | AsyncRun, count: int, way: str) -> list[Event]:
    events: list[Event] = []

    def is_last(event: Event) -> bool:
        events.append(event)
        orchestra.see()
        return len(events) == count

    told = stopped_at(run, is_last, way)
    orchestra.leave()
    return told


@pytest.mark.parametrize("how", BOTH)
def test_the_orchestra_plays_to_its_end(how: str):
    orchestra = Orchestra()
    run = orchestra.run(how)

    events = conducted(orchestra, run, 0, "cancel")

    assert_run(events)
    assert outputs(events) == kept(run) == FINISHED
    assert len(events) == COUNT


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("way", ["cancel", "interrupt", "error"])
@pytest.mark.parametrize("count", range(1, COUNT + 1))
def test_stopping_at_every_event_keeps_what_was_finished(how: str, way: str, count: int):
    orchestra = Orchestra()
    run = orchestra.run(how)

    events = conducted(orchestra, run, count, way)

    assert_acceptable(sent_with(run.messages))
    told = {event.value.call.id: event.value.output for event in events[:count] if is_news(event)}
    told |= {event.call.id: event.output for event in events[:count] if isinstance(event, ToolResult)}
    messages = {m.tool_calls[0].id: m.content for m in run.messages if m.role.name == "Tool"}
    assert messages | told == messages
    finished = {f"call_{number}": output for number, output in enumerate(FINISHED)}
    assert all(content in (STOPPED, finished[call]) for call, content in messages.items())
    assert len(messages) == len([event for event in events if isinstance(event, ToolCallEnd)])
    if way == "cancel":
        assert_run(events)
        assert outputs(events) == kept(run)


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("stop", [closed_after, interrupted_after])
def test_generators_that_are_left_are_closed(how: str, stop: Callable):
    def steps():
        try:
            while True:
                yield 1
        finally:
            closed.release()

    closed = threading.Semaphore(0)
    run = calling(how, [Tool(steps)], "steps", "steps")

    stop(run, 7)

    assert closed.acquire(timeout=PATIENCE)
    assert closed.acquire(timeout=PATIENCE)
    assert kept(run) == [STOPPED, STOPPED]


@pytest.mark.parametrize("how", BOTH)
def test_nobody_is_asked_of_calls_that_come_after_the_end(how: str):
    asked = []

    def approve(call: LLMToolCall) -> bool:
        asked.append(call.id)
        return True

    def stop() -> None:
        run.cancel()

    tools = [Tool(stop, sequential=True), Tool(lambda: "late", "late", sequential=True)]
    run = calling(how, tools, approve=approve)

    events_of(run)

    assert asked == ["call_0"]


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_what_a_tool_raises_while_it_is_left_concerns_nobody_any_more():
    def steps():
        try:
            yield "begun"
        finally:
            raise OSError("too late")

    run = calling("sync", [Tool(steps)])

    events = closed_after(run, len(step("steps")) + 1)
    gc.collect()

    assert reports(events) == ["begun"]
    assert kept(run) == [STOPPED]
