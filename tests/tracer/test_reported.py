"""Events that a program records by hand, and what is told of events."""

from __future__ import annotations

import pytest
from weather import Weather, call

from mojentic_nb.llm import LLMMessage, LLMToolCall, MessageRole, Usage
from mojentic_nb.tracer import (
    LLMCallTracerEvent,
    LLMResponseTracerEvent,
    RetryTracerEvent,
    RunTracerEvent,
    ToolBatchTracerEvent,
    ToolCallTracerEvent,
    TracerEvent,
    TracerSystem,
)
from mojentic_nb.tracer.reported import ReportedCalls

DESCRIPTOR = Weather.descriptor
MESSAGE = {"role": "user", "content": "Hello"}


def test_what_a_program_asked_by_itself():
    tracer = TracerSystem()

    tracer.record_llm_call("a-model", [MESSAGE], 0.5, [DESCRIPTOR], source=object(), correlation_id="mine")
    tracer.record_llm_response("a-model", "Hi", [call("a", "Paris")], 250, finish_reason="stop", usage=Usage(5, 2))
    tracer.record_tool_call("weather", {"city": "Paris"}, 21, "main", 500)
    tracer.record_tool_batch("batch", ["weather"], 1, 0, 500, "main")

    sent, answer, tool, batch = tracer.get_events()
    assert (sent.model, sent.messages, sent.temperature) == ("a-model", (LLMMessage(content="Hello"),), 0.5)
    assert (sent.tools, sent.correlation_id, sent.run_id) == (("weather",), "mine", "")
    assert (answer.content, answer.tool_calls, answer.duration) == ("Hi", (call("a", "Paris"),), 0.25)
    assert (answer.finish_reason, answer.usage, answer.correlation_id) == ("stop", Usage(5, 2), "")
    assert (tool.tool_name, tool.arguments, tool.result) == ("weather", {"city": "Paris"}, "21")
    assert (tool.caller, tool.call_duration_ms, tool.is_error) == ("main", 500, False)
    assert (batch.batch_id, batch.tool_names, batch.success_count) == ("batch", ("weather",), 1)
    assert (batch.failure_count, batch.duration, batch.caller) == (0, 0.5, "main")
    assert "1 request, 1 tool call" in str(tracer.waterfall())


def test_messages_tools_and_calls_as_objects_or_dictionaries():
    tracer = TracerSystem()
    named = {"name": "weather", "arguments": {"city": "Paris"}}

    tracer.record_llm_call("a-model", [LLMMessage(content="Hello")], tools=[Weather()])
    tracer.record_llm_response("a-model", "", [named], usage={"prompt_tokens": 5, "completion_tokens": 2})
    counts = {"input_tokens": 5, "output_tokens": 2, "cached_tokens": 1, "reasoning_tokens": 3}
    tracer.record_llm_response("a-model", "", usage=counts)

    sent, first, second = tracer.get_events()
    assert (sent.messages, sent.tools) == ((LLMMessage(content="Hello"),), ("weather",))
    assert first.tool_calls == (LLMToolCall(**named),)
    assert (first.usage, second.usage) == (Usage(5, 2), Usage(5, 2, 1, 3))


@pytest.mark.parametrize(
    ("messages", "tools", "error"),
    [
        ([{"role": "robot"}], [], "Invalid message: role should be 'system'"),
        (["Hello"], [], "A message is an LLMMessage, as in .*, or a dict, not 'Hello'"),
        ([], [{"name": "weather"}], "A tool must be like {"),
        ([], [{"function": "weather"}], "A tool must be like {"),
    ],
)
def test_what_is_none_is_refused_in_a_line(messages: list, tools: list, error: str):
    with pytest.raises((TypeError, ValueError), match=error) as refused:
        TracerSystem().record_llm_call("a-model", messages, tools=tools)

    assert "\n" not in str(refused.value)


def test_a_call_that_cannot_be_read_is_refused_in_a_line():
    with pytest.raises(ValueError, match="^The call can't be read: arguments is missing.$"):
        TracerSystem().record_llm_response("a-model", "", [{"name": "weather"}])


def test_it_is_for_a_tracer_to_say_where_events_are_kept():
    with pytest.raises(NotImplementedError):
        ReportedCalls().record_tool_call("weather", {}, "")


ASSISTANT = LLMMessage(role=MessageRole.Assistant, content="Hi\nthere")


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        (TracerEvent(0), []),
        (LLMCallTracerEvent(0, model="m"), ["model: m"]),
        (
            LLMCallTracerEvent(0, model="m", messages=(LLMMessage(), ASSISTANT), tools=("a", "b")),
            ["model: m", "user: ", "assistant: Hi there", "tools: a, b"],
        ),
        (
            LLMResponseTracerEvent(
                0,
                model="m",
                content="x" * 200,
                tool_calls=(call("a", "Paris"),),
                finish_reason="stop",
                usage=Usage(1000, 2),
                duration=2.5,
                time_to_first_token=0.25,
            ),
            [
                "model: m",
                f"content: {'x' * 99}…",
                'calls: weather({"city": "Paris"})',
                "stop after 2.50 s, first token after 250 ms",
                "tokens: 1,000 → 2",
            ],
        ),
        (LLMResponseTracerEvent(0, model="m", error="gone"), ["model: m", "gone after 0.0 ms"]),
        (RetryTracerEvent(0, model="m", attempt=1, delay=1, reason="Busy."), ["attempt 1 after 1.00 s: Busy."]),
        (
            ToolCallTracerEvent(0, tool_name="t", arguments={"a": 1}, result="r", duration=90),
            ["t({'a': 1})", "done after 1 min 30 s: r"],
        ),
        (
            ToolBatchTracerEvent(0, tool_names=("a", "b"), success_count=1, failure_count=1, duration=20),
            ["a, b: 1 done, 1 not, after 20.0 s"],
        ),
        (RunTracerEvent(0, model="m", error="gone", duration=1), ["gone after 1.00 s"]),
        (RunTracerEvent(0, model="m", finish_reason="stop", usage=Usage(0, 5)), ["stop after 0.0 ms", "tokens: 0 → 5"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_event_as_a_person_reads_it(event: TracerEvent, lines: list[str]):
    first, *rest = event.printable_summary().splitlines()

    assert first.endswith(f"] {type(event).__name__}")
    assert [line.removeprefix("   ") for line in rest] == lines
