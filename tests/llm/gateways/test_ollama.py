"""Ollama's gateway, against a real server that speaks its API."""

from __future__ import annotations

import asyncio
import json
from itertools import islice

import ollama
import pytest
from driving import BOTH, begin, events_of
from loopback import PATIENCE, Cut, Hold, Loopback, Reply, json_reply
from pydantic import BaseModel
from weather import Weather, call

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
    Usage,
)
from mojentic_nb.llm.errors import (
    BadRequestError,
    ConfigurationError,
    IncompleteStreamError,
    LLMError,
    ModelNotFoundError,
    ProviderUnavailableError,
)
from mojentic_nb.llm.gateways import OllamaGateway
from mojentic_nb.llm.gateways.wire.decoding import decode_chunks
from mojentic_nb.llm.gateways.wire.ollama_chat import OllamaDecoder, encode
from mojentic_nb.llm.request import Request

QUESTION = [LLMMessage(content="Why?")]


class Sky(BaseModel):
    sunny: bool


def lines(*bodies: dict) -> bytes:
    return b"".join(json.dumps(body).encode() + b"\n" for body in bodies)


def says(text: str) -> dict:
    return {"model": "m", "message": {"role": "assistant", "content": text}, "done": False}


def done(reason: str = "stop") -> dict:
    counts = {"prompt_eval_count": 5, "eval_count": 2}
    return {**says(""), "done": True, "done_reason": reason, **counts}


def broker(server: Loopback) -> LLMBroker:
    return LLMBroker("m", OllamaGateway(server.url), max_retries=0)


def encoded_call(city: str) -> dict:
    return {"function": {"name": "weather", "arguments": {"city": city}}}


def calls(*cities: str, **fields: object) -> dict:
    """A line with whole calls."""
    message = {"role": "assistant", "content": "", "tool_calls": [encoded_call(city) for city in cities], **fields}
    return {"model": "m", "message": message, "done": False}


def thinks(text: str) -> dict:
    return {"model": "m", "message": {"role": "assistant", "content": "", "thinking": text}, "done": False}


def seen(city: str, call_id: str) -> list:
    return [ToolCallStart(call_id, "weather"), ToolCallDelta(call_id, json.dumps({"city": city}))]


TOKENS = Usage(5, 2)
TWO_CALLS_SEEN = [*seen("Rome", "call_0_0"), *seen("Oslo", "call_0_1")]
TWO_CALLS_ENDED = [ToolCallEnd(call("call_0_0", "Rome")), ToolCallEnd(call("call_0_1", "Oslo"))]
ANSWERS = {
    "thinking": (
        [thinks("Hm, "), thinks("well"), says("Yes"), done()],
        [ReasoningDelta("Hm, "), ReasoningDelta("well"), TextDelta("Yes"), StepFinish("stop", TOKENS)],
    ),
    "calls, which end by stop": (
        [calls("Rome"), calls("Oslo"), done()],
        [*TWO_CALLS_SEEN, *TWO_CALLS_ENDED, StepFinish("tool_calls", TOKENS)],
    ),
    "parallel calls in one line": (
        [calls("Rome", "Oslo"), done()],
        [*TWO_CALLS_SEEN, *TWO_CALLS_ENDED, StepFinish("tool_calls", TOKENS)],
    ),
    "a call with an id": (
        [calls(tool_calls=[{"id": "call_x", **encoded_call("Rome")}]), done()],
        [*seen("Rome", "call_x"), ToolCallEnd(call("call_x", "Rome")), StepFinish("tool_calls", TOKENS)],
    ),
    "a call without arguments": (
        [calls(tool_calls=[{"function": {"name": "weather"}}]), done()],
        [
            ToolCallStart("call_0_0", "weather"),
            ToolCallEnd(LLMToolCall(id="call_0_0", name="weather", arguments={})),
            StepFinish("tool_calls", TOKENS),
        ],
    ),
    "calls cut off at the limit": (
        [calls("Rome", "Oslo"), done("length")],
        [*TWO_CALLS_SEEN, StepFinish("length", TOKENS)],
    ),
    "no message in the last line (older servers)": (
        [says("Yes"), {"done": True, "done_reason": "stop"}],
        [TextDelta("Yes"), StepFinish("stop")],
    ),
    "no reason (older servers)": ([{**says("Yes"), "done": True}], [TextDelta("Yes"), StepFinish("stop")]),
    "no error": ([{**says("Yes"), "error": None}, done()], [TextDelta("Yes"), StepFinish("stop", TOKENS)]),
    "null counts": ([{**done(), "eval_count": None, "prompt_eval_count": None}], [StepFinish("stop")]),
    "broken off": ([says("Yes")], [TextDelta("Yes")]),
}


