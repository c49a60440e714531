"""What a transcript makes of a run, and what it tells a view of it."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from display.runs import runs
from display.views import Clock, applied, transcript_of
from fuzzing import examples
from grammar import assert_run
from hypothesis import given
from hypothesis import strategies as st

from mojentic_nb.display.blocks import merge
from mojentic_nb.display.transcript import Transcript
from mojentic_nb.llm import (
    Event,
    Finish,
    LLMBroker,
    LLMError,
    LLMMessage,
    LLMToolCall,
    Notice,
    ReasoningDelta,
    Retry,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolProgress,
    ToolResult,
    Usage,
)
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.llm.tools import LLMTool

WEATHER = LLMToolCall(id="1", name="weather", arguments={"city": "Paris", "days": 3})
OTHER = LLMToolCall(id="2", name="clock", arguments={})
ENDED = {"done", "failed", "denied", "timed_out", "cancelled"}


def begun(*calls: LLMToolCall) -> list[Event]:
    """A step that calls tools."""
    events: list[Event] = [ToolCallStart(call.id, call.name) for call in calls]
    return [*events, *map(ToolCallEnd, calls), StepFinish("tool_calls")]


def blocks(*events: Event) -> list[dict]:
    return transcript_of(events).state()["blocks"]


def kinds(*events: Event) -> list[tuple[str, str]]:
    return [(block["kind"], block.get("text", block.get("name"))) for block in blocks(*events)]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], []),
        ([TextDelta("Hel"), TextDelta(""), TextDelta("lo")], [("text", "Hello")]),
        ([ReasoningDelta("h"), ReasoningDelta("m"), TextDelta("Hi")], [("reasoning", "hm"), ("text", "Hi")]),
        ([ReasoningDelta("", {"signature": "x"})], []),
        ([TextDelta("a"), ReasoningDelta(""), TextDelta("b")], [("text", "ab")]),
        ([TextDelta("a"), ToolCallStart("1", "f"), TextDelta("b")], [("text", "a"), ("tool", "f"), ("text", "b")]),
        (
            [Retry(1, 1.5, "Too many requests."), TextDelta("a")],
            [("notice", "Too many requests. Trying again in 1.5 s (retry 1)."), ("text", "a")],
        ),
        ([Retry(2, 1.5, "It said: Overloaded")], [("notice", "It said: Overloaded. Trying again in 1.5 s (retry 2).")]),
        (
            [TextDelta("a"), Retry(1, 0.0, "No object."), TextDelta("b")],
            [("text", "a"), ("notice", "No object. Trying again (retry 1)."), ("text", "b")],
        ),
        ([Notice("An image was left out."), TextDelta("a")], [("notice", "An image was left out."), ("text", "a")]),
        (
            [TextDelta("a"), Finish("length")],
            [("text", "a"), ("notice", "The answer was cut off at max_tokens. Raise it for the rest.")],
        ),
        ([TextDelta("a"), Finish("stop")], [("text", "a")]),
        ([TextDelta("\ud83d\ude00 \ud800"), TextDelta("\udc00")], [("text", "😀 ��")]),
    ],
)
def test_text_is_in_blocks_by_what_comes_between(events: list[Event], expected: list[tuple[str, str]]):
    assert kinds(*events) == expected


def test_reasoning_lasts_until_something_else_comes():
    clock = Clock()
    transcript = Transcript("model", clock)
    clock.now += 1
    transcript.feed(ReasoningDelta("hm"))
    clock.now += 2.5
    assert transcript.state()["blocks"][0]["seconds"] is None

    ops = transcript.feed(TextDelta("Hi"))

    assert ["set", 0, {"seconds": 2.5}] in ops
    assert transcript.state()["blocks"][0]["started"] == 1


@pytest.mark.parametrize("after", [Retry(1, 0.0, "No."), StepFinish("stop")])
def test_reasoning_ends_with_a_notice_and_with_its_step(after: Event):
    [block, *_] = blocks(ReasoningDelta("hm"), after)

    assert block["seconds"] == 0


def test_arguments_grow_and_are_summed_up_in_the_end():
    transcript = Transcript("model", Clock())

    transcript.feed(ToolCallStart("1", "weather"))
    ops = [
        *transcript.feed(ToolCallDelta("1", '{"city": ')),
        *transcript.feed(ToolCallDelta("1", '"Paris", "days": 3}')),
    ]
    assert merge(ops) == [["append", 0, "arguments", '{"city": "Paris", "days": 3}']]
    assert transcript.state()["blocks"][0]["state"] == "streaming"

    transcript.feed(ToolCallEnd(WEATHER))
    block = transcript.state()["blocks"][0]
    assert (block["state"], block["summary"]) == ("waiting", 'city="Paris", days=3')


def test_arguments_that_came_at_once_are_there_as_well():
    [block] = blocks(ToolCallStart("1", "weather"), ToolCallEnd(WEATHER))

    assert json.loads(block["arguments"]) == WEATHER.arguments


def test_calls_of_a_step_run_from_its_end_on_and_end_when_they_do():
    clock = Clock()
    transcript = Transcript("model", clock)
    clock.now += 2
    for event in begun(WEATHER, OTHER):
        transcript.feed(event)
    assert [(block["state"], block["started"]) for block in transcript.state()["blocks"]] == [("running", 2)] * 2
    assert transcript.state()["status"]["state"] == "tools"
    late = ToolResult(OTHER, "12:00", duration=0.1234)

    early = transcript.feed(ToolProgress("2", late))
    assert early[0][:2] == ["set", 1]
    assert early[0][2] | {"display": None} == {"state": "done", "seconds": 0.123, "display": None}
    assert transcript.feed(ToolResult(WEATHER, "sunny"))[-1][1]["state"] == "waiting"
    assert transcript.feed(late) == []


@pytest.mark.parametrize("outcome", sorted(ENDED))
def test_a_call_ends_as_its_result_says(outcome: str):
    [block] = blocks(*begun(WEATHER), ToolResult(WEATHER, "no", is_error=outcome != "done", outcome=outcome))

    assert block["state"] == outcome
    assert block["error"] == (None if outcome == "done" else {"type": "", "message": "no", "traceback": None})


def test_what_the_model_was_told_is_bounded():
    [block] = blocks(*begun(WEATHER), ToolResult(WEATHER, "x" * 30_000, display="short"))

    assert block["output"].endswith("x\n… (10,000 more characters)")


def test_progress_is_told():
    [block] = blocks(*begun(WEATHER), ToolProgress("1", "half"), ToolProgress("1", {"done": 3}))

    assert block["progress"] == '{"done": 3}'


def test_what_stays_the_same_is_not_told_again():
    transcript = transcript_of([*begun(WEATHER), ToolProgress("1", "half")])

    assert transcript.feed(ToolProgress("1", "half")) == []


def test_a_tool_that_asks_a_model_has_that_run_in_its_card():
    """The inner run's own calls are known apart, also by the same id, and end with it."""
    inner = LLMToolCall(id="1", name="search", arguments={})
    within = [TextDelta("Let me see."), *begun(inner), ToolProgress("1", TextDelta("deeper"))]

    found = blocks(
        *begun(WEATHER), *(ToolProgress("1", event) for event in within), ToolResult(WEATHER, "sunny"), TextDelta("So.")
    )

    told = [(block["kind"], block["parent"], block.get("text", block.get("state"))) for block in found]
    assert told == [
        ("tool", None, "done"),
        ("text", 0, "Let me see."),
        ("tool", 0, "cancelled"),
        ("text", 2, "deeper"),
        ("text", None, "So."),
    ]


