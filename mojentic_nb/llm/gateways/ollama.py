"""Ollama, through its own API. The SDK finds the server: at ``OLLAMA_HOST``, or on this machine.

The SDK's client keeps the connection; the response, a JSON document per line, is decoded here.
https://docs.ollama.com/api/chat

One private part of the SDK is used, in ollama 0.6.3: `Client._client`, its HTTP client, since the SDK parses what it
streams, and has no other word for the address and headers of its requests.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from mojentic_nb.llm.compat import MojenticCalls, StreamingResponse
from mojentic_nb.llm.errors import ConfigurationError, LLMError, ModelNotFoundError
from mojentic_nb.llm.request import Request

from .failures import Server, broken, no_answer, redirected, unreachable_error
from .http import ASYNCHRONOUS_CLIENT, HTTPGateway
from .keys import STAND_IN, Key, RedirectedError
from .transport import LIMITS, Hooks, Lines, LoopLines, Timeout, Wire, proxy_checked, tls_context
from .wire.ollama_chat import OllamaDecoder, encode

if TYPE_CHECKING:
    import ollama

__all__ = ["OllamaGateway", "StreamingResponse"]  # a Mojentic program finds both here

EMBEDDING_MODEL = "mxbai-embed-large"
CHAT = ("POST", "/api/chat")


def http_of(client: Any) -> Any:  # noqa: ANN401 (httpx's client, synchronous or not)
    """Return the HTTP client of the SDK's `client`."""
    return client._client  # noqa: SLF001 (see above)


