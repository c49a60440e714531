"""An answer without end: it is cut off, with what had arrived, and the server is left at once."""

from __future__ import annotations

from itertools import count, repeat
from pathlib import Path

import pytest
from driving import BOTH, begin, events_of
from loopback import Hold, Loopback, Reply
from providers_on_wire import PROVIDERS, QUESTION, Provider

from mojentic_nb.llm import (
    CompletionConfig,
    Event,
    Finish,
    LLMBroker,
    ReasoningDelta,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)
from mojentic_nb.llm.gateways import RecordingGateway, ReplayGateway, ScriptedGateway
from mojentic_nb.llm.gateways.replay.recordings import TimedEvent, describe_answer, read_answer
from mojentic_nb.llm.redaction import Redaction
from mojentic_nb.llm.request import Gateway

SAID = {
    "text": lambda: repeat(TextDelta("four")),
    "reasoning": lambda: repeat(ReasoningDelta("four")),
    "arguments": lambda: (ToolCallDelta("1", "four") if number else ToolCallStart("1", "f") for number in count()),
}


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("kind", SAID)
def test_what_is_said_without_end_is_cut_off_and_kept(kind: str, how: str):
    run = begin(
        LLMBroker("m", ScriptedGateway([SAID[kind]()])), how, QUESTION, config=CompletionConfig(max_answer_chars=10)
    )

    events = events_of(run)

    assert "".join(getattr(event, "delta", "") for event in events) == "fourfourfour"
    assert events[-2:] == [
        StepFinish("length", limit="max_answer_chars"),
        Finish("length", limit="max_answer_chars"),
    ]
    assert run.finish_reason == "length"
    if kind == "text":
        assert run.messages[-1].content == "fourfourfour"


def test_think_tags_are_cut_off_too():
    config = CompletionConfig(max_answer_chars=10, think_tags=True)
    run = LLMBroker("m", ScriptedGateway([repeat(TextDelta("<think>a</think>b"))])).stream(QUESTION, config=config)

    assert list(run)[-1].limit == "max_answer_chars"
    assert (run.messages[-1].thinking, run.messages[-1].content) == ("a", "b")


def test_an_answer_that_fits_is_whole():
    """To the last character; the limits are of each request, and None is none."""
    for limit in (20, None):
        config = CompletionConfig(max_answer_chars=limit, max_stream_bytes=None)
        events = list(LLMBroker("m", ScriptedGateway(["x" * 20])).stream(QUESTION, config=config))

        assert events[-1] == Finish("stop", events[-1].usage)


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_response_without_end_is_cut_off(server: Loopback, name: str, how: str):
    """Whatever it says: here nothing but what holds the line."""
    provider: Provider = PROVIDERS[name]
    filler, hold = b"\n" * 1_000, Hold()
    server.play(Reply([provider.piece("So"), *[filler] * 20, hold]))
    run = begin(
        LLMBroker("m", provider.gateway(server.url)), how, QUESTION, config=CompletionConfig(max_stream_bytes=10_000)
    )

    events = events_of(run)

    assert events[-2:] == [StepFinish("length", limit="max_stream_bytes"), Finish("length", limit="max_stream_bytes")]
    assert run.messages[-1].content == "So"
    assert server.hung_up.wait(30)


def test_a_recording_remembers_what_cut_its_answer_off():
    event = StepFinish("length", limit="max_stream_bytes")

    lines, ms = describe_answer([TimedEvent(0, event)], 0, Redaction.of(()))

    assert [timed.event for timed in read_answer(lines, ms)] == [event]


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("kind", SAID)
def test_an_answer_that_is_cut_off_is_recorded_as_far_as_it_came(tmp_path: Path, kind: str, how: str):
    """And ends so also where the recording is played with a higher limit."""
    path = tmp_path / "cut.json"

    def play(gateway: Gateway, limit: int) -> tuple[str, Event]:
        config = CompletionConfig(max_answer_chars=limit)
        events = events_of(begin(LLMBroker("m", gateway), how, QUESTION, config=config))
        return "".join(getattr(event, "delta", "") for event in events), events[-1]

    recorded = play(RecordingGateway(ScriptedGateway([SAID[kind]()]), path), 10)

    assert recorded == ("fourfourfour", Finish("length", limit="max_answer_chars"))
    assert play(ReplayGateway(path), 10) == play(ReplayGateway(path), 100) == recorded
