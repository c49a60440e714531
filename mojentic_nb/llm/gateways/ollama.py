"""Ollama, through its own API. The SDK finds the server: at ``OLLAMA_HOST``, or on this machine.

The SDK's client keeps the connection; the response, a JSON document a line, is decoded here.
https://docs.ollama.com/api/chat
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

from mojentic_nb.llm.cancellation import Cancellation
from mojentic_nb.llm.compat import StreamingResponse
from mojentic_nb.llm.concurrency import in_thread
from mojentic_nb.llm.errors import BadRequestError, ConfigurationError, LLMError, ModelNotFoundError
from mojentic_nb.llm.events import ModelEvent
from mojentic_nb.llm.request import Request

from .adaptive import AdaptiveGateway
from .failures import (
    ASYNCHRONOUS_CLIENT,
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
from .transport import LIMITS, Lines, LoopLines, Timeout, Wire, proxy_checked, tls_context
from .wire.decoding import StreamError
from .wire.ollama_chat import OllamaDecoder, encode

if TYPE_CHECKING:
    import ollama

__all__ = ["OllamaGateway", "StreamingResponse"]  # a Mojentic program finds both here

EMBEDDING_MODEL = "mxbai-embed-large"
CHAT = ("POST", "/api/chat")


class OllamaGateway(AdaptiveGateway):
    """The way to an Ollama server: at `host`, else at ``OLLAMA_HOST``, else on this machine.

    Without `api_key` the environment's ``OLLAMA_API_KEY`` counts; "none" sends no key. `headers` are sent with each
    request, such as the key that a proxy before the server asks for. `timeout` is in seconds; a response may take as
    long to begin as a model takes to load. A `client` made with the SDK (``ollama.Client(…)`` or
    ``ollama.AsyncClient(…)``) is used as it is, and the other arguments are ignored; a cancelled request then ends once
    its response has begun.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for a key or an address that can't be one.
    """

    def __init__(
        self,
        host: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: Timeout | float | None = Timeout(),  # noqa: B008 (frozen)
        *,
        api_key: str | Key | None = None,
        client: ollama.Client | ollama.AsyncClient | None = None,
    ) -> None:
        import httpx

        self._client = client
        given = {name.lower(): value for name, value in (headers or {}).items()}
        scheme, _, secret = given.get("authorization", "Bearer ").rpartition(" ")
        api_key = Key.of(secret) or Key.of(api_key) or Key.in_environment("OLLAMA_API_KEY") or Key("")
        self._key = api_key.checked() if api_key.secrets() else Key("")
        # Without such a header the SDK sends the key that the environment has.
        self._headers = given | {"authorization": f"{scheme} {STAND_IN}".strip()}
        http = (client or self._probe(host))._client  # noqa: SLF001 (the SDK has no other word for where it goes)
        if client:
            self._key = Key(http.headers.get("authorization", "").rpartition(" ")[2])
        self._server = str(http.base_url)
        self._host = host_of(self._server)
        self._timeout = Timeout.of(timeout)
        self._blind = set()
        own = client is None
        self._lines = Lines(self._new_client, self._timeout, httpx.ReadTimeout, own=own)
        self._async_lines = LoopLines(self._new_async_client, self._timeout, httpx.ReadTimeout, own=own)

    def _attempt(self, request: Request) -> Generator[ModelEvent, None, None]:
        body = encode(request)
        with (
            self._lines.line(request.cancellation) as (wire, client),
            self._translated_errors(request.model, wire),
            client._client.stream(*CHAT, json=body) as response,  # noqa: SLF001 (the SDK parses what it streams)
        ):
            wire.begin(response.extensions.get("network_stream"))
            if response.is_error:
                response.read()
                response.raise_for_status()
            yield from wire.read(self._decoder(request), response.iter_bytes(), request.config)

    def _aattempt(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        import ollama

        return in_thread(self._attempt(request)) if isinstance(self._client, ollama.Client) else self._asent(request)

    async def _asent(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        body = encode(request)
        async with self._async_lines.aline(request.cancellation) as (wire, client):
            with self._translated_errors(request.model, wire):
                async with client._client.stream(*CHAT, json=body) as response:  # noqa: SLF001
                    wire.begin(response.extensions.get("network_stream"))
                    if response.is_error:
                        await response.aread()
                        response.raise_for_status()
                    answer = wire.aread(self._decoder(request), response.aiter_bytes(), request.config)
                    async with aclosing(answer) as events:
                        async for event in events:
                            yield event

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

    def _probe(self, host: str | None) -> ollama.Client:
        """A client that says where requests go, and with which key."""
        import httpx
        import ollama

        try:
            with proxy_checked():
                return ollama.Client(host, headers=self._headers, verify=tls_context(httpx.create_ssl_context))
        except ValueError as error:
            raise ConfigurationError(
                f"Ollama's address can't be used ({error}): check OLLAMA_HOST, which reads like http://localhost:11434."
            ) from error

    def _decoder(self, request: Request) -> OllamaDecoder:
        decoder = OllamaDecoder(len(request.messages))
        decoder.hide = self._key.hide
        return decoder

    def _new_client(self, wire: Wire) -> ollama.Client:
        import ollama

        if isinstance(self._client, ollama.AsyncClient):
            raise ConfigurationError(ASYNCHRONOUS_CLIENT)
        return self._client or ollama.Client(self._server, event_hooks=wire.hooks(), **self._options())

    def _new_async_client(self, wire: Wire) -> Any:  # noqa: ANN401 (an AsyncClient, of the user's own or a new one)
        import ollama

        return self._client or ollama.AsyncClient(self._server, event_hooks=wire.async_hooks(), **self._options())

    def _options(self) -> dict[str, Any]:
        import httpx

        return {
            "headers": self._headers,
            "auth": self._key.sign,
            "timeout": httpx.Timeout(self._timeout.connect, read=self._timeout.read),
            "limits": httpx.Limits(**LIMITS),
            "verify": tls_context(httpx.create_ssl_context),
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
            raise (broken if wire.answered else no_answer)("Ollama", error) from self._key.clean(error)
        except UnicodeEncodeError as error:
            raise BadRequestError(HALF_CHARACTER) from error

    def _status_error(self, status: int | None, said: str, model: str) -> LLMError:
        try:
            body = json.loads(said)
        except ValueError:  # a page of a proxy
            body = None
        said = said_by(body, said, self._key)
        error = status_error(status, said, said, host="Ollama", model=model, key_name="OLLAMA_API_KEY")
        if isinstance(error, ModelNotFoundError):
            return ModelNotFoundError(f"Ollama has no model {model!r}: get it with `ollama pull {model}`.")
        return error


def can_chat(client: ollama.Client, name: str) -> bool:
    """Whether the model called `name` answers messages."""
    import ollama

    try:
        capabilities = client.show(name).capabilities
    except ollama.ResponseError:  # it is broken, or gone by now
        return False
    return capabilities is None or "completion" in capabilities  # older servers don't say