def test_what_a_tool_reports_after_its_end_is_not_told():
    events = [*begun(WEATHER), ToolResult(WEATHER, "late", is_error=True, outcome="timed_out")]
    transcript = transcript_of(events)

    assert transcript.feed(ToolProgress("1", "half")) == []
    assert transcript.feed(ToolProgress("1", ToolCallStart("1", "inner"))) == []


def test_an_inner_result_is_the_inner_calls():
    inner = LLMToolCall(id="1", name="weather", arguments=WEATHER.arguments)
    events = [*begun(inner), ToolResult(inner, "rain"), Finish("length")]

    found = blocks(*begun(WEATHER), *(ToolProgress("1", event) for event in events))

    assert [block.get("state") for block in found] == ["running", "done", None]
    assert (found[2]["kind"], found[2]["parent"]) == ("notice", 0)


def test_approval_is_asked_and_given():
    transcript = transcript_of(begun(WEATHER))

    assert transcript.card(WEATHER) == (0, [])
    assert transcript.approval(0, pending=True) == [["set", 0, {"state": "approval"}]]
    assert transcript.approval(0, pending=False) == [["set", 0, {"state": "running"}]]
    transcript.feed(ToolResult(WEATHER, "sunny"))
    assert transcript.card(WEATHER) == (None, [])
    assert transcript.approval(0, pending=True) == []
    transcript.stop()
    assert transcript.card(OTHER) == (None, [])


