"""Our errors for what HTTP servers report: by cause, in one line that says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
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

from .keys import Key

__all__ = [
    "ASYNCHRONOUS_CLIENT",
    "HALF_CHARACTER",
    "broken",
    "checked_list",
    "host_of",
    "no_answer",
    "retry_after",
    "said_by",
    "status_error",
    "unreachable_error",
]

ASYNCHRONOUS_CLIENT = (
    "This gateway has an asynchronous client: use the broker's asynchronous methods, or give it another."
)
HALF_CHARACTER = "The messages hold half a character (a lone surrogate): take it out."

# What an error within a response, which had begun with status 200, means by its code or type.
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
# Servers that tell these by status 400.
WRONG_KEY = re.compile("API key not valid|invalid.api.key", re.IGNORECASE)
NO_MODEL = re.compile(
    "model_not_found|model not exist|is not a valid model|invalid_model|no models loaded", re.IGNORECASE
)
# What tells, beside status 404, that there is no such endpoint: OpenAI, Groq, LM Studio, Mistral, llama.cpp, Ollama.
NO_ENDPOINT = re.compile(
    "invalid url|unknown.(request.)?url|unexpected endpoint|no route matched|file not found|page not found",
    re.IGNORECASE,
)
NAMES_MODEL = re.compile("model|deployment|no endpoints found for", re.IGNORECASE)
# OpenRouter knows the model, but none of those who serve it to it can do what the request asks for.
NO_PROVIDER = re.compile("no endpoints found (that|matching)|no (allowed|available) providers?", re.IGNORECASE)
# Waiting does not help against these. Some providers name their page on billing with every rate limit.
USED_UP = re.compile("insufficient_quota|insufficient_balance|billing_error|credit balance", re.IGNORECASE)

# What a server does that isn't a model's; the same request would change nothing.
WRONG_SERVER = {
    "TooManyRedirects": "redirects the request in a loop. Check its address.",
    "TooLong": "sent headers of more than 100 kB. Check that its address leads to a model's API.",
    "NotHTTP": "doesn't answer in HTTP. Check its address: the port, and whether it begins with http or https.",
}


def host_of(url: str) -> str:
    """Host and port of `url`, without a password that may stand before them."""
    address = urlsplit(url)
    return f"{address.hostname}:{address.port}" if address.port else str(address.hostname)


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    return host.startswith(("127.", "localhost", "::1"))


def said_by(body: object, otherwise: str, key: Key) -> str:
    """What the server said, in one line, without the API key that some servers quote."""
    return key.hide(" ".join(str(words_in(body) or otherwise).split()))[:300]


def words_in(body: object) -> object:
    """What a response's body, read as JSON, says of what went wrong; None for a page of a proxy."""
    match body:
        case [first, *_]:  # Gemini's
            return words_in(first)
        case {"error": error} if error:
            return words_in(error)
        case {"message": said} | {"detail": said}:  # FastAPI's is a detail
            return said
        case str() if not body.startswith("<"):
            return body
    return None


def status_error(
    status: int | None, body: object, said: str, *, host: str, model: str, key_name: str, path: str = ""
) -> LLMError:
    """Our error for an HTTP status, and the error object and words that came with it.

    `status` is None for an error within a response that has none. `path` is that of the server's address.
    """
    kinds = f"{body} {said}"
    number = f" (status {status})" if status else ""
    kind: type[LLMError] = BadRequestError
    words = f"{host} refused the request{number}. It said: {said}"
    match meaning := meant(status, body, kinds):
        case 401:
            kind, words = AuthenticationError, f"{host} refused the API key: {advice_on_key(host, key_name)}."
        case 403:
            kind, words = AuthenticationError, f"{host} does not allow this with your API key. It said: {said}"
        case 404 | 405:
            kind, words = not_found(kinds, said, host=host, model=model, advice=advice_on_address(key_name, path))
        case 402 | 429:
            kind = RateLimitError
            words = f"{host} wants fewer requests, or a quota is used up: wait, then ask again. It said: {said}"
        case _ if TOO_LONG.search(kinds):
            kind = ContextWindowError
            words = f"The messages are longer than {model!r} can read: send less. It said: {said}"
        case 400 | 422 | 500 if FORM.search(kinds):
            words = (
                f"{host} does not take this form of an answer for {model!r}: ask for a simpler object_model or "
                f"response_format, or another model. It said: {said}"
            )
        case 408 | 409:
            kind, words = ProviderUnavailableError, f"{host} could not answer now: try again. It said: {said}"
        case _ if meaning >= 500:
            kind = ProviderUnavailableError
            words = f"{host} failed{number}: try again later. It said: {said}"
    error = kind(words)
    if meaning == 402 or USED_UP.search(kinds):
        error.transient = False
    return error


