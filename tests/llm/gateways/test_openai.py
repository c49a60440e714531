"""OpenAI's gateway, against a real server that plays recorded and written responses."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import openai
import pytest
from events import merged
from loopback import Cut, Hold, Loopback, Reply, chunk, completion, json_reply, sse
from recordings import recorded

from mojentic_nb.llm import CompletionConfig, LLMBroker, LLMMessage, ModelEvent, StepFinish, TextDelta, Usage
from mojentic_nb.llm.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ContextWindowError,
    IncompleteStreamError,
    LLMError,
    ModelNotFoundError,
    ProviderUnavailableError,
    RateLimitError,
)
from mojentic_nb.llm.gateways import OpenAIGateway
from mojentic_nb.llm.gateways.wire.chat_completions import ChatDecoder
from mojentic_nb.llm.gateways.wire.decoding import decode_chunks
from mojentic_nb.llm.request import Request

KEY = "sk-secret-of-the-test"
QUESTION = [LLMMessage(content="Why is the sky blue?")]


def broker(server: Loopback) -> LLMBroker:
    client = openai.OpenAI(api_key=KEY, base_url=server.url, max_retries=0)
    return LLMBroker("a-model", OpenAIGateway(client=client), max_retries=0)


def decode(chunks) -> Iterator[ModelEvent]:
    return decode_chunks(ChatDecoder(), chunks)


WRITTEN = {
    "usage after the choices": (completion("Hello", " you"), ["Hello you"], StepFinish("stop", Usage(3, 2))),
    "no usage": (sse(chunk("Hello"), chunk(finish_reason="stop")), ["Hello"], StepFinish("stop")),
    "null usage and counts": (
        sse({**chunk("Hello", "stop"), "usage": None}, {"usage": {"prompt_tokens": None}}),
        ["Hello"],
        StepFinish("stop"),
    ),
    "[DONE] without a finish reason": (sse(chunk("Hello")), ["Hello"], StepFinish("stop")),
    "a finish reason without [DONE]": (sse(chunk("Hello", "stop"), done=False), ["Hello"], StepFinish("stop")),
    "cut off at the limit": (sse(chunk("Hello", "length")), ["Hello"], StepFinish("length")),
    "filtered": (sse(chunk("Hello", "content_filter")), ["Hello"], StepFinish("content_filter")),
    "a finish reason of the server's own": (sse(chunk("Hello", "eos_token")), ["Hello"], StepFinish("stop")),
    "a first chunk with empty choices": (sse({"choices": []}, chunk("Hello", "stop")), ["Hello"], StepFinish("stop")),
    "null choices and delta": (
        sse({"choices": None}, {"choices": [{"delta": None}]}, chunk("Hello", "stop")),
        ["Hello"],
        StepFinish("stop"),
    ),
    "a list of parts (Mistral)": (
        sse({"choices": [{"delta": {"content": [{"type": "text", "text": "Hello"}]}}]}, chunk(finish_reason="stop")),
        ["Hello"],
        StepFinish("stop"),
    ),
    "an emoji in two halves": (sse(chunk("a\ud83d"), chunk("\ude00 b", "stop")), ["a😀 b"], StepFinish("stop")),
    "half an emoji": (sse(chunk("a\ude00b"), chunk("c\ud83d", "stop")), ["a\ufffdbc\ufffd"], StepFinish("stop")),
    "bytes that are no UTF-8": (
        sse(chunk("Hello", "stop")).replace(b"Hello", b"H\xffllo"),
        ["H\ufffdllo"],
        StepFinish("stop"),
    ),
    "a second answer": (
        sse(chunk("Hello"), {"choices": [{"index": 1, "delta": {"content": "Bye"}, "finish_reason": "length"}]}),
        ["Hello"],
        StepFinish("stop"),
    ),
    "[DONE] with a space": (sse(chunk("Hello"), "[DONE] ", done=False), ["Hello"], StepFinish("stop")),
    "in one piece, with a byte order mark": (
        b"\xef\xbb\xbf" + json.dumps(chunk("Hello", "stop")).encode(),
        ["Hello"],
        StepFinish("stop"),
    ),
    "comments": (b": OPENROUTER PROCESSING\n\n" + sse(chunk("Hello", "stop")), ["Hello"], StepFinish("stop")),
    "more after the end": (sse(chunk("Hello", "stop")) + sse(chunk("Bye", "stop")), ["Hello"], StepFinish("stop")),
    "broken off": (sse(chunk("Hello"), done=False), ["Hello"], None),
}


@pytest.mark.parametrize(("body", "texts", "end"), WRITTEN.values(), ids=WRITTEN.keys())
def test_what_servers_send(body: bytes, texts: list[str], end: StepFinish | None):
    expected = [*map(TextDelta, texts), *([end] if end else [])]

    assert merged(decode([body])) == expected
    for cut in range(len(body)):
        assert merged(decode([body[:cut], body[cut:]])) == expected


def test_text_arrives_while_the_server_still_writes(server: Loopback):
    hold = Hold()
    server.play(Reply([sse(chunk("Hello"), done=False), hold, completion(" you")]))

    pieces = broker(server).generate_stream(QUESTION)

    assert next(pieces) == "Hello"
    hold.release()
    assert list(pieces) == [" you"]


def test_only_what_the_caller_set_is_sent(server: Loopback):
    server.play(Reply([completion("a")]), Reply([completion("b")]))

    broker(server).generate(QUESTION)
    broker(server).generate(QUESTION, model="another", config=CompletionConfig(temperature=0, max_tokens=9, top_p=0.5))

    plain = {
        "model": "a-model",
        "messages": [{"role": "user", "content": "Why is the sky blue?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert server.requests[0].body == plain
    assert server.requests[1].body == {**plain, "model": "another", "temperature": 0, "max_tokens": 9, "top_p": 0.5}
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_openai_itself_gets_the_limit_by_the_name_that_all_its_models_know():
    request = Request("gpt-5-mini", tuple(QUESTION), CompletionConfig(max_tokens=9))

    body = OpenAIGateway(KEY)._encode(request)

    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body


def test_closing_the_run_closes_the_connection(server: Loopback):
    server.play(Reply([sse(chunk("Hello"), done=False), Hold()]))
    run = broker(server).stream(QUESTION)
    next(iter(run))

    run.close()

    assert server.hung_up.wait(1)
    assert run.messages[-1].content == "Hello"
    assert run.finish_reason == "cancelled"


def error(message: str, code: object = None, kind: str | None = None) -> dict:
    return {"error": {"message": message, "code": code, "type": kind}}


REFUSALS = {
    "no more than a text": (json_reply({"error": "No such thing"}, 400), BadRequestError, "It said: No such thing"),
    "a list of errors (Gemini)": (json_reply([error("No such thing")], 400), BadRequestError, "It said: No such thing"),
    "a detail (FastAPI)": (json_reply({"detail": "No such thing"}, 422), BadRequestError, "It said: No such thing"),
    "words of a proxy": (Reply([b"too large"], 413, "text/plain"), BadRequestError, "It said: too large"),
    "a detail with status 200": (
        json_reply({"detail": "No such thing"}),
        ProviderUnavailableError,
        "It said: No such thing",
    ),
    "a message with status 200": (
        json_reply({"message": "Unauthorized", "code": 401}),
        AuthenticationError,
        "refused the API key",
    ),
    "wrong key": (json_reply(error("Incorrect API key"), 401), AuthenticationError, "refused the API key"),
    "no permission": (json_reply(error("not in your country"), 403), AuthenticationError, "said: not in your country"),
    "no such model": (json_reply(error("no model"), 404), ModelNotFoundError, "has no model 'a-model'. Check the name"),
    "too many requests": (json_reply(error("slow down"), 429), RateLimitError, "Wait, or check your quota"),
    "context (OpenAI)": (json_reply(error("long", "context_length_exceeded"), 400), ContextWindowError, "Send less"),
    "context (llama.cpp)": (
        json_reply(error("long", 400, "exceed_context_size_error"), 400),
        ContextWindowError,
        "Send less",
    ),
    "context (vLLM)": (
        json_reply(error("The prompt is longer than the maximum model length of 4096"), 400),
        ContextWindowError,
        "Send less",
    ),
    "context (Gemini)": (
        json_reply(error("The input token count exceeds the maximum number of tokens allowed 1048576."), 400),
        ContextWindowError,
        "Send less",
    ),
    "context, as a failure": (
        json_reply(error("Context size has been exceeded."), 500),
        ContextWindowError,
        "Send less",
    ),
    "wrong key, as a bad request (Gemini)": (
        json_reply(error("API key not valid. Please pass a valid API key."), 400),
        AuthenticationError,
        "refused the API key",
    ),
    "no such model, as a bad request (DeepSeek)": (
        json_reply(error("Model Not Exist"), 400),
        ModelNotFoundError,
        "has no model 'a-model'. Check the name",
    ),
    "no such model, as a bad request (OpenRouter)": (
        json_reply(error("x/y is not a valid model ID", 400), 400),
        ModelNotFoundError,
        "has no model 'a-model'. Check the name",
    ),
    "too much at once (Groq)": (
        json_reply(error("Request too large", "rate_limit_exceeded"), 413),
        RateLimitError,
        "Wait, or check your quota",
    ),
    "too many requests, in a stream": (Reply([sse(error("slow down", "429"))]), RateLimitError, "Wait, or check"),
    "another refusal": (
        json_reply(error("bad\nparameter"), 400),
        BadRequestError,
        r"status 400\)\. It said: bad param",
    ),
    "server error": (json_reply(error("oops"), 500), ProviderUnavailableError, "failed .* Retry later"),
    "an HTML page": (Reply([b"<h1>Bad gateway</h1>"], 502, "text/html"), ProviderUnavailableError, "failed"),
    "an error in a stream": (Reply([sse(error("overloaded", 529))]), ProviderUnavailableError, "It said: overloaded"),
    "an error without a code in a stream": (Reply([sse({"error": "oops"})]), ProviderUnavailableError, "oops"),
    "garbage": (Reply([b"data: <html>\n\n"]), IncompleteStreamError, "sent '<html>', which isn't a completion"),
    "JSON that is no object": (Reply([b"data: 7\n\n"]), IncompleteStreamError, "sent '7', which isn't a completion"),
    "wrong shapes": (Reply([sse({"choices": ["x"]})]), IncompleteStreamError, "isn't a completion"),
    "another wrong shape": (
        Reply([sse({"choices": [{"delta": {"content": 7}}]})]),
        IncompleteStreamError,
        "isn't a completion",
    ),
    "a page in place of a stream": (Reply([b"<h1>Hi</h1>"], 200, "text/html"), IncompleteStreamError, "ends in `/v1`"),
    "cut in the middle": (Reply([sse(chunk("x"), done=False), Cut()]), IncompleteStreamError, "broke .* Ask again"),
    "ended too early": (Reply([sse(chunk("x"), done=False)]), IncompleteStreamError, "broke off .*: ask again"),
}


@pytest.mark.parametrize(("reply", "kind", "says"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_failure_is_one_line_that_says_what_to_do(server: Loopback, reply: Reply, kind: type[LLMError], says: str):
    server.play(reply)

    with pytest.raises(kind, match=says) as failure:
        broker(server).generate(QUESTION)

    assert "\n" not in str(failure.value)
    assert KEY not in str(failure.value)


@pytest.mark.parametrize("name", ["local_context", "local_refused"])
def test_recorded_refusals(server: Loopback, name: str):
    exchange = recorded(name)[0]
    server.play(Reply([exchange.body], exchange.status, exchange.content_type))

    with pytest.raises({"local_context": ContextWindowError, "local_refused": AuthenticationError}[name]):
        broker(server).generate(QUESTION)


def test_what_had_arrived_is_not_lost_with_the_connection(server: Loopback):
    server.play(Reply([sse(chunk("Hello"), done=False), Cut()]))
    run = broker(server).stream(QUESTION)

    with pytest.raises(IncompleteStreamError) as failure:
        list(run)

    assert failure.value.partial.content == "Hello"
    assert run.messages[-1].content == "Hello"
    assert failure.value.__cause__ is not None


def test_no_server_at_the_address():
    gateway = OpenAIGateway(client=openai.OpenAI(api_key=KEY, base_url="http://127.0.0.1:9", max_retries=0))

    with pytest.raises(ProviderUnavailableError, match=r"Can't reach 127\.0\.0\.1:9\. Check its address"):
        LLMBroker("a-model", gateway).generate(QUESTION)


def test_a_server_that_does_not_answer_in_time(server: Loopback):
    server.play(Reply([Hold()]))
    client = openai.OpenAI(api_key=KEY, base_url=server.url, max_retries=0, timeout=1)

    with pytest.raises(IncompleteStreamError, match="went silent in the middle of the reply. Ask again"):
        LLMBroker("a-model", OpenAIGateway(client=client), max_retries=0).generate(QUESTION)


@pytest.mark.parametrize("timeout", [-1, 0, float("nan"), float("inf"), "soon"])
def test_what_is_no_time_to_wait(timeout: object):
    with pytest.raises(ValueError, match=f"more than 0 seconds, or None to wait forever, not {timeout!r}"):
        OpenAIGateway(KEY, timeout=timeout)


def test_openai_itself_needs_a_key():
    with pytest.raises(ConfigurationError, match="Set the environment variable `OPENAI_API_KEY`"):
        OpenAIGateway()


def test_a_server_of_ones_own_needs_none(server: Loopback):
    server.play(Reply([completion("Hello")]))

    assert LLMBroker("m", OpenAIGateway(base_url=server.url)).generate(QUESTION) == "Hello"


def test_what_stands_for_a_key_is_no_secret(server: Loopback):
    server.play(json_reply(error("Of these there are none."), 400))

    with pytest.raises(BadRequestError, match="said: Of these there are none"):
        LLMBroker("m", OpenAIGateway(base_url=server.url)).generate(QUESTION)


def test_a_short_key_is_no_part_of_other_words(server: Loopback):
    """What stands for a key at servers that want none is often a word, as "ollama" or "x"."""
    server.play(json_reply(error("Your key x exceeds all limits."), 400))

    with pytest.raises(BadRequestError, match="said: Your key .the key. exceeds all limits"):
        LLMBroker("m", OpenAIGateway("x", server.url)).generate(QUESTION)


NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize("kept", ["base_url", "OPENAI_BASE_URL", "OPENAI_API_ENDPOINT"])
def test_where_its_address_is_found(server: Loopback, monkeypatch: pytest.MonkeyPatch, kept: str):
    """An argument comes before OPENAI_BASE_URL, and that before Mojentic's OPENAI_API_ENDPOINT."""
    server.play(Reply([completion("Hello")]))
    order = ["base_url", "OPENAI_BASE_URL", "OPENAI_API_ENDPOINT"]
    for name in order[order.index(kept) :]:
        monkeypatch.setenv(name, server.url if name == kept else NOWHERE)

    gateway = OpenAIGateway(base_url=server.url if kept == "base_url" else None)

    assert LLMBroker("m", gateway).generate(QUESTION) == "Hello"