def test_a_question_shows_the_arguments_that_the_tool_gets():
    """Not those of the pieces, which a recording may have from elsewhere, nor those that the model left out."""
    events = [ToolCallStart("1", "weather"), ToolCallDelta("1", '{"city": "London", "days": 3}'), ToolCallEnd(WEATHER)]
    transcript = transcript_of([*events, StepFinish("tool_calls")])
    assert json.loads(transcript.state()["blocks"][0]["arguments"]) == WEATHER.arguments

    index, ops = transcript.card(WEATHER.with_checked({**WEATHER.arguments, "unit": "°C"}))
    ops += transcript.approval(index, pending=True)

    arguments = '{"city": "Paris", "days": 3, "unit": "°C"}'
    summary = 'city="Paris", days=3, unit="°C"'
    assert merge(ops) == [["set", 0, {"arguments": arguments, "summary": summary, "state": "approval"}]]
    assert transcript.state()["blocks"][0]["arguments"] == arguments


@pytest.mark.parametrize(
    ("streamed", "shown"),
    [
        ('{"city":"Paris","days":3}', '{"city":"Paris","days":3}'),
        ('{"city": "London", "city": "Paris", "days": 3}', '{"city": "Paris", "days": 3}'),
        ('{"city": "Paris", "days": 3.0}', '{"city": "Paris", "days": 3}'),
        ("[" * 100_000, '{"city": "Paris", "days": 3}'),
    ],
)
def test_arguments_stay_as_they_came_if_they_say_what_the_call_does(streamed: str, shown: str):
    [block] = blocks(ToolCallStart("1", "weather"), ToolCallDelta("1", streamed), ToolCallEnd(WEATHER))

    assert block["arguments"] == shown


def test_arguments_that_can_not_be_read_stay_as_they_came():
    broken = LLMToolCall(id="1", name="weather", arguments={}, error="The arguments aren't JSON.")

    [block] = blocks(ToolCallStart("1", "weather"), ToolCallDelta("1", '{"city": '), ToolCallEnd(broken))

    assert block["arguments"] == '{"city": '


def test_two_calls_of_one_id_have_a_card_each():
    first, second = (LLMToolCall(id="1", name="weather", arguments={"city": city}) for city in ("Paris", "Rome"))
    pieces = [[ToolCallStart("1", "weather"), ToolCallDelta("1", call.json_arguments())] for call in (first, second)]
    transcript = transcript_of([*pieces[0], *pieces[1], ToolCallEnd(first), ToolCallEnd(second)])
    transcript.feed(StepFinish("tool_calls"))

    assert [transcript.card(second)[0], transcript.card(first)[0]] == [1, 0]
    transcript.feed(ToolProgress("1", "half", second))
    transcript.feed(ToolProgress("1", ToolResult(second, "rain"), second))
    transcript.feed(ToolResult(first, "sun"))

    told = [
        (block["summary"], block["progress"], block["display"][0]["text"]) for block in transcript.state()["blocks"]
    ]
    assert told == [('city="Paris"', None, "sun"), ('city="Rome"', "half", "rain")]


