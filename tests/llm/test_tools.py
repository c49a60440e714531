"""The tools that come with the package."""

from __future__ import annotations

import inspect
import sys
from datetime import datetime, timedelta

import pytest

from mojentic_nb.llm import LLMBroker, LLMMessage, LLMToolCall, StepFinish, ToolCallEnd
from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.llm.tools import CurrentDateTimeTool, LLMTool, ResolveDateTool

MONDAY = "2026-11-23"


@pytest.mark.parametrize("tool", [ResolveDateTool(), CurrentDateTimeTool()], ids=lambda tool: tool.name)
def test_the_model_is_told_of_the_parameters_that_the_tool_takes(tool: LLMTool):
    described = tool.descriptor["function"]["parameters"]

    taken = inspect.signature(tool.run).parameters.values()

    assert list(described["properties"]) == [parameter.name for parameter in taken]
    assert described["required"] == [parameter.name for parameter in taken if parameter.default is parameter.empty]
    assert tool.description


@pytest.mark.parametrize(
    ("said", "reference", "date"),
    [
        ("tomorrow", MONDAY, "2026-11-24"),
        ("yesterday", MONDAY, "2026-11-22"),
        ("in 3 days", MONDAY, "2026-11-26"),
        ("next week", MONDAY, "2026-11-30"),
        ("friday", MONDAY, "2026-11-27"),
        ("December 24", MONDAY, "2026-12-24"),
        ("tomorrow", "2026-12-31T23:30:00+05:00", "2027-01-01"),
    ],
)
def test_a_date_is_seen_from_the_reference(said: str, reference: str, date: str):
    assert ResolveDateTool().run(said, reference) == {
        "relative_date": said,
        "resolved_date": date,
        "summary": f"The date on '{said}' is {date}",
    }


def test_a_date_is_seen_from_today_where_there_is_no_reference():
    before = datetime.now().astimezone().date()

    resolved = ResolveDateTool().run("in 3 days")["resolved_date"]

    after = datetime.now().astimezone().date()
    assert resolved in {(today + timedelta(days=3)).isoformat() for today in (before, after)}


@pytest.mark.parametrize("said", ["the day the music died", "first monday of next month", ""])
def test_what_means_no_date_is_never_taken_for_today(said: str):
    with pytest.raises(ValueError, match=f"'{said}' is no date that could be read: say it another way"):
        ResolveDateTool().run(said, MONDAY)


def test_the_model_is_told_what_means_no_date():
    call = LLMToolCall(id="a", name="resolve_date", arguments={"relative_date_found": "the day the music died"})
    gateway = ScriptedGateway([[ToolCallEnd(call), StepFinish("tool_calls")], "Which day?"])

    LLMBroker("a-model", gateway).generate([LLMMessage(content="When?")], [ResolveDateTool()])

    told = gateway.requests[1].messages[-1].content
    assert told == "ValueError: 'the day the music died' is no date that could be read: say it another way."


def test_the_extra_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "dateparser", None)

    with pytest.raises(ConfigurationError, match=r"pip install 'mojentic_nb\[dates\]'"):
        ResolveDateTool()


def test_the_current_time():
    before = datetime.now().astimezone()

    told = CurrentDateTimeTool().run()

    after = datetime.now().astimezone()
    assert before.timestamp() <= told["timestamp"] <= after.timestamp()
    assert told["current_datetime"] == datetime.fromtimestamp(told["timestamp"]).astimezone().strftime(
        "%Y-%m-%d %H:%M:%S"
    )
    assert told["timezone"] == after.tzname()


def test_the_current_time_in_a_format():
    told = CurrentDateTimeTool().run(format_string="It is %Y.")

    assert told["current_datetime"] == datetime.fromtimestamp(told["timestamp"]).astimezone().strftime("It is %Y.")
