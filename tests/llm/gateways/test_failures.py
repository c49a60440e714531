"""What servers really say when they refuse, and the error that it becomes: its kind, and its words."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest
from loopback import Loopback, Reply, json_reply, sse
from providers_on_wire import KEY, QUESTION

from mojentic_nb.llm import LLMBroker
from mojentic_nb.llm.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ContextWindowError,
    LLMError,
    ModelNotFoundError,
    ProviderUnavailableError,
    RateLimitError,
)
from mojentic_nb.llm.gateways import AnthropicGateway, OllamaGateway, OpenAIGateway
from mojentic_nb.llm.gateways.failures import Server, broken, no_answer, status_error
from mojentic_nb.llm.gateways.keys import Key

MODEL = "x/y"
TOO_LONG = (ContextWindowError, "The messages are too long for 'x/y'. Send less.")
NO_MODEL = (ModelNotFoundError, "has no model 'x/y'. Check the name.")
NO_PULL = (ModelNotFoundError, "Ollama has no model 'x/y'. Get it with `ollama pull x/y`.")
NO_KEY = (AuthenticationError, "refused the API key. Set `OPENAI_API_KEY`")
SLOWER = (RateLimitError, "refused the request: rate limit or quota reached")
NO_ENDPOINT = (ConfigurationError, "has no such endpoint. Check the base URL.")
NO_V1 = (ConfigurationError, "has no such endpoint. Check the base URL: it ends in `/`, most servers' in `/v1`.")
NO_PROVIDER = (BadRequestError, "serves 'x/y' with everything that the request asks for. Ask for less")
NO_FORM = (BadRequestError, "doesn't support this response format for 'x/y'")
PAGE = "<!DOCTYPE html>\n<html><head><title>404: This page could not be found.</title></head></html>"


def openai(message: str, code: object = None, kind: str = "invalid_request_error", **more: object) -> dict:
    """The body of an error as OpenAI writes it, and most others."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code, **more}}


def anthropic(message: str, kind: str = "invalid_request_error") -> dict:
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}


def gemini(message: str, code: int, status: str) -> list:
    return [{"error": {"code": code, "message": message, "status": status}}]


def vllm(message: str, code: int, kind: str = "BadRequestError") -> dict:
    return {"object": "error", "message": message, "type": kind, "param": None, "code": code}


LONGEST = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens."

