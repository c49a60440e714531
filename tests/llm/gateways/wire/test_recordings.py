"""What providers were recorded to send: read however it is split, and led again with our own requests."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from driving import events_of
from events import merged, text_of
from grammar import assert_run, assert_step
from loopback import PATIENCE, Loopback, Reply, sse
from recordings import Exchange, recorded, requests_of, said_in, shared_recordings, tools_in

from mojentic_nb.llm import CompletionConfig, Finish, LLMBroker, LLMMessage, LLMToolCall, MessageRole, Usage
from mojentic_nb.llm.conversation import Conversation
from mojentic_nb.llm.events import Event, ReasoningDelta, StepFinish, ToolCallDelta, ToolCallEnd, ToolProgress
from mojentic_nb.llm.gateways import AnthropicGateway, OpenAIGateway
from mojentic_nb.llm.gateways.wire.anthropic_messages import MessagesDecoder
from mojentic_nb.llm.gateways.wire.chat_completions import ChatDecoder
from mojentic_nb.llm.gateways.wire.decoding import Decoder, decode_chunks
from mojentic_nb.llm.gateways.wire.responses import ResponsesDecoder

KEY = "sk-secret-of-the-test"


@dataclass(frozen=True)
class Answer:
    """What one response says, as read off the recording by eye."""

    end: StepFinish
    text: str = ""
    reasoning: str = ""
    calls: tuple[LLMToolCall, ...] = ()


def said(text: str, *tokens: int, reasoning: str = "") -> Answer:
    """A text; `tokens` are those of the Usage."""
    return Answer(StepFinish("stop", Usage(*tokens)), text, reasoning)


def called(call_id: str, name: str, *tokens: int, reasoning: str = "") -> Answer:
    """The call of a tool without arguments."""
    return Answer(StepFinish("tool_calls", Usage(*tokens)), "", reasoning, (call(call_id, name),))


def call(call_id: str, name: str, **arguments: str) -> LLMToolCall:
    return LLMToolCall(id=call_id, name=name, arguments=arguments)


APPLES = '{"title":"Apples are tasty","author":"Hadley Wickham"}'
CROSSING = """\
Here are the basic steps for safely crossing the street:

**At intersections with traffic lights:**
- Wait for the pedestrian "Walk" signal
- Look both ways before stepping into the street
- Make eye contact with drivers when possible
- Stay alert for turning vehicles

**At intersections without signals:**
- Use crosswalks when available
- Stop at the curb and look left, right, then left again
- Wait for a clear gap in traffic
- Walk briskly but don't run
- Keep looking for traffic as you cross

**General safety tips:**
- Put away phones and remove headphones
- Wear bright or reflective clothing in low light
- Never assume drivers see you
- Avoid crossing between parked cars
- Walk facing traffic when there's no sidewalk

**In busy urban areas:**
- Follow pedestrian signals strictly
- Be extra cautious of cyclists in bike lanes
- Watch for buses and large vehicles with blind spots

