"""OpenAI's Responses API, against a real server that speaks it."""

from __future__ import annotations

import json
import warnings
from itertools import islice

import openai
import pytest
from driving import BOTH, begin, events_of
from loopback import Loopback, Reply, json_reply, sse
from openai.types.responses import Response
from pydantic import BaseModel
from weather import Weather, call

from mojentic_nb.llm import (
    CompletionConfig,
    LLMBroker,
    LLMMessage,
    MessageRole,
    ReasoningDelta,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
)
from mojentic_nb.llm.errors import (
    BadRequestError,
    ContextWindowError,
    IncompleteAnswerWarning,
    LLMError,
    ProviderUnavailableError,
    RateLimitError,
)
from mojentic_nb.llm.gateways import OpenAIGateway
from mojentic_nb.llm.gateways.openai import needs_responses
from mojentic_nb.llm.gateways.wire.assembly import interleave, place
from mojentic_nb.llm.gateways.wire.decoding import decode_chunks
from mojentic_nb.llm.gateways.wire.responses import ResponsesDecoder, encode
from mojentic_nb.llm.request import Request
from mojentic_nb.llm.tools import LLMTool

KEY = "sk-secret-of-the-test"
QUESTION = [LLMMessage(content="Is it sunny?")]
BROKEN_OFF = "The call was stopped before it had a result."


class Sky(BaseModel):
    sunny: bool


def text(delta: str) -> dict:
    """A piece of the answer."""
    return {"type": "response.output_text.delta", "output_index": 1, "delta": delta}


def thought(delta: str) -> dict:
    """A piece of the reasoning's summary."""
    return {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": delta}


def part(index: int) -> dict:
    """The beginning of a part of the reasoning's summary."""
    return {"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": index}


def reasoning_item(*texts: str) -> dict:
    """Reasoning as it is wanted back."""
    summary = [{"type": "summary_text", "text": text} for text in texts]
    return {"id": "rs_1", "type": "reasoning", "summary": summary, "encrypted_content": "Z0FBQUFB"}


def item(kind: str, index: int, fields: dict) -> dict:
    """An item begins, or is done."""
    return {"type": f"response.output_item.{kind}", "output_index": index, "item": fields}


def function_call(call_id: str, arguments: str) -> dict:
    return {
        "id": f"fc_{call_id}",
        "type": "function_call",
        "call_id": call_id,
        "name": "weather",
        "arguments": arguments,
    }


def called(index: int, call_id: str, *pieces: str) -> list[dict]:
    """The events of a call."""
    arguments = "".join(pieces)
    deltas = [
        {"type": "response.function_call_arguments.delta", "output_index": index, "delta": piece} for piece in pieces
    ]
    done = {"type": "response.function_call_arguments.done", "output_index": index, "arguments": arguments}
    return [
        item("added", index, function_call(call_id, "")),
        *deltas,
        done,
        item("done", index, function_call(call_id, arguments)),
    ]


def ended(kind: str = "completed", **fields: object) -> dict:
    """The last event."""
    return {"type": f"response.{kind}", "response": {"status": kind, **fields}}


def incomplete(reason: str) -> dict:
    return ended("incomplete", incomplete_details={"reason": reason})


CREATED = [
    {"type": "response.created", "response": {"status": "in_progress", "output": [], "error": None}},
    item("added", 0, {"id": "rs_1", "type": "reasoning", "summary": []}),
]
TWO_CALLS = [*called(1, "call_a", '{"city": ', '"Rome"}'), *called(2, "call_b", '{"city": "Oslo"}')]
TWO_CALLS_SEEN = [
    ToolCallStart("call_a", "weather"),
    ToolCallDelta("call_a", '{"city": '),
    ToolCallDelta("call_a", '"Rome"}'),
    ToolCallStart("call_b", "weather"),
    ToolCallDelta("call_b", '{"city": "Oslo"}'),
]
WHOLE_CALL_SEEN = [ToolCallStart("call_a", "weather"), ToolCallDelta("call_a", '{"city": "Rome"}')]
TWO_CALLS_ENDED = [ToolCallEnd(call("call_a", "Rome")), ToolCallEnd(call("call_b", "Oslo"))]
USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 16, "cache_write_tokens": 0},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 29,
}
TOKENS = Usage(20, 9, cached_tokens=16, reasoning_tokens=4)

