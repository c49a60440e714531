"""Ollama, through its own API. The SDK finds the server: at ``OLLAMA_HOST``, or on this machine."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mojentic_nb.llm.errors import (
    BadRequestError,
    ConfigurationError,
    IncompleteStreamError,
    LLMError,
    ModelNotFoundError,
    ProviderUnavailableError,
)
from mojentic_nb.llm.events import ModelEvent, StepFinish, TextDelta, Usage

from .base import Request

if TYPE_CHECKING:
    import ollama

__all__ = ["OllamaGateway"]


class OllamaGateway:
    """The way to an Ollama server: at `host`, else at ``OLLAMA_HOST``, else on this machine.

    `timeout`, in seconds, is for each wait on the server; None waits as long as a model takes to load.
    """

    def __init__(self, host: str | None = None, *, timeout: float | None = None) -> None:
        import ollama

        try:
            self._client = ollama.Client(host, timeout=timeout)
        except ValueError as error:
            raise ConfigurationError(
                f"Ollama's address is none ({error}): check OLLAMA_HOST, which reads like http://localhost:11434."
            ) from error

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Ask for a chat completion and yield its events as they arrive."""
        with self._translated_errors(request.model):
            for part in self._client.chat(**encode(request), stream=True):
                if text := part.message.content:
                    yield TextDelta(text)
                if part.done:
                    yield finish(part)

    def list_models(self) -> list[str]:
        """The names of the models on the server that can chat, the last changed first."""
        return list(self.chat_models())

    def chat_models(self) -> Iterator[str]:
        """Iterate what :meth:`list_models` lists: it takes a request a model. Models in Ollama's cloud are left out."""
        with self._translated_errors(""):
            for name in [model.model or "" for model in self._client.list().models]:
                if not name.endswith("cloud") and self._can_chat(name):
                    yield name

    def close(self) -> None:
        """Close the connections that are kept for further requests."""
        self._client.close()  # type: ignore[no-untyped-call]

    def _can_chat(self, name: str) -> bool:
        import ollama

        try:
            capabilities = self._client.show(name).capabilities
        except ollama.ResponseError:  # it is broken, or gone by now
            return False
        return capabilities is None or "completion" in capabilities  # older servers don't say

    @contextmanager
    def _translated_errors(self, model: str) -> Iterator[None]:
        """Turn the SDK's errors, and its HTTP library's, into ours."""
        import httpx
        import ollama

        try:
            yield
        except ollama.ResponseError as error:
            raise response_error(error, model) from error
        except (ConnectionError, httpx.ConnectError, httpx.TimeoutException) as error:
            raise ProviderUnavailableError(
                "Ollama can't be reached: start it with `ollama serve`, or set OLLAMA_HOST to where it runs."
            ) from error
        except (httpx.HTTPError, ValueError) as error:  # a line that is no JSON is a ValueError, pydantic's is one too
            raise IncompleteStreamError("Ollama's answer broke off in the middle: ask again.") from error


def encode(request: Request) -> dict[str, Any]:
    """The arguments of the SDK's ``chat``; only settings that the caller made are in it."""
    settings = request.config.model_dump(exclude_none=True)
    if "max_tokens" in settings:
        settings["num_predict"] = settings.pop("max_tokens")
    return {
        "model": request.model,
        "messages": [{"role": message.role.value, "content": message.content} for message in request.messages],
        "options": settings,
    }


def finish(part: ollama.ChatResponse) -> StepFinish:
    """The end of the step, from the response's last part."""
    usage = Usage(part.prompt_eval_count or 0, part.eval_count or 0)
    return StepFinish("length" if part.done_reason == "length" else "stop", usage)


def response_error(error: ollama.ResponseError, model: str) -> LLMError:
    """Our error for one that the server reported."""
    said = " ".join(error.error.split())[:300]
    if error.status_code == 404:
        return ModelNotFoundError(f"Ollama has no model {model!r}: get it with `ollama pull {model}`.")
    if error.status_code >= 500 or error.status_code < 0:  # -1: an error line in a response that had begun well
        return ProviderUnavailableError(f"Ollama failed: try again. It said: {said}")
    return BadRequestError(f"Ollama refused the request (status {error.status_code}). It said: {said}")
