"""The tracer: what it keeps of runs, however they end."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from types import SimpleNamespace
from typing import ClassVar

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
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolProgress,
    ToolResult,
    Usage,
    tool,
)
from mojentic_nb.llm.errors import MaxToolIterationsExceededError, ProviderUnavailableError, RateLimitError
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.llm.tools import CurrentDateTimeTool
from mojentic_nb.llm.tools.results import ToolOutput
from mojentic_nb.tracer import (
    EventStore,
    LLMCallTracerEvent,
    LLMResponseTracerEvent,
    RetryTracerEvent,
    RunTracerEvent,
    ToolBatchTracerEvent,
    ToolCallTracerEvent,
    TracerSystem,
)

QUESTION = [LLMMessage(content="Where?")]
CALL = LLMToolCall(id="a", name="where", arguments={"who": "you"})
CALLING = [ReasoningDelta("Hm."), TextDelta("Let me "), TextDelta("see."), ToolCallEnd(CALL)]
ROUND = [*CALLING, StepFinish("tool_calls", Usage(10, 5))]
REQUEST = [LLMCallTracerEvent, LLMResponseTracerEvent]
CALLS = [ToolCallTracerEvent, ToolBatchTracerEvent]
END = [RunTracerEvent]


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

    first, answer, tool, batch, second, end, done = events = tracer.get_events()
    assert kinds(tracer) == [*REQUEST, *CALLS, *REQUEST, *END]
    assert (first.model, first.messages, first.tools) == ("a-model", tuple(QUESTION), ("where",))
    assert (answer.model, answer.content, answer.tool_calls) == ("a-model", "Let me see.", (CALL,))
    assert (answer.finish_reason, answer.usage, answer.error) == ("tool_calls", Usage(10, 5), None)
    assert (tool.tool_name, tool.arguments) == ("where", {"who": "you"})
    assert (tool.result, tool.is_error, tool.outcome, tool.call_id) == ("you are in Paris", False, "done", "a")
    assert (batch.tool_names, batch.success_count, batch.failure_count) == (("where",), 1, 0)
    assert [message.role for message in second.messages] == [MessageRole.Assistant, MessageRole.Tool]
    assert second.messages == tuple(run.messages[1:3])
    assert (end.content, end.tool_calls, end.finish_reason) == ("In Paris.", (), "stop")
    assert (done.model, done.finish_reason, done.usage, done.error) == ("a-model", "stop", Usage(10, 7), None)
    assert answer.reasoning == "Hm."
    assert 0 <= answer.time_to_first_token <= answer.duration <= done.duration
    assert all(first.timestamp - 1e-6 <= event.started <= event.timestamp for event in (answer, tool, batch, end, done))
    assert len({event.run_id for event in events}) == 1
    assert sorted(events, key=lambda event: event.timestamp) == events


def raises() -> None:
    raise OSError("no disk")


def unsayable() -> object:
    cycle: list[object] = []
    cycle.append(cycle)
    return cycle


@tool(timeout=0.05)
async def hangs() -> None:
    await asyncio.Event().wait()


@tool(approval=True)
def pays() -> str:
    return "paid"


FAILING = {
    "raises": ("failed", "OSError: no disk"),
    "unsayable": ("failed", "ValueError: "),
    "hangs": ("timed_out", "hangs timed out after 0.05 s"),
    "pays": ("denied", "The call was denied: it needs approval"),
    "nowhere": ("failed", "LookupError: Unknown tool 'nowhere'"),
}


@pytest.mark.parametrize("how", BOTH)
def test_however_a_call_fails_the_model_the_reader_and_the_trace_are_told_the_same(how: str):
    calls = [LLMToolCall(id=name, name=name, arguments={}) for name in FAILING]
    asked, tracer = traced([*map(ToolCallEnd, calls), StepFinish("tool_calls")], "Pity.")
    run = begin(asked, how, QUESTION, [raises, unsayable, hangs, pays])

    results = [event for event in events_of(run) if isinstance(event, ToolResult)]

    kept = tracer.get_events(ToolCallTracerEvent, filter_func=lambda event: event.is_error)
    assert sorted((event.tool_name, event.result, event.outcome) for event in kept) == sorted(
        (result.call.name, result.output, result.outcome) for result in results
    )
    told = [message.content for message in run.messages if message.role is MessageRole.Tool]
    assert told == [result.output for result in results]
    for result, (outcome, says) in zip(results, FAILING.values(), strict=True):
        assert result.outcome == outcome
        assert result.output.startswith(says)
    (batch,) = tracer.get_events(ToolBatchTracerEvent)
    assert (batch.success_count, batch.failure_count) == (0, 5)


def test_a_run_has_one_id_of_its_own_unless_one_is_given():
    asked, tracer = traced("one", "two", "three")

    asked.generate(QUESTION)
    asked.generate(QUESTION)
    asked.generate(QUESTION, correlation_id="mine")

    ids = [event.correlation_id for event in tracer.get_events()]
    assert len({*ids}) == 3
    assert all(ids)
    assert [ids.count(name) for name in dict.fromkeys(ids)] == [3, 3, 3]
    assert ids[-1] == "mine"


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

    assert kinds(tracer) == [*REQUEST, *END]
    _, failed, end = tracer.get_events()
    assert (failed.content, failed.finish_reason, failed.error) == ("In Pa", None, "gone")
    assert (failed.error_type, end.error_type) == ("ProviderUnavailableError",) * 2
    assert (end.finish_reason, end.error) == (None, "gone")


def test_an_error_after_an_answer_is_kept_apart_from_it():
    asked, tracer = traced(ROUND, ROUND)

    with pytest.raises(MaxToolIterationsExceededError) as failure:
        asked.generate(QUESTION, TOOLS, config=CompletionConfig(max_tool_iterations=1))

    answers = tracer.get_events(LLMResponseTracerEvent)
    assert [(answer.content, answer.tool_calls) for answer in answers] == [("Let me see.", (CALL,))] * 2
    assert [answer.error for answer in answers] == [None, None]
    assert tracer.get_events(RunTracerEvent)[0].error == str(failure.value)
    assert [tool.is_error for tool in tracer.get_events(ToolCallTracerEvent)] == [False, True]


@pytest.mark.parametrize("leave", [closed_after, interrupted_after])
@pytest.mark.parametrize("how", BOTH)
def test_what_is_kept_of_a_run_whose_reader_leaves(how: str, leave):
    asked, tracer = traced(ROUND)

    leave(begin(asked, how, QUESTION, TOOLS), len(CALLING))

    assert kinds(tracer) == [*REQUEST, *CALLS, *END]
    _, answer, tool, batch, end = tracer.get_events()
    assert (answer.content, answer.tool_calls, answer.finish_reason) == ("Let me see.", (CALL,), "cancelled")
    assert (tool.result, tool.outcome) == ("The call was stopped before it had a result.", "cancelled")
    assert (batch.success_count, batch.failure_count, end.finish_reason) == (0, 1, "cancelled")


@pytest.mark.parametrize("leave", [closed_after, interrupted_after])
@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("count", range(1, 8))
def test_a_run_that_is_left_at_any_event_is_told_of_to_its_end(how: str, leave, count: int):
    asked, tracer = traced(ROUND, [TextDelta("In Paris."), StepFinish("stop")])

    leave(begin(asked, how, QUESTION, TOOLS), count)

    sent, answered = tracer.get_events(LLMCallTracerEvent), tracer.get_events(LLMResponseTracerEvent)
    assert len(sent) == len(answered)
    assert len(tracer.get_events(ToolCallTracerEvent)) == sum(len(answer.tool_calls) for answer in answered)
    assert [event.finish_reason for event in tracer.get_events(RunTracerEvent)] == ["cancelled"]
    assert kinds(tracer)[-1] is RunTracerEvent
    assert "cancelled" in str(tracer.waterfall())


def test_a_run_that_nobody_reads_to_its_end_leaves_nothing_behind():
    asked, tracer = traced(ROUND)
    run = asked.stream(QUESTION, TOOLS)
    next(iter(run))
    recorder = weakref.ref(run._conversation._tracer)

    del run
    gc.collect()

    assert recorder() is None
    assert tracer.get_events(RunTracerEvent)[0].finish_reason == "cancelled"


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

    assert [answer.content for answer in tracer.get_events(LLMResponseTracerEvent)] == ["In Rome."]
    if error:
        with pytest.raises(error):
            list(run)
    else:
        assert "".join(run.text()) == "Let me see.In Paris."
    contents = [answer.content for answer in tracer.get_events(LLMResponseTracerEvent)]
    assert contents[:2] == ["In Rome.", "Let me see."]
    assert len({event.run_id for event in tracer.get_events(correlation_id="one")}) == 2


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
    assert kinds(tracer) == [*REQUEST, *END] * 2


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

    assert [event.content for event in tracer.get_events(LLMResponseTracerEvent)] == ["one two"]


def test_the_oldest_events_are_forgotten():
    tracer = TracerSystem(EventStore(max_events=3))

    for number in range(5):
        tracer.record_tool_call("count", {}, number)

    assert [event.result for event in tracer.get_events()] == ["2", "3", "4"]
    assert [event.result for event in tracer.get_last_n_tracer_events(2)] == ["3", "4"]
    assert tracer.get_last_n_tracer_events(0) == []
    assert tracer.get_last_n_tracer_events(2, LLMCallTracerEvent) == []


def test_a_store_that_keeps_nothing_is_refused():
    with pytest.raises(ValueError, match="`max_events` must be at least 1, not 0"):
        EventStore(max_events=0)


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

        def begin(self, _: str) -> Notes:
            return self

        def record(self, happening: object) -> None:
            self.taken.append(happening)

    busy = ProviderUnavailableError("No.")
    busy.retry_after = 0
    gateway, notes = ScriptedGateway([[busy], "Because it is."]), Notes()

    events = events_of(begin(LLMBroker("a-model", gateway, tracer=notes), how, QUESTION))

    assert notes.taken == [gateway.requests[0], *events]


def test_a_retry_is_kept_and_its_time_is_the_requests():
    busy = RateLimitError("Too many.")
    busy.retry_after = 0.02
    asked, tracer = traced([busy], "Yes.")

    asked.generate(QUESTION)

    assert kinds(tracer) == [LLMCallTracerEvent, RetryTracerEvent, LLMResponseTracerEvent, RunTracerEvent]
    _, retry, answer, _ = tracer.get_events()
    assert (retry.model, retry.attempt, retry.delay, retry.reason) == ("a-model", 1, 0.02, "Too many.")
    assert 0.02 <= answer.time_to_first_token <= answer.duration


@pytest.mark.parametrize("how", BOTH)
def test_calls_that_run_together_are_kept_when_they_are_done(how: str):
    """The first call waits for the second, whose result is told in its turn, after the first's."""
    second_is_done = threading.Event()

    def slow(**_):
        assert second_is_done.wait(30)
        return ["slow"]

    tools, script = [], []
    for name, action in {"slow": slow, "quick": lambda **_: Shown("quick")}.items():
        tools.append(Where())
        tools[-1].descriptor = {"type": "function", "function": {"name": name, "parameters": {}}}
        tools[-1].run = action
        script.append(ToolCallEnd(LLMToolCall(id="same", name=name, arguments={})))
    asked, tracer = traced([*script, StepFinish("tool_calls")], "Done.")

    events_of(
        begin(asked, how, QUESTION, tools),
        lambda event: second_is_done.set() if isinstance(event, ToolProgress) else None,
    )

    quick, slow_one = tracer.get_events(ToolCallTracerEvent)
    assert (quick.tool_name, slow_one.tool_name) == ("quick", "slow")
    assert quick.timestamp < slow_one.timestamp
    assert quick.started < slow_one.timestamp
    (batch,) = tracer.get_events(ToolBatchTracerEvent)
    assert (batch.tool_names, batch.success_count) == (("slow", "quick"), 2)
    assert batch.started <= min(quick.started, slow_one.started)