SPOKEN = {"type": "message", "content": [{"type": "output_text", "text": "Yes"}]}
ANSWERS = {
    "a text that comes when its item is done": (
        [*CREATED, item("done", 1, SPOKEN), ended(output=[SPOKEN])],
        [TextDelta("Yes"), StepFinish("stop")],
    ),
    "a text that comes in the end": ([*CREATED, ended(output=[SPOKEN])], [TextDelta("Yes"), StepFinish("stop")]),
    "a text that has come": (
        [text("Ye"), text("s"), item("done", 1, SPOKEN), ended(output=[SPOKEN])],
        [TextDelta("Ye"), TextDelta("s"), StepFinish("stop")],
    ),
    "reasoning that has come": (
        [thought("Hm"), item("done", 0, reasoning_item("Hm")), ended(output=[reasoning_item("Hm")])],
        [ReasoningDelta("Hm"), ReasoningDelta("", reasoning_item("Hm")), StepFinish("stop")],
    ),
    "a call that comes when all is done": (
        [ended(output=[function_call("call_a", '{"city": "Rome"}')])],
        [*WHOLE_CALL_SEEN, TWO_CALLS_ENDED[0], StepFinish("tool_calls")],
    ),
    "a call that has come": (
        [*TWO_CALLS, ended(output=[function_call("call_a", '{"city": "Rome"}')])],
        [*TWO_CALLS_SEEN, *TWO_CALLS_ENDED, StepFinish("tool_calls")],
    ),
    "text": ([*CREATED, text("Ye"), text("s"), ended()], [TextDelta("Ye"), TextDelta("s"), StepFinish("stop")]),
    "all that is counted": ([text("Yes"), ended(usage=USAGE)], [TextDelta("Yes"), StepFinish("stop", TOKENS)]),
    "a refusal": (
        [{"type": "response.refusal.delta", "delta": "No."}, ended()],
        [TextDelta("No."), StepFinish("content_filter")],
    ),
    "a summary of reasoning, in two parts": (
        [part(0), thought("Hm"), part(1), thought("well"), item("done", 0, reasoning_item("Hm", "well")), ended()],
        [
            ReasoningDelta("Hm"),
            ReasoningDelta("\n\n"),
            ReasoningDelta("well"),
            ReasoningDelta("", reasoning_item("Hm", "well")),
            StepFinish("stop"),
        ],
    ),
    "the reasoning itself (open models)": (
        [{"type": "response.reasoning_text.delta", "delta": "Hm"}, ended()],
        [ReasoningDelta("Hm"), StepFinish("stop")],
    ),
    "parallel calls": ([*TWO_CALLS, ended()], [*TWO_CALLS_SEEN, *TWO_CALLS_ENDED, StepFinish("tool_calls")]),
    "a call whose arguments come in the end": (
        [item("added", 1, function_call("call_a", "")), called(1, "call_a", '{"city": "Rome"}')[2], ended()],
        [*WHOLE_CALL_SEEN, TWO_CALLS_ENDED[0], StepFinish("tool_calls")],
    ),
    "a call that comes in the end": (
        [item("done", 1, function_call("call_a", '{"city": "Rome"}')), ended()],
        [*WHOLE_CALL_SEEN, TWO_CALLS_ENDED[0], StepFinish("tool_calls")],
    ),
    "an incomplete one that does not say why": (
        [text("Yes"), ended("incomplete", incomplete_details=None)],
        [TextDelta("Yes"), StepFinish("length")],
    ),
    "half an emoji of reasoning": (
        [thought("Hm\ud83d"), thought("\ude00"), ended()],
        [ReasoningDelta("Hm"), ReasoningDelta("😀"), StepFinish("stop")],
    ),
    "cut off at the limit": (
        [text("Yes"), incomplete("max_output_tokens")],
        [TextDelta("Yes"), StepFinish("length")],
    ),
    "calls cut off at the limit": (
        [*TWO_CALLS, incomplete("max_output_tokens")],
        [*TWO_CALLS_SEEN, StepFinish("length")],
    ),
    "filtered": ([text("Yes"), incomplete("content_filter")], [TextDelta("Yes"), StepFinish("content_filter")]),
    "half an emoji of thinking alone": (
        [thought("Hm\ud83d"), ended()],
        [ReasoningDelta("Hm"), ReasoningDelta("\ufffd"), StepFinish("stop")],
    ),
    "half an emoji": ([text("a\ud83d"), ended()], [TextDelta("a"), TextDelta("\ufffd"), StepFinish("stop")]),
    "broken off": ([text("Yes")], [TextDelta("Yes")]),
}


@pytest.mark.parametrize(("sent", "events"), ANSWERS.values(), ids=ANSWERS.keys())
def test_what_is_read_of_an_answer(sent: list[dict], events: list):
    assert list(decode_chunks(ResponsesDecoder(), [sse(*sent, done=False)])) == events


