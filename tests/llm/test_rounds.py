"""Runs with tools, driven both ways: the grammar of their events, and what is left when they end early."""

from __future__ import annotations

import threading

import pytest
from driving import BOTH, begin, closed_after, events_of, interrupted_after
from fuzzing import examples
from grammar import assert_acceptable, assert_run
from hypothesis import given
from hypothesis import strategies as st

from mojentic_nb.llm import (
    CompletionConfig,
    Finish,
    LLMBroker,
    LLMMessage,
    LLMToolCall,
    MessageRole,
    ReasoningDelta,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolProgress,
    ToolResult,
    Usage,
)
from mojentic_nb.llm.errors import IncompleteStreamError, MaxToolIterationsExceededError, ProviderUnavailableError
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.llm.tools.runner import SerialToolRunner

QUESTION = [LLMMessage(role=MessageRole.System, content="Be brief."), LLMMessage(content="What is it?")]


class Tool:
    """A tool that does what it is asked to."""

    def __init__(self, name: str, action) -> None:
        self.descriptor = {"type": "function", "function": {"name": name, "description": name, "parameters": {}}}
        self.run = action


def fail(**_):
    raise OSError("no disk")


def count(n: int = 2, **_):
    yield from range(n)
    return f"counted to {n}"


TOOLS = [Tool("add", lambda a=1, b=1, **_: a + b), Tool("fail", fail), Tool("count", count)]


def call(number: int, name: str = "add", arguments: dict | None = None, error: str | None = None) -> list:
    """The events of one call, its end apart."""
    made = LLMToolCall(id=f"call_{number}", name=name, arguments=arguments or {}, error=error)
    return [ToolCallStart(made.id, name), ToolCallDelta(made.id, made.json_arguments()), ToolCallEnd(made)]


def step(*calls: list, text: str = "", reasoning: str = "") -> list:
    """The events of a step that thinks, says something and calls."""
    said = [ReasoningDelta(reasoning)] * bool(reasoning) + [TextDelta(text)] * bool(text)
    begun = [event for made in calls for event in made[:-1]]
    ended = [made[-1] for made in calls]
    return [*said, *begun, *ended, StepFinish("tool_calls" if calls else "stop", Usage(10, 1, 2, 1))]


def broker(*script, **options) -> LLMBroker:
    return LLMBroker("a-model", ScriptedGateway(script), **options)


@pytest.mark.parametrize("how", BOTH)
def test_rounds_of_calls_until_the_model_is_done(how: str):
    first = step(call(0, "add", {"a": 1, "b": 2}), call(1, "count"), text="Let me see.", reasoning="Two tools.")
    run = begin(broker(first, step(call(2, "fail")), step(text="It is 3.")), how, QUESTION, TOOLS)

    events = events_of(run)

    assert_run(events)
    results = [(e.call.name, e.output, e.is_error) for e in events if isinstance(e, ToolResult)]
    assert results == [("add", "3", False), ("count", "counted to 2", False), ("fail", "OSError: no disk", True)]
    assert [e.value for e in events if isinstance(e, ToolProgress)] == [0, 1]
    assert events[-1] == Finish("stop", Usage(30, 3, 6, 3))
    assert run.usage == Usage(30, 3, 6, 3)
    assert [(message.role.name, message.content) for message in run.messages[2:]] == [
        ("Assistant", "Let me see."),
        ("Tool", "3"),
        ("Tool", "counted to 2"),
        ("Assistant", None),
        ("Tool", "OSError: no disk"),
        ("Assistant", "It is 3."),
    ]
    assert run.messages[2].thinking == "Two tools."
    assert_acceptable(sent_with(run.messages))


def test_each_request_has_what_came_before_it():
    asking = broker(step(call(0)), step(text="2"))
    run = asking.stream(QUESTION, TOOLS)

    list(run)

    first, second = asking.adapter.requests
    assert list(first.messages) == QUESTION
    assert list(second.messages) == run.messages[:-1]
    assert first.tools == second.tools == tuple(TOOLS)


def test_reasoning_that_the_provider_wants_back_stays_with_the_message():
    signed = {"type": "thinking", "thinking": "Hm.", "signature": "x"}
    script = [ReasoningDelta("Hm."), ReasoningDelta("", signed), *step(call(0))]
    run = broker(script, step(text="2")).stream(QUESTION, TOOLS)

    list(run)

    assert run.messages[2].thinking == "Hm."
    assert run.messages[2].reasoning_details == [signed]


def test_the_text_of_a_run_is_that_of_all_its_steps():
    asking = broker(step(call(0), text="Let me see. "), step(text="It is 2."))

    assert asking.generate(QUESTION, TOOLS) == "Let me see. It is 2."


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("limit", [1, 2])
def test_more_rounds_than_are_allowed(how: str, limit: int):
    asking = broker(*[step(call(n)) for n in range(limit + 1)])
    run = begin(asking, how, QUESTION, TOOLS, config=CompletionConfig(max_tool_iterations=limit))
    events = []

    with pytest.raises(MaxToolIterationsExceededError, match=f"after {limit} rounds?\\. Raise `max_tool") as failure:
        events_of(run, events.append)

    assert failure.value.run is run
    assert run.finish_reason == "max_steps"
    assert_acceptable(sent_with(run.messages))
    assert [event.is_error for event in events if isinstance(event, ToolResult)] == [False] * limit + [True]
    assert run.messages[-1].content == "The call didn't run: the limit of tool rounds was reached."


