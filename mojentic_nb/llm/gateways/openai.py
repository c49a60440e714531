"""OpenAI, and every server that speaks its Chat Completions API (vLLM, llama.cpp, LM Studio, OpenRouter, Ollama, …).

The SDK keeps authentication, retries and the connection; the response is decoded here, from its raw bytes, since the
SDK's own loop costs about nine times the CPU per chunk.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
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
from mojentic_nb.llm.events import FinishReason, ModelEvent, StepFinish, TextDelta, Usage

from .base import Request
from .sse import SSEDecoder

if TYPE_CHECKING:
    import openai

__all__ = ["OpenAIGateway"]

OPENAI = "api.openai.com"
FINISH_REASONS: dict[str, FinishReason] = {"length": "length", "content_filter": "content_filter"}
SURROGATE = re.compile("[\ud800-\udfff]")


class OpenAIGateway:
    """The way to OpenAI, or with `base_url` to a compatible server.

    Without `api_key` and `base_url` the environment's ``OPENAI_API_KEY`` and ``OPENAI_BASE_URL`` count; a server of
    one's own may need no key. A `client` made with the SDK (``openai.AzureOpenAI(…)``, say) is used as it is, and the
    other arguments are not looked at. Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for a missing key, and
    for a key or an address that can't be one.
    """

    def __init__(
        self, api_key: str | None = None, base_url: str | None = None, *, client: openai.OpenAI | None = None
    ) -> None:
        self._client = client or make_client(api_key, base_url)
        address = urlsplit(str(self._client.base_url))
        self._host = f"{address.hostname}:{address.port}" if address.port else str(address.hostname)

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Ask for a completion and yield its events as its bytes arrive."""
        create = self._client.chat.completions.with_streaming_response.create
        with self._translated_errors(request.model), create(**encode(request, self._host)) as response:
            yield from decode(response.iter_bytes())

    def list_models(self) -> list[str]:
        """The names of the models that the server offers."""
        with self._translated_errors(""):
            return [model.id for model in self._client.models.list()]

    def close(self) -> None:
        """Close the connections that are kept for further requests."""
        self._client.close()

    def __repr__(self) -> str:
        return f"OpenAIGateway({self._host!r})"

    @contextmanager
    def _translated_errors(self, model: str) -> Iterator[None]:
        """Turn the SDK's errors, and its HTTP library's, into ours."""
        import httpx2
        import openai

        try:
            yield
        except openai.APIStatusError as error:
            raise status_error(error.status_code, error.body, error.message, self._host, model) from error
        except openai.APITimeoutError as error:
            raise ProviderUnavailableError(f"{self._host} did not answer in time: try again later.") from error
        except openai.APIConnectionError as error:
            raise ProviderUnavailableError(
                f"{self._host} can't be reached: is the server running, and its address right?"
            ) from error
        except httpx2.HTTPError as error:
            raise IncompleteStreamError(
                f"The connection to {self._host} broke in the middle of the answer: ask again."
            ) from error
        except StreamError as error:
            raise status_error(error.status, error.body, str(error), self._host, model) from error
        except UnicodeEncodeError as error:
            raise BadRequestError("The messages hold half a character (a lone surrogate): take it out.") from error


def make_client(api_key: str | None, base_url: str | None) -> openai.OpenAI:
    """The SDK's client; a server other than OpenAI's gets a stand-in where there is no key."""
    import openai

    base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
    key = (api_key or os.environ.get("OPENAI_API_KEY") or ("none" if base_url else "")).strip()
    if not key:
        raise ConfigurationError("OpenAI needs an API key: set the environment variable OPENAI_API_KEY.")
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError(
            "The API key has a character that no key has: copy it again, without what is around it."
        )
    if base_url and not re.match("https?://[^/]", base_url):
        raise ConfigurationError(
            "The server's address (base_url, OPENAI_BASE_URL) has to begin with http:// or https://."
        )
    return openai.OpenAI(api_key=key, base_url=base_url)


