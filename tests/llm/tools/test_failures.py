"""Whatever goes wrong with a call is told to the model, once, and shown; the run goes on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from driving import BOTH, begin, events_of
from grammar import assert_run
from pydantic import BaseModel
from toolbox import QUESTION, STOPPED, Tool, calling, disguised, kept, outputs, results

from mojentic_nb.llm import LLMBroker, LLMToolCall, StepFinish, ToolCallEnd, ToolCallStart
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.llm.tools.results import ToolOutput


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


FAILURES = {
    "an error": (OSError("no disk"), "OSError: no disk"),
    "without a word": (ValueError(), "ValueError"),
    "whose words fail": (MuteError(), "MuteError: (it has no readable message)"),
    "the end of the program": (SystemExit(2), "SystemExit: 2"),
    "a cancellation of its own making": (asyncio.CancelledError(), "CancelledError"),
    "a generator's end": (GeneratorExit(), "GeneratorExit"),
    "its own time-out": (TimeoutError("no answer"), "TimeoutError: no answer"),
    "a group": (
        BaseExceptionGroup("two", [OSError("no disk"), ExceptionGroup("", [ValueError("bad")]), SystemExit(1)]),
        "BaseExceptionGroup: two: OSError: no disk; ExceptionGroup: : ValueError: bad; SystemExit: 1",
    ),
    "half a character": (ValueError("\ud83d"), "ValueError: \ufffd"),
}


def at_once(error: BaseException) -> Callable:
    def fail():
        raise error

    return fail


def on_the_way(error: BaseException) -> Callable:
    def fail():
        yield 1
        raise error

    return fail


def awaited(error: BaseException) -> Callable:
    async def fail():
        await asyncio.sleep(0)
        raise error

    return fail


def awaited_on_the_way(error: BaseException) -> Callable:
    async def fail():
        yield 1
        raise error

    return fail


def after_its_call(error: BaseException) -> Callable:
    return disguised(awaited(error))


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("company", [[], [Tool(lambda: "other", "other")]], ids=["alone", "together"])
@pytest.mark.parametrize("fail", [at_once, on_the_way, awaited, awaited_on_the_way, after_its_call])
@pytest.mark.parametrize(("error", "told"), FAILURES.values(), ids=FAILURES.keys())
def test_what_a_tool_raises(how: str, company: list[Tool], fail: Callable, error: BaseException, told: str):
    run = calling(how, [*company, Tool(fail(error), "fail")])

    events = events_of(run)

    assert_run(events)
    result = results(events)[-1]
    assert (result.output, result.is_error, result.outcome) == (told, True, "failed")
    assert type(result.display) is type(error)
    assert kept(run)[-1] == told
    assert run.messages[-1].content == "Done."


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("count", [1, 2])
def test_an_end_of_an_iteration_that_no_generator_means(how: str, count: int):
    """It would end the generators and futures that it passes through."""
    events = events_of(calling(how, [Tool(at_once(StopIteration("mine")), "fail")], *["fail"] * count))

    assert all(output.startswith("RuntimeError: generator raised StopIteration") for output in outputs(events))
    assert len(results(events)) == count


@pytest.mark.parametrize("how", BOTH)
def test_a_task_that_cancels_itself(how: str):
    async def cancel_itself():
        asyncio.current_task().cancel()
        await asyncio.sleep(10)

    assert outputs(events_of(calling(how, [Tool(cancel_itself)], *["cancel_itself"] * 2))) == ["CancelledError"] * 2


@pytest.mark.parametrize("count", [1, 2])
def test_a_tool_that_ends_the_event_loop_ends_its_synchronous_run(count: int):
    """An asynchronous run is on its caller's loop, with which it ends."""

    async def leave() -> None:
        sys.exit(3)

    async def leave_in_a_task_of_its_own() -> None:
        await asyncio.gather(leave())

    async def stop() -> None:
        asyncio.get_running_loop().stop()
        await asyncio.Event().wait()

    for function, error in ((leave_in_a_task_of_its_own, SystemExit), (stop, RuntimeError)):
        run = calling("sync", [Tool(function, "act")], *["act"] * count)
        with pytest.raises(error):
            events_of(run)
        assert kept(run) == [STOPPED] * count


