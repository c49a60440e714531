"""What a request took, where its provider reported it and where it didn't."""

from __future__ import annotations

from contextlib import suppress

import pytest
from driving import BOTH, begin, events_of
from loopback import Cut, Hold, Loopback, Reply, chunk, sse
from providers_on_wire import PROVIDERS, QUESTION
from providers_on_wire import event as openai_event
from pydantic import BaseModel
from weather import Weather

from mojentic_nb.llm import (
    CompletionConfig,
    LLMBroker,
    LLMError,
    LLMMessage,
    ReasoningDelta,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
)
from mojentic_nb.llm.errors import IncompleteStreamError
from mojentic_nb.llm.request import Request
from mojentic_nb.llm.request_usage import RequestUsage


class City(BaseModel):
    name: str


MESSAGES = (LLMMessage(content="x" * 400),)  # 100 tokens, and 4 for the message
BARE = Request("m", MESSAGES)


def fed(*events: object) -> RequestUsage:
    """What a bare request took, after these events."""
    followed = RequestUsage(BARE)
    for event in events:
        followed.feed(event)
    return followed


def test_what_the_provider_reports_counts():
    followed = fed(TextDelta("Hello"), StepFinish("stop", Usage(7, 2, 1)))

    assert (followed.usage, followed.estimated) == (Usage(7, 2, 1), False)


@pytest.mark.parametrize("end", [[], [StepFinish("stop")]], ids=["interrupted", "not reported"])
def test_all_that_has_arrived_is_estimated(end: list[StepFinish]):
    """A token for 4 bytes: text, reasoning, and arguments of calls."""
    pieces = [ReasoningDelta("Hm, hm."), TextDelta("Grüße"), ToolCallStart("a", "look"), ToolCallDelta("a", '{"a":')]

    followed = fed(*pieces, *end)

    assert (followed.usage, followed.estimated, followed.begun) == (Usage(104, 5), True, True)


def test_what_was_sent_is_estimated_with_tools_and_schema():
    bare = RequestUsage(BARE)
    whole = RequestUsage(Request("m", MESSAGES, tools=(Weather(),), object_model=City))

    assert (bare.usage, bare.begun) == (Usage(104, 0), False)
    assert whole.usage.input_tokens > 104 + 40


def test_what_was_reported_before_the_end_counts():
    """The rest is estimated: the first event of Claude's knows what was read, but not what will be written."""
    request = Request("m", MESSAGES)
    followed = RequestUsage(request)
    request.tally.usage = Usage(90, 1, 30)
    followed.feed(TextDelta("x" * 40))

    assert (followed.usage, followed.estimated) == (Usage(90, 10, 30), True)


GROWING = {**chunk("Because"), "usage": {"prompt_tokens": 25, "completion_tokens": 2}}
REPORTS = {
    "chat": openai_event(GROWING),
    "a choice's": openai_event({"choices": [{**chunk("Because")["choices"][0], "usage": GROWING["usage"]}]}),
}


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("said", REPORTS.values(), ids=REPORTS)
@pytest.mark.parametrize("end", ["cancelled", "cut off", "broke off"])
def test_a_server_that_reports_on_the_way_is_believed(server: Loopback, said: bytes, how: str, end: str):
    """As vLLM, xAI and Moonshot may do; an answer that stops before its end has been paid for."""
    server.play(Reply([said, Cut() if end == "broke off" else Hold()]))
    config = CompletionConfig(max_answer_chars=3 if end == "cut off" else None)
    run = begin(LLMBroker("m", PROVIDERS["chat"].gateway(server.url)), how, QUESTION, config=config)

    with suppress(IncompleteStreamError):
        events_of(run, lambda _: run.cancel() if end == "cancelled" else None)

    assert run.usage == Usage(25, 2)


@pytest.mark.parametrize("how", BOTH)
def test_a_response_that_failed_may_have_been_paid_for(server: Loopback, how: str):
    failed = {"status": "failed", "error": {"code": "server_error", "message": "no"}, "usage": {"input_tokens": 7}}
    said = {"type": "response.output_text.delta", "delta": "Be"}
    server.play(Reply([sse(said, {"type": "response.failed", "response": failed}, done=False)]))
    run = begin(LLMBroker("m", PROVIDERS["responses"].gateway(server.url)), how, QUESTION)

    with pytest.raises(LLMError):
        events_of(run)

    assert run.usage == Usage(7)