The key is to be visible, alert, and predictable in your movements. Always prioritize safety over speed when crossing \
streets."""

ANSWERS = {
    "anthropic_parallel_tools": [
        Answer(
            StepFinish("tool_calls", Usage(608, 94)),
            calls=(
                call("toolu_012gbTrV1LahNLtHdAwDnKPV", "favorite_color", _person="Joe"),
                call("toolu_016MfNFkQMqGdzDjXqKSAo6G", "favorite_color", _person="Hadley"),
            ),
        ),
        said("Joe: sage green, Hadley: red", 766, 13),
    ],
    "anthropic_structured": [
        said('{"title": "Apples are tasty", "author": "Hadley Wickham"}', 265, 25),
        said(APPLES, 341, 22),
        said('{"name":"James Mitchell","age":34}', 361, 13),
        said("The name of the person is James Mitchell.", 197, 12),
    ],
    "anthropic_text": [said("2", 26, 5)],
    "anthropic_thinking": [
        said(
            CROSSING,
            43,
            282,
            reasoning="This is a straightforward question about pedestrian safety. I should provide clear, helpful "
            "advice about how to safely cross a street. This is basic safety information that could help prevent "
            "accidents.",
        )
    ],
    "anthropic_tools": [
        called("toolu_01YaYcJyuRfJGgkUrAtgVq1u", "get_current_date", 579, 39),
        said("2024-01-01", 636, 9),
        called("toolu_013wvZiVScxsborh1TS44SVg", "get_current_date2", 580, 40),
        said("2024-01-01", 638, 9),
    ],
    "deepseek_reasoning_tools": [
        called("call_00_tz6Vq4aG59EtpFCVbpoY3635", "get_date", 297, 35, 0, 7, reasoning="Let me get the current date."),
        said("It is 2024-01-01.", 353, 23, 256, 12, reasoning="The current date is 2024-01-01."),
        said("It is January.", 390, 22, 256, 17, reasoning="The date is 2024-01-01, so the month is January."),
    ],
    "local_length": [Answer(StepFinish("length", Usage(34, 5, 24)), "I'm sorry for any")],
    "local_text": [
        said(
            "Kalimba of the ocean, I am your friend, a simple yet powerful reminder to cherish every moment spent in "
            "the vast expanse of the blue.",
            43,
            32,
        )
    ],
    "mistral_text": [said("2", 22, 2)],
    "openai_responses_text": [said("2", 26, 5)],
    "openai_responses_tools": [
        called("call_9mDDuKdiQUBDGF75P2cnGpZT", "get_current_date", 58, 15),
        said("2024-01-01", 91, 10),
        called("call_T7o1RFCJ32cKGYOnllLnBu4Y", "get_current_date2", 59, 16),
        said("2024-01-01", 94, 10),
    ],
    "openai_structured": [
        said(APPLES, 90, 22),
        said(APPLES, 157, 22),
        said('{"name":"Maya Chen","age":34}', 183, 18),
        said("Maya Chen", 171, 6),
    ],
    "openai_text": [said("2", 26, 4)],
    "openai_tools": [
        called("call_7JushoGnc66EoT671ujI75xb", "get_current_date", 139, 14),
        said("2024-01-01", 171, 9),
        called("call_Nxh3cIHW1ucUjXT8a2rEqSWz", "get_current_date2", 140, 15),
        said("2024-01-01", 174, 9),
    ],
    "openrouter_tools": [
        called("call_eJmyO5ANyXc20sPeLSuWSngc", "get_date", 63, 10),
        said("It is 2024-01-01.", 95, 11),
        called("call_q1N9SHfpem9UaAXphuRACH4i", "get_date", 123, 10),
        said("It is January.", 155, 5),
    ],
}
APART = 200  # bytes between the cuts of a body; each of its positions is one of them in one of the readings
EXCHANGES = [(name, index) for name, answers in ANSWERS.items() for index in range(len(answers))]
DECODERS: dict[str, type[Decoder]] = {
    "/chat/completions": ChatDecoder,
    "/responses": ResponsesDecoder,
    "/v1/messages": MessagesDecoder,
}


def endpoint(exchange: Exchange) -> str:
    return next(end for end in DECODERS if exchange.path.endswith(end))


def decode(exchange: Exchange, chunks: Iterable[bytes]) -> list[Event]:
    return list(decode_chunks(DECODERS[endpoint(exchange)](), chunks))


def read(events: list[Event]) -> Answer:
    """What the events tell."""
    reasoning = "".join(event.delta for event in events if isinstance(event, ReasoningDelta))
    calls = (event.call for event in events if isinstance(event, ToolCallEnd))
    return Answer(events[-1], text_of(events), reasoning, tuple(calls))


def streamed_arguments(events: list[Event], call_id: str) -> Any:
    """The arguments of a call as its pieces tell them."""
    pieces = [event.delta for event in events if isinstance(event, ToolCallDelta) and event.id == call_id]
    return json.loads("".join(pieces) or "{}")


def test_every_recording_is_in_this_file():
    """A new recording fails here until it is told what it says."""
    counts = {name: len(answers) for name, answers in ANSWERS.items() if not name.startswith("local_")}

    assert shared_recordings() == {**counts, "openai_models": 1}


@pytest.mark.parametrize(("name", "index"), EXCHANGES)
def test_a_recording_means_the_same_however_it_is_split(name: str, index: int):
    exchange = recorded(name)[index]
    body = exchange.body

    whole = merged(decode(exchange, [body]))

    assert read(whole) == ANSWERS[name][index]
    assert_step(whole)
    for made in ANSWERS[name][index].calls:
        assert streamed_arguments(whole, made.id) == made.arguments
    assert merged(decode(exchange, (body[i : i + 1] for i in range(len(body))))) == whole
    for first in range(APART):
        cuts = [0, *range(first, len(body), APART), len(body)]
        assert merged(decode(exchange, (body[start:end] for start, end in pairwise(cuts)))) == whole


@pytest.mark.parametrize(("name", "index"), EXCHANGES)
def test_the_pieces_become_the_assistants_message(name: str, index: int):
    exchange, answer = recorded(name)[index], ANSWERS[name][index]
    conversation = Conversation("a-model", [LLMMessage("Hello")], CompletionConfig())
    conversation.request()

    seen = [event for told in decode(exchange, [exchange.body]) for event in conversation.feed(told)]

    message = conversation.partial
    assert text_of(seen) == (message.content or "") == answer.text
    assert (message.thinking or "") == answer.reasoning
    assert tuple(message.tool_calls or ()) == answer.calls


def test_anthropics_thinking_is_kept_with_its_signature():
    exchange = recorded("anthropic_thinking")[0]
    signature = re.search(rb'"signature":"([^"]+)"', exchange.body)[1].decode()
    thinking = ANSWERS["anthropic_thinking"][0].reasoning

    reasoning = merged(decode(exchange, [exchange.body]))[0]

    assert len(signature) == 504
    assert reasoning == ReasoningDelta(thinking, {"type": "thinking", "thinking": thinking, "signature": signature})


class RecordedTool:
    """Answers as the recorded program did."""

    def __init__(self, function: dict) -> None:
        self.descriptor = {"type": "function", "function": function}

    def run(self, _person: str = "") -> str:
        return {"Joe": "sage green", "Hadley": "red", "": "2024-01-01"}[_person]


def gateway(server: Loopback, exchange: Exchange) -> AnthropicGateway | OpenAIGateway:
    """The way to the server, by the recorded path."""
    end = endpoint(exchange)
    address = server.url + exchange.path.removesuffix(end)
    if end == "/v1/messages":
        return AnthropicGateway(KEY, address)
    return OpenAIGateway(KEY, address, api="responses" if end == "/responses" else "chat")


def replies(exchanges: Iterable[Exchange]) -> Iterator[Reply]:
    return (Reply([exchange.body], exchange.status, exchange.content_type) for exchange in exchanges)


Ask = Callable[..., tuple[list[Event], list[LLMMessage]]]


def ask(
    broker: LLMBroker, *question: Any, see: Callable[[Event], None] = lambda _: None
) -> tuple[list[Event], list[LLMMessage]]:
    """The run's events, each shown to `see`, and, after it, its messages."""
    run = broker.stream(*question)
    events = events_of(run, see)
    broker.adapter.close()
    return events, run.messages