@pytest.mark.parametrize("how", BOTH)
def test_calls_that_can_not_be_run_are_told_apart(how: str):
    calls = [
        LLMToolCall(id="a", name="nowhere", arguments={}),
        LLMToolCall(id="b", name="where", arguments={}, error="The arguments aren't JSON: {"),
        LLMToolCall(id="c", name="where", arguments={"x": 1}),
        LLMToolCall(id="d", name="where", arguments={}),
    ]
    script = [*(ToolCallStart(call.id, call.name) for call in calls), *map(ToolCallEnd, calls)]
    gateway = ScriptedGateway([[*script, StepFinish("tool_calls")], "Done."])

    events = events_of(begin(LLMBroker("a-model", gateway), how, QUESTION, [Tool(lambda: "here", "where")]))

    assert_run(events)
    assert [result.outcome for result in results(events)] == ["failed", "failed", "failed", "done"]
    unknown, unreadable, unwanted, good = outputs(events)
    assert unknown == "LookupError: Unknown tool 'nowhere'. The tools are: where."
    assert unreadable == "ValueError: The arguments aren't JSON: {"
    assert "unexpected keyword argument 'x'" in unwanted
    assert good == "here"


class Place(BaseModel):
    name: str


@dataclass
class Point:
    x: int
    y: float


class Odd:
    def __str__(self) -> str:
        return "an odd thing"


class Sullen:
    def __str__(self) -> str:
        raise RuntimeError("I won't say")


def circle() -> list:
    made: list = []
    made.append(made)
    return made


FRAME = pd.DataFrame({"a": [1, 2]})
VALUES = {
    "text": ('A "line"', 'A "line"'),
    "nothing": (None, "null"),
    "a date": (datetime(2026, 11, 23, 12, tzinfo=UTC), "2026-11-23T12:00:00Z"),
    "what JSON has": ({"where": "Orléans", "n": [1, True]}, '{"where": "Orléans", "n": [1, true]}'),
    "keys that are no text": ({(1, 2): 3, 4: 5, None: 6}, '{"1,2": 3, "4": 5, "None": 6}'),
    "no number": ([float("nan"), float("inf")], "[NaN, Infinity]"),
    "bytes": ({"raw": b"\xff\x00"}, '{"raw": "_wA="}'),
    "half a character": ("a\ud83d", "a\ufffd"),
    "half a character inside": (["a\ud83d"], '["a\ufffd"]'),
    "half a character in a key": ([{"a\ud83d": date(2026, 1, 2)}], '[{"a\ufffd": "2026-01-02"}]'),
    "a set": ({1}, "[1]"),
    "a time": ({"for": timedelta(hours=1)}, '{"for": "PT1H"}'),
    "a model": (Place(name="Paris"), '{"name": "Paris"}'),
    "a dataclass": ([Point(1, 2.5)], '[{"x": 1, "y": 2.5}]'),
    "an array": (np.arange(4).reshape(2, 2), "[[0, 1], [2, 3]]"),
    "a number of NumPy's": ({"n": np.int64(5)}, '{"n": 5}'),
    "a series": (pd.Series([1, 2]), "[1, 2]"),
    "a table": (FRAME, str(FRAME)),
    "something else": ([Odd()], '["an odd thing"]'),
    "something else alone": (Odd(), "an odd thing"),
}
UNTELLABLE = {
    "a circle": (circle(), "ValueError: Circular reference detected"),
    "what won't be text": ([Sullen()], "RuntimeError: I won't say"),
}


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize(("value", "told"), VALUES.values(), ids=VALUES.keys())
def test_a_value_is_told_as_text_and_shown_as_it_is(how: str, value: object, told: str):
    (result,) = results(events_of(calling(how, [Tool(lambda: value, "get")])))

    assert (result.output, result.outcome) == (told, "done")
    assert result.display is value


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(("value", "told"), UNTELLABLE.values(), ids=UNTELLABLE.keys())
def test_a_value_that_can_not_be_told(how: str, count: int, value: object, told: str):
    async def aget() -> object:
        return value

    for tool in (Tool(lambda: value, "get"), Tool(aget, "get")):
        for result in results(events_of(calling(how, [tool], *["get"] * count))):
            assert result.output.startswith(told)
            assert result.outcome == "failed"


@pytest.mark.parametrize("how", BOTH)
def test_one_value_for_the_model_and_another_for_who_watches(how: str):
    (result,) = results(events_of(calling(how, [Tool(lambda: ToolOutput({"rows": 2}, FRAME), "get")])))

    assert result.output == '{"rows": 2}'
    assert result.display is FRAME


@pytest.mark.parametrize("how", BOTH)
def test_what_cleaning_up_raises_after_the_run_concerns_nobody(how: str):
    def steps():
        try:
            while True:  # it ends by being left only
                yield 1
        finally:
            raise OSError("no disk")

    run = calling(how, [Tool(steps)])
    events = events_of(run, lambda event: run.cancel() if getattr(event, "value", 0) == 1 else None)

    assert_run(events)
    assert kept(run) == [STOPPED]