class Shown:
    """Something that a person is shown, which JSON has no way to say."""

    alive: ClassVar = weakref.WeakSet()

    def __init__(self, text: str) -> None:
        self.text = text
        self.alive.add(self)

    def __str__(self) -> str:
        return self.text


def test_what_a_person_is_shown_is_not_held():
    asked, tracer = traced(ROUND, "Done.")
    tool = Where()
    tool.run = lambda **_: ToolOutput("for the model", Shown("held"))

    asked.generate(QUESTION, [tool])
    gc.collect()

    assert [event.result for event in tracer.get_events(ToolCallTracerEvent)] == ["for the model"]
    assert not [shown for shown in Shown.alive if shown.text == "held"]


def test_results_of_another_run_in_a_tools_progress_are_not_this_runs():
    def nested(**_):
        yield ToolResult(LLMToolCall(id="a", name="of another run", arguments={}), "inner")
        return "outer"

    asked, tracer = traced(ROUND, "Done.")
    tool = Where()
    tool.run = nested

    asked.generate(QUESTION, [tool])

    assert [event.result for event in tracer.get_events(ToolCallTracerEvent)] == ["outer"]


def test_a_tool_that_asks_with_the_same_tracer_and_id():
    """Mojentic hands the id down, so that what belongs together can be found."""
    inner, tracer = traced("inner answer")
    outer = LLMBroker("outer-model", ScriptedGateway([ROUND, "outer answer"]), tracer=tracer)
    tool = Where()
    tool.run = lambda **_: inner.generate(QUESTION, correlation_id="one")

    outer.generate(QUESTION, [tool], correlation_id="one")

    told = [(event.model, event.content) for event in tracer.get_events(LLMResponseTracerEvent)]
    assert told == [("outer-model", "Let me see."), ("a-model", "inner answer"), ("outer-model", "outer answer")]
    assert "3 requests, 1 tool call" in tracer.waterfall("one")._timeline.summary()
    assert "2 requests, 1 tool call" in tracer.waterfall()._timeline.summary()


