"""OpenAI's Chat Completions API: what is asked, how answers are read, and what only some models and servers take."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Iterable, Mapping
from itertools import islice

import ollama
import openai
import pytest
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from driving import BOTH, begin, events_of
from loopback import Loopback, Reply, chunk, completion, json_reply, sse
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import BaseModel, TypeAdapter, create_model
from weather import Weather, call

from mojentic_nb.llm import (
    CompletionConfig,
    Finish,
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
    ModelNotFoundError,
    ProviderUnavailableError,
)
from mojentic_nb.llm.gateways import AnthropicGateway, OpenAIGateway
from mojentic_nb.llm.gateways.wire.chat_completions import ChatDecoder, encode
from mojentic_nb.llm.gateways.wire.decoding import decode_chunks
from mojentic_nb.llm.gateways.wire.ollama_chat import encode as ollama_encode
from mojentic_nb.llm.request import Request

KEY = "sk-secret-of-the-test"
QUESTION = [LLMMessage(content="Is it sunny?")]
SCHEMA = {"type": "object", "properties": {"sunny": {"type": "boolean"}}, "required": ["sunny"]}


class Sky(BaseModel):
    sunny: bool


def delta(finish_reason: str | None = None, **fields: object) -> dict:
    """A chunk of a completion."""
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish_reason}]}


def piece(index: int, arguments: str, call_id: str | None = None) -> dict:
    """A chunk with a piece of a call: the first has its id and name."""
    function = {"arguments": arguments} if call_id is None else {"name": "weather", "arguments": arguments}
    return delta(tool_calls=[{"index": index, "id": call_id, "function": function}])


TWO_CALLS = [piece(0, "", "a"), piece(0, '{"city": "Rome"}'), piece(1, '{"city": ', "b"), piece(1, '"Oslo"}')]
TWO_CALLS_SEEN = [
    ToolCallStart("a", "weather"),
    ToolCallDelta("a", '{"city": "Rome"}'),
    ToolCallStart("b", "weather"),
    ToolCallDelta("b", '{"city": '),
    ToolCallDelta("b", '"Oslo"}'),
]
TWO_CALLS_ENDED = [ToolCallEnd(call("a", "Rome")), ToolCallEnd(call("b", "Oslo"))]

BLOCKS = [
    {"type": "reasoning.text", "text": "Hm", "signature": "s", "index": 0},
    {"type": "reasoning.encrypted", "data": "x", "id": "rs_1", "index": 1},
]
SIGNED = {"google": {"thought_signature": "c2ln"}}


def in_field(name: str) -> ReasoningDelta:
    """The end of reasoning that its server may want back, in the field of that name."""
    return ReasoningDelta("", {"field": name})


def encoded_call(call_id: str, city: str) -> dict:
    arguments = json.dumps({"city": city})
    return {"id": call_id, "type": "function", "function": {"name": "weather", "arguments": arguments}}


ANSWERS = {
    "reasoning_content": (
        [delta(reasoning_content="Hm"), delta(content="Yes", reasoning_content=None), delta("stop")],
        [ReasoningDelta("Hm"), TextDelta("Yes"), in_field("reasoning_content"), StepFinish("stop")],
    ),
    "reasoning, with details that are not text": (
        [delta(reasoning="Hm", reasoning_content={}), delta("stop", content="Yes")],
        [ReasoningDelta("Hm"), TextDelta("Yes"), in_field("reasoning"), StepFinish("stop")],
    ),
    "no reasoning": (
        [delta(reasoning_content=""), delta("stop", content="Yes")],
        [TextDelta("Yes"), StepFinish("stop")],
    ),
    "no reasoning before a call (DeepSeek wants it back all the same)": (
        [delta(reasoning_content=""), *TWO_CALLS, delta("tool_calls")],
        [*TWO_CALLS_SEEN, in_field("reasoning_content"), *TWO_CALLS_ENDED, StepFinish("tool_calls")],
    ),
    "reasoning with its blocks (OpenRouter)": (
        [
            delta(reasoning="H", reasoning_details=[{"type": "reasoning.text", "text": "H", "index": 0}]),
            delta(reasoning="m", reasoning_details=[{"type": "reasoning.text", "text": "m", "id": None, "index": 0}]),
            delta(reasoning_details=[{"type": "reasoning.text", "text": None, "signature": "s", "index": 0}]),
            delta(reasoning_details=[{"type": "reasoning.encrypted", "data": "x", "id": "rs_1", "index": 1}]),
            delta("stop", content="Yes", reasoning_details=[]),
        ],
        [
            ReasoningDelta("H"),
            ReasoningDelta("m"),
            TextDelta("Yes"),
            ReasoningDelta("", {"reasoning_details": BLOCKS, "field": "reasoning"}),
            StepFinish("stop"),
        ],
    ),
    "calls that are signed (Gemini)": (
        [
            delta(tool_calls=[{"index": 0, "extra_content": SIGNED, **encoded_call("a", "Rome")}]),
            delta(tool_calls=[{"index": 0, **encoded_call("b", "Oslo")}]),
            delta("stop"),
        ],
        [
            ToolCallStart("a", "weather"),
            ToolCallDelta("a", '{"city": "Rome"}'),
            ToolCallStart("b", "weather"),
            ToolCallDelta("b", '{"city": "Oslo"}'),
            ReasoningDelta("", {"calls": {"a": {"extra_content": SIGNED}}}),
            *TWO_CALLS_ENDED,
            StepFinish("tool_calls"),
        ],
    ),
    "reasoning as a text within a part": (
        [delta(content=[{"type": "thinking", "thinking": "Hm"}]), delta("stop", content="Yes")],
        [ReasoningDelta("Hm"), TextDelta("Yes"), StepFinish("stop")],
    ),
    "reasoning as parts (Mistral)": (
        [
            delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]),
            delta("stop", content=[{"type": "text", "text": "Yes"}]),
        ],
        [ReasoningDelta("Hm"), TextDelta("Yes"), StepFinish("stop")],
    ),
    "half a character of reasoning": (
        [delta("stop", reasoning="Hm\ud83d")],
        [ReasoningDelta("Hm"), ReasoningDelta("\ufffd"), in_field("reasoning"), StepFinish("stop")],
    ),
    "a refusal": ([delta("stop", refusal="No.")], [TextDelta("No."), StepFinish("content_filter")]),
    "parallel calls": (
        [*TWO_CALLS, delta("tool_calls")],
        [*TWO_CALLS_SEEN, *TWO_CALLS_ENDED, StepFinish("tool_calls")],
    ),
    "calls that end by stop": (
        [*TWO_CALLS, delta("stop")],
        [*TWO_CALLS_SEEN, *TWO_CALLS_ENDED, StepFinish("tool_calls")],
    ),
    "calls after reasoning": (
        [delta(reasoning="Hm"), *TWO_CALLS, delta("tool_calls")],
        [
            ReasoningDelta("Hm"),
            *TWO_CALLS_SEEN,
            in_field("reasoning"),
            *TWO_CALLS_ENDED,
            StepFinish("tool_calls"),
        ],
    ),
    "calls cut off at the limit": ([*TWO_CALLS, delta("length")], [*TWO_CALLS_SEEN, StepFinish("length")]),
    "calls that were filtered": (
        [*TWO_CALLS, delta("content_filter")],
        [*TWO_CALLS_SEEN, StepFinish("content_filter")],
    ),
    "a call without its function": (
        [delta("tool_calls", tool_calls=[{"index": 0, "id": "a"}])],
        [
            ToolCallStart("a", "unnamed"),
            ToolCallEnd(LLMToolCall(id="a", name="unnamed", arguments={})),
            StepFinish("tool_calls"),
        ],
    ),
    "the context's end (Mistral)": ([delta("model_length", content="Yes")], [TextDelta("Yes"), StepFinish("length")]),
    "a limit by its other name": ([delta("max_tokens", content="Yes")], [TextDelta("Yes"), StepFinish("length")]),
    "a filter that says why (Gemini)": (
        [delta("content_filter: PROHIBITED_CONTENT", content="Yes")],
        [TextDelta("Yes"), StepFinish("content_filter")],
    ),
    "a filter by its other name": ([delta("SAFETY", content="Yes")], [TextDelta("Yes"), StepFinish("content_filter")]),
    "a message beside the last delta": (
        [delta(content="Yes"), {"choices": [{"delta": {}, "message": {"content": "Yes"}, "finish_reason": "stop"}]}],
        [TextDelta("Yes"), StepFinish("stop")],
    ),
    "cached tokens by DeepSeek's name": (
        [delta("stop"), {"usage": {"prompt_tokens": 5, "completion_tokens": 1, "prompt_cache_hit_tokens": 4}}],
        [StepFinish("stop", Usage(5, 1, cached_tokens=4))],
    ),
    "cached tokens by Moonshot's name": (
        [delta("stop"), {"usage": {"prompt_tokens": 5, "completion_tokens": 1, "cached_tokens": 4}}],
        [StepFinish("stop", Usage(5, 1, cached_tokens=4))],
    ),
    "counts by Groq": (
        [delta("stop", content="Yes"), {"x_groq": {"usage": {"prompt_tokens": 5, "completion_tokens": 1}}}],
        [TextDelta("Yes"), StepFinish("stop", Usage(5, 1))],
    ),
    "counts in the choice (Moonshot)": (
        [
            {
                "choices": [
                    {
                        "delta": {"content": "Yes"},
                        "finish_reason": "stop",
                        "usage": {"prompt_tokens": 5, "completion_tokens": 1},
                    }
                ]
            }
        ],
        [TextDelta("Yes"), StepFinish("stop", Usage(5, 1))],
    ),
    "all that is counted": (
        [
            delta("stop", content="Yes"),
            {
                "usage": {
                    "prompt_tokens": 20,
                    "completion_tokens": 9,
                    "prompt_tokens_details": {"cached_tokens": 16},
                    "completion_tokens_details": {"reasoning_tokens": 4},
                }
            },
        ],
        [TextDelta("Yes"), StepFinish("stop", Usage(20, 9, cached_tokens=16, reasoning_tokens=4))],
    ),
}


@pytest.mark.parametrize(("chunks", "events"), ANSWERS.values(), ids=ANSWERS.keys())
def test_what_is_read_of_an_answer(chunks: list[dict], events: list):
    assert list(decode_chunks(ChatDecoder(), [sse(*chunks)])) == events


FAILED = {
    "OpenRouter": ({"finish_reason": "error", "error": {"code": 502, "message": "gone"}}, "It said: gone"),
    "DeepSeek": ({"finish_reason": "insufficient_system_resource"}, "ended with 'insufficient_system_resource'"),
    "vLLM": ({"finish_reason": "abort"}, "ended with 'abort'"),
    "Zhipu": ({"finish_reason": "network_error"}, "ended with 'network_error'"),
    "Gemini": ({"finish_reason": "function_call_filter: MALFORMED_FUNCTION_CALL"}, "'malformed_function_call'"),
}


@pytest.mark.parametrize(("choice", "says"), FAILED.values(), ids=FAILED.keys())
def test_a_failure_that_a_finish_reason_tells(server: Loopback, choice: dict, says: str):
    server.play(Reply([sse(*TWO_CALLS, {"choices": [{"delta": {"content": ""}, **choice}]})]))

    with pytest.raises(ProviderUnavailableError, match=says) as failure:
        LLMBroker("m", OpenAIGateway(KEY, server.url)).generate(QUESTION, [Weather()])

    assert [message.role for message in failure.value.run.messages] == [MessageRole.User]


def test_an_error_with_no_more_than_its_own_name(server: Loopback):
    server.play(Reply([sse({"object": "error", "message": "CUDA out of memory", "code": 500})]))

    with pytest.raises(ProviderUnavailableError, match="It said: CUDA out of memory"):
        LLMBroker("m", OpenAIGateway(KEY, server.url), max_retries=0).generate(QUESTION)


def test_an_answer_in_one_piece():
    message = {
        "role": "assistant",
        "content": "Let me see.",
        "reasoning_content": "Hm",
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}}
        ],
    }
    whole = {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 5, "completion_tokens": 7},
    }

    events = list(decode_chunks(ChatDecoder(), [json.dumps(whole).encode()]))

    assert events == [
        ReasoningDelta("Hm"),
        TextDelta("Let me see."),
        ToolCallStart("a", "weather"),
        ToolCallDelta("a", '{"city": "Rome"}'),
        in_field("reasoning_content"),
        ToolCallEnd(call("a", "Rome")),
        StepFinish("tool_calls", Usage(5, 7)),
    ]


SETTINGS = {
    "nothing": (CompletionConfig(), {}),
    "sampling": (CompletionConfig(temperature=0, top_p=0.5, top_k=3), {"temperature": 0, "top_p": 0.5, "top_k": 3}),
    "max_tokens": (CompletionConfig(max_tokens=9, num_predict=5), {"max_tokens": 9}),
    "num_predict": (CompletionConfig(num_predict=5), {"max_tokens": 5}),
    "num_predict without a limit": (CompletionConfig(num_predict=-1), {}),
    "what is Ollama's alone": (CompletionConfig(num_ctx=2048), {}),
    "reasoning_effort": (CompletionConfig(reasoning_effort="none"), {"reasoning_effort": "none"}),
    "response_format": (
        CompletionConfig(response_format={"type": "json_object"}),
        {"response_format": {"type": "json_object"}},
    ),
}


@pytest.mark.parametrize(("config", "settings"), SETTINGS.values(), ids=SETTINGS.keys())
def test_settings(config: CompletionConfig, settings: dict):
    body = encode(Request("m", tuple(QUESTION), config))

    assert body == {
        "model": "m",
        "messages": [{"role": "user", "content": "Is it sunny?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        **settings,
    }


class Page(BaseModel):
    Row: int


Page.__name__ = "Page[Row]" + "x" * 64  # as pydantic names a generic model


@pytest.mark.parametrize(("object_model", "name"), [(Sky, "Sky"), (Page, "Page_Row_" + "x" * 55)])
def test_an_object_is_asked_for_by_its_schema(object_model: type[BaseModel], name: str):
    body = encode(Request("m", tuple(QUESTION), object_model=object_model))

    schema = {"name": name, "schema": {**object_model.model_json_schema(), "additionalProperties": False}}
    schema["strict"] = True
    assert body["response_format"] == {"type": "json_schema", "json_schema": schema}


def test_an_object_is_read_from_the_answer(server: Loopback):
    server.play(Reply([completion('{"sunny": ', "true}")]))

    assert LLMBroker("m", OpenAIGateway(KEY, server.url)).generate_object(QUESTION, Sky) == Sky(sunny=True)


@pytest.mark.parametrize("tools", [None, [], [Weather()]])
def test_tools_are_sent_only_if_there_are_some(server: Loopback, tools: list | None):
    server.play(Reply([completion("Yes")]))

    LLMBroker("m", OpenAIGateway(KEY, server.url)).generate(QUESTION, tools)

    assert server.requests[0].body.get("tools") == ([Weather.descriptor] if tools else None)


ASKED_AND_CALLED = [
    {"role": "user", "content": "Is it sunny?"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [encoded_call("a", "Rome"), encoded_call("b", "Oslo")],
        "reasoning_content": "Hm",
    },
]


@pytest.mark.parametrize("how", BOTH)
def test_a_round_of_calls_is_sent_back_with_the_reasoning_that_led_to_it(server: Loopback, how: str):
    server.play(
        Reply([sse(delta(reasoning_content="Hm"), *TWO_CALLS, delta("tool_calls"))]), Reply([completion("Yes.")])
    )
    run = begin(LLMBroker("m", OpenAIGateway(KEY, server.url)), how, QUESTION, [Weather()])

    events_of(run)

    assert server.requests[1].body["messages"] == [
        *ASKED_AND_CALLED,
        {"role": "tool", "content": "Sunny in Rome.", "tool_call_id": "a"},
        {"role": "tool", "content": "Sunny in Oslo.", "tool_call_id": "b"},
    ]


def test_reasoning_is_not_lost_when_the_run_stops_before_the_results(server: Loopback):
    server.play(
        Reply([sse(delta(reasoning_content="Hm"), *TWO_CALLS, delta("tool_calls"))]), Reply([completion("Yes.")])
    )
    asking = LLMBroker("m", OpenAIGateway(KEY, server.url))
    with asking.stream(QUESTION, [Weather()]) as run:
        *_, last = islice(run, 8)

    asking.generate([*run.messages, LLMMessage(content="So?")])

    assert last == TWO_CALLS_ENDED[0]
    assert run.messages[1].tool_calls == [call("a", "Rome")]
    assert server.requests[1].body["messages"] == [
        ASKED_AND_CALLED[0],
        {**ASKED_AND_CALLED[1], "tool_calls": [encoded_call("a", "Rome")]},
        {"role": "tool", "content": "The call was stopped before it had a result.", "tool_call_id": "a"},
        {"role": "assistant", "content": "(no answer)", "reasoning_content": ""},
        {"role": "user", "content": "So?"},
    ]


def test_what_a_provider_wants_back_of_its_reasoning():
    """DeepSeek wants that of a whole turn with calls, Gemini each call's signature, OpenRouter all its blocks."""
    asked = call("a", "Rome")
    details = {"field": "reasoning_content", "calls": {"a": {"extra_content": SIGNED}}, "reasoning_details": BLOCKS}
    turn = [
        LLMMessage(content="Is it sunny?"),
        LLMMessage(role=MessageRole.Assistant, tool_calls=[asked], reasoning_details=[details]),
        LLMMessage(role=MessageRole.Tool, content="Sunny in Rome.", tool_calls=[asked]),
        LLMMessage(
            role=MessageRole.Assistant, content="Yes", thinking="So", reasoning_details=[{"field": "reasoning_content"}]
        ),
        LLMMessage(content="And now?"),
        LLMMessage(
            role=MessageRole.Assistant, content="No", thinking="Hm", reasoning_details=[{"field": "reasoning_content"}]
        ),
    ]

    _, calling, _, answer, _, other_turn = encode(Request("m", tuple(turn)))["messages"]

    assert calling == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{**encoded_call("a", "Rome"), "extra_content": SIGNED}],
        "reasoning_content": "",
        "reasoning_details": BLOCKS,
    }
    assert answer == {"role": "assistant", "content": "Yes", "reasoning_content": "So"}
    assert other_turn == {"role": "assistant", "content": "No"}


