"""Ollama, through its own API. The SDK finds the server: at ``OLLAMA_HOST``, or on this machine.

The SDK's client keeps the connection; the response, a JSON document a line, is decoded here.
https://docs.ollama.com/api/chat
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mojentic_nb.llm.cancellation import Cancellation
from mojentic_nb.llm.config import CompletionConfig
from mojentic_nb.llm.errors import BadRequestError, ConfigurationError, LLMError, ModelNotFoundError
from mojentic_nb.llm.events import ModelEvent, ReasoningDelta, StepFinish, TextDelta, Usage
from mojentic_nb.llm.messages import LLMMessage, MessageRole

from .assembly import Calls
from .base import Request
from .decoding import Decoder, StreamError, adecoded, decoded
from .failures import (
    HALF_CHARACTER,
    broken,
    host_of,
    no_answer,
    retry_after,
    said_by,
    status_error,
    unreachable_error,
    without_key,
)
from .images import load_image
from .mojentic import MojenticCalls
from .sse import LineDecoder
from .transport import Lines, LoopLines, Timeout, Wire

if TYPE_CHECKING:
    import httpx
    import ollama

__all__ = ["OllamaGateway"]

EMBEDDING_MODEL = "mxbai-embed-large"
CHAT = ("POST", "/api/chat")


class OllamaGateway(MojenticCalls):
    """The way to an Ollama server: at `host`, else at ``OLLAMA_HOST``, else on this machine.

    `timeout` is in seconds; a response may take as long to begin as a model takes to load. Raises
    :class:`~mojentic_nb.llm.errors.ConfigurationError` for an address that is none.
    """

    def __init__(self, host: str | None = None, *, timeout: Timeout | float | None = Timeout()) -> None:  # noqa: B008
        import ollama

        try:
            http = ollama.Client(host)._client  # noqa: SLF001 (the SDK has no other word for where it goes)
        except ValueError as error:
            raise ConfigurationError(
                f"Ollama's address is none ({error}): check OLLAMA_HOST, which reads like http://localhost:11434."
            ) from error
        self._server = str(http.base_url)
        self._host = host_of(self._server)
        self._key = http.headers.get("authorization", "").removeprefix("Bearer ")
        self._timeout = Timeout.of(timeout)
        self._lines = Lines(self._new_client, self._timeout.stall)
        self._async_lines = LoopLines(self._new_async_client, self._timeout.stall)

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Ask for a chat completion and yield its events as its bytes arrive."""
        body = encode(request)
        with (
            self._lines.line(request.cancellation) as (wire, client),
            self._translated_errors(request.model, wire),
            client._client.stream(*CHAT, json=body) as response,  # noqa: SLF001 (the SDK parses what it streams)
        ):
            if response.is_error:
                response.read()
                response.raise_for_status()
            yield from decoded(OllamaDecoder(len(request.messages)), response.iter_bytes())

    async def astream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The same, asynchronously."""
        body = encode(request)
        async with self._async_lines.aline(request.cancellation) as (wire, client):
            with self._translated_errors(request.model, wire):
                async with client._client.stream(*CHAT, json=body) as response:  # noqa: SLF001
                    if response.is_error:
                        await response.aread()
                        response.raise_for_status()
                    async for event in adecoded(OllamaDecoder(len(request.messages)), response.aiter_bytes()):
                        yield event

    def get_available_models(self) -> list[str]:
        """The names of the models on the server that can chat, the last changed first."""
        return list(self.chat_models())

    def chat_models(self) -> Iterator[str]:
        """Iterate what :meth:`get_available_models` lists: it takes a request a model.

        Models in Ollama's cloud are left out.
        """
        with self._asking() as client:
            for name in [model.model or "" for model in client.list().models]:
                if not name.endswith("cloud") and can_chat(client, name):
                    yield name

    def calculate_embeddings(self, text: str, model: str = EMBEDDING_MODEL) -> list[float]:
        """The embedding of `text` by `model`: a vector whose length is the model's."""
        with self._asking(model) as client:
            return list(client.embed(model, text).embeddings[0])

    def close(self) -> None:
        """Close the connections that are kept for further requests."""
        self._lines.close()

    async def aclose(self) -> None:
        """Close those of the running event loop as well, which else are closed with it."""
        self.close()
        await self._async_lines.aclose()

    def __repr__(self) -> str:
        return f"OllamaGateway({self._host!r})"

    def _new_client(self, wire: Wire) -> ollama.Client:
        import ollama

        return ollama.Client(self._server, timeout=self._limits(), event_hooks=wire.hooks())

    def _new_async_client(self, wire: Wire) -> ollama.AsyncClient:
        import ollama

        return ollama.AsyncClient(self._server, timeout=self._limits(), event_hooks=wire.async_hooks())

    def _limits(self) -> httpx.Timeout:
        import httpx

        return httpx.Timeout(self._timeout.connect, read=self._timeout.read)

    @contextmanager
    def _asking(self, model: str = "") -> Iterator[ollama.Client]:
        """A client for a request other than a chat, and the SDK's errors turned into ours."""
        with self._lines.line(Cancellation()) as (wire, client), self._translated_errors(model, wire):
            yield client

    @contextmanager
    def _translated_errors(self, model: str, wire: Wire) -> Iterator[None]:
        """Turn the HTTP library's errors, and the SDK's, into ours."""
        import httpx
        import ollama

        try:
            yield
        except httpx.HTTPStatusError as error:
            failure = self._status_error(error.response.status_code, error.response.text, model)
            failure.retry_after = retry_after(error.response.headers)
            raise failure from error
        except ollama.ResponseError as error:
            failure = self._status_error(error.status_code, error.error, model)
            raise failure from without_key(error, self._key)
        except StreamError as error:
            raise self._status_error(error.status, str(error), model) from without_key(error, self._key)
        except (ConnectionError, httpx.ConnectError, httpx.ConnectTimeout) as error:
            advice = "start it with `ollama serve`, or set OLLAMA_HOST to where it runs."
            raise unreachable_error(self._host, f"Ollama can't be reached at {self._host}: {advice}") from error
        except httpx.HTTPError as error:
            silent = isinstance(error, httpx.TimeoutException)
            raise (broken if wire.answered else no_answer)("Ollama", silent=silent) from error
        except UnicodeEncodeError as error:
            raise BadRequestError(HALF_CHARACTER) from error

    def _status_error(self, status: int, said: str, model: str) -> LLMError:
        if status == 404 and model:
            return ModelNotFoundError(f"Ollama has no model {model!r}: get it with `ollama pull {model}`.")
        try:
            body = json.loads(said)
        except ValueError:  # a page of a proxy
            body = None
        said = said_by(body, said, self._key)
        return status_error(status, said, said, host="Ollama", model=model, key_name="OLLAMA_API_KEY")