def test_runs_in_several_threads_at_once():
    tracer = TracerSystem()

    def ask(name: str) -> None:
        broker = LLMBroker(name, ScriptedGateway([ROUND, f"I am {name}."] * 20), tracer=tracer)
        for _ in range(20):
            broker.generate(QUESTION, TOOLS, correlation_id="the same for all")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, "abcd"))

    runs = groupby(sorted(tracer.get_events(), key=lambda event: event.run_id), lambda event: event.run_id)
    of_runs = [list(events) for _, events in runs]
    assert len(of_runs) == 80
    for events in of_runs:
        assert [type(event) for event in events] == [*REQUEST, *CALLS, *REQUEST, *END]
        assert events[5].content == f"I am {events[0].model}."


def test_a_tracer_that_is_disabled_keeps_nothing_until_it_is_enabled():
    asked, tracer = traced("one", "two words", "three")
    tracer.disable()

    asked.generate(QUESTION)
    run = asked.stream(QUESTION)
    next(iter(run))
    tracer.enable()
    list(run)

    assert kinds(tracer) == [LLMResponseTracerEvent, RunTracerEvent]
    assert tracer.get_events()[0].content == "two words"
    assert TracerSystem(enabled=False).enabled is False


@pytest.mark.parametrize("how", BOTH)
def test_a_tracer_that_fails_does_not_break_the_run_and_is_heard(how: str):
    def full(_):
        raise OSError("no space left")

    tracer = TracerSystem(EventStore(on_store_callback=full))
    asked = LLMBroker("a-model", ScriptedGateway(["In Paris."]), tracer=tracer)

    with pytest.warns(RuntimeWarning, match="The tracer failed, the run goes on: OSError: no space left"):
        events = events_of(begin(asked, how, QUESTION))

    assert events[-1].finish_reason == "stop"
    assert kinds(tracer) == [*REQUEST, *END]