@pytest.mark.parametrize(("sent", "events"), ANSWERS.values(), ids=ANSWERS.keys())
def test_what_is_read_of_an_answer(sent: list[dict], events: list):
    assert list(decode_chunks(OllamaDecoder(), [lines(*sent)])) == events


def test_an_answer_in_one_piece_without_a_line_end():
    whole = {**done(), "message": {**thinks("Hm")["message"], "content": "Yes", "tool_calls": [encoded_call("Rome")]}}

    events = list(decode_chunks(OllamaDecoder(), [json.dumps(whole).encode()]))

    assert events == [
        ReasoningDelta("Hm"),
        TextDelta("Yes"),
        *seen("Rome", "call_0_0"),
        ToolCallEnd(call("call_0_0", "Rome")),
        StepFinish("tool_calls", TOKENS),
    ]


SCHEMA = {"type": "object", "properties": {"sunny": {"type": "boolean"}}}
SETTINGS = {
    "nothing": (CompletionConfig(), {}),
    "sampling": (
        CompletionConfig(temperature=0, top_p=0.5, top_k=3),
        {"options": {"temperature": 0, "top_p": 0.5, "top_k": 3}},
    ),
    "max_tokens": (CompletionConfig(max_tokens=9), {"options": {"num_predict": 9}}),
    "num_predict comes first": (CompletionConfig(max_tokens=9, num_predict=5), {"options": {"num_predict": 5}}),
    "no limit": (CompletionConfig(max_tokens=9, num_predict=-1), {"options": {"num_predict": -1}}),
    "num_ctx": (CompletionConfig(num_ctx=2048), {"options": {"num_ctx": 2048}}),
    "any JSON": (CompletionConfig(response_format={"type": "json_object"}), {"format": "json"}),
    "any text": (CompletionConfig(response_format={"type": "text"}), {}),
    "a schema": (
        CompletionConfig(response_format={"type": "json_schema", "json_schema": {"name": "sky", "schema": SCHEMA}}),
        {"format": SCHEMA},
    ),
}


@pytest.mark.parametrize(("config", "settings"), SETTINGS.values(), ids=SETTINGS.keys())
def test_settings(config: CompletionConfig, settings: dict):
    body = encode(Request("m", tuple(QUESTION), config))

    assert body == {"model": "m", "messages": [{"role": "user", "content": "Why?"}], "stream": True, **settings}


@pytest.mark.parametrize(
    ("model", "effort", "think"),
    [
        ("qwen3:4b", "none", False),
        ("qwen3:4b", "low", True),
        ("qwen3:4b", "max", True),
        ("gpt-oss:20b", "none", False),
        ("gpt-oss:20b", "minimal", "low"),
        ("gpt-oss:20b", "medium", "medium"),
        ("gpt-oss:20b", "xhigh", "high"),
        ("gpt-oss:20b", "max", "high"),
    ],
)
def test_reasoning_effort_is_a_level_for_the_one_family_that_knows_levels(model: str, effort, think: bool | str):
    body = encode(Request(model, tuple(QUESTION), CompletionConfig(reasoning_effort=effort)))

    assert body["think"] == think