def test_no_tools_are_offered_where_no_round_is_allowed():
    asking = broker(step(text="I have none."))

    asking.generate(QUESTION, TOOLS, config=CompletionConfig(max_tool_iterations=0))

    assert asking.adapter.requests[0].tools == ()


def test_rounds_without_a_limit():
    asking = broker(*[step(call(n)) for n in range(30)], step(text="Done."))

    assert asking.generate(QUESTION, TOOLS, config=CompletionConfig(max_tool_iterations=None)) == "Done."


WHOLE = [
    step(call(0, "add"), call(1, "count"), text="One. ", reasoning="Hm."),
    step(call(2, "fail"), call(3, "no-such-tool"), call(4, error="The arguments aren't JSON")),
    step(text="Done.", reasoning="So."),
]
ALL = list(broker(*WHOLE, tool_runner=SerialToolRunner()).stream(QUESTION, TOOLS))
LENGTH = len(ALL)
OUTPUTS = [event.output for event in ALL if isinstance(event, ToolResult)]


def sent_with(history: list[LLMMessage]) -> tuple[LLMMessage, ...]:
    """The messages that reach the provider when `history` is asked with."""
    gateway = ScriptedGateway(["Yes."])
    LLMBroker("a-model", gateway).generate(history)
    return gateway.requests[0].messages


def test_an_answer_that_broke_off_while_the_model_thought_is_sent_as_none():
    thought = LLMMessage(
        role=MessageRole.Assistant, content="\n", thinking="Hm", reasoning_details=[{"signature": "s"}]
    )

    sent = sent_with([*QUESTION, thought, LLMMessage(content="Well?")])

    assert sent == (
        *QUESTION,
        LLMMessage(role=MessageRole.Assistant, content="(no answer)"),
        LLMMessage(content="Well?"),
    )


