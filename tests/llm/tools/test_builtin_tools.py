"""The tools that come with the package, and the base class that programs written for Mojentic know."""

from __future__ import annotations

import inspect
import time
from datetime import datetime

import pytest

from mojentic_nb.llm.tools import CurrentDateTimeTool, LLMTool, ResolveDateTool, ToolOutput
from mojentic_nb.tracer import TracerSystem


@pytest.mark.parametrize("tool", [ResolveDateTool(), CurrentDateTimeTool()], ids=lambda tool: tool.name)
def test_the_model_is_told_of_the_parameters_that_the_tool_takes(tool: LLMTool):
    described = tool.descriptor["function"]["parameters"]

    taken = inspect.signature(tool.run).parameters.values()

    assert list(described["properties"]) == [parameter.name for parameter in taken]
    assert described["required"] == [parameter.name for parameter in taken if parameter.default is parameter.empty]
    assert tool.description


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


@pytest.mark.parametrize(("zone", "name", "offset"), [("Asia/Tokyo", "JST", "+0900"), ("Etc/GMT+12", "-12", "-1200")])
def test_the_current_time_is_that_of_the_users_time_zone(
    zone: str, name: str, offset: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        told = CurrentDateTimeTool().run("%z")
    finally:
        monkeypatch.undo()
        time.tzset()

    assert (told["timezone"], told["current_datetime"]) == (name, offset)


class Lookup(LLMTool):
    """A tool as programs for Mojentic have them."""

    def __init__(self, answer: object, tracer: TracerSystem | None = None) -> None:
        super().__init__(tracer=tracer)
        self.answer = answer

    @property
    def descriptor(self):
        return {"type": "function", "function": {"name": "lookup", "description": "Look it up."}}

    def run(self, **arguments):  # noqa: ARG002
        return self.answer


class Bare(LLMTool):
    """One whose constructor knows nothing of its base's."""

    descriptor = {"type": "function", "function": {"name": "bare", "description": "Nothing."}}  # noqa: RUF012

    def __init__(self) -> None:
        pass

    def run(self, word: str = "x"):
        return word * 2


@pytest.mark.parametrize(
    ("answer", "text"),
    [("plain", "plain"), ({"a": [1]}, '{"a": [1]}'), (None, "null"), (ToolOutput("for the model", 1), "for the model")],
)
def test_a_tool_can_be_called_without_a_model(answer: object, text: str):
    assert Lookup(answer).call_tool(word="x") == {"content": [{"type": "text", "text": text, "annotations": None}]}
    assert (Lookup(answer).name, Lookup(answer).description) == ("lookup", "Look it up.")
    assert Lookup(answer).matches("lookup")


def test_a_generator_can_be_called_without_a_model():
    class Count(Bare):
        def run(self, to: int):
            yield from range(to)

    assert Count().call_tool(to=3)["content"][0]["text"] == "2"


def test_a_constructor_need_not_call_its_bases():
    assert Bare().call_tool("an-id", word="ab")["content"][0]["text"] == "abab"


@pytest.mark.parametrize(("given", "kept"), [("an-id", "an-id"), (None, "")])
def test_such_a_call_is_traced(given: str | None, kept: str):
    tracer = TracerSystem()

    Lookup({"a": 1}, tracer=tracer).call_tool(correlation_id=given, word="x")

    (event,) = tracer.get_events()
    assert (event.tool_name, event.arguments, event.result) == ("lookup", {"word": "x"}, '{"a": 1}')
    assert (event.correlation_id, event.is_error) == (kept, False)


@pytest.mark.parametrize("tool", [ResolveDateTool, CurrentDateTimeTool])
def test_the_tools_take_a_tracer(tool: type[LLMTool]):
    tracer = TracerSystem()

    assert tool(tracer=tracer).tracer is tracer