def round_with(**details: object) -> list[LLMMessage]:
    """A question, a call with those details of its reasoning, and its result."""
    asked = call("a", "Rome")
    return [
        *QUESTION,
        LLMMessage(role=MessageRole.Assistant, tool_calls=[asked], reasoning_details=[details]),
        LLMMessage(role=MessageRole.Tool, content="Sunny in Rome.", tool_calls=[asked]),
    ]


def sent(server: Loopback, field: str) -> list[list[bool]]:
    """Which messages had the field, in each request."""
    return [[field in message for message in request.body["messages"]] for request in server.requests]


FIELDS = {
    "reasoning_content": {"field": "reasoning_content"},
    "reasoning": {"field": "reasoning"},
    "reasoning_details": {"reasoning_details": BLOCKS},
}


@pytest.mark.parametrize(("field", "details"), FIELDS.items(), ids=FIELDS.keys())
def test_reasoning_that_another_server_refuses_is_left_out(server: Loopback, field: str, details: dict):
    """One may ask Groq to go on where DeepSeek began."""
    refusal = f"'messages.1' : for 'role:assistant' property '{field}' is unsupported"
    server.play(json_reply({"error": {"message": refusal}}, 400), Reply([completion("Yes.")]))
    first, *more = round_with(**details)

    LLMBroker("m", OpenAIGateway(KEY, server.url)).generate([first, *more, *more])

    assert sent(server, field) == [[False, True, False, True, False], [False] * 5]