def test_an_object_is_asked_for_by_its_schema(server: Loopback):
    server.play(Reply([lines(says('{"sunny": '), says("true}"), done())]))

    assert broker(server).generate_object(QUESTION, Sky) == Sky(sunny=True)

    assert server.requests[0].body["format"] == Sky.model_json_schema()


@pytest.mark.parametrize("tools", [None, [], [Weather()]])
def test_tools_are_sent_only_if_there_are_some(server: Loopback, tools: list | None):
    server.play(Reply([lines(says("Yes"), done())]))

    broker(server).generate(QUESTION, tools)

    assert server.requests[0].body.get("tools") == ([Weather.descriptor] if tools else None)


ASKED_AND_CALLED = [
    {"role": "user", "content": "Why?"},
    {
        "role": "assistant",
        "content": "",
        "thinking": "Hm",
        "tool_calls": [encoded_call("Rome"), encoded_call("Oslo")],
    },
]


@pytest.mark.parametrize("how", BOTH)
def test_a_round_of_calls_is_sent_back_with_the_thinking_that_led_to_it(server: Loopback, how: str):
    server.play(Reply([lines(thinks("Hm"), calls("Rome", "Oslo"), done())]), Reply([lines(says("Yes"), done())]))
    run = begin(broker(server), how, QUESTION, [Weather()])

    events_of(run)

    assert server.requests[1].body["messages"] == [
        *ASKED_AND_CALLED,
        {"role": "tool", "content": "Sunny in Rome.", "tool_name": "weather"},
        {"role": "tool", "content": "Sunny in Oslo.", "tool_name": "weather"},
    ]


def test_thinking_is_not_lost_when_the_run_stops_before_the_results(server: Loopback):
    server.play(Reply([lines(thinks("Hm"), calls("Rome", "Oslo"), done())]), Reply([lines(says("Yes"), done())]))
    asking = broker(server)
    with asking.stream(QUESTION, [Weather()]) as run:
        *_, last = islice(run, 7)

    asking.generate([*run.messages, LLMMessage(content="So?")])

    broken_off = {"role": "tool", "content": "The call was stopped before it had a result.", "tool_name": "weather"}
    assert last == ToolCallEnd(call("call_1_1", "Oslo"))
    assert server.requests[1].body["messages"] == [
        *ASKED_AND_CALLED,
        broken_off,
        broken_off,
        {"role": "assistant", "content": "(no answer)"},
        {"role": "user", "content": "So?"},
    ]


def test_what_the_other_messages_become():
    messages = (
        LLMMessage(role=MessageRole.System, content="Be brief."),
        LLMMessage(role=MessageRole.Assistant, content="Yes.", thinking="Hm"),
        LLMMessage(role=MessageRole.Assistant, tool_calls=[call("call_x", "Rome")]),
        LLMMessage(role=MessageRole.Tool),
    )

    assert encode(Request("m", messages))["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "assistant", "content": "Yes."},
        {"role": "assistant", "content": "", "tool_calls": [encoded_call("Rome")]},
        {"role": "tool", "content": "", "tool_name": None},
    ]


@pytest.mark.parametrize(("options", "model"), [({}, "mxbai-embed-large"), ({"model": "mine"}, "mine")])
def test_embeddings(server: Loopback, options: dict, model: str):
    server.play(json_reply({"model": model, "embeddings": [[0.5, -1.0]]}))

    assert OllamaGateway(server.url).calculate_embeddings("Hello", **options) == [0.5, -1.0]

    assert server.requests[0].path == "/api/embed"
    assert server.requests[0].body["input"] == "Hello"
    assert server.requests[0].body["model"] == model


def test_embeddings_of_a_model_that_is_not_there(server: Loopback):
    server.play(json_reply({"error": 'model "mine" not found'}, 404))

    with pytest.raises(ModelNotFoundError, match="Get it with `ollama pull mine`"):
        OllamaGateway(server.url).calculate_embeddings("Hello", "mine")


