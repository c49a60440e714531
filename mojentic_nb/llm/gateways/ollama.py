"""Ollama, through its own API. The SDK finds the server: at ``OLLAMA_HOST``, or on this machine.

The SDK's client keeps the connection; the response, a JSON document a line, is decoded here.
https://docs.ollama.com/api/chat
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

from mojentic_nb.llm.cancellation import Cancellation
from mojentic_nb.llm.errors import BadRequestError, ConfigurationError, LLMError, ModelNotFoundError
from mojentic_nb.llm.events import ModelEvent

from .base import Request
from .decoding import StreamError, adecoded, decoded
from .failures import (
    HALF_CHARACTER,
    broken,
    checked_list,
    host_of,
    no_answer,
    retry_after,
    said_by,
    status_error,
    unreachable_error,
)
from .keys import STAND_IN, Key
from .mojentic import MojenticCalls
from .ollama_chat import OllamaDecoder, encode
from .transport import Lines, LoopLines, Timeout, Wire, proxy_checked, tls_context

if TYPE_CHECKING:
    import ollama

__all__ = ["OllamaGateway"]

EMBEDDING_MODEL = "mxbai-embed-large"
CHAT = ("POST", "/api/chat")


class OllamaGateway(MojenticCalls):
    """The way to an Ollama server: at `host`, else at ``OLLAMA_HOST``, else on this machine.

    Without `api_key` the environment's ``OLLAMA_API_KEY`` counts; "none" sends no key. `timeout` is in seconds; a
    response may take as long to begin as a model takes to load. Raises
    :class:`~mojentic_nb.llm.errors.ConfigurationError` for a key or an address that can't be one.
    """

    def __init__(
        self,
        host: str | None = None,
        *,
        api_key: str | Key | None = None,
        timeout: Timeout | float | None = Timeout(),  # noqa: B008 (frozen)
    ) -> None:
        import httpx
        import ollama

        api_key = Key.of(api_key) or Key.in_environment("OLLAMA_API_KEY") or Key("")
        self._key = api_key.checked() if api_key.secrets() else Key("")
        try:
            with proxy_checked():
                http = ollama.Client(host, verify=tls_context(httpx.create_ssl_context))._client  # noqa: SLF001 (the SDK has no other word for where it goes)
        except ValueError as error:
            raise ConfigurationError(
                f"Ollama's address can't be used ({error}): check OLLAMA_HOST, which reads like http://localhost:11434."
            ) from error
        self._server = str(http.base_url)
        self._host = host_of(self._server)
        self._timeout = Timeout.of(timeout)
        self._lines = Lines(self._new_client, self._timeout.stall)
        self._async_lines = LoopLines(self._new_async_client, self._timeout.stall)

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Ask for a chat completion and yield its events as its bytes arrive."""
        body = encode(request)
        try:
            with (
                self._lines.line(request.cancellation) as (wire, client),
                self._translated_errors(request.model, wire),
                client._client.stream(*CHAT, json=body) as response,  # noqa: SLF001 (the SDK parses what it streams)
            ):
                if response.is_error:
                    response.read()
                    response.raise_for_status()
                yield from decoded(self._decoder(request), response.iter_bytes())
        except LLMError as error:
            raise self._key.clean(error)  # noqa: B904 (its cause is kept)

    async def astream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The same, asynchronously."""
        body = encode(request)
        try:
            async with self._async_lines.aline(request.cancellation) as (wire, client):
                with self._translated_errors(request.model, wire):
                    async with client._client.stream(*CHAT, json=body) as response:  # noqa: SLF001
                        if response.is_error:
                            await response.aread()
                            response.raise_for_status()
                        async with aclosing(adecoded(self._decoder(request), response.aiter_bytes())) as events:
                            async for event in events:
                                yield event
        except LLMError as error:
            raise self._key.clean(error)  # noqa: B904

    def get_available_models(self) -> list[str]:
        """The names of the models on the server that can chat, the last changed first."""
        return list(self.chat_models())

    def chat_models(self) -> Iterator[str]:
        """Iterate what :meth:`get_available_models` lists: it takes a request a model.

        Models in Ollama's cloud are left out.
        """
        with self._asking() as client:
            try:
                with checked_list(self._host, self._key):
                    names = [model.model or "" for model in client.list().models]
            except LLMError as error:
                raise self._key.clean(error)  # noqa: B904
            for name in names:
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

    def _decoder(self, request: Request) -> OllamaDecoder:
        decoder = OllamaDecoder(len(request.messages))
        decoder.hide = self._key.hide
        return decoder

    def _new_client(self, wire: Wire) -> ollama.Client:
        import ollama

        return ollama.Client(self._server, event_hooks=wire.hooks(), **self._options())

    def _new_async_client(self, wire: Wire) -> ollama.AsyncClient:
        import ollama

        return ollama.AsyncClient(self._server, event_hooks=wire.async_hooks(), **self._options())

    def _options(self) -> dict[str, Any]:
        import httpx

        return {
            "timeout": httpx.Timeout(self._timeout.connect, read=self._timeout.read),
            "verify": tls_context(httpx.create_ssl_context),
            # Given, or the SDK takes the key from the environment.
            "headers": {"authorization": f"Bearer {STAND_IN}"},
            "auth": self._key.sign,
        }

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
            raise failure from self._key.clean(error)
        except ollama.ResponseError as error:
            failure = self._status_error(error.status_code, error.error, model)
            raise failure from self._key.clean(error)
        except StreamError as error:
            raise self._status_error(error.status, str(error), model) from self._key.clean(error)
        except (ConnectionError, httpx.ConnectError, httpx.ConnectTimeout) as error:
            advice = "start it with `ollama serve`, or set OLLAMA_HOST to where it runs."
            raise unreachable_error(
                self._host, f"Ollama can't be reached at {self._host}: {advice}"
            ) from self._key.clean(error)
        except httpx.HTTPError as error:
            silent = isinstance(error, httpx.TimeoutException)
            raise (broken if wire.answered else no_answer)("Ollama", silent=silent) from self._key.clean(error)
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
