"""Anthropic's gateway, against a real server that speaks the Messages API."""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import islice

import anthropic
import pytest
from anthropic.types import Message, MessageParam, RawMessageStreamEvent
from driving import BOTH, begin, events_of
from loopback import Hold, Loopback, Received, Reply, json_reply, sse
from pydantic import BaseModel, Field, TypeAdapter
from weather import Weather, call

from mojentic_nb.llm import (
    CompletionConfig,
    LLMBroker,
    LLMMessage,
    LLMToolCall,
    MessageRole,
    Notice,
    ReasoningDelta,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
)
from mojentic_nb.llm.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ContextWindowError,
    LLMError,
    MaxToolIterationsExceededError,
    ModelNotFoundError,
    ProviderUnavailableError,
    RateLimitError,
)
from mojentic_nb.llm.gateways import AnthropicGateway, ScriptedGateway
from mojentic_nb.llm.gateways.wire.anthropic_messages import MessagesDecoder, encode
from mojentic_nb.llm.gateways.wire.decoding import decode_chunks
from mojentic_nb.llm.request import Request
from mojentic_nb.llm.tools import LLMTool

KEY = "sk-ant-secret-of-the-test"
QUESTION = [LLMMessage(content="Is it sunny?")]
SYSTEM = LLMMessage(role=MessageRole.System, content="Be brief.")
MODEL = "claude-of-these-tests"  # none that the SDK could call deprecated one day
BROKEN_OFF = "The call was stopped before it had a result."


@pytest.fixture(autouse=True)
def no_key_of_whoever_runs_the_tests(monkeypatch: pytest.MonkeyPatch):
    for name in ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"]:
        monkeypatch.delenv(name, raising=False)


def started(**counts: object) -> dict:
    """The first event of a message."""
    usage = {"input_tokens": 25, "output_tokens": 1, **counts}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": []}
    return {
        "type": "message_start",
        "message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage},
    }


def block(index: int, kind: str, *deltas: dict, **fields: object) -> list[dict]:
    """The events of one block."""
    return [
        {"type": "content_block_start", "index": index, "content_block": {"type": kind, **fields}},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def text(*pieces: str, index: int = 0) -> list[dict]:
    return block(index, "text", *({"type": "text_delta", "text": piece} for piece in pieces), text="")


def thinking(*pieces: str, signature: str = "c2ln", index: int = 0) -> list[dict]:
    deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    return block(
        index, "thinking", *deltas, {"type": "signature_delta", "signature": signature}, thinking="", signature=""
    )


def tool_use(index: int, call_id: str, *pieces: str) -> list[dict]:
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return block(index, "tool_use", *deltas, id=call_id, name="weather", input={})


def ended(stop_reason: str, **counts: object) -> list[dict]:
    """The last events of a message."""
    usage = {"output_tokens": 15, **counts}
    delta = {"stop_reason": stop_reason, "stop_sequence": None}
    return [{"type": "message_delta", "delta": delta, "usage": usage}, {"type": "message_stop"}]


THOUGHT = {"type": "thinking", "thinking": "Hm, well", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "ZW5jcnlwdGVk"}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "weather"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}
SEARCHES = {"type": "input_json_delta", "partial_json": '{"query": "weather"}'}
SEARCHED = [
    *block(0, "server_tool_use", SEARCHES, id="srvtoolu_1", name="web_search", input={}),
    *block(1, "web_search_tool_result", tool_use_id="srvtoolu_1", content=[]),
]
PING = {"type": "ping"}
TWO_CALLS = [*tool_use(0, "toolu_a", "", '{"city": ', '"Rome"}'), *tool_use(1, "toolu_b", "", '{"city": "Oslo"}')]
TWO_CALLS_SEEN = [
    ToolCallStart("toolu_a", "weather"),
    ToolCallDelta("toolu_a", '{"city": '),
    ToolCallDelta("toolu_a", '"Rome"}'),
    ToolCallStart("toolu_b", "weather"),
    ToolCallDelta("toolu_b", '{"city": "Oslo"}'),
]
TWO_CALLS_ENDED = [ToolCallEnd(call("toolu_a", "Rome")), ToolCallEnd(call("toolu_b", "Oslo"))]
TOKENS = Usage(25, 15)

