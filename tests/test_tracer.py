"""The tracer: what it keeps of runs, however they end."""

from __future__ import annotations

import time

import pytest
from driving import BOTH, begin, closed_after, events_of, interrupted_after

from mojentic_nb.llm import (
    CompletionConfig,
    LLMBroker,
    LLMMessage,
    LLMToolCall,
    MessageRole,
    ReasoningDelta,
    StepFinish,
    TextDelta,
    ToolCallEnd,
    ToolResult,
    Usage,
)
from mojentic_nb.llm.errors import MaxToolIterationsExceededError, ProviderUnavailableError
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.tracer import LLMCallTracerEvent, LLMResponseTracerEvent, ToolCallTracerEvent, TracerSystem
from mojentic_nb.tracer.system import KEPT

QUESTION = [LLMMessage(content="Where?")]
CALL = LLMToolCall(id="a", name="where", arguments={"who": "you"})
CALLING = [ReasoningDelta("Hm."), TextDelta("Let me "), TextDelta("see."), ToolCallEnd(CALL)]
ROUND = [*CALLING, StepFinish("tool_calls", Usage(10, 5))]
REQUEST = [LLMCallTracerEvent, LLMResponseTracerEvent]


class Where:
    def __init__(self) -> None:
        self.descriptor = {"type": "function", "function": {"name": "where", "parameters": {}}}

    def run(self, who: str) -> str:
        return f"{who} are in Paris"


TOOLS = [Where()]


def traced(*script) -> tuple[LLMBroker, TracerSystem]:
    """A broker and its tracer."""
    tracer = TracerSystem()
    return LLMBroker("a-model", ScriptedGateway(script), tracer=tracer), tracer


def kinds(tracer: TracerSystem) -> list[type]:
    return [type(event) for event in tracer.get_events()]


@pytest.mark.parametrize("how", BOTH)
def test_what_is_kept_of_a_run_with_tools(how: str):
    asked, tracer = traced(ROUND, "In Paris.")
    run = begin(asked, how, QUESTION, TOOLS)

    events_of(run)

    first, answer, tool, second, end = events = tracer.get_events()
    assert kinds(tracer) == [*REQUEST, ToolCallTracerEvent, *REQUEST]
    assert (first.model, first.messages, first.tools) == ("a-model", tuple(QUESTION), ("where",))
    assert (answer.model, answer.content, answer.tool_calls) == ("a-model", "Let me see.", (CALL,))
    assert (answer.finish_reason, answer.usage, answer.error) == ("tool_calls", Usage(10, 5), None)
    assert (tool.tool_name, tool.arguments) == ("where", {"who": "you"})
    assert (tool.result, tool.is_error) == ("you are in Paris", False)
    assert [message.role for message in second.messages] == [MessageRole.Assistant, MessageRole.Tool]
    assert second.messages == tuple(run.messages[1:3])
    assert (end.content, end.tool_calls, end.finish_reason) == ("In Paris.", (), "stop")
    assert all(event.duration >= 0 for event in (answer, tool, end))
    assert sorted(events, key=lambda event: event.timestamp) == events


def test_a_run_has_one_id_of_its_own_unless_one_is_given():
    asked, tracer = traced("one", "two", "three")

    asked.generate(QUESTION)
    asked.generate(QUESTION)
    asked.generate(QUESTION, correlation_id="mine")

    ids = [event.correlation_id for event in tracer.get_events()]
    assert ids[0] == ids[1]
    assert ids[2] == ids[3]
    assert len({*ids}) == 3
    assert all(ids)
    assert ids[4:] == ["mine", "mine"]


def test_every_run_is_kept_with_all_its_messages_also_under_one_id():
    asked, tracer = traced("one", "two")

    asked.generate(QUESTION, correlation_id="mine")
    asked.generate(QUESTION, correlation_id="mine")

    assert [event.messages for event in tracer.get_events(LLMCallTracerEvent)] == [tuple(QUESTION)] * 2


@pytest.mark.parametrize("how", BOTH)
def test_what_is_kept_of_a_run_that_fails(how: str):
    asked, tracer = traced([TextDelta("In Pa"), ProviderUnavailableError("gone")])

    with pytest.raises(ProviderUnavailableError):
        events_of(begin(asked, how, QUESTION))

    assert kinds(tracer) == REQUEST
    failed = tracer.get_events()[-1]
    assert (failed.content, failed.finish_reason, failed.error) == ("In Pa", None, "gone")


def test_an_error_after_an_answer_is_kept_apart_from_it():
    asked, tracer = traced(ROUND, ROUND)

    with pytest.raises(MaxToolIterationsExceededError) as failure:
        asked.generate(QUESTION, TOOLS, config=CompletionConfig(max_tool_iterations=1))

    answers = tracer.get_events(LLMResponseTracerEvent)
    assert [(answer.content, answer.tool_calls) for answer in answers] == [("Let me see.", (CALL,))] * 2 + [("", ())]
    assert [answer.error for answer in answers] == [None, None, str(failure.value)]
    assert [tool.is_error for tool in tracer.get_events(ToolCallTracerEvent)] == [False, True]


@pytest.mark.parametrize("leave", [closed_after, interrupted_after])
@pytest.mark.parametrize("how", BOTH)
def test_what_is_kept_of_a_run_whose_reader_leaves(how: str, leave):
    asked, tracer = traced(ROUND)

    leave(begin(asked, how, QUESTION, TOOLS), len(CALLING))

    assert kinds(tracer) == [*REQUEST, ToolCallTracerEvent]
    _, answer, tool = tracer.get_events()
    assert (answer.content, answer.tool_calls, answer.finish_reason) == ("Let me see.", (CALL,), "cancelled")
    assert (tool.result, tool.is_error) == ("The call was stopped before it had a result.", True)