def can_chat(client: ollama.Client, name: str) -> bool:
    """Whether the model called `name` answers messages."""
    import ollama

    try:
        capabilities = client.show(name).capabilities
    except ollama.ResponseError:  # it is broken, or gone by now
        return False
    return capabilities is None or "completion" in capabilities  # older servers don't say


def encode(request: Request) -> dict[str, Any]:
    """The request's JSON body; only settings that the caller made are in it."""
    config = request.config
    options = {
        "temperature": config.temperature,
        "top_p": config.top_p,
        "top_k": config.top_k,
        "num_ctx": config.num_ctx,
        "num_predict": config.max_tokens if config.num_predict is None else config.num_predict,
    }
    settings = {
        "options": {name: value for name, value in options.items() if value is not None} or None,
        "think": thinking(request),
        "format": request.schema or answer_format(config),
        "tools": [dict(tool.descriptor) for tool in request.tools] or None,
    }
    return {
        "model": request.model,
        "messages": [encode_message(message) for message in request.messages],
        "stream": True,
        **{name: value for name, value in settings.items() if value is not None},
    }


def answer_format(config: CompletionConfig) -> str | None:
    """The setting ``format`` for an answer that follows no schema."""
    return "json" if (config.response_format or {}).get("type") == "json_object" else None


def thinking(request: Request) -> bool | str | None:
    """The setting ``think``: levels for the one family that knows them, yes or no for all others."""
    effort = request.config.reasoning_effort
    if effort is None or not request.model.startswith("gpt-oss"):
        return None if effort is None else effort != "none"
    levels: dict[str, bool | str] = {"none": False, "minimal": "low", "xhigh": "high", "max": "high"}
    return levels.get(effort, effort)


def encode_message(message: LLMMessage) -> dict[str, Any]:
    """One message's JSON."""
    encoded: dict[str, Any] = {"role": message.role.value, "content": message.content or ""}
    if message.role is MessageRole.Tool:
        encoded["tool_name"] = message.tool_calls[0].name if message.tool_calls else None
        return encoded
    if message.image_paths:
        encoded["images"] = [encode_image(path) for path in message.image_paths]
    if message.tool_calls:
        encoded["tool_calls"] = [
            {"function": {"name": call.name, "arguments": call.arguments}} for call in message.tool_calls
        ]
        if message.thinking:
            encoded["thinking"] = message.thinking
    return encoded


def encode_image(path: str) -> str:
    """An image's data in base64."""
    image = load_image(path)
    if image.link:
        raise ConfigurationError(f"Ollama takes no link as an image: download {path} and give the file.")
    return image.data


class OllamaDecoder(Decoder):
    """Reads a streamed chat completion. Its calls come whole, and it ends by ``done``."""

    def __init__(self, turn: int = 0) -> None:
        super().__init__(LineDecoder())
        self._calls = Calls(turn)
        self._count = 0
        self._last: dict[str, Any] = {}

    def read(self, body: dict[str, Any]) -> Sequence[ModelEvent]:
        """The events of one line."""
        if "error" in body:
            raise StreamError(body["error"])
        message = body.get("message") or {}  # older servers leave it out of the last line
        events: list[ModelEvent] = []
        if text := message.get("thinking"):
            events.append(ReasoningDelta(text))
        if text := message.get("content"):
            events.append(TextDelta(text))
        if calls := message.get("tool_calls"):
            events += self._called(calls)
        if body.get("done"):
            self._last = body
            self.done = True
        return events

    def _called(self, calls: Iterable[dict[str, Any]]) -> Iterator[ModelEvent]:
        for call in calls:
            function = call["function"]
            yield from self._calls.feed(
                index=self._count, call_id=call.get("id"), name=function["name"], arguments=function.get("arguments")
            )
            self._count += 1

    def finish(self) -> Iterable[ModelEvent]:
        """The events at the end; none where the answer broke off."""
        if not self.done:
            return
        usage = Usage(self._last.get("prompt_eval_count") or 0, self._last.get("eval_count") or 0)
        if self._last.get("done_reason") == "length":
            yield StepFinish("length", usage)
            return
        yield from self._calls.end()
        yield StepFinish("tool_calls" if self._calls else "stop", usage)
