"""Our errors for what HTTP servers report: one class for each cause, and a message that says what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Self
from urllib.parse import urlsplit

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

from .keys import Key, RedirectedError

__all__ = [
    "NO_IMAGES",
    "Server",
    "broken",
    "no_answer",
    "redirected",
    "retry_after",
    "status_error",
    "unreachable_error",
]

# The status that fits an error inside a response with status 200, by the error's code or type.
# https://platform.openai.com/docs/guides/error-codes, https://platform.claude.com/docs/en/api/errors
STATUSES = {
    "authentication_error": 401,
    "billing_error": 402,
    "context_length_exceeded": 400,
    "insufficient_quota": 429,
    "invalid_prompt": 400,
    "invalid_request_error": 400,
    "not_found_error": 404,
    "overloaded_error": 529,
    "permission_error": 403,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "request_too_large": 413,
}
TOO_LONG = re.compile(
    "context.?(length|size|window|limit)|maximum context|prompt is too long|too many tokens|request_too_large"
    "|maximum (prompt|model) length|exceeds? the maximum number of tokens|reduce the length of",
    re.IGNORECASE,
)
# OpenAI's chat and what speaks it, Anthropic, OpenAI's Responses, Ollama, llama.cpp.
FORM = re.compile(
    r"response_format|output_config\W+format|text\W+format|(schema in|invalid) format|\bgrammar\b", re.IGNORECASE
)
# Some servers report these with status 400.
WRONG_KEY = re.compile("API key not valid|invalid.api.key", re.IGNORECASE)
NO_MODEL = re.compile(
    "model_not_found|model not exist|is not a valid model|invalid_model|no models loaded", re.IGNORECASE
)
# With status 404: there is no such endpoint. OpenAI, Groq, LM Studio, Mistral, llama.cpp, Ollama.
NO_ENDPOINT = re.compile(
    "invalid url|unknown.(request.)?url|unexpected endpoint|no route matched|file not found|page not found",
    re.IGNORECASE,
)
NAMES_MODEL = re.compile("model|deployment|no endpoints found for", re.IGNORECASE)
# OpenRouter: no provider of the model can do what the request asks for.
NO_PROVIDER = re.compile("no endpoints found (that|matching)|no (allowed|available) providers?", re.IGNORECASE)
# Waiting doesn't help. Not just "billing": some providers link to their page on it with every rate limit.
USED_UP = re.compile("insufficient_quota|insufficient_balance|billing_error|credit balance", re.IGNORECASE)

# Not a model's server; the same request would fail again.
WRONG_SERVER = {
    "TooManyRedirects": "redirects the request in a loop. Check its address.",
    "TooLong": "sent headers of more than 100 kB. Check that its address leads to a model's API.",
    "NotHTTP": "doesn't answer in HTTP. Check the port, and whether the address begins with `http` or `https`.",
}
LATER, AGAIN = "Retry later.", "Ask again."  # what a run does by itself
NAMES = {"api.openai.com": "OpenAI", "api.anthropic.com": "Anthropic"}
# How servers say that a model reads no images. Some say it with status 404 or 500. An image that is too large, of the
# wrong format or behind a link that can't be read is refused in other words.
NO_IMAGES = re.compile(
    r"image_url is only supported by certain models"  # OpenAI, Azure
    r"|does(?:n't| not) support (?:the )?(?:images\b(?! \w)|image (?:input|field|content))"  # Ollama, Bedrock, …
    r"|image inputs? (?:modality )?(?:is|are) not (?:supported|enabled)"  # llama.cpp, Mistral, Gemini, xAI
    r"|endpoints found that support image"  # OpenRouter
    r"|missing data required for image input"  # Ollama
    r"|is not a multimodal model|at most 0 image"  # vLLM
    r"|unsupported content(?: part type\W+image_url|\[\]\.type)"  # llama.cpp
    r"|unknown variant \W?image_url"  # DeepSeek
    # DeepSeek and Groq, of a content in parts, which it is for images only.
    r"|ChatCompletionRequestContent|invalid type: sequence, expected a string|content must be a string",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Server:
    """The server that a gateway asks: its `host` with the port, the `name` for messages, and the `path` of its address.

    `key_variable` is the environment variable of its API key.
    """

    host: str
    name: str
    path: str
    key_variable: str

    @classmethod
    def at(cls, url: str, key_variable: str, name: str = "") -> Self:
        """Return the server at `url`, which may hold a password."""
        address = urlsplit(url)
        host = f"{address.hostname}:{address.port}" if address.port else str(address.hostname)
        return cls(host, name or NAMES.get(host, host), address.path, key_variable)

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine."""
        return self.host.startswith(("127.", "localhost", "::1"))