@pytest.mark.parametrize("leave", [closed_after, interrupted_after])
@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("count", range(1, 8))
def test_a_run_that_was_left_is_not_held_for_ever(how: str, leave, count: int):
    asked, tracer = traced(ROUND, [TextDelta("In Paris."), StepFinish("stop")])

    leave(begin(asked, how, QUESTION, TOOLS), count)

    assert tracer._open == {}


@pytest.mark.parametrize(
    ("script", "error"),
    [([ROUND, "In Paris."], None), ([[*CALLING, ProviderUnavailableError("gone")]], ProviderUnavailableError)],
    ids=["that ends", "that fails"],
)
def test_a_run_under_the_id_of_another_that_has_just_ended_is_not_disturbed(script: list, error):
    asked, tracer = traced("In Rome.")
    other = LLMBroker("a-model", ScriptedGateway(script), tracer=tracer, max_retries=0)
    run = other.stream(QUESTION, TOOLS, correlation_id="one")
    next(iter(run))

    asked.generate(QUESTION, correlation_id="one")

    if error:
        with pytest.raises(error):
            list(run)
    else:
        assert "".join(run.text()) == "Let me see.In Paris."
    assert tracer._open == {}


def some_events() -> TracerSystem:
    """A tracer of two runs, the first of which called a tool."""
    asked, tracer = traced(ROUND, "In Paris.", "In Rome.")
    asked.generate(QUESTION, TOOLS)
    asked.generate(QUESTION)
    return tracer


def test_events_of_a_type():
    tracer = some_events()

    assert [type(event) for event in tracer.get_events(ToolCallTracerEvent)] == [ToolCallTracerEvent]
    assert [event.content for event in tracer.get_events(event_type=LLMResponseTracerEvent)] == [
        "Let me see.",
        "In Paris.",
        "In Rome.",
    ]


def test_events_of_a_time():
    tracer = some_events()
    events = tracer.get_events()
    start, end = events[2].timestamp, events[4].timestamp

    assert tracer.get_events(start_time=start) == [event for event in events if event.timestamp >= start]
    assert tracer.get_events(end_time=end) == [event for event in events if event.timestamp <= end]
    assert tracer.get_events(start_time=end + 60) == tracer.get_events(end_time=start - 60) == []


def test_events_that_a_filter_lets_pass():
    tracer = some_events()

    passed = tracer.get_events(LLMResponseTracerEvent, filter_func=lambda event: event.content.startswith("In"))

    assert [event.content for event in passed] == ["In Paris.", "In Rome."]


def test_runs_may_go_on_while_the_events_are_read():
    asked, tracer = traced("one", "two")
    asked.generate(QUESTION)

    seen = tracer.get_events(filter_func=lambda event: type(event) is LLMCallTracerEvent and asked.generate(QUESTION))

    assert [type(event) for event in seen] == [LLMCallTracerEvent]
    assert kinds(tracer) == REQUEST * 2


def test_clearing():
    tracer = some_events()

    tracer.clear()

    assert tracer.get_events() == []


def test_a_run_under_way_is_kept_on_after_clearing():
    asked, tracer = traced("one two")
    run = asked.stream(QUESTION)
    next(iter(run))

    tracer.clear()
    list(run)

    assert [event.content for event in tracer.get_events()] == ["one two"]


def test_the_oldest_events_are_forgotten():
    tracer = TracerSystem()

    for number in range(KEPT + 1):
        tracer.record("an-id", ToolResult(CALL, str(number)))

    results = [event.result for event in tracer.get_events()]
    assert (len(results), results[0], results[-1]) == (KEPT, "1", str(KEPT))


def test_a_run_after_one_that_failed_is_kept_with_all_its_messages_also_under_its_id():
    broker, tracer = traced([ProviderUnavailableError("No.")], "Yes.")
    broker.max_retries = 0

    with pytest.raises(ProviderUnavailableError):
        broker.generate(QUESTION, correlation_id="an id")
    broker.generate(QUESTION, correlation_id="an id")

    assert [event.messages for event in tracer.get_events(LLMCallTracerEvent)] == [tuple(QUESTION)] * 2


def test_how_long_a_request_took():
    class Slow:
        def stream(self, _):
            time.sleep(0.05)
            yield StepFinish("stop")

    tracer = TracerSystem()
    begun = time.monotonic()
    LLMBroker("a-model", Slow(), tracer=tracer).generate(QUESTION)

    assert 0.05 <= tracer.get_events(LLMResponseTracerEvent)[0].duration <= time.monotonic() - begun


@pytest.mark.parametrize("how", BOTH)
def test_a_tracer_is_told_of_all_that_the_reader_sees(how: str):
    class Notes:
        def __init__(self) -> None:
            self.taken: list[object] = []

        def record(self, _: str, happening: object) -> None:
            self.taken.append(happening)

    busy = ProviderUnavailableError("No.")
    busy.retry_after = 0
    gateway, notes = ScriptedGateway([[busy], "Because it is."]), Notes()

    events = events_of(begin(LLMBroker("a-model", gateway, tracer=notes), how, QUESTION))

    assert notes.taken == [gateway.requests[0], *events]