def test_an_address_in_the_environment_that_cannot_be_one_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_ENDPOINT", "localhost:8000/v1")

    with pytest.raises(ConfigurationError, match="OPENAI_API_ENDPOINT"):
        OpenAIGateway(KEY)


@pytest.mark.parametrize("key", ["sk-“secret”", "sk-sécret", "sk-a\nb"])
def test_a_key_that_cannot_be_one_is_told_and_not_shown(key: str):
    with pytest.raises(ConfigurationError, match="Copy it again") as failure:
        OpenAIGateway(key)

    assert key not in str(failure.value)


def test_a_key_may_have_been_copied_with_its_line_end(server: Loopback):
    server.play(Reply([completion("Hello")]))

    LLMBroker("m", OpenAIGateway(f"{KEY}\n", server.url)).generate(QUESTION)

    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("address", ["localhost:8000/v1", "ftp://x", "http:///v1"])
def test_an_address_that_cannot_be_one(address: str):
    with pytest.raises(ConfigurationError, match="must begin with `http://`"):
        OpenAIGateway(KEY, address)


def test_a_password_in_the_address_is_not_shown():
    gateway = OpenAIGateway(KEY, "http://user:hunter2@127.0.0.1:9/v1")
    gateway = OpenAIGateway(client=gateway._client.with_options(max_retries=0))

    with pytest.raises(ProviderUnavailableError, match=r"Can't reach 127\.0\.0\.1:9") as failure:
        LLMBroker("m", gateway).generate(QUESTION)

    assert "hunter2" not in f"{gateway!r} {failure.value}"


def test_half_a_character_in_a_message(server: Loopback):
    with pytest.raises(BadRequestError, match="a lone surrogate"):
        broker(server).generate([LLMMessage.model_construct(content="a\ud83d")])


def test_the_key_is_not_in_the_repr(server: Loopback):
    assert KEY not in repr(OpenAIGateway(KEY, server.url))


def test_the_models_are_listed(server: Loopback):
    server.play(json_reply({"object": "list", "data": [{"id": "a"}, {"id": "b"}]}))

    assert OpenAIGateway(KEY, server.url).get_available_models() == ["a", "b"]


def test_the_models_are_listed_without_anything_around_them(server: Loopback):
    """As by Together."""
    server.play(json_reply([{"id": "a"}]))

    assert OpenAIGateway(KEY, server.url).get_available_models() == ["a"]


def test_a_client_with_a_transport_of_its_own():
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=completion("Yes")))
    with openai.OpenAI(api_key=KEY, http_client=httpx2.Client(transport=transport)) as client:
        assert LLMBroker("a-model", OpenAIGateway(client=client)).generate(QUESTION) == "Yes"
