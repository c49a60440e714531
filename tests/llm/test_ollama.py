"""Ollama's gateway, against a real server that speaks its API."""

from __future__ import annotations

import json

import pytest
from loopback import Cut, Hold, Loopback, Reply, json_reply

from mojentic_nb.llm import CompletionConfig, LLMBroker, LLMMessage, StepFinish, TextDelta, Usage
from mojentic_nb.llm.errors import (
    BadRequestError,
    ConfigurationError,
    IncompleteStreamError,
    LLMError,
    ModelNotFoundError,
    ProviderUnavailableError,
)
from mojentic_nb.llm.gateways import OllamaGateway

QUESTION = [LLMMessage(content="Why?")]


def lines(*bodies: dict) -> bytes:
    return b"".join(json.dumps(body).encode() + b"\n" for body in bodies)


def says(text: str) -> dict:
    return {"model": "m", "message": {"role": "assistant", "content": text}, "done": False}


def done(reason: str = "stop") -> dict:
    counts = {"prompt_eval_count": 5, "eval_count": 2}
    return {**says(""), "done": True, "done_reason": reason, **counts}


def broker(server: Loopback) -> LLMBroker:
    return LLMBroker("m", OllamaGateway(server.url), max_retries=0)


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
        "failed .*: try again later. It said: oops",
    ),
    "an error line in a stream": (
        Reply([lines(says("a"), {"error": "out of memory"})]),
        ProviderUnavailableError,
        "It said: out of memory",
    ),
    "cut in the middle": (Reply([lines(says("a")), Cut()]), IncompleteStreamError, "broke in the .*: ask again"),
    "ended too early": (Reply([lines(says("a"))]), IncompleteStreamError, "broke off .*: ask again"),
    "garbage": (Reply([b"<html>\n"]), IncompleteStreamError, "is no completion"),
}


@pytest.mark.parametrize(("reply", "kind", "words"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_is_one_line_that_says_what_to_do(server: Loopback, reply: Reply, kind: type[LLMError], words: str):
    server.play(reply)

    with pytest.raises(kind, match=words) as failure:
        broker(server).generate(QUESTION)

    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("address", ["localhost:abc", "http://[::1"])
def test_an_address_that_is_none(monkeypatch: pytest.MonkeyPatch, address: str):
    monkeypatch.setenv("OLLAMA_HOST", address)

    with pytest.raises(ConfigurationError, match="check OLLAMA_HOST, which reads like http://"):
        OllamaGateway()


def test_no_server():
    with pytest.raises(ProviderUnavailableError, match=r"start it with `ollama serve`, or set OLLAMA_HOST"):
        LLMBroker("m", OllamaGateway()).generate(QUESTION)


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
