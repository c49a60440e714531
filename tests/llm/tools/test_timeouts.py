"""Tools that take too long."""

from __future__ import annotations

import asyncio

import pytest
from driving import BOTH, events_of
from grammar import assert_run
from loopback import PATIENCE
from toolbox import Gate, Tool, calling, kept, outputs, reports, results

from mojentic_nb.llm import Event, ToolResult
from mojentic_nb.llm.tools.runner import AsyncParallelToolRunner, SerialToolRunner, ToolRunner

SHORT = 0.05


@pytest.fixture
def end():
    """Opened at the end of the test, for what waits in threads."""
    gate = Gate()
    yield gate
    gate.open()


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("company", [[], [Tool(lambda: "other", "other")]], ids=["alone", "together"])
@pytest.mark.parametrize("runner", [ToolRunner, SerialToolRunner, AsyncParallelToolRunner])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_tool_that_takes_too_long_is_given_up(how: str, company: list[Tool], runner, asynchronous: bool, end: Gate):
    hangs = Tool(wait_for_ever if asynchronous else end.pass_through, "hang")
    run = calling(how, [*company, hangs], runner=runner(timeout=SHORT))

    events = events_of(run)

    assert_run(events)
    result = results(events)[-1]
    assert (result.outcome, result.is_error) == ("timed_out", True)
    assert result.output == kept(run)[-1] == "hang timed out after 0.05 s."
    assert result.duration >= SHORT
    assert isinstance(result.display, TimeoutError)
    assert outputs(events)[:-1] == ["other"] * len(company)
    assert run.messages[-1].content == "Done."


@pytest.mark.parametrize("how", BOTH)
def test_a_tool_says_for_itself_how_long_it_may_take(how: str, end: Gate):
    def patient() -> str:
        hung.pass_through()
        return "there"

    hung = Gate()
    tools = [Tool(end.pass_through, "hang", timeout=SHORT), Tool(patient, timeout=PATIENCE)]
    run = calling(how, tools, runner=ToolRunner(timeout=SHORT))

    events = events_of(run, lambda event: hung.open() if results([event]) else None)

    assert [result.outcome for result in results(events)] == ["timed_out", "done"]


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("timeout", ["30s", 0, -1, None])
def test_an_attribute_that_is_no_time_means_something_else(how: str, timeout: object, end: Gate):
    tools = [Tool(lambda: "there", "get", timeout=timeout), Tool(end.pass_through, "hang", timeout=timeout)]

    events = events_of(calling(how, tools, runner=ToolRunner(timeout=0.5)))

    assert outputs(events) == ["there", "hang timed out after 0.5 s."]


@pytest.mark.parametrize("how", BOTH)
def test_the_time_of_a_call_that_waits_for_its_turn_has_not_begun(how: str, end: Gate):
    tools = [Tool(end.pass_through, "hang"), Tool(lambda: "quick", "quick")]

    events = events_of(calling(how, tools, "hang", "hang", "hang", "quick", runner=ToolRunner(2, timeout=0.1)))

    assert [result.outcome for result in results(events)] == [*["timed_out"] * 3, "done"]


@pytest.mark.parametrize("how", BOTH)
def test_what_a_tool_that_was_given_up_says_is_ignored(how: str):
    def late():
        yield "in time"
        given_up.pass_through()
        yield "too late"
        return "too late"

    def later() -> str:
        given_up.pass_through()
        said.open()
        return "too late"

    def last() -> str:
        given_up.open()
        said.pass_through()
        return "last"

    given_up, said = Gate(), Gate()
    tools = [Tool(late, timeout=SHORT), Tool(later, timeout=SHORT), Tool(last, sequential=True)]
    run = calling(how, tools)

    events = events_of(run)

    assert_run(events)
    assert [result.outcome for result in results(events)] == ["timed_out", "timed_out", "done"]
    assert [value for value in reports(events) if not isinstance(value, ToolResult)] == ["in time"]
    assert kept(run)[-1] == "last"
    assert all("timed out" in content for content in kept(run)[:2])


@pytest.mark.parametrize("how", BOTH)
def test_an_endless_report_is_given_up_and_ended(how: str):
    def endless():
        try:
            while True:
                yield "more"
        finally:
            ended.open()

    ended = Gate()
    events = events_of(calling(how, [Tool(endless, timeout=SHORT)]))

    assert_run(events)
    assert results(events)[0].outcome == "timed_out"
    ended.pass_through()


@pytest.mark.parametrize("how", BOTH)
def test_an_asynchronous_tool_cleans_up_before_it_is_given_up(how: str):
    async def clean():
        try:
            await wait_for_ever()
        finally:
            await asyncio.sleep(0.05)
            cleaned.append(True)

    def see(event: Event) -> None:
        if results([event]):
            assert cleaned

    cleaned = []
    events = events_of(calling(how, [Tool(clean)], "clean", "clean", runner=ToolRunner(timeout=SHORT)), see)

    assert [result.outcome for result in results(events)] == ["timed_out"] * 2
    assert len(cleaned) == 2


@pytest.mark.parametrize("how", BOTH)
def test_a_tool_that_refuses_to_be_cancelled_is_given_up_nevertheless(how: str):
    async def stubborn() -> str:
        try:
            await wait_for_ever()
        except asyncio.CancelledError:
            await asyncio.sleep(1.2)
        return "there"

    run = calling(how, [Tool(stubborn)], runner=ToolRunner(timeout=SHORT))
    events = events_of(run)

    assert [result.outcome for result in results(events)] == ["timed_out"]


@pytest.mark.parametrize("timeout", [0, -1.5, float("nan")])
def test_a_time_that_lets_nothing_run(timeout: float):
    with pytest.raises(ValueError, match="`timeout` must be more than 0 seconds, or None for no limit"):
        ToolRunner(timeout=timeout)