@pytest.mark.parametrize("reason", ["stop", "length"])
def test_an_answer(server: Loopback, reason: str):
    server.play(Reply([lines(says("Hello"), says(" you"), done(reason))], content_type="application/x-ndjson"))
    run = broker(server).stream(QUESTION, config=CompletionConfig(temperature=0, max_tokens=7))

    events = list(run)

    assert events[:-1] == [TextDelta("Hello"), TextDelta(" you"), StepFinish(reason, Usage(5, 2))]
    request = server.requests[0]
    assert request.path == "/api/chat"
    assert request.body["model"] == "m"
    assert request.body["messages"] == [{"role": "user", "content": "Why?"}]
    assert request.body["options"] == {"temperature": 0, "num_predict": 7}


def test_the_server_is_found_by_the_environment(server: Loopback, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    server.play(Reply([lines(says("Hello"), done())]))

    assert LLMBroker("m", OllamaGateway()).generate(QUESTION) == "Hello"


def test_closing_the_run_closes_the_connection(server: Loopback):
    server.play(Reply([lines(says("Hello")), Hold()]))
    run = broker(server).stream(QUESTION)
    next(iter(run))

    run.close()

    assert server.hung_up.wait(1)


FAILURES = {
    "no such model": (json_reply({"error": "model 'm' not found"}, 404), ModelNotFoundError, "`ollama pull m`"),
    "refused": (json_reply({"error": "bad"}, 400), BadRequestError, "refused .* It said: bad"),
    "failed": (
        json_reply({"error": "oops"}, 500),
        ProviderUnavailableError,
        "failed .* Retry later. It said: oops",
    ),
    "an error line in a stream": (
        Reply([lines(says("a"), {"error": "out of memory"})]),
        ProviderUnavailableError,
        "It said: out of memory",
    ),
    "cut in the middle": (Reply([lines(says("a")), Cut()]), IncompleteStreamError, "broke in the .* Ask again"),
    "ended too early": (Reply([lines(says("a"))]), IncompleteStreamError, "broke off .*: ask again"),
    "garbage": (Reply([b"<html>\n"]), IncompleteStreamError, "isn't a completion"),
    "a page of a proxy": (
        Reply([b"<h1>Bad\ngateway</h1>"], 502, "text/html"),
        ProviderUnavailableError,
        "It said: <h1>Bad gateway</h1>",
    ),
}


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize(("reply", "kind", "words"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_is_one_line_that_says_what_to_do(
    server: Loopback, reply: Reply, kind: type[LLMError], words: str, how: str
):
    server.play(reply)

    with pytest.raises(kind, match=words) as failure:
        events_of(begin(broker(server), how, QUESTION))

    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("address", ["localhost:abc", "http://[::1"])
def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch, address: str):
    monkeypatch.setenv("OLLAMA_HOST", address)

    with pytest.raises(ConfigurationError, match="Check `OLLAMA_HOST`, as in http://"):
        OllamaGateway()


def test_no_server():
    with pytest.raises(
        ProviderUnavailableError, match=r"at 127.0.0.1:9. Start it with `ollama serve`, or set `OLLAMA_HOST`"
    ):
        LLMBroker("m", OllamaGateway()).generate(QUESTION)


def test_half_a_character_in_a_message(server: Loopback):
    with pytest.raises(BadRequestError, match="a lone surrogate"):
        broker(server).generate([LLMMessage.model_construct(content="a\ud83d")])


def test_a_gateway_that_is_closed_opens_new_connections(server: Loopback):
    server.play(*[Reply([lines(says("Yes"), done())]) for _ in range(4)])
    asking = broker(server)

    async def ask_and_close() -> str:
        answer = await asking.agenerate(QUESTION)
        await asking.adapter.aclose()
        return answer

    assert asking.generate(QUESTION) == asyncio.run(ask_and_close()) == "Yes"
    assert asking.generate(QUESTION) == asyncio.run(ask_and_close()) == "Yes"


def test_its_name_says_where_it_is():
    assert repr(OllamaGateway("http://user:hunter2@my.host:1234")) == "OllamaGateway('my.host:1234')"


def test_only_models_that_can_chat_here_are_listed(server: Loopback):
    names = ["nomic-embed-text:latest", "gpt-oss:120b-cloud", "broken:1b", "qwen3:4b", "old:1b"]
    shown = [{"capabilities": ["embedding"]}, {"capabilities": ["completion", "tools"]}, {}]
    server.play(
        json_reply({"models": [{"model": name} for name in names]}),
        json_reply({"model_info": {}, **shown[0]}),
        json_reply({"error": "broken"}, 500),
        *(json_reply({"model_info": {}, **show}) for show in shown[1:]),
    )

    assert OllamaGateway(server.url).get_available_models() == ["qwen3:4b", "old:1b"]


@pytest.mark.parametrize("how", BOTH)
def test_headers_of_ones_own_are_sent(server: Loopback, how: str):
    """As with Mojentic's, they may follow the host; other requests have them, too."""
    server.play(Reply([lines(says("Hi"), done())]), json_reply({"models": []}))
    gateway = OllamaGateway(server.url, {"X-Proxy-Key": "k-1"}, 20)

    events_of(begin(LLMBroker("m", gateway), how, QUESTION))
    gateway.get_available_models()

    assert [request.headers["x-proxy-key"] for request in server.requests] == ["k-1", "k-1"]
    assert gateway._timeout.stall == 20


def test_a_key_in_the_headers_is_not_shown(server: Loopback):
    server.play(json_reply({"error": "Bad key sk-of-the-test."}, 400))
    gateway = OllamaGateway(server.url, {"Authorization": "Bearer sk-of-the-test"})

    with pytest.raises(BadRequestError, match="Bad key .the key."):
        LLMBroker("m", gateway).generate(QUESTION)

    assert server.requests[0].headers["authorization"] == "Bearer sk-of-the-test"


CLIENTS = [(ollama.Client, "sync"), (ollama.Client, "async"), (ollama.AsyncClient, "async")]


@pytest.mark.parametrize(("kind", "how"), CLIENTS)
def test_a_client_of_ones_own_is_used_as_it_is(server: Loopback, kind: type, how: str):
    times = 1 if kind is ollama.AsyncClient else 2  # its connections belong to one event loop
    server.play(*[Reply([lines(says("Hi"), done())], headers={"Connection": "close"})] * times)
    client = kind(server.url, headers={"X-Proxy-Key": "k-1"})
    gateway = OllamaGateway(client=client)

    for _ in range(times):
        events = events_of(begin(LLMBroker("m", gateway), how, QUESTION))
        assert events[0] == TextDelta("Hi")
        gateway.close()

    assert [request.headers["x-proxy-key"] for request in server.requests] == ["k-1"] * times
    assert not client._client.is_closed
    assert repr(gateway) == f"OllamaGateway('{server.url.removeprefix('http://')}')"


@pytest.mark.parametrize(("kind", "how"), CLIENTS)
def test_an_answer_of_ones_own_client_may_break_off(server: Loopback, kind: type, how: str):
    server.play(Reply([lines(says("Hi")), Cut()]))
    run = begin(LLMBroker("m", OllamaGateway(client=kind(server.url))), how, QUESTION)

    with pytest.raises(IncompleteStreamError, match="broke"):
        events_of(run)

    assert run.messages[-1].content == "Hi"


def test_cancelling_ends_a_request_of_ones_own_client(server: Loopback):
    hold = Hold()
    server.play(Reply([lines(says("Hi")), hold]))
    run = LLMBroker("m", OllamaGateway(client=ollama.Client(server.url))).stream(QUESTION)

    events = events_of(run, lambda _: run.cancel())

    assert hold.hung_up.wait(PATIENCE)
    assert events[-1].finish_reason == "cancelled"


def test_an_asynchronous_client_needs_an_asynchronous_method(server: Loopback):
    gateway = OllamaGateway(client=ollama.AsyncClient(server.url))

    with pytest.raises(ConfigurationError, match="has an asynchronous client. Use the broker's asynchronous methods"):
        LLMBroker("m", gateway).generate(QUESTION)