class Failing:
    """A tracer whose method with that name fails."""

    def __init__(self, method: str) -> None:
        self.failing = method

    def begin(self, _: str) -> Failing:
        return self._called("begin")

    def record(self, _: object) -> None:
        self._called("record")

    @property
    def enter(self) -> object:
        return self._called("enter") and (lambda _: None)

    def record_tool_call(self, *_: object, **__: object) -> None:
        self._called("record_tool_call")

    def _called(self, method: str) -> Failing:
        if method == self.failing:
            raise LookupError(method)
        return self


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("method", ["begin", "record", "enter"])
def test_whatever_of_a_tracer_fails_the_run_goes_on(method: str, how: str):
    asked = LLMBroker("a-model", ScriptedGateway([ROUND, "Sunny."]), tracer=Failing(method))

    with pytest.warns(RuntimeWarning, match=f"The tracer failed, the run goes on: LookupError: {method}"):
        events = events_of(begin(asked, how, QUESTION, TOOLS))

    assert events[-1].finish_reason == "stop"


def test_a_tool_called_without_a_model_returns_its_result_though_its_tracer_fails():
    tool = CurrentDateTimeTool(tracer=Failing("record_tool_call"))

    with pytest.warns(RuntimeWarning, match="The tracer failed, the run goes on: LookupError: record_tool_call"):
        called = tool.call_tool()

    assert called["content"][0]["text"]