ANSWERS = {
    "text": (
        [started(), PING, *text("Yes", "."), *ended("end_turn")],
        [TextDelta("Yes"), TextDelta("."), StepFinish("stop", TOKENS)],
    ),
    "a stop sequence": (
        [started(), *text("Yes"), *ended("stop_sequence")],
        [TextDelta("Yes"), StepFinish("stop", TOKENS)],
    ),
    "cut off at the limit": (
        [started(), *text("Yes"), *ended("max_tokens")],
        [TextDelta("Yes"), StepFinish("length", TOKENS)],
    ),
    "the context's end": (
        [started(), *text("Yes"), *ended("model_context_window_exceeded")],
        [TextDelta("Yes"), StepFinish("length", TOKENS)],
    ),
    "a refusal": ([started(), *ended("refusal")], [StepFinish("content_filter", TOKENS)]),
    "thinking": (
        [started(), *thinking("Hm, ", "well"), *text("Yes", index=1), *ended("end_turn")],
        [
            ReasoningDelta("Hm, "),
            ReasoningDelta("well"),
            ReasoningDelta("", THOUGHT),
            TextDelta("Yes"),
            StepFinish("stop", TOKENS),
        ],
    ),
    "thinking that is not shown": (
        [started(), *thinking(), *text("Yes", index=1), *ended("end_turn")],
        [ReasoningDelta("", {**THOUGHT, "thinking": ""}), TextDelta("Yes"), StepFinish("stop", TOKENS)],
    ),
    "thinking that is encrypted": (
        [started(), *block(0, "redacted_thinking", data="ZW5jcnlwdGVk"), *text("Yes", index=1), *ended("end_turn")],
        [ReasoningDelta("", REDACTED), TextDelta("Yes"), StepFinish("stop", TOKENS)],
    ),
    "parallel calls": (
        [started(), *TWO_CALLS, *ended("tool_use")],
        [*TWO_CALLS_SEEN, *TWO_CALLS_ENDED, StepFinish("tool_calls", TOKENS)],
    ),
    "calls cut off at the limit": (
        [started(), *TWO_CALLS, *ended("max_tokens")],
        [*TWO_CALLS_SEEN, StepFinish("length", TOKENS)],
    ),
    "a tool of the provider's own, which it ran": (
        [
            started(),
            *SEARCHED,
            *text("Yes", index=2),
            *ended("end_turn"),
        ],
        [ReasoningDelta("", SEARCH), ReasoningDelta("", FOUND), TextDelta("Yes"), StepFinish("stop", TOKENS)],
    ),
    "half an emoji of thinking": (
        [started(), *thinking("Hm\ud83d", "\ude00", signature=""), *text("Yes", index=1), *ended("end_turn")],
        [
            ReasoningDelta("Hm"),
            ReasoningDelta("😀"),
            ReasoningDelta("", {"type": "thinking", "thinking": "Hm😀", "signature": ""}),
            TextDelta("Yes"),
            StepFinish("stop", TOKENS),
        ],
    ),
    "a call without arguments": (
        [started(), *tool_use(0, "toolu_a", ""), *ended("tool_use")],
        [
            ToolCallStart("toolu_a", "weather"),
            ToolCallEnd(LLMToolCall(id="toolu_a", name="weather", arguments={})),
            StepFinish("tool_calls", TOKENS),
        ],
    ),
    "the cache, and thinking, are counted": (
        [
            started(cache_read_input_tokens=100, cache_creation_input_tokens=7),
            *text("Yes"),
            *ended("end_turn", output_tokens_details={"thinking_tokens": 9}, input_tokens=None),
        ],
        [TextDelta("Yes"), StepFinish("stop", Usage(132, 15, cached_tokens=100, reasoning_tokens=9))],
    ),
    "half an emoji of thinking alone": (
        [started(), *thinking("Hm\ud83d", signature=""), *text("Yes", index=1), *ended("end_turn")],
        [
            ReasoningDelta("Hm"),
            ReasoningDelta("\ufffd"),
            ReasoningDelta("", {"type": "thinking", "thinking": "Hm\ufffd", "signature": ""}),
            TextDelta("Yes"),
            StepFinish("stop", TOKENS),
        ],
    ),
    "half an emoji": (
        [started(), *text("a\ud83d"), *ended("end_turn")],
        [TextDelta("a"), TextDelta("\ufffd"), StepFinish("stop", TOKENS)],
    ),
    "what only a later version knows": (
        [
            started(),
            *block(0, "fallback_of_the_future"),
            *text("Yes", index=1)[:-1],
            {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {}}},
            {"type": "content_block_stop", "index": 1},
            *ended("end_turn"),
        ],
        [TextDelta("Yes"), StepFinish("stop", TOKENS)],
    ),
    "no message_stop": (
        [started(), *text("Yes"), ended("end_turn")[0]],
        [TextDelta("Yes"), StepFinish("stop", TOKENS)],
    ),
    "broken off": ([started(), *text("Yes")], [TextDelta("Yes")]),
}
UNKNOWN_TO_THE_SDK = {"what only a later version knows"}


@pytest.mark.parametrize(("sent", "events"), ANSWERS.values(), ids=ANSWERS.keys())
def test_what_is_read_of_an_answer(sent: list[dict], events: list):
    assert list(decode_chunks(MessagesDecoder(), [sse(*sent, done=False)])) == events