CHAT: dict[str, tuple[int, Any, tuple[type[LLMError], str]]] = {
    "OpenAI, length": (400, openai(f"{LONGEST} Please reduce the length of the messages.", "x"), TOO_LONG),
    "OpenAI Responses, length": (400, openai("Your input exceeds the context window of this model."), TOO_LONG),
    "OpenAI, model": (404, openai("The model `x/y` does not exist or you do not have access to it."), NO_MODEL),
    "OpenAI, endpoint": (404, openai("Invalid URL (POST /v1/models/chat)"), NO_ENDPOINT),
    "OpenAI, key": (401, openai(f"Incorrect API key provided: {KEY}.", "invalid_api_key"), NO_KEY),
    "OpenAI, rate": (429, openai("Rate limit reached for gpt-5 on requests per min", "rate_limit_exceeded"), SLOWER),
    "OpenAI, quota": (429, openai("You exceeded your current quota", "insufficient_quota"), SLOWER),
    "OpenAI, form": (400, openai("Invalid schema for response_format 'Sky'"), NO_FORM),
    "OpenAI, region": (
        403,
        openai("Country, region, or territory not supported"),
        (AuthenticationError, "doesn't allow"),
    ),
    "OpenAI, failed": (
        500,
        openai("The server had an error", kind="server_error"),
        (ProviderUnavailableError, "failed"),
    ),
    "Azure, deployment": (
        404,
        {"error": {"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}},
        NO_MODEL,
    ),
    "Azure, endpoint": (404, {"error": {"code": "404", "message": "Resource not found"}}, NO_ENDPOINT),
    "Azure, key": (401, {"statusCode": 401, "message": "Unauthorized. Access token is missing, invalid."}, NO_KEY),
    "Azure, filter": (
        400,
        openai("The response was filtered due to the prompt triggering the policy.", "content_filter"),
        (BadRequestError, "(status 400). It said: The response was filtered"),
    ),
    "OpenRouter, model": (400, openai("x/y is not a valid model ID", 400), NO_MODEL),
    "OpenRouter, nobody serves it": (404, openai("No endpoints found for x/y.", 404), NO_MODEL),
    "OpenRouter, tools": (404, openai("No endpoints found that support tool use. To learn more", 404), NO_PROVIDER),
    "OpenRouter, images": (404, openai("No endpoints found that support image input", 404), NO_PROVIDER),
    "OpenRouter, privacy": (404, openai("No endpoints found matching your data policy", 404), NO_PROVIDER),
    "OpenRouter, providers": (404, openai("No allowed providers are available for the model.", 404), NO_PROVIDER),
    "OpenRouter, endpoint": (404, PAGE, NO_ENDPOINT),
    "OpenRouter, credits": (402, openai("Insufficient credits. Add more", 402), SLOWER),
    "OpenRouter, key": (401, openai("No auth credentials found", 401), NO_KEY),
    "DeepSeek, model": (400, openai("Model Not Exist", "invalid_request_error"), NO_MODEL),
    "DeepSeek, balance": (402, openai("Insufficient Balance", "invalid_request_error"), SLOWER),
    "DeepSeek, length": (400, openai(f"{LONGEST} Please reduce the length"), TOO_LONG),
    "Mistral, model": (400, {**vllm("Invalid model: x/y", 1500, "invalid_model")}, NO_MODEL),
    "Mistral, length": (
        400,
        vllm("Prompt contains 40000 tokens, too large for model with 32768 maximum context length", 3051),
        TOO_LONG,
    ),
    "Mistral, endpoint": (404, {"message": "no Route matched with those values"}, NO_ENDPOINT),
    "Mistral, key": (401, {"detail": "Unauthorized"}, NO_KEY),
    "Mistral, rate": (429, {"message": "Requests rate limit exceeded"}, SLOWER),
    "Groq, length": (400, openai("Please reduce the length of the messages or completion.", "x"), TOO_LONG),
    "Groq, too much in a minute": (
        413,
        openai("Request too large for model `x/y`: Limit 6000, please reduce your message size", "rate_limit_exceeded"),
        SLOWER,
    ),
    "Groq, model": (404, openai("The model `x/y` does not exist", "model_not_found"), NO_MODEL),
    "Groq, endpoint": (404, openai("Unknown request URL: POST /v1/chat. Please check", "unknown_url"), NO_ENDPOINT),
    "Gemini, length": (
        400,
        gemini("The input token count (9) exceeds the maximum number of tokens allowed (8).", 400, "INVALID_ARGUMENT"),
        TOO_LONG,
    ),
    "Gemini, model": (404, gemini("models/x/y is not found for API version v1main", 404, "NOT_FOUND"), NO_MODEL),
    "Gemini, key": (400, gemini("API key not valid. Please pass a valid API key.", 400, "INVALID_ARGUMENT"), NO_KEY),
    "Gemini, quota": (429, gemini("You exceeded your current quota", 429, "RESOURCE_EXHAUSTED"), SLOWER),
    "Gemini, endpoint": (404, PAGE, NO_ENDPOINT),
    "vLLM, length": (
        400,
        vllm("The decoder prompt (length 5000) is longer than the maximum model length of 4096.", 400),
        TOO_LONG,
    ),
    "vLLM, model": (404, vllm("The model `x/y` does not exist.", 404, "NotFoundError"), NO_MODEL),
    "vLLM, endpoint": (404, {"detail": "Not Found"}, NO_ENDPOINT),
    "vLLM, method": (405, {"detail": "Method Not Allowed"}, NO_ENDPOINT),
    "vLLM, key": (401, {"error": "Unauthorized"}, NO_KEY),
    "llama.cpp, length": (
        400,
        openai("the request exceeds the available context size, try increasing it", 400, "exceed_context_size_error"),
        TOO_LONG,
    ),
    "llama.cpp, endpoint": (404, openai("File Not Found", 404, "not_found_error"), NO_ENDPOINT),
    "llama.cpp, key": (401, openai("Invalid API Key", 401, "authentication_error"), NO_KEY),
    "llama.cpp, loading": (503, openai("Loading model", 503, "unavailable_error"), (ProviderUnavailableError, "503")),
    "LM Studio, length": (
        400,
        {"error": "The model is loaded with context length of only 4096 tokens, which is not enough."},
        TOO_LONG,
    ),
    "LM Studio, nothing loaded": (400, openai("No models loaded. Please load a model"), NO_MODEL),
    "LM Studio, endpoint": (200, {"error": "Unexpected endpoint or method. (POST /v1/chat)"}, NO_ENDPOINT),
    "Ollama's, model": (404, openai('model "x/y" not found, try pulling it first', kind="api_error"), NO_MODEL),
    "Ollama's, endpoint": (404, "404 page not found", NO_ENDPOINT),
    "an empty page": (404, "", NO_ENDPOINT),
}


def broker(gateway: Any) -> LLMBroker:
    return LLMBroker(MODEL, gateway, max_retries=0)


def refusal(status: int, body: Any) -> Reply:
    """The reply, JSON unless `body` is the text of a page."""
    return Reply([body.encode()], status, "text/html") if isinstance(body, str) else json_reply(body, status)


def assert_refused(asking: LLMBroker, kind: type[LLMError], words: str) -> None:
    """The error is of that kind, of one line, and has the words in it but no page and no key."""
    with pytest.raises(LLMError, match=re.escape(words)) as raised:
        asking.generate(QUESTION)
    assert type(raised.value) is kind
    assert not re.search(f"\n|<|{KEY}", str(raised.value))


@pytest.mark.parametrize(("status", "body", "expected"), CHAT.values(), ids=CHAT.keys())
def test_what_chat_servers_say(server: Loopback, status: int, body: Any, expected: tuple[type[LLMError], str]):
    server.play(refusal(status, body))

    assert_refused(broker(OpenAIGateway(KEY, f"{server.url}/v1")), *expected)


FORGOTTEN = [
    "OpenRouter, endpoint",
    "vLLM, endpoint",
    "llama.cpp, endpoint",
    "LM Studio, endpoint",
    "Ollama's, endpoint",
]


@pytest.mark.parametrize("name", FORGOTTEN)
def test_a_base_url_that_lacks_its_v1(server: Loopback, name: str):
    status, body, _ = CHAT[name]
    server.play(refusal(status, body))

    assert_refused(broker(OpenAIGateway(KEY, server.url)), *NO_V1)


def test_models_that_a_base_url_without_v1_does_not_list(server: Loopback):
    server.play(refusal(404, {"detail": "Not Found"}))

    with pytest.raises(ConfigurationError, match=re.escape(NO_V1[1])):
        OpenAIGateway(KEY, server.url).get_available_models()


CLAUDE: dict[str, tuple[int, Any, tuple[type[LLMError], str]]] = {
    "length": (400, anthropic("prompt is too long: 210000 tokens > 200000 maximum"), TOO_LONG),
    "length and limit": (400, anthropic("input length and `max_tokens` exceed context limit: 190000 + 9"), TOO_LONG),
    "size": (413, anthropic("Request exceeds the maximum size", "request_too_large"), TOO_LONG),
    "model": (404, anthropic("model: x/y", "not_found_error"), NO_MODEL),
    "endpoint": (404, anthropic("Not Found", "not_found_error"), NO_ENDPOINT),
    "key": (401, anthropic("invalid x-api-key", "authentication_error"), (AuthenticationError, "ANTHROPIC_API_KEY")),
    "credit": (400, anthropic("Your credit balance is too low to access the Anthropic API."), (BadRequestError, "low")),
    "rate": (429, anthropic("This request would exceed your rate limit", "rate_limit_error"), SLOWER),
    "overloaded": (529, anthropic("Overloaded", "overloaded_error"), (ProviderUnavailableError, "(status 529)")),
    "form": (400, anthropic("output_config.format.schema: For 'object' type, …"), NO_FORM),
}


@pytest.mark.parametrize(("status", "body", "expected"), CLAUDE.values(), ids=CLAUDE.keys())
def test_what_anthropic_says(server: Loopback, status: int, body: Any, expected: tuple[type[LLMError], str]):
    server.play(refusal(status, body))

    assert_refused(broker(AnthropicGateway(KEY, server.url)), *expected)


def test_a_base_url_of_anthropics_that_has_a_v1_too_many(server: Loopback):
    server.play(refusal(404, anthropic("Not Found", "not_found_error")))

    assert_refused(
        broker(AnthropicGateway(KEY, f"{server.url}/v1")),
        ConfigurationError,
        "Remove `/v1` from the end of the base URL.",
    )


OLLAMA: dict[str, tuple[int, Any, tuple[type[LLMError], str]]] = {
    "model": (404, {"error": "model 'x/y' not found"}, NO_PULL),
    "endpoint": (404, "404 page not found", (ConfigurationError, "Check the address in `host` or `OLLAMA_HOST`.")),
    "a proxy's page": (404, PAGE, (ConfigurationError, "Ollama has no such endpoint.")),
    "length": (400, {"error": "the input length exceeds the context length"}, TOO_LONG),
    "no tools": (400, {"error": "x/y does not support tools"}, (BadRequestError, "does not support tools")),
    "no memory": (
        500,
        {"error": "model requires more system memory"},
        (ProviderUnavailableError, "more system memory"),
    ),
}


@pytest.mark.parametrize(("status", "body", "expected"), OLLAMA.values(), ids=OLLAMA.keys())
def test_what_ollama_says(server: Loopback, status: int, body: Any, expected: tuple[type[LLMError], str]):
    server.play(refusal(status, body))

    assert_refused(broker(OllamaGateway(server.url)), *expected)


WITHIN = {
    "no code": ({"error": {"message": "Overloaded"}}, ProviderUnavailableError, "failed. Retry later."),
    "a status as code": (openai("gone", 502), ProviderUnavailableError, "failed (status 502). Retry later."),
    "a code that is no status": (openai("gone", 7, "x"), ProviderUnavailableError, "failed. Retry later."),
    "a code with thousands of digits": (openai("gone", "5" * 5000, "x"), ProviderUnavailableError, "failed. Retry"),
    "a bad request by its type": (openai("no"), BadRequestError, "refused the request. It said: no"),
    "a rate by its code": (openai("no", "rate_limit_exceeded", "x"), RateLimitError, "rate limit or quota reached"),
}


@pytest.mark.parametrize(("body", "kind", "words"), WITHIN.values(), ids=WITHIN.keys())
def test_an_error_within_an_answer_has_no_other_status_than_its_own(
    server: Loopback, body: dict, kind: type[LLMError], words: str
):
    server.play(Reply([sse(body)]))

    assert_refused(broker(OpenAIGateway(KEY, f"{server.url}/v1")), kind, words)


BUSY = {"error": {"message": "Overloaded"}}
SERVER = Server.at("http://127.0.0.1:8000", "OPENAI_API_KEY")
refused = partial(status_error, SERVER, body=BUSY, message="", model="m", key=Key(""))
TRANSIENT = {
    "server error": (refused(status=503), "127.0.0.1:8000 failed (status 503). It said: Overloaded"),
    "busy": (refused(status=409), "127.0.0.1:8000 couldn't answer now. It said: Overloaded"),
    "limit": (
        refused(status=429),
        "127.0.0.1:8000 refused the request: rate limit or quota reached (429). It said: Overloaded",
    ),
    "limit with a time": (
        refused(status=429, wait=0.25),
        "127.0.0.1:8000 refused the request: rate limit or quota reached (429). It said: Overloaded",
    ),
    "no answer": (no_answer(SERVER, None), "127.0.0.1:8000 closed the connection before it answered."),
    "broken": (broken(SERVER, OSError()), "The connection to 127.0.0.1:8000 broke in the middle of the reply."),
}


@pytest.mark.parametrize(("error", "reason"), TRANSIENT.values(), ids=TRANSIENT)
def test_the_reason_of_an_error_is_its_message_without_the_advice_to_ask_again(error: LLMError, reason: str):
    assert error.advice in str(error)
    assert error.advice not in reason
    assert error.reason == reason


def test_without_such_advice_the_reason_is_the_message():
    assert LLMError("No. Retry later.").reason == "No. Retry later."