def quote(body: object, otherwise: str, key: Key) -> str:
    """Return the server's message in one line, without the API key that some servers quote."""
    return key.hide(" ".join(str(find_message(body) or otherwise).split()))[:300]


def find_message(body: object) -> object:
    """Return the message in an error's JSON `body`; None for a proxy's page."""
    match body:
        case [first, *_]:  # Gemini's
            return find_message(first)
        case {"error": error} if error:
            return find_message(error)
        case {"message": message} | {"detail": message}:  # FastAPI has a detail
            return message
        case str() if not body.startswith("<"):
            return body
    return None


def status_error(
    server: Server,
    status: int | None,
    body: object,
    message: str,
    *,
    model: str,
    key: Key,
    wait: float | None = None,
) -> LLMError:
    """Return our error for an HTTP status with an error's `body` and `message`.

    `status` is None for an error inside a response that has none. `wait` is how long the server asks to wait.
    """
    said = quote(body, message, key)
    text = f"{body} {said}"
    name = server.name
    number = f" (status {status})" if status else ""
    kind: type[LLMError] = BadRequestError
    advice = ""
    words = f"{name} refused the request{number}. It said: {said}"
    match meaning := read_status(status, body, text):
        case 401:
            how = " to a valid key" if server.host in NAMES else ", or pass `api_key` to the gateway"
            kind, words = AuthenticationError, f"{name} refused the API key. Set `{server.key_variable}`{how}."
        case 403:
            kind = AuthenticationError
            words = f"{name} doesn't allow this request with your API key. It said: {said}"
        case 404 | 405:
            kind, words = not_found(server, text, said, model)
        case 402 | 429:
            kind = RateLimitError
            advice = "Wait, or check your quota." if wait is None else f"Retry after {wait:g} s."
            reached = f"rate limit or quota reached{f' ({status})' if status else ''}"
            words = f"{name} refused the request: {reached}. {advice} It said: {said}"
        case _ if TOO_LONG.search(text):
            kind = ContextWindowError
            words = f"The messages are too long for {model!r}. Send less. It said: {said}"
        case 400 | 422 | 500 if FORM.search(text):
            words = (
                f"{name} doesn't support this response format for {model!r}. Use a simpler `object_model` or "
                f"`response_format`, or another model. It said: {said}"
            )
        case 408 | 409:
            kind, advice = ProviderUnavailableError, LATER
            words = f"{name} couldn't answer now. {advice} It said: {said}"
        case _ if meaning >= 500:
            kind, advice = ProviderUnavailableError, LATER
            words = f"{name} failed{number}. {advice} It said: {said}"
    error = kind(words)
    error.advice = advice
    if meaning == 402 or USED_UP.search(text):
        error.transient = False
    return error


def read_status(status: int | None, body: object, text: str) -> int:
    """Return the status that most servers would give in place of `status`, or where there is none."""
    if status is None:
        named = [str(body.get(name)) for name in ("code", "type")] if isinstance(body, dict) else []
        status = next((STATUSES[name] for name in named if name in STATUSES), 500)
        if NO_ENDPOINT.search(text):
            return 404
    if status == 400 and WRONG_KEY.search(text):
        return 401
    if status == 400 and NO_MODEL.search(text):
        return 404
    return 429 if status == 413 and "rate_limit" in text else status