@pytest.mark.parametrize("name", sorted(ANSWERS.keys() - UNKNOWN_TO_THE_SDK))
def test_what_these_tests_send_is_what_the_sdk_knows(name: str):
    event_type = TypeAdapter(RawMessageStreamEvent)

    for event in ANSWERS[name][0]:
        assert event == PING or event_type.validate_python(event).type == event["type"]


def test_an_answer_in_one_piece():
    blocks = [THOUGHT, REDACTED, {"type": "text", "text": "Let me see."}]
    blocks += [{"type": "tool_use", "id": "toolu_a", "name": "weather", "input": {"city": "Rome"}}]
    whole = {
        **started()["message"],
        "content": blocks,
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 25, "output_tokens": 15},
    }

    events = list(decode_chunks(MessagesDecoder(), [json.dumps(whole).encode()]))

    assert Message.model_validate(whole)
    assert events == [
        ReasoningDelta("Hm, well"),
        ReasoningDelta("", THOUGHT),
        ReasoningDelta("", REDACTED),
        TextDelta("Let me see."),
        ToolCallStart("toolu_a", "weather"),
        ToolCallDelta("toolu_a", '{"city": "Rome"}'),
        ToolCallEnd(call("toolu_a", "Rome")),
        StepFinish("tool_calls", TOKENS),
    ]


def error(kind: str, message: str = "no") -> dict:
    return {"type": "error", "error": {"type": kind, "message": message}}


FAILURES = {
    "overloaded": (error("overloaded_error"), ProviderUnavailableError),
    "failed": (error("api_error"), ProviderUnavailableError),
    "too slow": (error("timeout_error"), ProviderUnavailableError),
    "too many requests": (error("rate_limit_error"), RateLimitError),
    "no money": (error("billing_error"), RateLimitError),
    "refused": (error("invalid_request_error"), BadRequestError),
    "too long": (error("invalid_request_error", "prompt is too long: 210000 tokens"), ContextWindowError),
    "too large": (error("request_too_large"), ContextWindowError),
    "wrong key": (error("authentication_error"), AuthenticationError),
    "no permission": (error("permission_error"), AuthenticationError),
    "no such model": (error("not_found_error", "model: claude"), ModelNotFoundError),
}


@pytest.mark.parametrize(("failure", "kind"), FAILURES.values(), ids=FAILURES.keys())
def test_an_error_within_a_stream_is_what_its_type_says(server: Loopback, failure: dict, kind: type[LLMError]):
    server.play(Reply([sse(started(), failure, done=False)]))

    with pytest.raises(kind) as raised:
        broker(server, max_retries=0).generate(QUESTION)

    assert type(raised.value) is kind


def broker(server: Loopback, **options) -> LLMBroker:
    return LLMBroker(MODEL, AnthropicGateway(KEY, server.url), **options)


def key_of(request: Received) -> str:
    """The key that came with a request: where, depends on the SDK's version."""
    return request.headers.get("x-api-key") or request.headers["authorization"].removeprefix("Bearer ")


def reply(*events: dict) -> Reply:
    return Reply([sse(*events, done=False)])


YES = reply(started(), *text("Yes."), *ended("end_turn"))


def test_only_what_the_caller_set_is_sent(server: Loopback):
    server.play(YES)

    assert broker(server).generate(QUESTION) == "Yes."

    request = server.requests[0]
    assert request.path == "/v1/messages"
    assert key_of(request) == KEY
    assert request.body == {
        "model": MODEL,
        "max_tokens": 8192,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Is it sunny?"}]}],
        "stream": True,
    }


SETTINGS = {
    "sampling": (CompletionConfig(temperature=0, top_p=0.5, top_k=3), {"temperature": 0, "top_p": 0.5, "top_k": 3}),
    "max_tokens": (CompletionConfig(max_tokens=9, num_predict=5), {"max_tokens": 9}),
    "num_predict": (CompletionConfig(num_predict=5), {"max_tokens": 5}),
    "what is Ollama's alone": (CompletionConfig(num_ctx=2048), {}),
    "no schema": (CompletionConfig(response_format={"type": "json_object"}), {}),
}


@pytest.mark.parametrize(("config", "settings"), SETTINGS.values(), ids=SETTINGS.keys())
def test_settings(config: CompletionConfig, settings: dict):
    body = encode(Request(MODEL, tuple(QUESTION), config))

    bare = encode(Request(MODEL, tuple(QUESTION)))
    assert body == {**bare, **settings}


def budget(tokens: int, max_tokens: int) -> dict:
    return {"max_tokens": max_tokens, "thinking": {"type": "enabled", "budget_tokens": tokens}}