def meant(status: int | None, body: object, kinds: str) -> int:
    """The status that most servers would have given in place of `status`, or of none."""
    if status is None:
        named = [str(body.get(name)) for name in ("code", "type")] if isinstance(body, dict) else []
        status = next((STATUSES[name] for name in named if name in STATUSES), 500)
        if NO_ENDPOINT.search(kinds):
            return 404
    if status == 400 and WRONG_KEY.search(kinds):
        return 401
    if status == 400 and NO_MODEL.search(kinds):
        return 404
    return 429 if status == 413 and "rate_limit" in kinds else status


def not_found(kinds: str, said: str, *, host: str, model: str, advice: str) -> tuple[type[LLMError], str]:
    """Our kind of error, and its words, for what the server doesn't have: the model, or what it was asked at."""
    page = said.startswith("<")
    if NO_PROVIDER.search(kinds):
        return BadRequestError, (
            f"No provider at {host} serves {model!r} with all that the request asks for. Leave that out, or use "
            f"another model. It said: {said}"
        )
    names_model = re.search(rf"(?<!\w){re.escape(model)}(?!\w)", kinds) or NAMES_MODEL.search(kinds)
    if model and names_model and not (page or NO_ENDPOINT.search(kinds)):
        return ModelNotFoundError, f"{host} has no model {model!r}: check the name. It said: {said}"
    quoted = "" if page else f" It said: {said}"
    return ConfigurationError, f"{host} has no such endpoint. {advice}{quoted}"


def advice_on_address(key_name: str, path: str) -> str:
    """What to do about an address that is that of a server, but not of its API; `path` is where it ends."""
    has_version = re.search(r"/v\d", path)
    if key_name == "OLLAMA_API_KEY":
        return "Check the address in `host` or `OLLAMA_HOST`."
    if key_name == "OPENAI_API_KEY" and not has_version:
        return f"Check the base URL: it ends in `{path.rstrip('/')}/`, most servers' in `/v1`."
    if key_name == "ANTHROPIC_API_KEY" and has_version:
        return f"Take `{path.rstrip('/')}` off the end of the base URL."
    return "Check the base URL."


def advice_on_key(host: str, key_name: str) -> str:
    """What to do about a key that `host` refused."""
    if host in ("api.openai.com", "api.anthropic.com"):
        return f"set {key_name} to a valid one"
    return f"set {key_name}, or give the gateway its api_key"


def unreachable_error(host: str, words: str = "") -> ProviderUnavailableError:
    """Our error where no connection comes about; asking this machine again at once would change nothing."""
    words = words or f"{host} can't be reached: is the server running, and its address right?"
    error = ProviderUnavailableError(words)
    error.transient = not is_loopback(host)
    return error


def no_answer(host: str, error: BaseException | None) -> ProviderUnavailableError:
    """Our error for a response that never began; `error` is httpx's, or httpx2's, which have the same names."""
    kind, said = type(error).__name__, str(error)
    if kind == "RemoteProtocolError":  # h11's own words
        kind = "TooLong" if "too long" in said else "NotHTTP" if said.startswith(("illegal", "no response")) else kind
    if words := WRONG_SERVER.get(kind):
        wrong = ProviderUnavailableError(f"{host} {words}")
        wrong.transient = False
        return wrong
    how = "did not answer in time" if kind.endswith("Timeout") else "hung up before it answered"
    return ProviderUnavailableError(f"{host} {how}: try again later.")


def broken(host: str, error: BaseException) -> IncompleteStreamError:
    """Our error for a connection that ended, or fell silent, in the middle of an answer."""
    how = "fell silent" if type(error).__name__.endswith("Timeout") else "broke"
    incomplete = IncompleteStreamError(f"The connection to {host} {how} in the middle of the answer: ask again.")
    incomplete.transient = True
    return incomplete


@contextmanager
def checked_list(host: str, key: Key) -> Iterator[None]:
    """Our error where what the server of `host` sends as its models is no list of some, such as a proxy's page."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{host} answers with no list of models: is its address right?") from key.clean(error)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds the server asks to wait.

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
        pass  # no time that anyone could read
    return None