def test_reasoning_of_one_turn_is_no_matter_of_the_next(server: Loopback):
    server.play(Reply([completion("Yes.")]))

    LLMBroker("m", OpenAIGateway(KEY, server.url)).generate([*round_with(field="reasoning_content"), *round_with()])

    assert sent(server, "reasoning_content") == [[False, True, False, False, False, False]]


def test_a_refused_effort_is_not_taken_for_refused_reasoning(server: Loopback):
    server.play(json_reply({"error": {"message": "'reasoning_effort' is not supported with this model."}}, 400))

    with pytest.raises(BadRequestError, match="reasoning_effort"):
        LLMBroker("m", OpenAIGateway(KEY, server.url)).generate(
            round_with(field="reasoning"), config=CompletionConfig(reasoning_effort="low")
        )

    assert len(server.requests) == 1


@pytest.mark.parametrize("how", BOTH)
def test_a_gateway_may_do_without_the_environments_proxy(server: Loopback, monkeypatch: pytest.MonkeyPatch, how: str):
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.play(Reply([completion("Yes.")]))
    gateway = OpenAIGateway(KEY, server.url, trust_env=False)

    events = events_of(begin(LLMBroker("m", gateway, max_retries=0), how, QUESTION))

    assert TextDelta("Yes.") in events


