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

HALF_CHARACTER = "The messages hold half a character (a lone surrogate): take it out."

TOO_LONG = re.compile(
    "context.?(length|size|window|limit)|maximum context|prompt is too long|too many tokens|request_too_large"
    "|maximum (prompt|model) length|exceeds? the maximum number of tokens",
    re.IGNORECASE,
)
# OpenAI's chat and what speaks it, Anthropic, OpenAI's Responses, Ollama, llama.cpp.
FORM = re.compile(
    r"response_format|output_config\W+format|text\W+format|(schema in|invalid) format|\bgrammar\b", re.IGNORECASE
)
# Servers that tell these by status 400.
WRONG_KEY = re.compile("API key not valid|invalid.api.key", re.IGNORECASE)
NO_MODEL = re.compile("model_not_found|model not exist|is not a valid model", re.IGNORECASE)
# Waiting does not help against these. Some providers name their page on billing with every rate limit.
USED_UP = re.compile("insufficient_quota|insufficient_balance|billing_error|credit balance", re.IGNORECASE)


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


def status_error(status: int, body: object, said: str, *, host: str, model: str, key_name: str) -> LLMError:
    """Our error for an HTTP status, and the error object and words that came with it."""
    kinds = f"{body} {said}"
    status = meant(status, kinds)
    kind: type[LLMError] = BadRequestError
    words = f"{host} refused the request (status {status}). It said: {said}"
    match status:
        case 401:
            kind, words = AuthenticationError, f"{host} refused the API key: {advice_on_key(host, key_name)}."
        case 403:
            kind, words = AuthenticationError, f"{host} does not allow this with your API key. It said: {said}"
        case 404:
            kind, words = ModelNotFoundError, f"{host} has no model {model!r}: check the name. It said: {said}"
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
        case _ if status >= 500:
            kind = ProviderUnavailableError
            words = f"{host} failed (status {status}): try again later. It said: {said}"
    error = kind(words)
    if status == 402 or USED_UP.search(kinds):
        error.transient = False
    return error


def meant(status: int, kinds: str) -> int:
    """The status that most servers would have given in place of `status`."""
    if status == 400 and WRONG_KEY.search(kinds):
        return 401
    if status == 400 and NO_MODEL.search(kinds):
        return 404
    return 429 if status == 413 and "rate_limit" in kinds else status


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


def no_answer(host: str, *, silent: bool) -> ProviderUnavailableError:
    """Our error for a connection that ended, or stayed silent, before the response began."""
    how = "did not answer in time" if silent else "hung up before it answered"
    return ProviderUnavailableError(f"{host} {how}: try again later.")


def broken(host: str, *, silent: bool) -> IncompleteStreamError:
    """Our error for a connection that ended, or fell silent, in the middle of an answer."""
    how = "fell silent" if silent else "broke"
    error = IncompleteStreamError(f"The connection to {host} {how} in the middle of the answer: ask again.")
    error.transient = True
    return error


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
