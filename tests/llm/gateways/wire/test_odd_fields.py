"""Odd values in what servers send, and in recordings: an error of ours, or the right answer, and nothing else.

One field of one event is replaced by an odd value; which and by what is the same each time. MOJENTIC_NB_FUZZ multiplies
how many are tried; from 50 on, all are.
"""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import product
from typing import Any

import pytest
from fuzzing import FACTOR
from grammar import assert_step
from providers_on_wire import event, line
from recordings import OWN, SHARED, recorded

from mojentic_nb.llm import (
    CompletionConfig,
    LLMMessage,
    LLMToolCall,
    ModelEvent,
    ReasoningDelta,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
)
from mojentic_nb.llm.conversation import Conversation
from mojentic_nb.llm.errors import ConfigurationError, LLMError, RateLimitError
from mojentic_nb.llm.gateways.failures import Server, status_error
from mojentic_nb.llm.gateways.keys import Key
from mojentic_nb.llm.gateways.replay.recordings import TimedEvent, describe_answer, read_answer
from mojentic_nb.llm.gateways.wire import anthropic_messages, chat_completions, ollama_chat, responses
from mojentic_nb.llm.gateways.wire.decoding import Decoder, Paused, StreamError, decode_chunks
from mojentic_nb.llm.redaction import Redaction
from mojentic_nb.llm.request import Request

pytestmark = pytest.mark.fuzz

TRIED = 1000  # odd values in each stream
QUESTION = [LLMMessage(content="Is it sunny?")]
MISSING = object()
INFINITE = float("inf")  # JSON writes it as 1e400
LARGE = 10**30
DEEP: Any = []
for _ in range(300):
    DEEP = [DEEP]
ODD = [
    *(
        None,
        "",
        "x",
        -1,
        0,
        1.5,
        2.0,
        LARGE,
        INFINITE,
        True,
        False,
        [],
        {},
        [[]],
        [None],
        [1.5],
        {"a": {}},
        "y" * 5000,
    ),
    *("\ud83d", DEEP, MISSING),
]


@dataclass(frozen=True)
class Api:
    """A provider's API: what reads and writes it, and the fields that say something of the answer, by their paths."""

    decoder: Callable[[], Decoder]
    encode: Callable[[Request], dict]
    frame: Callable[[dict], bytes]
    telling: str


APIS = {
    "chat": Api(
        chat_completions.ChatDecoder,
        chat_completions.encode,
        event,
        r"|error|choices|choices\.\d+|choices\.\d+\.(finish_reason|(delta|message)"
        r"(|\.(content|refusal|reasoning|reasoning_content|tool_calls)(\..+)?))",
    ),
    "responses": Api(
        responses.ResponsesDecoder,
        responses.encode,
        event,
        r"|type|delta|output_index|item|item\.(type|call_id|name|arguments|content(\..+)?)|error|response\.error",
    ),
    "anthropic": Api(
        anthropic_messages.MessagesDecoder,
        anthropic_messages.encode,
        event,
        r"|type|index|error|delta|delta\.(type|text|thinking|partial_json|stop_reason)|content_block"
        r"|content_block\.(type|text|thinking|id|name|input)|(content|stop_reason)(\..+)?",
    ),
    "ollama": Api(
        ollama_chat.OllamaDecoder,
        ollama_chat.encode,
        line,
        r"|error|done|done_reason|message|message\.(content|thinking|tool_calls)(\..+)?",
    ),
}


def arguments(index: int, text: str, **call: object) -> dict:
    """A piece of a call in a chat completion."""
    made = {"index": index, **call, "function": {**({"name": "weather"} if call else {}), "arguments": text}}
    return {"choices": [{"index": 0, "delta": {"tool_calls": [made]}, "finish_reason": None}]}


CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather"}
STREAMS: dict[str, list[dict]] = {
    "chat": [
        {"id": "1", "object": "chat.completion.chunk", "created": 1, "choices": [], "usage": None, "error": None},
        {
            "choices": [
                {"index": 0, "delta": {"role": "assistant", "content": None, "reasoning": "Hm"}, "logprobs": None}
            ]
        },
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {
                        "content": "",
                        "refusal": None,
                        "reasoning_details": [{"type": "reasoning.text", "text": "Hm", "index": 0, "signature": None}],
                    },
                }
            ]
        },
        {"choices": [{"delta": {"reasoning_details": [{"type": "reasoning.text", "text": ".", "index": 0}]}}]},
        {"choices": [{"index": 0, "delta": {"content": "Let me see."}, "finish_reason": None}], "x_groq": {"id": "r"}},
        arguments(0, "", id="call_1", type="function", extra_content={"google": {"thought_signature": "c2ln"}}),
        arguments(0, '{"city": "Rome"}'),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls", "usage": {"prompt_tokens": 1}}]},
        {
            "choices": [],
            "usage": {
                "prompt_tokens": 5,
                "completion_tokens": 7,
                "prompt_tokens_details": {"cached_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
        },
        {"choices": [], "x_groq": {"usage": {"prompt_tokens": 5, "completion_tokens": 7}}},
    ],
    "responses": [
        {"type": "response.created", "response": {"id": "r", "status": "in_progress", "error": None, "usage": None}},
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "summary": []}},
        {"type": "response.reasoning_summary_part.added", "summary_index": 0, "part": {"type": "summary_text"}},
        {"type": "response.reasoning_summary_text.delta", "summary_index": 0, "delta": "Hm"},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {"type": "reasoning", "id": "rs_1", "summary": [{"text": "Hm"}], "encrypted_content": "x"},
        },
        {"type": "response.output_text.delta", "output_index": 1, "delta": "Let me see.", "logprobs": []},
        {"type": "response.output_item.added", "output_index": 2, "item": {**CALL, "arguments": ""}},
        {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": '{"city": "Rome"}'},
        {"type": "response.function_call_arguments.done", "output_index": 2, "arguments": '{"city": "Rome"}'},
        {"type": "response.output_item.done", "output_index": 2, "item": {**CALL, "arguments": '{"city": "Rome"}'}},
        {
            "type": "response.completed",
            "response": {
                "status": "completed",
                "error": None,
                "incomplete_details": None,
                "output": [{"type": "message", "content": [{"text": "Let me see."}]}],
                "usage": {
                    "input_tokens": 5,
                    "output_tokens": 7,
                    "input_tokens_details": {"cached_tokens": 2},
                    "output_tokens_details": {"reasoning_tokens": 3},
                },
            },
        },
    ],
    "anthropic": [
        {
            "type": "message_start",
            "message": {"id": "m", "content": [], "usage": {"input_tokens": 5, "output_tokens": 1}},
        },
        {"type": "ping"},
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "thinking", "thinking": "", "signature": ""},
        },
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "", "citations": None}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Let me see."}},
        {"type": "content_block_stop", "index": 1},
        {
            "type": "content_block_start",
            "index": 2,
            "content_block": {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        },
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"q": 1}'}},
        {"type": "content_block_stop", "index": 2},
        {
            "type": "content_block_start",
            "index": 3,
            "content_block": {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"url": "u"}]},
        },
        {"type": "content_block_stop", "index": 3},
        {
            "type": "content_block_start",
            "index": 4,
            "content_block": {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
        },
        {
            "type": "content_block_delta",
            "index": 4,
            "delta": {"type": "input_json_delta", "partial_json": '{"city": "Rome"}'},
        },
        {"type": "content_block_stop", "index": 4},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {
                "output_tokens": 7,
                "cache_read_input_tokens": 2,
                "cache_creation_input_tokens": None,
                "output_tokens_details": {"thinking_tokens": 3},
            },
        },
        {"type": "message_stop"},
    ],
    "ollama": [
        {
            "model": "m",
            "created_at": "now",
            "message": {"role": "assistant", "content": "", "thinking": "Hm"},
            "done": False,
        },
        {"model": "m", "message": {"role": "assistant", "content": "Let me see."}, "done": False},
        {
            "model": "m",
            "message": {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Rome"}}}],
            },
            "done": False,
        },
        {
            "model": "m",
            "message": {"role": "assistant", "content": ""},
            "done": True,
            "done_reason": "stop",
            "total_duration": 5,
            "prompt_eval_count": 5,
            "eval_count": 7,
        },
    ],
}