def test_reasoning_is_not_sent_where_no_call_came_of_it(server: Loopback):
    server.play(Reply([sse(delta("stop", content="Yes", reasoning_content="Hm"))]), Reply([completion("Yes.")]))
    asking = LLMBroker("m", OpenAIGateway(KEY, server.url))
    run = asking.stream(QUESTION)
    "".join(run.text())

    asking.generate([*run.messages, LLMMessage(content="So?")])

    assert run.messages[1].thinking == "Hm"
    assert server.requests[1].body["messages"][1] == {"role": "assistant", "content": "Yes"}


def everything(model: str) -> Request:
    """A request with all that there is."""
    asked = call("a", "Rome")
    messages = (
        LLMMessage(role=MessageRole.System, content="Be brief."),
        LLMMessage(content="Is it sunny?", image_paths=["data:image/png;base64,QUJD"]),
        LLMMessage(
            role=MessageRole.Assistant,
            content="Let me see.",
            thinking="Hm",
            tool_calls=[asked],
            reasoning_details=[
                {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}]},
                {"field": "reasoning"},
            ],
        ),
        LLMMessage(role=MessageRole.Tool, content="Sunny in Rome.", tool_calls=[asked]),
        LLMMessage(content="So?"),
    )
    config = CompletionConfig(temperature=1, top_p=0.5, top_k=3, max_tokens=5000, num_ctx=2048, reasoning_effort="high")
    return Request(model, messages, config, (Weather(),), Sky)