def test_a_call_of_an_inner_run_has_a_card_in_its_tools_card():
    """Also where the tool keeps its run for itself; if it tells of it later, that is the same card."""
    inner = LLMToolCall(id="1", name="delete", arguments={"path": "/x"})
    deeper = LLMToolCall(id="1", name="erase", arguments={})
    lost = LLMToolCall(id="1", name="lost", arguments={})
    transcript = transcript_of(begun(WEATHER))

    index, _ = transcript.card(inner, WEATHER)
    transcript.approval(index, pending=True)
    for event in (ToolCallStart("1", "delete"), ToolCallDelta("1", '{"path":'), ToolCallEnd(inner)):
        transcript.feed(ToolProgress("1", event, WEATHER))
    transcript.approval(index, pending=False)
    transcript.approval(transcript.card(deeper, inner)[0], pending=True)
    transcript.card(lost, LLMToolCall(name="elsewhere", arguments={}))
    transcript.feed(ToolProgress("1", ToolResult(inner, "gone"), WEATHER))

    found = [
        (block["name"], block["parent"], block["arguments"], block["state"]) for block in transcript.state()["blocks"]
    ]
    assert found == [
        ("weather", None, '{"city": "Paris", "days": 3}', "running"),
        ("delete", 0, '{"path": "/x"}', "done"),
        ("erase", 1, "{}", "cancelled"),
        ("lost", None, "{}", "waiting"),
    ]
    assert transcript.card(deeper, inner) == (None, [])


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (LLMError("The key was refused: set another."), "The key was refused: set another."),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_an_error_ends_it_all(error: BaseException, text: str):
    transcript = transcript_of([ReasoningDelta("hm"), *begun(WEATHER)])

    transcript.fail(error)

    state = transcript.state()
    assert [block.get("state") for block in state["blocks"]] == [None, "cancelled", None]
    assert state["blocks"][2] == {"kind": "notice", "parent": None, "level": "error", "text": text}
    assert (state["status"]["state"], state["status"]["finish"]) == ("failed", "failed")
    assert (
        transcript.notice("info", "late")
        == transcript.fail(error)
        == transcript.stop()
        == transcript.feed(TextDelta("more"))
        == []
    )


def test_long_notices_are_cut_with_a_word_on_it():
    transcript = transcript_of([])

    transcript.notice("info", "x" * 30_000)
    transcript.fail(ValueError("x" * 30_000))

    for block in transcript.state()["blocks"]:
        assert block["text"].endswith("more characters)")


def test_a_stop_ends_it_all():
    transcript = transcript_of([TextDelta("a"), TextDelta("b"), ToolCallStart("1", "weather")])

    transcript.stop()

    state = transcript.state()
    assert state["blocks"][1]["state"] == "cancelled"
    assert (state["status"]["state"], state["status"]["finish"]) == ("stopped", "stopped after 2 tokens")
    assert transcript.feed(Finish("cancelled")) == []


def test_what_a_gateway_says_out_of_order_is_shown_all_the_same():
    events = [ToolCallDelta("9", "{}"), ToolProgress("8", "half"), ToolResult(OTHER, "12:00"), ToolCallEnd(WEATHER)]

    assert [(block["id"], block["name"], block["state"]) for block in blocks(*events)] == [
        ("9", "", "streaming"),
        ("8", "", "streaming"),
        ("2", "clock", "done"),
        ("1", "weather", "waiting"),
    ]


def test_what_is_no_event_changes_nothing():
    transcript = transcript_of([TextDelta("a")])

    assert transcript.feed(object()) == []
    assert transcript.feed(ToolCallDelta("1", ""))[0][2]["arguments"] == ""


def test_an_id_that_is_used_again_is_another_call():
    again = LLMToolCall(id="1", name="weather", arguments={})

    found = blocks(*begun(WEATHER), ToolResult(WEATHER, "sunny"), *begun(again), ToolCallStart("1", "third"))

    assert [block["state"] for block in found] == ["done", "cancelled", "streaming"]