def bytes_of(api: Api, documents: list[dict]) -> bytes:
    """The documents as a server sends them."""
    return b"".join(
        api.frame(json.dumps(document).replace("Infinity", "1e400")) for document in documents
    ) + b"data: [DONE]\n\n" * (api is APIS["chat"])


@dataclass(frozen=True)
class Answer:
    """What there is of an answer."""

    text: str
    calls: list[tuple[str, dict]]
    finish_reason: str


def counts_of(usage: Usage) -> list[object]:
    """The numbers of tokens in a usage."""
    return [getattr(usage, each.name) for each in fields(usage) if each.name != "estimated"]


def read(api: Api, documents: list[dict]) -> Answer | LLMError:
    """What a run makes of the documents; whatever that is, it can be sent back, and its tokens are counted."""
    conversation = Conversation("m", QUESTION, CompletionConfig())
    conversation.request()
    events: list[ModelEvent] = []
    try:
        for each in decode_chunks(api.decoder(), [bytes_of(api, documents)]):
            events += conversation.feed(each)
        conversation.check_answered()
        conversation.request()
    except LLMError as error:
        conversation.fail(error)
        return error
    except StreamError as error:
        server = Server.at("http://h", "OPENAI_API_KEY")
        return status_error(server, error.status, error.body, str(error), model="m", key=Key("a-key"))
    except Paused as pause:
        api.encode(pause.request)
        return LLMError("paused")
    assert_step(events)
    assert all(type(count) is int and count >= 0 for count in counts_of(conversation.usage))
    json.dumps(api.encode(Request("m", tuple(conversation.messages))), allow_nan=False, ensure_ascii=False).encode()
    message = next((each for each in conversation.messages[1:]), LLMMessage(content=""))
    calls = [(call.name, call.arguments) for call in message.tool_calls or ()]
    return Answer(message.content or "", calls, events[-1].finish_reason)