def aask(
    broker: LLMBroker, *question: Any, see: Callable[[Event], None] = lambda _: None
) -> tuple[list[Event], list[LLMMessage]]:
    """The same of an asynchronous run."""

    async def answered() -> tuple[list[Event], list[LLMMessage]]:
        run = broker.astream(*question)
        events = []
        async for event in run:
            events.append(event)
            see(event)
        await broker.adapter.aclose()
        return events, run.messages

    return asyncio.run(answered())


both_ways = pytest.mark.parametrize("ask", [ask, aask], ids=["sync", "async"])


def asked(said: list[tuple], before: list[LLMMessage]) -> list[LLMMessage]:
    """The messages with the recorded question; `before` is the conversation so far, if this is not a new one."""
    if any(kind in ("assistant", "call") for kind, *_ in said):
        return [*before, LLMMessage(content=said[-1][1])]
    return [LLMMessage(role=MessageRole(role), content=text) for role, text in said]


@both_ways
@pytest.mark.parametrize("name", [name for name in ANSWERS if name.endswith("_tools")])
def test_a_recorded_conversation_with_tools_is_led_again(server: Loopback, name: str, ask: Ask):
    exchanges, answers = recorded(name), iter(ANSWERS[name])
    server.play(*replies(exchanges))
    messages: list[LLMMessage] = []

    for exchange in exchanges:
        said = said_in(exchange.request)
        if said[-1][0] == "result":  # the broker sent this one by itself
            continue
        messages = asked(said, messages)
        tools = [RecordedTool(function) for function in tools_in(exchange.request)]
        broker = LLMBroker(exchange.request["model"], gateway(server, exchange))

        events, after = ask(broker, messages, tools)

        steps = [next(answers) for event in events if isinstance(event, StepFinish)]
        assert_run(events)
        assert text_of(events) == "".join(step.text for step in steps) == after[-1].content
        assert events[-1] == Finish("stop", sum((step.end.usage for step in steps), Usage()))
        messages = after

    assert [received.path for received in server.requests] == [exchange.path for exchange in exchanges]
    for received, sent in zip(server.requests, requests_of(exchanges), strict=True):
        assert said_in(received.body) == said_in(sent)
        assert tools_in(received.body) == tools_in(sent)