def effort(level: str) -> dict:
    return {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": level}}


EFFORTS = {
    "a budget, on top of the usual limit": ("claude-sonnet-4-5", {"reasoning_effort": "high"}, budget(16384, 24576)),
    "a budget within the caller's limit": (
        "claude-opus-4-5-20251101",
        {"reasoning_effort": "high", "max_tokens": 4096},
        budget(4095, 4096),
    ),
    "the smallest budget": ("claude-haiku-4-5", {"reasoning_effort": "low", "max_tokens": 10}, budget(1024, 10)),
    "a budget for 3.7": ("claude-3-7-sonnet-latest", {"reasoning_effort": "minimal"}, budget(1024, 9216)),
    "a budget for 4": ("claude-sonnet-4-20250514", {"reasoning_effort": "low"}, budget(2048, 10240)),
    "a budget for 4.1 at Google": ("claude-opus-4-1@20250805", {"reasoning_effort": "max"}, budget(23808, 32000)),
    "a budget for 4 at Google": ("claude-sonnet-4@20250514", {"reasoning_effort": "low"}, budget(2048, 10240)),
    "a budget at Amazon": ("us.anthropic.claude-sonnet-4-5-v1:0", {"reasoning_effort": "low"}, budget(2048, 10240)),
    "an effort for later models": ("claude-opus-4-6", {"reasoning_effort": "xhigh"}, effort("xhigh")),
    "an effort for models to come": ("claude-next-5", {"reasoning_effort": "max"}, effort("max")),
    "the least effort": ("claude-sonnet-4-6", {"reasoning_effort": "minimal"}, effort("low")),
    "none": ("claude-opus-4-6", {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
    "none of the older": ("claude-sonnet-4-5", {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
}


@pytest.mark.parametrize(("model", "settings", "sent"), EFFORTS.values(), ids=EFFORTS.keys())
def test_reasoning_effort(model: str, settings: dict, sent: dict):
    body = encode(Request(model, tuple(QUESTION), CompletionConfig(**settings)))

    assert {name: value for name, value in body.items() if name not in ("model", "messages", "stream")} == {
        "max_tokens": 8192,
        **sent,
    }


class Row(BaseModel):
    n: int = Field(ge=0)


class Page(BaseModel):
    rows: list[Row]


def test_an_object_is_asked_for_by_a_schema_that_the_api_takes():
    """It refuses an object that may have more properties, and limits of numbers."""
    effort = CompletionConfig(reasoning_effort="low")

    body = encode(Request("claude-opus-4-6", tuple(QUESTION), effort, object_model=Page))

    schema = body["output_config"]["format"]["schema"]
    row = schema["$defs"]["Row"]
    assert body["output_config"]["effort"] == "low"
    assert body["output_config"]["format"]["type"] == "json_schema"
    assert schema["properties"]["rows"]["items"] == {"$ref": "#/$defs/Row"}
    assert schema["additionalProperties"] is row["additionalProperties"] is False
    assert row["properties"]["n"] == {"type": "integer", "title": "N", "description": "{minimum: 0}"}


def test_a_schema_of_the_callers_own():
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "row", "schema": schema}}

    body = encode(Request(MODEL, tuple(QUESTION), CompletionConfig(response_format=form)))

    assert body["output_config"]["format"]["schema"] == {**schema, "additionalProperties": False}
    assert "additionalProperties" not in schema


class Tree(BaseModel):
    kids: list[Tree]


@pytest.mark.parametrize("value", [{}, {"type": "object", "additionalProperties": {"type": "integer"}}])
def test_a_schema_that_the_api_cannot_take(value: dict):
    """The model is told of it, and not held to it."""
    schema = {"type": "object", "properties": {"n": value}}
    form = {"type": "json_schema", "json_schema": {"name": "row", "schema": schema}}
    question = (LLMMessage(role=MessageRole.System, content="Be exact."), *QUESTION)

    body = encode(Request(MODEL, question, CompletionConfig(response_format=form)))

    assert "output_config" not in body
    first, schema_told = body["system"].split("\n\nAnswer with nothing but JSON that follows this schema: ")
    assert (first, json.loads(schema_told)) == ("Be exact.", schema)


def test_an_object_that_holds_itself():
    body = encode(Request(MODEL, tuple(QUESTION), object_model=Tree))

    assert "output_config" not in body
    assert '"$ref": "#/$defs/Tree"' in body["system"]


BARE_TOOL = {"type": "function", "function": {"name": "now"}}


class Now(LLMTool):
    descriptor = BARE_TOOL

    def run(self) -> str:
        return "now"


def test_tools():
    body = encode(Request(MODEL, tuple(QUESTION), tools=(Weather(), Now())))

    function = Weather.descriptor["function"]
    assert body["tools"] == [
        {"name": "weather", "description": "Tell the weather.", "input_schema": function["parameters"]},
        {"name": "now", "description": "", "input_schema": {"type": "object", "properties": {}}},
    ]


def test_no_tools_are_not_sent(server: Loopback):
    server.play(YES)

    broker(server).generate(QUESTION, tools=[])

    assert "tools" not in server.requests[0].body


def said(role: str, *blocks: dict | str) -> dict:
    """A turn; a string is a block of text."""
    content = [{"type": "text", "text": block} if isinstance(block, str) else block for block in blocks]
    return {"role": role, "content": content}


def result(call_id: str, content: str) -> dict:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content}


def failed(call_id: str, content: str) -> dict:
    return {**result(call_id, content), "is_error": True}


def use(call_id: str, city: str) -> dict:
    return {"type": "tool_use", "id": call_id, "name": "weather", "input": {"city": city}}


THINKS_AND_CALLS = reply(
    started(),
    *thinking("Hm, ", "well"),
    *block(1, "redacted_thinking", data="ZW5jcnlwdGVk"),
    *text("Let me see.", index=2),
    *tool_use(3, "toolu_a", '{"city": "Rome"}'),
    *tool_use(4, "toolu_b", '{"city": "Oslo"}'),
    *ended("tool_use"),
)
ASKED_AND_CALLED = [
    said("user", "Is it sunny?"),
    said("assistant", THOUGHT, REDACTED, "Let me see.", use("toolu_a", "Rome"), use("toolu_b", "Oslo")),
]


@pytest.mark.parametrize("how", BOTH)
def test_a_round_of_calls_is_sent_back_with_the_thinking_that_led_to_it(server: Loopback, how: str):
    server.play(THINKS_AND_CALLS, YES)
    run = begin(broker(server), how, QUESTION, [Weather()])

    events_of(run)

    assert server.requests[1].body["messages"] == [
        *ASKED_AND_CALLED,
        said("user", result("toolu_a", "Sunny in Rome."), result("toolu_b", "Sunny in Oslo.")),
    ]


def test_thinking_is_not_lost_when_the_run_stops_before_the_results(server: Loopback):
    server.play(THINKS_AND_CALLS, YES)
    asking = broker(server)
    with asking.stream(QUESTION, [Weather()]) as run:
        *_, last = islice(run, 11)

    asking.generate([*run.messages, LLMMessage(content="So?")])

    assert last == ToolCallEnd(call("toolu_b", "Oslo"))
    assert server.requests[1].body["messages"] == [
        *ASKED_AND_CALLED,
        said("user", failed("toolu_a", BROKEN_OFF), failed("toolu_b", BROKEN_OFF)),
        said("assistant", "(no answer)"),
        said("user", "So?"),
    ]


def answered(call_id: str | None, content: str | None) -> LLMMessage:
    asked = [LLMToolCall(id=call_id, name="weather", arguments={})]
    return LLMMessage(role=MessageRole.Tool, content=content, tool_calls=asked)


def answer(content: str | None = None, **fields: object) -> LLMMessage:
    return LLMMessage(role=MessageRole.Assistant, content=content, **fields)


def calling(*ids: str | None) -> LLMMessage:
    return answer(tool_calls=[LLMToolCall(id=each, name="weather", arguments={"city": "Rome"}) for each in ids])


def uses(*ids: str) -> dict:
    return said("assistant", *(use(each, "Rome") for each in ids))


ENGLISH = LLMMessage(role=MessageRole.System, content="In English.")
MARKED = "<system>\nIn English.\n</system>"
HISTORIES = {
    "system prompts": (
        [SYSTEM, ENGLISH, *QUESTION],
        "Be brief.\n\nIn English.",
        [said("user", "Is it sunny?")],
    ),
    "a system's word after the question": (
        [SYSTEM, *QUESTION, ENGLISH],
        "Be brief.",
        [said("user", "Is it sunny?", MARKED)],
    ),
    "a system's word between an answer and a question": (
        [*QUESTION, answer("Sì."), ENGLISH, LLMMessage(content="Again?"), answer("Yes.")],
        None,
        [
            said("user", "Is it sunny?"),
            said("assistant", "Sì."),
            said("user", MARKED, "Again?"),
            said("assistant", "Yes."),
        ],
    ),
    "ids that other providers give": (
        [
            *QUESTION,
            calling("functions.weather:0", "functions.weather_0"),
            answered("functions.weather:0", "1"),
            answered("functions.weather_0", "2"),
            answer("So."),
        ],
        None,
        [
            said("user", "Is it sunny?"),
            uses("functions_weather_0", "functions_weather_0_2"),
            said("user", result("functions_weather_0", "1"), result("functions_weather_0_2", "2")),
            said("assistant", "So."),
        ],
    ),
    "ids that are given again, and none": (
        [
            *QUESTION,
            calling("call_0", None, None),
            *(answered(each, "1") for each in ("call_0", None, None)),
            calling("call_0"),
            answered("call_0", "2"),
        ],
        None,
        [
            said("user", "Is it sunny?"),
            uses("call_0", "call", "call_2"),
            said("user", *(result(each, "1") for each in ("call_0", "call", "call_2"))),
            uses("call_0_2"),
            said("user", result("call_0_2", "2")),
        ],
    ),
    "an empty system prompt": (
        [LLMMessage(role=MessageRole.System, content=""), *QUESTION],
        None,
        [said("user", "Is it sunny?")],
    ),
    "two turns of one side are one": (
        [*QUESTION, LLMMessage(content="Is it?"), answer("Yes"), answer("Sure.")],
        None,
        [said("user", "Is it sunny?", "Is it?"), said("assistant", "Yes", "Sure.")],
    ),
    "a turn without a word is none": (
        [*QUESTION, answer(" \n"), answer(), LLMMessage(content="So?")],
        None,
        [said("user", "Is it sunny?", "So?")],
    ),
    "thinking that broke off is none": (
        [*QUESTION, answer("", thinking="Hm"), LLMMessage(content="So?")],
        None,
        [said("user", "Is it sunny?", "So?")],
    ),
    "another provider's reasoning is left out": (
        [
            *QUESTION,
            answer("Yes", reasoning_details=[{"field": "reasoning"}, {"type": "reasoning", "id": "rs_1"}, THOUGHT]),
        ],
        None,
        [said("user", "Is it sunny?"), said("assistant", THOUGHT, "Yes")],
    ),
    "a result without a word, and one without its call": (
        [answered("toolu_a", None), LLMMessage(role=MessageRole.Tool, content="Sunny.")],
        None,
        [said("user", result("toolu_a", ""), result("call", "Sunny."))],
    ),
}


@pytest.mark.parametrize(("messages", "system", "turns"), HISTORIES.values(), ids=HISTORIES.keys())
def test_the_turns_of_a_conversation(messages: list[LLMMessage], system: str | None, turns: list[dict]):
    body = encode(Request(MODEL, tuple(messages)))

    assert body.get("system") == system
    assert body["messages"] == turns


REFUSED = {
    "deprecated": ("temperature", "`temperature` is deprecated for this model."),
    "not with thinking": ("temperature", "`temperature` may only be set to 1 when thinking is enabled."),
    "not supported": ("top_k", "`top_k` is not supported on this model."),
}


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize(("name", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_setting_that_the_model_refuses_is_left_out_from_then_on(server: Loopback, name: str, words: str, how: str):
    server.play(json_reply(error("invalid_request_error", words), 400), YES, YES)
    asking = broker(server)
    config = CompletionConfig(**{name: 2})

    events = [event for _ in range(2) for event in events_of(begin(asking, how, QUESTION, config=config))]

    notice = Notice(f"`{name}` was left out: '{MODEL}' doesn't support it.")
    assert [event for event in events if isinstance(event, Notice)] == [notice]
    assert [request.body.get(name) for request in server.requests] == [2, None, None]


def clients(server: Loopback) -> dict[str, anthropic.Anthropic]:
    """Clients of the SDK: Anthropic's own, and those of clouds."""
    google = {"region": "europe-west1", "project_id": "p", "access_token": "t"}
    return {
        "Anthropic": anthropic.Anthropic(api_key=KEY, base_url=server.url),
        "AnthropicFoundry": anthropic.AnthropicFoundry(api_key=KEY, base_url=server.url),
        "AnthropicVertex": anthropic.AnthropicVertex(base_url=server.url, **google),
        "AsyncAnthropic": anthropic.AsyncAnthropic(api_key=KEY, base_url=server.url),
        "AsyncAnthropicFoundry": anthropic.AsyncAnthropicFoundry(api_key=KEY, base_url=server.url),
        "AsyncAnthropicVertex": anthropic.AsyncAnthropicVertex(base_url=server.url, **google),
    }


@pytest.mark.parametrize("name", ["Anthropic", "AnthropicFoundry", "AnthropicVertex"])
def test_a_synchronous_client_is_for_both(server: Loopback, name: str):
    server.play(YES, YES)
    asking = LLMBroker(MODEL, AnthropicGateway(client=clients(server)[name]))

    assert asking.generate(QUESTION) == "Yes."
    assert asyncio.run(asking.agenerate(QUESTION)) == "Yes."


@pytest.mark.parametrize("name", ["AsyncAnthropic", "AsyncAnthropicFoundry", "AsyncAnthropicVertex"])
def test_an_asynchronous_client_is_for_asynchronous_methods(server: Loopback, name: str):
    server.play(YES)
    asking = LLMBroker(MODEL, AnthropicGateway(client=clients(server)[name]))

    assert asyncio.run(asking.agenerate(QUESTION)) == "Yes."
    for ask in (asking.generate, lambda _: asking.adapter.get_available_models()):
        with pytest.raises(ConfigurationError, match="has an asynchronous client. Use the broker's asynchronous"):
            ask(QUESTION)


def test_the_models_are_listed(server: Loopback):
    model = {"type": "model", "display_name": "Claude", "created_at": "2026-01-01T00:00:00Z"}
    names = ["claude-opus-4-6", "claude-haiku-4-5"]
    data = [{"id": name, **model} for name in names]
    server.play(json_reply({"data": data, "has_more": False, "first_id": names[0], "last_id": names[1]}))

    assert AnthropicGateway(KEY, server.url).get_available_models() == names


def test_key_and_address_may_stand_in_the_environment(server: Loopback, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", f"{KEY}\n")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    server.play(YES)

    LLMBroker(MODEL, AnthropicGateway()).generate(QUESTION)

    assert key_of(server.requests[0]) == KEY


def test_it_needs_a_key():
    with pytest.raises(ConfigurationError, match="Anthropic needs an API key. Set .* variable `ANTHROPIC_API_KEY`"):
        AnthropicGateway()


def test_it_needs_its_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "anthropic", None)  # as if it were not installed

    with pytest.raises(ConfigurationError, match=r"pip install 'mojentic_nb\[anthropic\]'"):
        AnthropicGateway(KEY)


def test_thinking_between_texts_and_calls_goes_back_to_its_place():
    """A model that thinks between its calls: the API refuses its thinking in another order."""
    blocks = [
        *thinking("First"),
        *text("Hm, ", "😀.", index=1),
        *thinking("Then", index=2),
        *tool_use(3, "toolu_a", '{"city": "Rome"}'),
        *block(4, "redacted_thinking", data="ZW5jcnlwdGVk"),
        *tool_use(5, "toolu_b", '{"city": "Oslo"}'),
    ]
    script = decode_chunks(MessagesDecoder(), [sse(started(), *blocks, *ended("tool_use"), done=False)])
    run = LLMBroker(MODEL, ScriptedGateway([list(script), "Done."])).stream(QUESTION, [Weather()])
    list(run)

    sent = encode(Request(MODEL, tuple(run.messages)))["messages"][1]["content"]

    assert sent == [
        {"type": "thinking", "thinking": "First", "signature": "c2ln"},
        {"type": "text", "text": "Hm, 😀."},
        {"type": "thinking", "thinking": "Then", "signature": "c2ln"},
        {"type": "tool_use", "id": "toolu_a", "name": "weather", "input": {"city": "Rome"}},
        REDACTED,
        {"type": "tool_use", "id": "toolu_b", "name": "weather", "input": {"city": "Oslo"}},
    ]


def test_a_key_that_anthropic_itself_refuses(server: Loopback):
    server.play(json_reply({"type": "error", "error": {"message": "invalid x-api-key"}}, 401))
    http = anthropic.DefaultHttpxClient(proxy=server.url)
    says = "^Anthropic refused the API key. Set `ANTHROPIC_API_KEY` to a valid"

    with (
        anthropic.Anthropic(api_key=KEY, base_url="http://api.anthropic.com", http_client=http) as own,
        pytest.raises(AuthenticationError, match=says),
    ):
        LLMBroker("m", AnthropicGateway(client=own)).generate(QUESTION)


SYSTEM_TURNS = {
    "after the user": ([*QUESTION, ENGLISH], [said("user", "Is it sunny?"), said("system", "In English.")]),
    "after a result": (
        [*QUESTION, calling("a"), answered("a", "1"), ENGLISH, answer("Yes.")],
        [
            said("user", "Is it sunny?"),
            uses("a"),
            said("user", result("a", "1")),
            said("system", "In English."),
            said("assistant", "Yes."),
        ],
    ),
    "where the API allows none: between an answer and a question": (
        [*QUESTION, answer("Sì."), ENGLISH, LLMMessage(content="Again?")],
        [said("user", "Is it sunny?"), said("assistant", "Sì."), said("user", MARKED, "Again?")],
    ),
    "where the API allows none: at the start": (
        [LLMMessage(content=" "), ENGLISH, *QUESTION],
        [said("user", MARKED, "Is it sunny?")],
    ),
}


@pytest.mark.parametrize("model", ["claude-opus-4-8", "claude-opus-5-20260801", "anthropic.claude-mythos-5"])
@pytest.mark.parametrize(("messages", "turns"), SYSTEM_TURNS.values(), ids=SYSTEM_TURNS.keys())
def test_later_words_of_the_system_are_its_own_turn_for_models_that_take_one(
    messages: list[LLMMessage], turns: list[dict], model: str
):
    assert encode(Request(model, tuple(messages)))["messages"] == turns


def test_the_sdk_knows_a_turn_of_the_systems():
    request = encode(Request("claude-opus-5", (*QUESTION, ENGLISH)))

    assert TypeAdapter(list[MessageParam]).validate_python(request["messages"]) is not None


class Broken(LLMTool):
    descriptor = Weather.descriptor

    def run(self, city: str) -> str:
        raise ValueError(city)


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("case", ["failed", "denied"])
def test_a_call_that_failed_or_was_denied_is_marked_as_an_error(server: Loopback, case: str, how: str):
    """So that the model does not take the reason for the tool's answer. The mark outlives JSON."""
    server.play(reply(started(), *tool_use(0, "toolu_a", '{"city": "Rome"}'), *ended("tool_use")), YES, YES)
    tool, approve = (Broken(), None) if case == "failed" else (Weather(), lambda _: False)
    run = begin(broker(server), how, QUESTION, [tool], approve=approve)

    events_of(run)

    saved = [message.model_dump_json() for message in run.messages]
    broker(server).generate([*map(LLMMessage.model_validate_json, saved), LLMMessage(content="So?")])
    for request in server.requests[1:]:
        (answer,) = request.body["messages"][2]["content"]
        assert answer["is_error"] is True


PAUSED = reply(started(), *text("I search.", index=2), *SEARCHED, *ended("pause_turn"))
SAID = ["I search.", SEARCH, FOUND]


@pytest.mark.parametrize("how", BOTH)
def test_a_paused_turn_goes_on_with_what_the_model_said_sent_back(server: Loopback, how: str):
    """https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons#pause-turn"""
    again = reply(started(), *SEARCHED, *ended("pause_turn"))
    called = reply(started(), *text("Yes: "), *tool_use(1, "toolu_a", '{"city": "Rome"}'), *ended("tool_use"))
    server.play(PAUSED, again, called, YES)
    run = begin(broker(server), how, QUESTION, [Weather()])

    events = events_of(run)

    sent = [request.body["messages"] for request in server.requests]
    asked = said("user", "Is it sunny?")
    assert sent[1] == [asked, said("assistant", *SAID)]
    assert sent[2] == [asked, said("assistant", *SAID, SEARCH, FOUND)]
    assert sent[3] == [
        asked,
        said("assistant", *SAID, SEARCH, FOUND, "Yes: ", use("toolu_a", "Rome")),
        said("user", result("toolu_a", "Sunny in Rome.")),
    ]
    assert [each.usage for each in events if isinstance(each, StepFinish)] == [Usage(75, 45), TOKENS]
    assert [message.content for message in run.messages[1:]] == ["I search.Yes: ", "Sunny in Rome.", "Yes."]


@pytest.mark.parametrize("limit", [2, None])
def test_a_turn_may_pause_as_often_as_there_may_be_rounds_of_tools(server: Loopback, limit: int | None):
    server.play(PAUSED, PAUSED, PAUSED, YES)
    asking = broker(server).stream(QUESTION, config=CompletionConfig(max_tool_iterations=limit))

    if limit is None:
        list(asking)
    else:
        with pytest.raises(
            MaxToolIterationsExceededError, match="turn was paused 3 times. Raise `max_tool_iterations`"
        ):
            list(asking)

    assert asking.partial.content.startswith("I search.I search.I search.")
    assert asking.usage == (TOKENS + TOKENS + TOKENS if limit else TOKENS + TOKENS + TOKENS + TOKENS)


@pytest.mark.parametrize("how", BOTH)
def test_what_was_used_until_a_cancel_counts(server: Loopback, how: str):
    server.play(Reply([sse(started(cache_read_input_tokens=100), *text("Yes"), done=False), Hold()]))
    run = begin(broker(server), how, QUESTION)

    events_of(run, lambda event: run.cancel() if isinstance(event, TextDelta) else None)

    assert run.finish_reason == "cancelled"
    assert run.usage == Usage(125, 1, cached_tokens=100)


def test_what_was_used_until_the_answer_broke_off_counts(server: Loopback):
    server.play(Reply([sse(started(), *text("Yes"), error("overloaded_error"), done=False)]))

    with pytest.raises(ProviderUnavailableError) as failure:
        broker(server).generate(QUESTION)

    assert failure.value.run.usage == Usage(25, 1)


def test_a_message_that_stops_without_a_reason_has_ended(server: Loopback):
    server.play(reply(started(), *text("Yes."), {"type": "message_stop"}))

    assert broker(server).generate(QUESTION) == "Yes."