def paths_in(value: object, path: tuple = ()) -> Iterator[tuple]:
    """The path of each field in `value`, that of the whole first."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in inside:
        yield from paths_in(part, (*path, name))


def edit(documents: list[dict], path: tuple, odd: object) -> list[dict]:
    """The documents with an odd value at the path."""
    made = [copy.deepcopy(document) if n == path[0] else document for n, document in enumerate(documents)]
    *outer, name = path
    inside: Any = made
    for step in outer:
        inside = inside[step]
    if odd is MISSING:
        del inside[name]
    else:
        inside[name] = odd
    return made


def some(cases: Iterable[tuple], count: int) -> list[tuple]:
    """So many of the cases, by a seed; all in the long run."""
    cases = list(cases)
    return random.Random(0).sample(cases, min(len(cases), count * FACTOR))  # noqa: S311 (no secret)


def check(api: Api, documents: list[dict], path: tuple, odd: object, right: Answer) -> None:
    """The answer is right or an error; an error only where the field says something of the answer."""
    answer = read(api, edit(documents, path, odd))

    telling = re.fullmatch(api.telling, ".".join(map(str, path[1:])))
    another_answer = path[-1] == "index" and odd == LARGE
    unreadable = odd is DEEP and isinstance(answer, LLMError)
    assert isinstance(answer, Answer | LLMError)
    assert answer == right or telling or another_answer or unreadable, (path, odd)


@pytest.mark.parametrize("name", APIS)
def test_an_odd_value_in_a_short_stream(name: str):
    api, documents = APIS[name], STREAMS[name]
    right = read(api, documents)
    assert right == Answer("Let me see.", [("weather", {"city": "Rome"})], "tool_calls")

    fields = ((n, *path) for n, document in enumerate(documents) for path in paths_in(document))
    for path, odd in some(product(fields, ODD), TRIED):
        check(api, documents, path, odd, right)


def recorded_streams(name: str) -> Iterator[list[dict]]:
    """The documents of each recorded answer of one API."""
    ends = {"chat": "/chat/completions", "responses": "/responses", "anthropic": "/v1/messages", "ollama": "/api/chat"}
    for path in sorted([*OWN.glob("*.json"), *SHARED.glob("*.json")]):
        for exchange in recorded(path.stem):
            if exchange.status == 200 and exchange.path.endswith(ends[name]):
                found = re.findall(r"^data: ?(\{.*)$", exchange.body.decode(), re.MULTILINE)
                yield [json.loads(document) for document in found]


@pytest.mark.parametrize("name", ["chat", "responses", "anthropic"])
def test_an_odd_value_in_a_recorded_stream(name: str):
    """Of events of the same form, the first in each recording."""
    api = APIS[name]
    cases = []
    for documents in recorded_streams(name):
        right = read(api, documents)
        forms: set[tuple] = set()
        for n, document in enumerate(documents):
            paths = tuple(paths_in(document))
            if (document.get("type"), paths) not in forms:
                forms.add((document.get("type"), paths))
                cases += [(documents, (n, *path), odd, right) for path in paths for odd in ODD]

    for case in some(cases, TRIED // 4):
        check(api, *case)


RECORDED = [
    ReasoningDelta("Hm"),
    ReasoningDelta("", {"type": "thinking", "thinking": "Hm", "signature": "c2ln", "after": [0, 0]}),
    ReasoningDelta("", {"field": "reasoning", "calls": {"call_1_0": {"extra_content": 1}}, "reasoning_details": [{}]}),
    TextDelta("Let me see."),
    ToolCallStart("call_1", "weather"),
    ToolCallDelta("call_1", '{"city": "Rome"}'),
    ToolCallEnd(LLMToolCall(id="call_1", name="weather", arguments={"city": "Rome"})),
    StepFinish("tool_calls", Usage(5, 7, 2, 3)),
]


def test_an_odd_value_in_a_recording():
    """Whoever gives you a recording may have written anything into it."""
    failure = RateLimitError("Wait.")
    failure.retry_after = 1.5
    recording = [TimedEvent(0.1, each) for each in [*RECORDED, failure]]
    lines, ms = describe_answer(recording, 1, Redaction.of(()))
    assert len(list(read_answer(lines, ms))) == len(recording)

    recorded_exchange = {"answer": lines, "ms": ms}
    for path in paths_in(recorded_exchange):
        for odd in ODD:
            if path and not (len(path) == 1 and odd is MISSING):
                (exchange,) = edit([recorded_exchange], (0, *path), odd)
                replay(**exchange)


@pytest.mark.parametrize("kind", ["IncompleteAnswerWarning", "LLMMessage", "annotations", ""])
def test_a_recording_names_only_errors(kind: str):
    with pytest.raises(ConfigurationError, match="Can't read a line"):
        list(read_answer([{"error": kind, "message": "Wait."}], []))


def replay(answer: object, ms: object) -> None:
    """A replay is right, or the recording is said to be none."""
    conversation = Conversation("m", QUESTION, CompletionConfig())
    conversation.request()
    try:
        for each in read_answer(answer, ms):
            assert 0 <= each.wait <= 3600
            if isinstance(each.event, LLMError):
                conversation.retry(each.event)
            else:
                list(conversation.feed(each.event))
    except ConfigurationError:
        return
    assert all(type(count) is int and count >= 0 for count in counts_of(conversation.usage))
    for api in APIS.values():
        json.dumps(api.encode(Request("m", tuple(conversation.messages))), allow_nan=False)