def encode(request: Request, host: str) -> dict[str, Any]:
    """The request's JSON body for the server at `host`; only settings that the caller made are in it."""
    settings = request.config.model_dump(exclude_none=True)
    if host == OPENAI and "max_tokens" in settings:
        # Its reasoning models refuse `max_tokens`, which is deprecated for the others; other servers know only that.
        # https://platform.openai.com/docs/api-reference/chat/create
        settings["max_completion_tokens"] = settings.pop("max_tokens")
    return {
        "model": request.model,
        "messages": [{"role": message.role.value, "content": message.content} for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        **settings,
    }


def decode(chunks: Iterable[bytes]) -> Iterator[ModelEvent]:
    """The events of a streamed completion, from the bytes of its body however they were split.

    The finish reason comes before the usage, which has a last chunk of its own, so the StepFinish is made at the end.
    An answer that broke off, with neither a finish reason nor ``[DONE]``, has none. Raises StreamError for an error
    object, IncompleteStreamError for what is no completion.
    """
    finish_reason: FinishReason | None = None
    usage = Usage()
    text = ""
    data = None
    for data in event_data(chunks):
        if data == "[DONE]":
            finish_reason = finish_reason or "stop"
            break
        delta, reason, counted = read_chunk(data)
        whole, text = split_half_character(text + delta)
        if whole:
            yield TextDelta(whole)
        finish_reason = reason or finish_reason
        usage = counted or usage
    if data is None:
        raise IncompleteStreamError(
            "The server did not answer with a streamed completion: is its address right? It usually ends in /v1."
        )
    if text:
        yield TextDelta("\ufffd")
    if finish_reason:
        yield StepFinish(finish_reason, usage)


def event_data(chunks: Iterable[bytes]) -> Iterator[str]:
    """The data of each server-sent event in `chunks`."""
    decoder = SSEDecoder()
    for chunk in chunks:
        yield from decoder.feed(chunk)
    yield from decoder.end()


def read_chunk(data: str) -> tuple[str, FinishReason | None, Usage | None]:
    """What one event's data tells: a piece of text, the finish reason, the usage, each if it is there."""
    texts: list[str] = []
    finish_reason: FinishReason | None = None
    try:
        body = json.loads(data)
        if error := body.get("error"):
            raise StreamError(error)
        counts = body.get("usage")
        usage = Usage(counts.get("prompt_tokens") or 0, counts.get("completion_tokens") or 0) if counts else None
        for choice in body.get("choices") or ():
            content = (choice.get("delta") or {}).get("content") or ""
            # Mistral's reasoning models send a list of parts.
            parts = [{"text": content}] if isinstance(content, str) else content
            texts += [part.get("text") or "" for part in parts]
            if reason := choice.get("finish_reason"):
                finish_reason = FINISH_REASONS.get(reason, "stop")
        return "".join(texts), finish_reason, usage
    except (AttributeError, TypeError, ValueError) as error:
        raise IncompleteStreamError(f"The server sent something that is no completion: {data[:80]!r}.") from error


def split_half_character(text: str) -> tuple[str, str]:
    """Part `text` into what can be shown, and a half of a character at its end, the other of which is still to come.

    A server may send an emoji as two escapes in two chunks, each of them half of a surrogate pair.
    """
    if not SURROGATE.search(text):
        return text, ""
    half = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
    whole = text.removesuffix(half)
    return whole.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), half


class StreamError(Exception):
    """An error object in a response that had begun with status 200 (OpenRouter, vLLM, proxies)."""

    def __init__(self, error: object) -> None:
        self.body = error if isinstance(error, dict) else {"message": str(error)}
        code = self.body.get("code")
        self.status = code if isinstance(code, int) else 500
        super().__init__(str(self.body.get("message") or error))


def status_error(status: int, body: object, message: str, host: str, model: str) -> LLMError:
    """Our error for an HTTP status and the error object that came with it."""
    fields = body if isinstance(body, dict) else {}
    said = " ".join(str(fields.get("message") or message).split())[:300]
    kind = f"{fields.get('code')} {fields.get('type')}"
    error: type[LLMError] = BadRequestError
    words = f"{host} refused the request (status {status}). It said: {said}"
    match status:
        case 401:
            error, words = AuthenticationError, f"{host} refused the API key: {advice_on_key(host)}."
        case 403:
            error, words = AuthenticationError, f"{host} does not allow this with your API key. It said: {said}"
        case 404:
            error, words = ModelNotFoundError, f"{host} has no model {model!r}: check the name. It said: {said}"
        case 429:
            error = RateLimitError
            words = f"{host} wants fewer requests, or a quota is used up: wait, then ask again. It said: {said}"
        case _ if "context_length" in kind or "context_size" in kind:
            error = ContextWindowError
            words = f"The messages are longer than {model!r} can read: send less. It said: {said}"
        case _ if status >= 500:
            error, words = (
                ProviderUnavailableError,
                f"{host} failed (status {status}): try again later. It said: {said}",
            )
    return error(words)


def advice_on_key(host: str) -> str:
    """What to do about a key that `host` refused."""
    if host == OPENAI:
        return "set OPENAI_API_KEY to a valid one"
    return "set OPENAI_API_KEY, or give the gateway its api_key"