def read_through(value: object) -> object:
    """`value` with all that pydantic validates only when it is read."""
    if isinstance(value, Mapping):
        return {name: read_through(item) for name, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [read_through(item) for item in value]
    return value


@pytest.mark.parametrize(
    ("gateway", "model", "request_type", "unknown"),
    [
        (OpenAIGateway(KEY, "http://x"), "m", CompletionCreateParamsStreaming, {"top_k"}),
        (OpenAIGateway(KEY, "http://x", api="responses"), "m", ResponseCreateParamsStreaming, set()),
        (AnthropicGateway(KEY), "claude-sonnet-4-5", MessageCreateParamsStreaming, {"temperature", "top_p", "top_k"}),
        (AnthropicGateway(KEY), "claude-opus-4-7", MessageCreateParamsStreaming, {"temperature", "top_p", "top_k"}),
    ],
    ids=["chat", "responses", "anthropic budget", "anthropic effort"],
)
def test_the_sdks_types_know_all_that_is_sent(gateway, model: str, request_type: type, unknown: set[str]):
    """What they don't know goes past them: settings that the SDK's authors took out, or other servers have."""
    body = gateway._encode(everything(model))
    types = TypeAdapter(request_type)

    valid = read_through(types.validate_python(body))

    assert body.keys() - valid.keys() == unknown
    assert valid["model"] == model


def test_ollamas_types_know_all_that_is_sent():
    body = ollama_encode(everything("m"))

    request = ollama._types.ChatRequest.model_validate(body)

    assert request.model_dump(exclude_none=True).keys() == body.keys()
    assert ollama.Options.model_validate(body["options"]).model_dump(exclude_none=True) == body["options"]


REFUSED = {
    "temperature": "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value "
    "is supported.",
    "top_p": "Unsupported parameter: 'top_p' is not supported with this model.",
    "top_k": "Unrecognized request argument supplied: top_k",
}


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize(("name", "words"), REFUSED.items(), ids=REFUSED.keys())
def test_a_setting_that_the_model_refuses_is_left_out_from_then_on(server: Loopback, name: str, words: str, how: str):
    server.play(json_reply({"error": {"message": words}}, 400), Reply([completion("Yes")]), Reply([completion("Yes")]))
    asking = LLMBroker("m", OpenAIGateway(KEY, server.url))
    config = CompletionConfig(temperature=0.7, top_p=0.5, top_k=3)

    events = [event for _ in range(2) for event in events_of(begin(asking, how, QUESTION, config=config))]

    sent = [{name for name in REFUSED if name in request.body} for request in server.requests]
    notice = Notice(f"`{name}` was left out: 'm' doesn't support it.")
    assert [event for event in events if isinstance(event, Notice)] == [notice]
    assert sent == [set(REFUSED), set(REFUSED) - {name}, set(REFUSED) - {name}]


def test_another_model_is_asked_with_the_setting(server: Loopback):
    refusal = json_reply({"error": {"message": REFUSED["temperature"]}}, 400)
    server.play(refusal, Reply([completion("Yes")]), Reply([completion("Yes")]))
    asking = LLMBroker("m", OpenAIGateway(KEY, server.url))

    with pytest.warns(UserWarning, match="`temperature` was left out: 'm' doesn't"):
        asking.generate(QUESTION, temperature=0.7)
    asking.generate(QUESTION, temperature=0.7, model="another")

    assert [request.body.get("temperature") for request in server.requests] == [0.7, None, 0.7]


def test_a_server_that_does_not_know_how_to_count_is_asked_without_a_word(server: Loopback):
    refusal = json_reply({"error": {"message": "stream_options: Extra inputs are not permitted"}}, 400)
    server.play(refusal, Reply([completion("Yes")]))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LLMBroker("m", OpenAIGateway(KEY, server.url)).generate(QUESTION)

    assert ["stream_options" in request.body for request in server.requests] == [True, False]


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("words", ["Invalid 'temperature': it has to be a number.", "'tools' is not supported."])
def test_another_refusal_is_an_error(server: Loopback, words: str, how: str):
    server.play(json_reply({"error": {"message": words}}, 400))

    with pytest.raises(BadRequestError, match=words):
        events_of(begin(LLMBroker("m", OpenAIGateway(KEY, server.url)), how, QUESTION, temperature=0.7))

    assert len(server.requests) == 1


def proxied(server: Loopback) -> dict:
    """What makes an SDK's client reach every host through `server`."""
    return {"api_key": KEY, "http_client": openai.DefaultHttpxClient(proxy=server.url)}


def openai_itself(server: Loopback) -> openai.OpenAI:
    return openai.OpenAI(base_url="http://api.openai.com/v1", **proxied(server))


def openai_in_europe(server: Loopback) -> openai.OpenAI:
    return openai.OpenAI(base_url="http://eu.api.openai.com/v1", **proxied(server))


def azure(server: Loopback) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(azure_endpoint="http://my.openai.azure.com", api_version="2026-10-01", **proxied(server))


AZURE_PATH = "http://my.openai.azure.com/openai/deployments/gpt-5/chat/completions?api-version=2026-10-01"


@pytest.mark.parametrize(
    ("client", "path"),
    [
        (openai_itself, "http://api.openai.com/v1/chat/completions"),
        (openai_in_europe, "http://eu.api.openai.com/v1/chat/completions"),
        (azure, AZURE_PATH),
    ],
    ids=["OpenAI", "OpenAI in Europe", "Azure"],
)
def test_openai_and_azure_know_the_limit_by_another_name(server: Loopback, client, path: str):
    server.play(Reply([completion("Yes")]))

    with client(server) as own:
        assert LLMBroker("gpt-5", OpenAIGateway(client=own)).generate(QUESTION, max_tokens=9) == "Yes"

    assert server.requests[0].path == path
    assert server.requests[0].body["max_completion_tokens"] == 9
    assert "max_tokens" not in server.requests[0].body


def test_a_key_that_openai_itself_refuses(server: Loopback):
    server.play(json_reply({"error": {"message": "Incorrect API key"}}, 401))
    says = r"^OpenAI refused the API key. Set `OPENAI_API_KEY` to a valid"

    with openai_itself(server) as own, pytest.raises(AuthenticationError, match=says):
        LLMBroker("gpt-5", OpenAIGateway(client=own)).generate(QUESTION)


def test_a_client_of_the_users_own_stays_open(server: Loopback):
    server.play(Reply([completion("Yes")]), Reply([completion("No")]))
    asking = LLMBroker("m", OpenAIGateway(client=openai.OpenAI(api_key=KEY, base_url=server.url)))

    answer = asking.generate(QUESTION)
    asking.adapter.close()
    asyncio.run(asking.adapter.aclose())

    assert [answer, asking.generate(QUESTION)] == ["Yes", "No"]


def test_an_asynchronous_client_of_the_users_own_stays_open(server: Loopback):
    server.play(Reply([completion("Yes")]), Reply([completion("No")]))

    async def ask_twice() -> list[str]:
        async with openai.AsyncOpenAI(api_key=KEY, base_url=server.url) as own:
            asking = LLMBroker("m", OpenAIGateway(client=own))
            answer = await asking.agenerate(QUESTION)
            await asking.adapter.aclose()
            return [answer, await asking.agenerate(QUESTION)]

    assert asyncio.run(ask_twice()) == ["Yes", "No"]


@pytest.mark.parametrize("how", BOTH)
def test_the_end_of_the_response_is_the_end_of_its_last_event(server: Loopback, how: str):
    server.play(Reply([sse(chunk("Yes", "stop"), done=False).strip()]))

    events = events_of(begin(LLMBroker("m", OpenAIGateway(KEY, server.url)), how, QUESTION))

    assert events == [TextDelta("Yes"), StepFinish("stop"), Finish("stop")]


@pytest.mark.parametrize("model", ["o1-pro", "o3-pro-2025-06-10", "gpt-5-pro", "gpt-5.2-pro"])
@pytest.mark.parametrize("method", ["stream", "astream", "generate_stream", "agenerate_stream"])
def test_what_openai_cannot_stream_is_refused_at_the_call(model: str, method: str):
    asking = LLMBroker(model, OpenAIGateway(KEY))

    with pytest.raises(NotImplementedError, match=r"can't stream at .*api\.openai\.com.*\. Use generate\(\)"):
        getattr(asking, method)(QUESTION)


@pytest.mark.parametrize("model", ["gpt-5", "o1", "o3-mini", "Marco-o1", "gpt-5-profile", "my-o1-pro"])
def test_what_is_not_known_to_be_unable_is_taken_to_be_able(model: str):
    assert OpenAIGateway(KEY).can_stream(model)


@pytest.mark.parametrize("method", ["stream", "generate_stream", "astream", "agenerate_stream"])
def test_another_servers_models_stream_whatever_they_are_called(server: Loopback, method: str):
    server.play(Reply([completion("Ye", "s")]))

    pieces = getattr(LLMBroker("o1-pro", OpenAIGateway(KEY, server.url)), method)(QUESTION)

    async def first() -> object:
        return await anext(aiter(pieces))

    assert (asyncio.run(first()) if method.startswith("a") else next(iter(pieces))) in ("Ye", TextDelta("Ye"))
    assert server.requests[0].path == "/chat/completions"
    assert server.requests[0].body["stream"] is True


def test_an_asynchronous_client_is_for_asynchronous_methods(server: Loopback):
    server.play(Reply([completion("Yes")]))
    asking = LLMBroker("m", OpenAIGateway(client=openai.AsyncOpenAI(api_key=KEY, base_url=server.url)))

    assert asyncio.run(asking.agenerate(QUESTION)) == "Yes"
    for ask in (asking.generate, lambda _: asking.adapter.get_available_models()):
        with pytest.raises(ConfigurationError, match="has an asynchronous client. Use the broker's asynchronous"):
            ask(QUESTION)


def test_a_synchronous_client_is_for_both(server: Loopback):
    server.play(Reply([completion("Yes")]), Reply([completion("No")]))
    asking = LLMBroker("m", OpenAIGateway(client=openai.OpenAI(api_key=KEY, base_url=server.url)))

    assert asyncio.run(asking.agenerate(QUESTION)) == "Yes"
    assert asking.generate(QUESTION) == "No"


EMBEDDING = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5, -1.0]}], "model": "m"}