@both_ways
def test_recorded_calls_that_end_in_another_order_are_answered_in_theirs(server: Loopback, ask: Ask):
    exchanges = recorded("anthropic_parallel_tools")
    server.play(*replies(exchanges))
    ended = threading.Event()

    class Backwards(RecordedTool):
        def run(self, _person: str) -> str:
            if _person == "Joe":
                assert ended.wait(PATIENCE)
            return super().run(_person)

    def end(event: Event) -> None:
        if isinstance(event, ToolProgress):
            ended.set()

    tools = [Backwards(function) for function in tools_in(exchanges[0].request)]
    broker = LLMBroker(exchanges[0].request["model"], gateway(server, exchanges[0]))

    events, _ = ask(broker, asked(said_in(exchanges[0].request), []), tools, see=end)

    assert_run(events)
    early = [event.value.output for event in events if isinstance(event, ToolProgress)]
    assert early == ["red"]
    assert text_of(events) == ANSWERS["anthropic_parallel_tools"][1].text
    assert said_in(server.requests[1].body) == said_in(requests_of(exchanges)[1])


def block(index: int, start: dict, *deltas: dict) -> list[dict]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def message_of(stop_reason: str, *blocks: list[dict]) -> bytes:
    return sse(
        {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}},
        *(event for events in blocks for event in events),
        {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
        done=False,
    )


@both_ways
def test_thinking_that_led_to_a_call_goes_back_word_for_word(server: Loopback, ask: Ask):
    """Written after https://platform.claude.com/docs/en/build-with-claude/extended-thinking: Anthropic refuses less."""
    thinking = {"type": "thinking", "thinking": "A date? I look.", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"}
    redacted = {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix/LafPsn4a"}
    called = {"type": "tool_use", "id": "toolu_1", "name": "get_date", "input": {}}
    server.play(
        Reply(
            [
                message_of(
                    "tool_use",
                    block(
                        0,
                        {"type": "thinking", "thinking": "", "signature": ""},
                        {"type": "thinking_delta", "thinking": "A date? "},
                        {"type": "thinking_delta", "thinking": "I look."},
                        {"type": "signature_delta", "signature": thinking["signature"]},
                    ),
                    block(1, redacted),
                    block(2, {"type": "text", "text": ""}, {"type": "text_delta", "text": "A moment."}),
                    block(3, called, {"type": "input_json_delta", "partial_json": ""}),
                )
            ]
        ),
        Reply([message_of("end_turn", block(0, {"type": "text", "text": "It is 2024-01-01."}))]),
    )
    tool = RecordedTool({"name": "get_date", "description": "Gets the date", "parameters": {"type": "object"}})

    events, after = ask(LLMBroker("claude", AnthropicGateway(KEY, server.url)), [LLMMessage(content="When?")], [tool])

    assert_run(events)
    assert text_of(events) == "".join(after[turn].content for turn in (1, 3)) == "A moment.It is 2024-01-01."
    assert after[1].thinking == "A date? I look."
    assert server.requests[1].body["messages"][1:] == [
        {"role": "assistant", "content": [thinking, redacted, {"type": "text", "text": "A moment."}, called]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "2024-01-01"}]},
    ]


def test_the_recorded_models_are_listed(server: Loopback):
    (exchange,) = recorded("openai_models")
    server.play(*replies([exchange]))

    models = OpenAIGateway(KEY, f"{server.url}/v1").get_available_models()

    assert models == re.findall('"id": "([^"]+)"', exchange.body.decode())
    assert (len(models), models[0]) == (135, "text-embedding-ada-002")
    assert server.requests[0].path == exchange.path