@pytest.mark.parametrize("tracer", ["yes", TracerSystem])
def test_what_is_no_tracer_is_refused(tracer):
    with pytest.raises(TypeError, match=r"isn't a tracer\. Pass a mojentic_nb.tracer.TracerSystem\(\), or None"):
        LLMBroker("a-model", ScriptedGateway([]), tracer=tracer)


@pytest.mark.parametrize(
    "said", ["Illegal header value b'Bearer sk-abcdef123456'", "key sk-abcdef123456 refused", "API_KEY=abcdef123456"]
)
def test_a_key_that_an_error_quotes_is_not_kept(said: str):
    busy = ProviderUnavailableError(said)
    busy.retry_after = 0
    asked, tracer = traced([busy], [ValueError(said)])

    with pytest.raises(ValueError, match="abcdef"):
        asked.generate(QUESTION)

    assert len(tracer.get_events(RetryTracerEvent)) == 1
    assert "abcdef" not in repr(tracer.get_events())


@pytest.mark.parametrize(
    "step",
    [
        [TextDelta("a"), TextDelta("b"), StepFinish("stop")],
        [ReasoningDelta("a"), TextDelta("b"), StepFinish("stop")],
        [ToolCallStart("a", "where"), ToolCallDelta("a", "{}"), ToolCallEnd(CALL), StepFinish("tool_calls")],
        [ToolCallDelta("a", "{}"), ToolCallEnd(CALL), StepFinish("tool_calls")],
    ],
)
def test_the_first_token_is_the_first_piece_of_any_kind(step: list, monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(
        "mojentic_nb.tracer.recorder.time", SimpleNamespace(time=time.time, perf_counter=lambda: now[0])
    )

    class Slow:
        def stream(self, _):
            for event in step:
                now[0] += 1
                yield event

    tracer = TracerSystem()
    for event in LLMBroker("a-model", Slow(), tracer=tracer).stream(QUESTION):
        if isinstance(event, StepFinish):
            break

    (response,) = tracer.get_events(LLMResponseTracerEvent)
    assert (response.time_to_first_token, response.duration) == (1, len(step))


def test_a_run_that_is_cancelled_before_it_asks():
    asked, tracer = traced("one")
    run = asked.stream(QUESTION)
    run.cancel()

    list(run)

    (end,) = tracer.get_events()
    assert (type(end), end.finish_reason, end.duration) == (RunTracerEvent, "cancelled", 0)


def test_think_tags_are_traced_as_they_turn_out():
    asked, tracer = traced([TextDelta("<think>Hm.</think>Paris"), StepFinish("stop")])

    asked.generate(QUESTION, config=CompletionConfig(think_tags=True))

    answer = tracer.get_events(LLMResponseTracerEvent)[0]
    assert (answer.reasoning, answer.content) == ("Hm.", "Paris")


def test_pieces_of_calls_are_an_answers_first_token():
    pieces = [ToolCallStart("a", "where"), ToolCallDelta("a", "{}"), ToolCallEnd(CALL)]
    asked, tracer = traced([*pieces, StepFinish("tool_calls")], [StepFinish("stop")])

    asked.generate(QUESTION, TOOLS)

    first, second = tracer.get_events(LLMResponseTracerEvent)
    assert first.time_to_first_token is not None
    assert second.time_to_first_token is None


@pytest.mark.parametrize(
    ("first", "duration", "count", "speed"),
    [(0.5, 1.5, 11, 10), (None, 1.5, 11, None), (0.5, 1.5, 1, None), (0.5, 0.501, 11, None)],
    ids=["streamed", "nothing came", "one token", "in one piece"],
)
def test_tokens_per_second(first: float | None, duration: float, count: int, speed: float | None):
    answer = LLMResponseTracerEvent(
        0, model="m", duration=duration, time_to_first_token=first, usage=Usage(output_tokens=count)
    )

    assert answer.tokens_per_second == (speed and pytest.approx(speed))
    assert answer.call_duration_ms == duration * 1000