def said(events) -> str:
    return "".join(event.delta for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("stop", [closed_after, interrupted_after])
@pytest.mark.parametrize("seen", range(1, LENGTH + 1))
def test_stopping_at_any_event_leaves_a_history_that_providers_accept(how: str, stop, seen: int):
    run = begin(broker(*WHOLE, tool_runner=SerialToolRunner()), how, QUESTION, TOOLS)

    events = stop(run, seen)

    assert len(events) == seen
    assert_acceptable(sent_with([*run.messages, LLMMessage(content="Go on.")]))
    assert said(events) == "".join(m.content or "" for m in run.messages if m.role is MessageRole.Assistant)
    outputs = [event.output for event in events if isinstance(event, ToolResult)]
    kept = [message.content for message in run.messages if message.role is MessageRole.Tool]
    assert kept[: len(outputs)] == outputs
    assert set(kept[len(outputs) :]) <= {"The call was stopped before it had a result.", *OUTPUTS}
    assert run.finish_reason == ("stop" if seen >= LENGTH - 1 else "cancelled")


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("seen", range(LENGTH))
def test_cancelling_at_any_event_ends_the_run_by_its_grammar(how: str, seen: int):
    run = begin(broker(*WHOLE, tool_runner=SerialToolRunner()), how, QUESTION, TOOLS)
    events = []

    def cancel_in_time(event) -> None:
        events.append(event)
        if len(events) == seen:
            run.cancel()

    if seen == 0:
        run.cancel()
    events_of(run, cancel_in_time)

    assert_run(events)
    assert_acceptable(sent_with([*run.messages, LLMMessage(content="Go on.")]))
    assert events[-1].finish_reason == run.finish_reason == ("stop" if seen >= LENGTH - 1 else "cancelled")


@pytest.mark.parametrize("how", BOTH)
def test_cancelling_at_a_call_past_the_limit_of_rounds(how: str):
    run = begin(
        broker(step(call(0)), step(call(1))), how, QUESTION, TOOLS, config=CompletionConfig(max_tool_iterations=1)
    )
    events = events_of(run, lambda event: run.cancel() if event == call(1)[-1] else None)

    assert_run(events)
    assert events[-1].finish_reason == run.finish_reason == "cancelled"


@pytest.mark.parametrize("how", BOTH)
def test_a_tool_that_changes_its_arguments_changes_no_history(how: str):
    def clear(items: list, **_) -> str:
        items.clear()
        return "cleared"

    made = {"items": [1, 2]}
    run = begin(broker(step(call(0, "clear", made)), step(text="Done.")), how, QUESTION, [Tool("clear", clear)])
    events_of(run)

    assert run.messages[2].tool_calls[0].arguments == {"items": [1, 2]}


@pytest.mark.parametrize("how", BOTH)
def test_cancelling_from_another_thread_while_a_tool_runs(how: str):
    running = threading.Event()
    go_on = threading.Event()

    def wait(**_) -> str:
        running.set()
        assert go_on.wait(10)
        return "waited"

    run = begin(broker(step(call(0, "wait"), call(1))), how, QUESTION, [Tool("wait", wait), *TOOLS])

    def cancel() -> None:
        assert running.wait(10)
        run.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    events = events_of(run)
    canceller.join()
    go_on.set()

    assert_run(events)
    assert next(event for event in events if isinstance(event, ToolResult)).outcome == "cancelled"
    assert events[-1].finish_reason == "cancelled"


@pytest.mark.parametrize("how", BOTH)
def test_closing_from_another_thread_is_like_cancelling(how: str):
    running = threading.Event()
    go_on = threading.Event()

    def wait(**_) -> str:
        running.set()
        assert go_on.wait(10)
        return "waited"

    run = begin(broker(step(call(0, "wait")), step(text="Never.")), how, QUESTION, [Tool("wait", wait)])

    def close() -> None:
        assert running.wait(10)
        if how == "sync":
            run.close()
        else:
            with pytest.raises(StopIteration):
                run.aclose().send(None)
        go_on.set()

    closer = threading.Thread(target=close)
    closer.start()
    events = events_of(run)
    closer.join()

    assert events[-1] == Finish("cancelled", Usage(10, 1, 2, 1))
    assert_run(events)


@pytest.mark.parametrize("how", BOTH)
def test_an_error_carries_the_run(how: str):
    run = begin(broker(step(call(0)), [TextDelta("Be"), ProviderUnavailableError("gone")]), how, QUESTION, TOOLS)

    with pytest.raises(ProviderUnavailableError, match="gone") as failure:
        events_of(run)

    assert failure.value.run is run
    assert failure.value.partial.content == "Be"
    assert_acceptable(sent_with(run.messages))
    assert run.messages[-1].content == "Be"


@pytest.mark.parametrize("how", BOTH)
def test_a_step_without_an_end_is_an_error(how: str):
    run = begin(broker([TextDelta("Be"), *call(0)]), how, QUESTION, TOOLS)

    with pytest.raises(IncompleteStreamError, match="Ask again"):
        events_of(run)

    assert_acceptable(sent_with(run.messages))


@pytest.mark.parametrize("how", BOTH)
def test_what_is_no_error_of_ours_goes_through_as_it_is(how: str):
    run = begin(broker([TextDelta("Be"), ZeroDivisionError("a bug")]), how, QUESTION)

    with pytest.raises(ZeroDivisionError, match="a bug"):
        events_of(run)


names = st.sampled_from(["add", "fail", "count", "no-such-tool"])
calls = st.builds(
    lambda name, a, error: (name, {"a": a}, error),
    names,
    st.integers() | st.text(max_size=3),
    st.none() | st.just("The arguments aren't JSON"),
)
steps = st.tuples(st.lists(calls, max_size=3), st.text(max_size=20), st.text(max_size=5))


@examples(150)
@given(st.lists(steps, max_size=4), st.text(max_size=20), st.integers(0, 60), st.sampled_from(BOTH), st.booleans())
def test_whatever_the_model_does_and_whenever_it_is_stopped(script, last: str, seen: int, how: str, cancel: bool):
    numbers = iter(range(100))
    rounds = [
        step(*[call(next(numbers), *made) for made in made_calls], text=text, reasoning=reasoning)
        for made_calls, text, reasoning in script
        if made_calls
    ]
    run = begin(broker(*rounds, step(text=last)), how, QUESTION, TOOLS)
    shown = []

    def stop_in_time(event) -> None:
        shown.append(event)
        if len(shown) == seen:
            run.cancel()

    if cancel:
        events_of(run, stop_in_time)
        assert_run(shown)
    else:
        shown = closed_after(run, seen)

    assert_acceptable(sent_with(run.messages))
    assert said(shown) == "".join(m.content or "" for m in run.messages if m.role is MessageRole.Assistant)


def test_ten_rounds_are_allowed_unless_said_otherwise():
    asking = broker(*[step(call(n)) for n in range(11)])

    with pytest.raises(MaxToolIterationsExceededError, match="after 10 rounds"):
        asking.generate(QUESTION, TOOLS)


def test_an_object_in_the_history_is_sent_as_its_json():
    said = LLMMessage(role=MessageRole.Assistant, object=LLMToolCall(name="Paris", arguments={}))

    sent = sent_with([*QUESTION, said, LLMMessage(content="And then?")])

    assert LLMToolCall.model_validate_json(sent[2].content) == said.object


@pytest.mark.parametrize("how", BOTH)
def test_a_tools_generator_is_closed_with_the_run_also_where_the_tool_holds_it(how: str):
    held, ended = [], []

    def steps():
        try:
            yield 1
            yield 2
        finally:
            ended.append("closed")

    def start(**_):
        held.append(steps())
        return held[0]

    closed_after(begin(broker(step(call(0, "start"))), how, QUESTION, [Tool("start", start)]), 5)

    assert ended == ["closed"]