@pytest.mark.parametrize(("options", "model"), [({}, "text-embedding-3-small"), ({"model": "mine"}, "mine")])
def test_embeddings(server: Loopback, options: dict, model: str):
    server.play(json_reply(EMBEDDING))

    assert OpenAIGateway(KEY, server.url).calculate_embeddings("Hello", **options) == [0.5, -1.0]

    assert server.requests[0].path == "/embeddings"
    assert server.requests[0].body["input"] == "Hello"
    assert server.requests[0].body["model"] == model


def test_embeddings_of_a_model_that_is_not_there(server: Loopback):
    server.play(json_reply({"error": {"message": "The model 'mine' does not exist"}}, 404))

    with pytest.raises(ModelNotFoundError, match="has no model 'mine'"):
        OpenAIGateway(KEY, server.url).calculate_embeddings("Hello", "mine")


def test_the_name_of_an_object_is_one_that_openai_takes():
    request = Request("m", (), object_model=create_model("Größe", cm=(int, ...)))

    assert encode(request)["response_format"]["json_schema"]["name"] == "Gr__e"


def test_ollama_is_told_a_number_that_is_nought():
    request = Request("m", tuple(QUESTION), CompletionConfig(num_predict=0, max_tokens=9))

    assert ollama_encode(request)["options"] == {"num_predict": 0}
