"""OpenAI, and every server that speaks its Chat Completions API (vLLM, llama.cpp, LM Studio, OpenRouter, Ollama, …).

The SDK keeps authentication, retries and the connection; the response is decoded here, from its raw bytes, since the
SDK's own loop costs about nine times the CPU per chunk.
"""

from __future__ import annotations

import json
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


class OpenAIGateway:
    """The way to OpenAI, or with `base_url` to a compatible server.

    Without `api_key` the environment's ``OPENAI_API_KEY`` counts; a server at a `base_url` of its own may need none.
    A `client` made with the SDK (``openai.AzureOpenAI(…)``, say) is used as it is, and the other arguments are not
    looked at.
    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` where a key is needed and there is none.
    """

    def __init__(
        self, api_key: str | None = None, base_url: str | None = None, *, client: openai.OpenAI | None = None
    ) -> None:
        self._client = client or make_client(api_key, base_url)
        self._host = urlsplit(str(self._client.base_url)).netloc

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Ask for a completion and yield its events as its bytes arrive."""
        create = self._client.chat.completions.with_streaming_response.create
        with self._translated_errors(request.model), create(**encode(request)) as response:
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


def make_client(api_key: str | None, base_url: str | None) -> openai.OpenAI:
    """The SDK's client; a server other than OpenAI's gets a stand-in where there is no key."""
    import openai

    try:
        return openai.OpenAI(api_key=api_key, base_url=base_url)
    except openai.OpenAIError as error:
        if base_url:
            return openai.OpenAI(api_key="none", base_url=base_url)
        raise ConfigurationError(
            "OpenAI needs an API key: set the environment variable OPENAI_API_KEY before starting Jupyter."
        ) from error


def encode(request: Request) -> dict[str, Any]:
    """The request's JSON body; only settings that the caller made are in it."""
    return {
        "model": request.model,
        "messages": [{"role": message.role.value, "content": message.content} for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        **request.config.model_dump(exclude_none=True),
    }


def decode(chunks: Iterable[bytes]) -> Iterator[ModelEvent]:
    """The events of a streamed completion, from the bytes of its body however they were split.

    The finish reason comes before the usage, which has a last chunk of its own, so the StepFinish is made at the end.
    An answer that broke off, with neither a finish reason nor ``[DONE]``, has none. Raises StreamError for an error
    object.
    """
    finish_reason: FinishReason | None = None
    usage = Usage()
    for data in event_data(chunks):
        if data == "[DONE]":
            finish_reason = finish_reason or "stop"
            break
        body = json_object(data)
        if error := body.get("error"):
            raise StreamError(error)
        if counts := body.get("usage"):
            usage = Usage(counts.get("prompt_tokens") or 0, counts.get("completion_tokens") or 0)
        for choice in body.get("choices") or ():
            if text := (choice.get("delta") or {}).get("content"):
                yield TextDelta(text)
            if reason := choice.get("finish_reason"):
                finish_reason = FINISH_REASONS.get(reason, "stop")
    if finish_reason:
        yield StepFinish(finish_reason, usage)


def event_data(chunks: Iterable[bytes]) -> Iterator[str]:
    """The data of each server-sent event in `chunks`."""
    decoder = SSEDecoder()
    for chunk in chunks:
        yield from decoder.feed(chunk)
    yield from decoder.end()


def json_object(data: str) -> dict[str, Any]:
    """Parse one event's data, which has to be a JSON object."""
    try:
        body = json.loads(data)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise IncompleteStreamError(f"The server sent something that is not a completion chunk: {data[:80]!r}.")
    return body


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
    match status:
        case 401 | 403:
            return AuthenticationError(f"{host} refused the API key: {advice_on_key(host)}.")
        case 404:
            return ModelNotFoundError(f"{host} has no model {model!r}: check the name. It said: {said}")
        case 429:
            return RateLimitError(
                f"{host} wants fewer requests, or a quota is used up: wait, then ask again. It said: {said}"
            )
        case _ if "context_length" in kind or "context_size" in kind:
            return ContextWindowError(f"The messages are longer than {model!r} can read: send less. It said: {said}")
        case _ if status >= 500:
            return ProviderUnavailableError(f"{host} failed (status {status}): try again later. It said: {said}")
    return BadRequestError(f"{host} refused the request (status {status}). It said: {said}")


def advice_on_key(host: str) -> str:
    """What to do about a key that `host` refused."""
    if host == OPENAI:
        return "set OPENAI_API_KEY to a valid one"
    return "set OPENAI_API_KEY, or give the gateway its api_key"
