"""Tools of each kind, in runs of both kinds, in the company of other calls and without."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextvars import ContextVar

import pytest
from driving import BOTH, events_of
from grammar import assert_run
from toolbox import Tool, calling, kept, outputs, reports

from mojentic_nb.llm import Event, ToolResult
from mojentic_nb.llm.tools.runner import SerialToolRunner


def plain():
    return "result"


def generator():
    yield 1
    yield "result"
    return "result"


async def coroutine():
    await asyncio.sleep(0)
    return "result"


async def async_generator():
    yield 1
    yield "result"


async def coroutine_of_a_generator():
    return async_generator()


def looks_plain():
    return coroutine()


def looks_plain_too():
    return async_generator()


KINDS = [
    plain,
    generator,
    coroutine,
    async_generator,
    coroutine_of_a_generator,
    looks_plain,
    looks_plain_too,
]
REPORTING = [generator, async_generator, coroutine_of_a_generator, looks_plain_too]


def other():
    return "other"


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("company", [[], [Tool(other)]], ids=["alone", "together"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_its_result_and_its_progress(how: str, company: list[Tool], kind):
    run = calling(how, [*company, Tool(kind)])

    events = events_of(run)

    assert_run(events)
    assert outputs(events) == kept(run) == [*["other"] * len(company), "result"]
    told = [value for value in reports(events) if not isinstance(value, ToolResult)]
    assert told == ([1, "result"] if kind in REPORTING else [])


@pytest.mark.parametrize("how", BOTH)
def test_a_generator_that_yields_nothing(how: str):
    async def none():
        if none is None:
            yield

    def nothing():
        return (value for value in ())

    assert outputs(events_of(calling(how, [Tool(none), Tool(nothing)]))) == ["null", "null"]


@pytest.mark.parametrize("how", BOTH)
def test_a_coroutine_that_wants_a_name(how: str):
    """What is wrong with the arguments is told before anything is awaited."""

    async def greet(name: str) -> str:
        return name

    (told,) = outputs(events_of(calling(how, [Tool(greet)])))

    assert told.startswith("TypeError: ")
    assert "missing 1 required positional argument: 'name'" in told


@pytest.mark.parametrize("kind", KINDS)
def test_a_synchronous_run_where_an_event_loop_is_running(kind):
    """As in a notebook's kernel."""

    async def cell() -> list[str]:
        return outputs(calling("sync", [Tool(other), Tool(kind), Tool(kind, "again", sequential=True)]))

    assert asyncio.run(cell()) == ["other", "result", "result"]


def test_a_tool_alone_runs_in_the_callers_thread_and_starts_none():
    with sqlite3.connect(":memory:") as database:  # which refuses to be used in another thread

        def count():
            yield threading.enumerate()
            return database.execute("select 40 + 2").fetchone()[0]

        before = threading.enumerate()
        events = events_of(calling("sync", [Tool(count)]))

    assert outputs(events) == ["42"]
    (during,) = reports(events)
    assert set(during) <= set(before)
    database.close()


def test_sequential_tools_run_in_the_callers_thread_too():
    def where():
        return threading.get_ident()

    events = events_of(calling("sync", [Tool(where, sequential=True)], "where", "where"))

    assert outputs(events) == [str(threading.get_ident())] * 2


def test_one_call_after_the_other_stays_in_the_callers_thread():
    def where():
        return threading.get_ident()

    events = events_of(calling("sync", [Tool(where)], "where", "where", runner=SerialToolRunner()))

    assert outputs(events) == [str(threading.get_ident())] * 2


place: ContextVar[str] = ContextVar("place", default="nowhere")


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("count", [1, 2])
def test_tools_see_the_callers_context(how: str, count: int):
    """By which a notebook knows the cell that prints."""

    def where():
        return place.get()

    async def awhere():
        return place.get()

    def steps():
        yield place.get()
        return place.get()

    token = place.set("this cell")
    try:
        for tool in (where, awhere, steps):
            events = events_of(calling(how, [Tool(tool)], *[tool.__name__] * count))
            assert outputs(events) == ["this cell"] * count
    finally:
        place.reset(token)


def test_a_tool_blocks_no_event_loop():
    async def reader() -> list[str]:
        gate = asyncio.Event()
        loop = asyncio.get_running_loop()
        passed = threading.Event()

        def wait() -> str:
            loop.call_soon_threadsafe(gate.set)
            assert passed.wait(10)
            return "waited"

        async def other_task() -> None:
            await gate.wait()
            passed.set()

        task = asyncio.create_task(other_task())
        told = outputs([event async for event in calling("async", [Tool(wait)])])
        await task
        return told

    assert asyncio.run(reader()) == ["waited"]


def test_a_tool_in_a_thread_reports_no_faster_than_the_event_loop_can_take_it():
    def steps():
        nonlocal made
        while made < 2000:
            made += 1
            yield made

    def see(event: Event) -> None:
        if reports([event]):
            ahead.append(made - event.value)

    made, ahead = 0, []
    events_of(calling("async", [Tool(steps)]), see)

    assert len(ahead) == 2000
    assert max(ahead) < 5