def not_found(server: Server, text: str, said: str, model: str) -> tuple[type[LLMError], str]:
    """Return the class and message for what the server doesn't have: the model, or the endpoint."""
    page = said.startswith("<")
    if NO_PROVIDER.search(text):
        return BadRequestError, (
            f"No provider at {server.name} serves {model!r} with everything that the request asks for. Ask for less, "
            f"or use another model. It said: {said}"
        )
    names_model = re.search(rf"(?<!\w){re.escape(model)}(?!\w)", text) or NAMES_MODEL.search(text)
    if model and names_model and not (page or NO_ENDPOINT.search(text)):
        return ModelNotFoundError, f"{server.name} has no model {model!r}. Check the name. It said: {said}"
    quoted = "" if page else f" It said: {said}"
    return ConfigurationError, f"{server.name} has no such endpoint. {advise_on_address(server)}{quoted}"


def advise_on_address(server: Server) -> str:
    """Return what to do about an address that leads to a server, but not to its API."""
    has_version = re.search(r"/v\d", server.path)
    path = server.path.rstrip("/")
    match server.key_variable:
        case "OLLAMA_API_KEY":
            return "Check the address in `host` or `OLLAMA_HOST`."
        case "OPENAI_API_KEY" if not has_version:
            return f"Check the base URL: it ends in `{path}/`, most servers' in `/v1`."
        case "ANTHROPIC_API_KEY" if has_version:
            return f"Remove `{path}` from the end of the base URL."
    return "Check the base URL."


def redirected(server: Server, error: RedirectedError) -> ConfigurationError:
    """Return our error for a server that redirects requests to another one."""
    setting = "`host` or `OLLAMA_HOST`" if server.key_variable == "OLLAMA_API_KEY" else "the base URL"
    return ConfigurationError(
        f"{server.name} redirects requests to {error}, another server. Nothing was sent there. "
        f"If that is the right server, set {setting} to its address."
    )


def unreachable_error(server: Server, words: str = "") -> ProviderUnavailableError:
    """Return our error for a failed connection; a retry would not help with a server on this machine."""
    words = words or f"Can't reach {server.name}. Check its address, and that the server is running."
    error = ProviderUnavailableError(words)
    error.transient = not server.is_loopback
    return error


def no_answer(server: Server, error: BaseException | None) -> ProviderUnavailableError:
    """Return our error for a response that never began; `error` is httpx's, or httpx2's, which has the same names."""
    kind, said = type(error).__name__, str(error)
    if kind == "RemoteProtocolError":  # h11's own words
        kind = "TooLong" if "too long" in said else "NotHTTP" if said.startswith(("illegal", "no response")) else kind
    if words := WRONG_SERVER.get(kind):
        wrong = ProviderUnavailableError(f"{server.name} {words}")
        wrong.transient = False
        return wrong
    how = "didn't answer in time" if kind.endswith("Timeout") else "closed the connection before it answered"
    unavailable = ProviderUnavailableError(f"{server.name} {how}. {LATER}")
    unavailable.advice = LATER
    return unavailable


def broken(server: Server, error: BaseException) -> IncompleteStreamError:
    """Return our error for a connection that ended, or went silent, in the middle of a reply."""
    how = "went silent" if type(error).__name__.endswith("Timeout") else "broke"
    incomplete = IncompleteStreamError(f"The connection to {server.name} {how} in the middle of the reply. {AGAIN}")
    incomplete.transient, incomplete.advice = True, AGAIN
    return incomplete


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds the server asks to wait.

    https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Retry-After, and OpenAI's ``retry-after-ms``.
    """
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return max(0.0, float(milliseconds) / 1000)
        if value := headers.get("retry-after"):
            if re.fullmatch(r"[\d.]+", value.strip()):
                return float(value)
            return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        pass  # unreadable
    return None
