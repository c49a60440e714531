"""Several calls of one step: together, apart, and told in their order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from threading import Barrier, Lock

import pytest
from driving import BOTH, events_of
from grammar import assert_run
from loopback import PATIENCE
from toolbox import Gate, Tool, calling, outputs, reports, results

from mojentic_nb.llm import ToolResult
from mojentic_nb.llm.tools.runner import AsyncParallelToolRunner, SerialToolRunner, ToolRunner


def sleep() -> str:
    time.sleep(0.2)
    return "slept"


async def asleep() -> str:
    await asyncio.sleep(0.2)
    return "slept"


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("function", [sleep, asleep])
def test_eight_calls_of_a_fifth_of_a_second(how: str, function: Callable):
    def seconds() -> float:
        began = time.perf_counter()
        events = events_of(calling(how, [Tool(function)], *[function.__name__] * 8))
        assert outputs(events) == ["slept"] * 8
        return time.perf_counter() - began

    assert min(seconds() for _ in range(3)) <= 0.35


@pytest.mark.parametrize("how", BOTH)
def test_synchronous_and_asynchronous_tools_run_together(how: str):
    here, there = Gate(), Gate()

    def first() -> None:
        here.open()
        there.pass_through()

    async def second() -> None:
        await asyncio.to_thread(here.pass_through)
        there.open()

    events = events_of(calling(how, [Tool(first), Tool(second)]))

    assert outputs(events) == ["null", "null"]


class Meter:
    """A tool that counts how many of its calls run at the same time."""

    def __init__(self, together: int) -> None:
        self.running = self.most = 0
        self._barrier = Barrier(together)
        self._lock = Lock()

    def __call__(self) -> str:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self._barrier.wait(PATIENCE)
        with self._lock:
            self.running -= 1
        return "done"


LIMITS = pytest.mark.parametrize(
    ("runner", "limit"),
    [(ToolRunner(3), 3), (AsyncParallelToolRunner(), 4), (AsyncParallelToolRunner(2), 2), (SerialToolRunner(), 1)],
)


@pytest.mark.parametrize("how", BOTH)
@LIMITS
def test_no_more_calls_at_once_than_are_allowed(how: str, runner: ToolRunner, limit: int):
    meter = Meter(limit)

    events = events_of(calling(how, [Tool(meter, "meter")], *["meter"] * (2 * limit), runner=runner))

    assert meter.most == limit
    assert outputs(events) == ["done"] * (2 * limit)


@pytest.mark.parametrize("how", BOTH)
@LIMITS
def test_no_more_asynchronous_calls_either(how: str, runner: ToolRunner, limit: int):
    """Nor would one too many be over before it is seen: whoever may run begins while the first ones wait."""

    async def meter() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(20):
            await asyncio.sleep(0)
        running -= 1

    running = most = 0
    events_of(calling(how, [Tool(meter)], *["meter"] * (2 * limit), runner=runner))

    assert most == limit


def test_sixteen_calls_at_once_unless_said_otherwise():
    meter = Meter(16)

    events_of(calling("sync", [Tool(meter, "meter")], *["meter"] * 32))

    assert meter.most == 16


@pytest.mark.parametrize("how", BOTH)
def test_a_sequential_tool_runs_alone(how: str):
    happened = []

    def together() -> None:
        happened.append("begun")
        barrier.wait(PATIENCE)
        happened.append("done")

    def alone() -> None:
        happened.append("alone")

    barrier = Barrier(2)
    tools = [Tool(together), Tool(alone, sequential=True)]
    names = ["together", "together", "alone", "alone", "together", "together"]

    events = events_of(calling(how, tools, *names))

    assert happened == [*["begun"] * 2, *["done"] * 2, "alone", "alone", *["begun"] * 2, *["done"] * 2]
    assert [result.call.name for result in results(events)] == names


@pytest.mark.parametrize("how", BOTH)
def test_results_come_in_the_order_of_the_calls_and_the_news_of_them_at_once(how: str):
    def slow() -> str:
        told.pass_through()
        return "slow"

    told = Gate()
    run = calling(how, [Tool(slow), Tool(lambda: "quick", "quick")], "slow", "quick", "slow")
    events = events_of(run, lambda event: told.open() if reports([event]) else None)

    assert_run(events)
    assert outputs(events) == ["slow", "quick", "slow"]
    (news, *_) = reports(events)
    assert isinstance(news, ToolResult)
    assert (news.call.id, news.output) == ("call_1", "quick")
    assert [message.tool_calls[0].id for message in run.messages[2:5]] == ["call_0", "call_1", "call_2"]
    assert [message.content for message in run.messages[2:5]] == ["slow", "quick", "slow"]


@pytest.mark.parametrize("how", BOTH)
def test_the_time_of_a_call_is_measured_from_its_own_start(how: str):
    began = time.perf_counter()
    events = events_of(calling(how, [Tool(sleep)], "sleep", "sleep", runner=ToolRunner(1)))
    whole = time.perf_counter() - began

    durations = [result.duration for result in results(events)]
    assert min(durations) >= 0.2
    assert sum(durations) <= whole


@pytest.mark.parametrize("make", [lambda: ToolRunner(0), lambda: AsyncParallelToolRunner(-1)])
def test_a_limit_that_lets_nothing_run(make: Callable):
    with pytest.raises(ValueError, match="`max_concurrency` must be at least 1"):
        make()