def whole(*output: dict, **fields: object) -> dict:
    """A response in one piece."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 0,
        "model": "o1-pro",
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "output": list(output),
        "usage": USAGE,
        **fields,
    }


def message(*content: dict) -> dict:
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": list(content)}


WHOLE_TEXT = message(
    {"type": "output_text", "text": "Let me ", "annotations": []}, {"type": "refusal", "refusal": "not."}
)
WHOLE = {
    "text and reasoning": (
        whole(reasoning_item("Hm", "well"), WHOLE_TEXT),
        [
            ReasoningDelta("Hm\n\nwell", reasoning_item("Hm", "well")),
            TextDelta("Let me "),
            TextDelta("not."),
            StepFinish("content_filter", TOKENS),
        ],
    ),
    "a call": (
        whole(function_call("call_a", '{"city": "Rome"}')),
        [
            ToolCallStart("call_a", "weather"),
            ToolCallDelta("call_a", '{"city": "Rome"}'),
            ToolCallEnd(call("call_a", "Rome")),
            StepFinish("tool_calls", TOKENS),
        ],
    ),
    "an item that is not asked for": (
        whole(
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "?"}}
        ),
        [StepFinish("stop", TOKENS)],
    ),
    "cut off at the limit": (
        whole(WHOLE_TEXT, status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        [TextDelta("Let me "), TextDelta("not."), StepFinish("length", TOKENS)],
    ),
}


@pytest.mark.parametrize(("response", "events"), WHOLE.values(), ids=WHOLE.keys())
def test_an_answer_in_one_piece(response: dict, events: list):
    assert Response.model_validate(response)
    assert list(decode_chunks(ResponsesDecoder(), [json.dumps(response).encode()])) == events


def error(code: str | None, message: str = "no") -> dict:
    return {"code": code, "message": message}


FAILURES = {
    "the response failed": (sse(ended("failed", error=error("server_error"))), ProviderUnavailableError),
    "an event": (sse({"type": "error", **error("ERR_SOMETHING"), "param": None}), ProviderUnavailableError),
    "an event with the error within": (
        sse({"type": "error", "error": error("server_error")}),
        ProviderUnavailableError,
    ),
    "a proxy's error": (sse({"error": "oops"}), ProviderUnavailableError),
    "too many requests": (sse(ended("failed", error=error("rate_limit_exceeded"))), RateLimitError),
    "no money": (sse(ended("failed", error=error("insufficient_quota"))), RateLimitError),
    "too long": (sse(ended("failed", error=error("context_length_exceeded"))), ContextWindowError),
    "refused": (sse(ended("failed", error=error("invalid_prompt"))), BadRequestError),
    "in one piece": (json.dumps(whole(status="failed", error=error("invalid_prompt"))).encode(), BadRequestError),
}


@pytest.mark.parametrize(("body", "kind"), FAILURES.values(), ids=FAILURES.keys())
def test_an_error_within_a_response_is_what_its_code_says(server: Loopback, body: bytes, kind: type[LLMError]):
    server.play(Reply([body]))

    with pytest.raises(kind) as raised:
        broker(server, max_retries=0).generate(QUESTION)

    assert type(raised.value) is kind


def broker(server: Loopback, **options) -> LLMBroker:
    return LLMBroker("m", OpenAIGateway(KEY, server.url, api="responses"), **options)


def reply(*events: dict) -> Reply:
    return Reply([sse(*events, done=False)])


YES = reply(text("Yes."), ended())


def test_nothing_is_stored_and_only_what_the_caller_set_is_sent(server: Loopback):
    server.play(YES)

    assert broker(server).generate(QUESTION, tools=[]) == "Yes."

    assert server.requests[0].path == "/responses"
    assert server.requests[0].body == {
        "model": "m",
        "input": [{"role": "user", "content": "Is it sunny?"}],
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "stream": True,
    }


SCHEMA = {"type": "object", "properties": {"sunny": {"type": "boolean"}}}
STRICT = {"name": "sky", "schema": SCHEMA, "strict": True}
SETTINGS = {
    "sampling": (CompletionConfig(temperature=0, top_p=0.5), {"temperature": 0, "top_p": 0.5}),
    "what it does not know": (CompletionConfig(top_k=3, num_ctx=2048), {}),
    "max_tokens": (CompletionConfig(max_tokens=9, num_predict=5), {"max_output_tokens": 9}),
    "num_predict": (CompletionConfig(num_predict=5), {"max_output_tokens": 5}),
    "reasoning_effort": (
        CompletionConfig(reasoning_effort="low"),
        {"reasoning": {"effort": "low", "summary": "auto"}},
    ),
    "any JSON": (
        CompletionConfig(response_format={"type": "json_object"}),
        {"text": {"format": {"type": "json_object"}}},
    ),
    "a schema": (
        CompletionConfig(response_format={"type": "json_schema", "json_schema": {"name": "sky", "schema": SCHEMA}}),
        {"text": {"format": {"type": "json_schema", "name": "sky", "schema": SCHEMA, "strict": False}}},
    ),
    "a strict schema": (
        CompletionConfig(response_format={"type": "json_schema", "json_schema": STRICT}),
        {"text": {"format": {"type": "json_schema", **STRICT}}},
    ),
}


@pytest.mark.parametrize(("config", "settings"), SETTINGS.values(), ids=SETTINGS.keys())
def test_settings(config: CompletionConfig, settings: dict):
    before = config.model_copy(deep=True)

    body = encode(Request("m", tuple(QUESTION), config))

    assert body == {**encode(Request("m", tuple(QUESTION))), **settings}
    assert config == before


def test_an_object_is_asked_for_by_its_schema():
    body = encode(Request("m", tuple(QUESTION), object_model=Sky))

    schema = {**Sky.model_json_schema(), "additionalProperties": False}
    form = {"type": "json_schema", "name": "Sky", "schema": schema, "strict": True}
    assert body["text"] == {"format": form}


class Now(LLMTool):
    descriptor = {"type": "function", "function": {"name": "now", "strict": True}}  # noqa: RUF012 (never changed)

    def run(self) -> str:
        return "now"


def test_tools():
    body = encode(Request("m", tuple(QUESTION), tools=(Weather(), Now())))

    assert body["tools"] == [
        {"type": "function", "strict": False, **Weather.descriptor["function"]},
        {"type": "function", "name": "now", "strict": True, "parameters": None},
    ]


THINKS_AND_CALLS = reply(*CREATED, thought("Hm"), item("done", 0, reasoning_item("Hm")), *TWO_CALLS, ended())


def encoded_call(call_id: str, city: str) -> dict:
    arguments = json.dumps({"city": city})
    return {"type": "function_call", "call_id": call_id, "name": "weather", "arguments": arguments}


def output(call_id: str, output: str) -> dict:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


ASKED_AND_CALLED = [
    {"role": "user", "content": "Is it sunny?"},
    reasoning_item("Hm"),
    encoded_call("call_a", "Rome"),
    encoded_call("call_b", "Oslo"),
]


@pytest.mark.parametrize("how", BOTH)
def test_a_round_of_calls_is_sent_back_with_the_reasoning_that_led_to_it(server: Loopback, how: str):
    server.play(THINKS_AND_CALLS, YES)
    run = begin(broker(server), how, QUESTION, [Weather()])

    events_of(run)

    assert server.requests[1].body["input"] == [
        *ASKED_AND_CALLED,
        output("call_a", "Sunny in Rome."),
        output("call_b", "Sunny in Oslo."),
    ]


def test_reasoning_is_not_lost_when_the_run_stops_before_the_results(server: Loopback):
    server.play(THINKS_AND_CALLS, YES)
    asking = broker(server)
    with asking.stream(QUESTION, [Weather()]) as run:
        *_, last = islice(run, 9)

    asking.generate([*run.messages, LLMMessage(content="So?")])

    assert last == TWO_CALLS_ENDED[1]
    assert server.requests[1].body["input"] == [
        *ASKED_AND_CALLED,
        output("call_a", BROKEN_OFF),
        output("call_b", BROKEN_OFF),
        {"role": "assistant", "content": "(no answer)"},
        {"role": "user", "content": "So?"},
    ]


def test_what_the_other_messages_become():
    signed = {"type": "thinking", "thinking": "Hm", "signature": "c2ln"}
    messages = (
        LLMMessage(role=MessageRole.System, content="Be brief."),
        LLMMessage(role=MessageRole.Assistant, content="Yes.", reasoning_details=[signed, {"field": "reasoning"}]),
        LLMMessage(role=MessageRole.Assistant, content=""),
        LLMMessage(role=MessageRole.Tool),
    )

    assert encode(Request("m", messages))["input"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "Yes."},
        {"type": "function_call_output", "call_id": None, "output": ""},
    ]


@pytest.mark.parametrize(
    ("model", "needs"),
    [
        ("o1-pro", True),
        ("o3-pro-2025-06-10", True),
        ("gpt-5-codex", True),
        ("gpt-5.1-codex-max", True),
        ("codex-mini-latest", True),
        ("o4-mini-deep-research-2025-06-26", True),
        ("o1", False),
        ("gpt-5.2", False),
        ("gpt-4o-2024-08-06", False),
        ("my-o1-pro", False),
    ],
)
def test_models_that_know_no_other_api(model: str, needs: bool):
    assert needs_responses(model) is needs


@pytest.mark.parametrize("api", [None, "responses"])
def test_a_model_that_cannot_stream_answers_in_one_piece(server: Loopback, api: str | None):
    """The SDK's client reaches OpenAI's own host through the server, as through a proxy."""
    server.play(json_reply(whole(WHOLE_TEXT)))
    http = openai.DefaultHttpxClient(proxy=server.url)

    with (
        openai.OpenAI(api_key=KEY, base_url="http://api.openai.com/v1", http_client=http) as client,
        pytest.warns(IncompleteAnswerWarning, match="content filter"),  # of the refusal
    ):
        answer = LLMBroker("o1-pro", OpenAIGateway(client=client, api=api)).generate(QUESTION)

    assert answer == "Let me not."
    assert server.requests[0].path == "http://api.openai.com/v1/responses"
    assert server.requests[0].body["stream"] is False


def test_reasoning_goes_back_to_where_it_was(server: Loopback):
    """An item of reasoning without the item that it led to is refused."""
    first, second, third = ({**reasoning_item("Hm"), "id": f"rs_{number}"} for number in range(3))
    server.play(
        Reply(
            [
                sse(
                    item("done", 0, first),
                    text("Let me see."),
                    item("done", 2, second),
                    *called(3, "call_a", '{"city": "Rome"}'),
                    item("done", 4, third),
                    *called(5, "call_b", '{"city": "Oslo"}'),
                    ended(),
                    done=False,
                )
            ]
        ),
        YES,
    )

    broker(server).generate(QUESTION, [Weather()])

    assert server.requests[1].body["input"] == [
        {"role": "user", "content": "Is it sunny?"},
        first,
        {"role": "assistant", "content": "Let me see."},
        second,
        {"type": "function_call", "call_id": "call_a", "name": "weather", "arguments": '{"city": "Rome"}'},
        third,
        {"type": "function_call", "call_id": "call_b", "name": "weather", "arguments": '{"city": "Oslo"}'},
        output("call_a", "Sunny in Rome."),
        output("call_b", "Sunny in Oslo."),
    ]


def test_reasoning_between_two_calls_without_a_word():
    first, second = call("call_a", "Rome"), call("call_b", "Oslo")
    between = place(reasoning_item("Hm"), 0, 1)
    message = LLMMessage(role=MessageRole.Assistant, tool_calls=[first, second], reasoning_details=[between])

    assert list(filter(None, interleave(message, "reasoning"))) == [first, reasoning_item("Hm"), second]


UNASKED = {
    "encrypted reasoning": ("Encrypted content is not supported with this model.", "include"),
    "a summary": ("Your organization must be verified to generate reasoning summaries.", "reasoning.summary"),
}


@pytest.mark.parametrize(("words", "param"), UNASKED.values(), ids=UNASKED.keys())
def test_what_nobody_asked_for_is_left_out_without_a_word(server: Loopback, words: str, param: str):
    refusal = {"error": {"message": words, "type": "invalid_request_error", "param": param, "code": None}}
    server.play(json_reply(refusal, 400), YES)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        broker(server).generate(QUESTION, config=CompletionConfig(reasoning_effort="low"))

    refused, accepted = (request.body for request in server.requests)
    assert ("include" in accepted, "summary" in accepted["reasoning"]) == (param != "include", param == "include")
    assert refused["include"]
    assert refused["reasoning"] == {"effort": "low", "summary": "auto"}


def test_a_failed_response_that_does_not_say_why(server: Loopback):
    server.play(Reply([sse(ended("failed", error=None), done=False)]))

    with pytest.raises(ProviderUnavailableError, match="without a reason"):
        LLMBroker("m", broker(server).adapter, max_retries=0).generate(QUESTION)


def test_a_setting_that_the_model_refuses_is_left_out(server: Loopback):
    refusal = {"error": error(None, "Unsupported parameter: 'temperature' is not supported with this model.")}
    server.play(json_reply(refusal, 400), YES)

    with pytest.warns(UserWarning, match="`temperature` was left out: 'm' doesn't"):
        broker(server).generate(QUESTION, temperature=0.7)

    assert [request.body.get("temperature") for request in server.requests] == [0.7, None]