# the status


def test_the_status_counts_pieces_until_the_provider_counts_tokens():
    clock = Clock()
    transcript = Transcript("gpt", clock)
    assert transcript.state()["status"]["state"] == "waiting"

    clock.now += 0.5
    transcript.feed(TextDelta("a"))
    for _ in range(4):
        clock.now += 0.25
        transcript.feed(TextDelta("b"))
    status = transcript.state()["status"]
    assert (status["state"], status["output_tokens"], status["chunks"]) == ("streaming", 5, 5)
    assert (status["first_token_seconds"], status["seconds"], status["tokens_per_second"]) == (0.5, 1.5, 5)

    transcript.feed(StepFinish("stop", Usage(7, 10, 3, 2)))
    clock.now += 5
    transcript.feed(Finish("stop", Usage(7, 10, 3, 2)))
    assert transcript.state()["status"] == {
        "model": "gpt",
        "state": "done",
        "input_tokens": 7,
        "output_tokens": 10,
        "cached_tokens": 3,
        "reasoning_tokens": 2,
        "estimated": False,
        "chunks": 5,
        "seconds": 6.5,
        "first_token_seconds": 0.5,
        "tokens_per_second": 10,
        "finish": "",
    }


@pytest.mark.parametrize("first", [ToolCallStart("1", "weather"), ToolCallEnd(WEATHER)])
def test_a_call_is_a_first_token(first: Event):
    clock = Clock()
    transcript = Transcript("model", clock)
    for event in (first, StepFinish("tool_calls"), TextDelta("a")):
        clock.now += 1
        transcript.feed(event)

    assert transcript.state()["status"]["first_token_seconds"] == 1


def test_an_answer_at_once_has_no_rate():
    status = transcript_of([*begun(WEATHER), ToolResult(WEATHER, ""), TextDelta("a"), Finish("stop")]).state()["status"]

    assert (status["first_token_seconds"], status["tokens_per_second"], status["chunks"]) == (0, None, 1)


def test_numbers_that_only_grow_are_told_four_times_a_second():
    clock = Clock()
    transcript = Transcript("model", clock)
    told = 0
    for _ in range(100):
        clock.now += 0.01
        told += sum(op[0] == "status" for op in transcript.feed(TextDelta("a")))

    assert 4 <= told <= 5


@pytest.mark.parametrize(
    ("reason", "state", "words"),
    [
        ("stop", "done", ""),
        ("length", "done", "cut off at max_tokens"),
        ("content_filter", "done", "ended by the content filter"),
        ("cancelled", "stopped", "stopped after 1 token"),
    ],
)
def test_how_it_ended_is_told_in_words(reason: str, state: str, words: str):
    status = transcript_of([TextDelta("a"), Finish(reason)]).state()["status"]

    assert (status["state"], status["finish"]) == (state, words)


def test_a_retry_waits_again():
    transcript = transcript_of([*begun(WEATHER), ToolResult(WEATHER, "sunny"), Retry(1, 1, "Busy.")])

    assert transcript.state()["status"]["state"] == "waiting"


# the wire


def test_operations_are_merged_where_nothing_is_lost():
    ops = [
        ["block", 0, {"kind": "text", "text": "a"}],
        ["status", {"chunks": 1, "state": "streaming"}],
        ["append", 0, "text", "b"],
        ["status", {"chunks": 2}],
        ["append", 0, "text", "c"],
        ["set", 1, {"a": 1, "b": 1}],
        ["set", 1, {"b": 2}],
        ["append", 1, "arguments", "d"],
        ["append", 0, "text", "e"],
    ]
    before = json.dumps(ops)

    assert merge(ops) == [
        ["block", 0, {"kind": "text", "text": "a"}],
        ["append", 0, "text", "bc"],
        ["set", 1, {"a": 1, "b": 2}],
        ["append", 1, "arguments", "d"],
        ["append", 0, "text", "e"],
        ["status", {"chunks": 2, "state": "streaming"}],
    ]
    assert json.dumps(ops) == before
    assert merge([]) == []