class OllamaGateway(HTTPGateway, MojenticCalls):
    """A gateway to an Ollama server: at `host`, by default at ``OLLAMA_HOST``, or on this machine.

    `api_key` defaults to the environment's ``OLLAMA_API_KEY``; "none" sends no key. `headers` are sent with each
    request, such as the key that a proxy before the server asks for. `timeout` is in seconds; a response may take as
    long to begin as a model takes to load. A `client` of the SDK (``ollama.Client(…)`` or ``ollama.AsyncClient(…)``) is
    used as it is; the other arguments are ignored then, and a cancelled request ends once its response has begun.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for an unusable key or address.
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
        import ollama

        super().__init__()
        given = {name.lower(): value for name, value in (headers or {}).items()}
        scheme, _, secret = given.get("authorization", "Bearer ").rpartition(" ")
        api_key = Key.of(secret) or Key.of(api_key) or Key.in_environment("OLLAMA_API_KEY") or Key("")
        self._key = api_key.checked() if api_key.secrets() else Key("")
        # Without such a header the SDK sends the key that the environment has.
        self._headers = given | {"authorization": f"{scheme} {STAND_IN}".strip()}
        self._client = client
        http = http_of(client or self._probe(host))
        if client:
            self._key = Key(http.headers.get("authorization", "").rpartition(" ")[2])
        self._url = str(http.base_url)
        self._server = Server.at(self._url, "OLLAMA_API_KEY", "Ollama")
        self._sign = partial(self._key.sign, server=http.base_url)
        self._timeout = Timeout.of(timeout)
        own, late = client is None, httpx.ReadTimeout
        self._lines = Lines(self._new_client, self._timeout, late, own=own)
        synchronous = isinstance(client, ollama.Client)
        self._async_lines = None if synchronous else LoopLines(self._new_async_client, self._timeout, late, own=own)

    def get_available_models(self) -> list[str]:
        """Return the names of the models on the server that can chat, the last changed first."""
        return list(self.chat_models())

    def chat_models(self) -> Iterator[str]:
        """Iterate the names that :meth:`get_available_models` returns, with a request for each.

        Models in Ollama's cloud are left out.
        """
        names = self._list(lambda client: [model.model or "" for model in client.list().models])
        with self._asking() as client:
            for name in names:
                if not name.endswith("cloud") and can_chat(client, name):
                    yield name

    def calculate_embeddings(self, text: str, model: str = EMBEDDING_MODEL) -> list[float]:
        """Return the embedding of `text` by `model`, a vector of the model's own length."""
        with self._asking(model) as client:
            return list(client.embed(model, text).embeddings[0])

    def _body(self, request: Request) -> dict[str, Any]:
        return encode(request)

    def _decoder(self, request: Request) -> OllamaDecoder:
        return OllamaDecoder(len(request.messages))

    @contextmanager
    def _post(self, client: Any, body: dict[str, Any]) -> Iterator[Any]:  # noqa: ANN401
        with http_of(client).stream(*CHAT, json=body) as response:
            if response.is_error:
                response.read()
                response.raise_for_status()
            yield response

    @asynccontextmanager
    async def _apost(self, client: Any, body: dict[str, Any]) -> AsyncGenerator[Any, None]:  # noqa: ANN401
        async with http_of(client).stream(*CHAT, json=body) as response:
            if response.is_error:
                await response.aread()
                response.raise_for_status()
            yield response

    def _translated(self, error: Exception, model: str, wire: Wire) -> LLMError | None:
        import httpx
        import ollama

        match error:
            case httpx.HTTPStatusError(response=response):
                return self._read_error(response.status_code, response.text, model, response.headers)
            case ollama.ResponseError():
                return self._read_error(error.status_code, error.error, model)
            case ConnectionError() | httpx.ConnectError() | httpx.ConnectTimeout():
                advice = "Start it with `ollama serve`, or set `OLLAMA_HOST` to its address."
                return unreachable_error(self._server, f"Can't reach Ollama at {self._server.host}. {advice}")
            case RedirectedError():
                return redirected(self._server, error)
            case httpx.HTTPError():
                return broken(self._server, error) if wire.answered else no_answer(self._server, error)
        return None

    def _read_error(self, status: int, text: str, model: str, headers: Mapping[str, str] | None = None) -> LLMError:
        """Return our error for a response whose body is `text`."""
        try:
            body = json.loads(text)
        except ValueError:  # a proxy's page
            body = text
        return self._status_error(status, body, text, model, headers)

    def _status_error(
        self, status: int | None, body: object, message: str, model: str, headers: Mapping[str, str] | None = None
    ) -> LLMError:
        error = super()._status_error(status, body, message, model, headers)
        if isinstance(error, ModelNotFoundError):
            return ModelNotFoundError(f"Ollama has no model {model!r}. Get it with `ollama pull {model}`.")
        return error

    def _probe(self, host: str | None) -> ollama.Client:
        """Return a client that knows where requests go, and with which key."""
        import httpx
        import ollama

        try:
            with proxy_checked():
                return ollama.Client(host, headers=self._headers, verify=tls_context(httpx.create_ssl_context))
        except ValueError as error:
            raise ConfigurationError(
                f"Can't use Ollama's address ({error}). Check `OLLAMA_HOST`, as in http://localhost:11434."
            ) from error

    def _new_client(self, wire: Wire) -> Any:  # noqa: ANN401 (the user's own client, or a new one)
        import ollama

        if isinstance(self._client, ollama.AsyncClient):
            raise ConfigurationError(ASYNCHRONOUS_CLIENT)
        return self._client or self._made(ollama.Client, wire.hooks)

    def _new_async_client(self, wire: Wire) -> Any:  # noqa: ANN401
        import ollama

        return self._client or self._made(ollama.AsyncClient, wire.async_hooks)

    def _made(self, kind: type[Any], hooks: Callable[..., Hooks]) -> Any:  # noqa: ANN401
        import httpx

        return kind(
            self._url,
            headers=self._headers,
            timeout=httpx.Timeout(self._timeout.connect, read=self._timeout.read),
            limits=httpx.Limits(**LIMITS),
            verify=tls_context(httpx.create_ssl_context),
            event_hooks=hooks(self._sign),
        )


def can_chat(client: ollama.Client, name: str) -> bool:
    """Return whether the model called `name` answers messages."""
    import ollama

    try:
        capabilities = client.show(name).capabilities
    except ollama.ResponseError:  # it is broken, or gone by now
        return False
    return capabilities is None or "completion" in capabilities  # older servers don't say