@given(runs())
@examples(50)
def test_the_runs_that_are_tried_are_such_as_there_are(run: list[Event]):
    assert_run(run)


@given(runs(), st.integers(0, 60), st.sampled_from(["fail", "stop", ""]))
@examples(150)
def test_a_view_that_applies_all_operations_has_the_state(run: list[Event], length: int, ending: str):
    """Also of a run that breaks off, of merged operations, and when it begins with a snapshot in the middle."""
    transcript = Transcript("model", Clock())
    ops, snapshots = [], []
    for event in run[:length]:
        snapshots.append((len(ops), json.dumps(transcript.state())))
        ops += transcript.feed(event)
    if ending:
        ops += transcript.fail(ValueError("x")) if ending == "fail" else transcript.stop()
    state = transcript.state()

    told = json.loads(json.dumps(ops))
    assert json.loads(json.dumps(state)) == state
    for end in {len(told), len(told) // 2}:
        assert applied(merge(told[:end]) + merge(told[end:])) == (state if ops else applied([]))
    for seen, snapshot in snapshots[:: max(1, len(snapshots) // 5)]:
        assert applied(told[seen:], json.loads(snapshot)) == state
    if ending or run[:length][-1:] == run[-1:]:
        assert all(block["state"] in ENDED for block in state["blocks"] if block["kind"] == "tool")
        assert all(block["seconds"] is not None for block in state["blocks"] if block["kind"] == "reasoning")


@given(runs())
@examples(100)
def test_no_text_is_lost_or_told_twice(run: list[Event]):
    """Nor do two texts of one run follow each other, but where a step of the model's lies between."""
    text = "".join(event.delta for event in run if isinstance(event, TextDelta))

    transcript = Transcript("model", Clock())
    ops = [op for event in run for op in transcript.feed(event)]

    state = transcript.state()
    assert (
        "".join(block["text"] for block in state["blocks"] if block["kind"] == "text" and block["parent"] is None)
        == text
    )
    told = [op[2]["text"] if op[0] == "block" else op[3] for op in ops if is_answer(op, state["blocks"])]
    assert "".join(told) == text
    pairs = [pair for pair in pairwise(state["blocks"]) if pair[0]["kind"] == pair[1]["kind"] == "text"]
    happened = [getattr(event, "value", event) for event in run]  # an inner run's events are a tool's progress
    steps = [event for event in happened if isinstance(event, StepFinish)]
    assert len([pair for pair in pairs if pair[0]["parent"] == pair[1]["parent"]]) < max(1, len(steps))


def is_answer(op: list, found: list[dict]) -> bool:
    """Whether it brings text of the answer."""
    if op[0] not in ("block", "append"):
        return False
    return found[op[1]]["kind"] == "text" and found[op[1]]["parent"] is None


class Weather(LLMTool):
    """Tells the weather, and how far it is with it."""

    @property
    def descriptor(self) -> dict:
        return {"type": "function", "function": {"name": "weather", "parameters": {}}}

    def run(self, city: str, days: int):
        yield f"asking {city}"
        return {"city": city, "high": [21] * days}


def test_a_real_run_with_a_real_tool_is_folded():
    called = [ToolCallStart("1", "weather"), ToolCallEnd(WEATHER), StepFinish("tool_calls")]
    run = LLMBroker("model", ScriptedGateway([called, "It is sunny."])).stream([LLMMessage(content="?")], [Weather()])
    transcript = Transcript("model")

    ops = [op for event in run for op in transcript.feed(event)]

    assert applied(ops) == transcript.state()
    [call, answer] = transcript.state()["blocks"]
    assert (call["state"], call["progress"], call["output"]) == ("done", "asking Paris", None)
    assert json.loads(call["display"][0]["text"]) == {"city": "Paris", "high": [21, 21, 21]}
    assert answer["text"] == "It is sunny."
