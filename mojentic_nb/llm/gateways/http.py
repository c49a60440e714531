"""What the gateways over HTTP share: connections, attempts, and what to do when a server refuses part of a request.

An SDK keeps authentication and the connection. The response is decoded here, from its raw bytes, since the SDKs' own
loops cost several times the CPU per chunk. Retries are the run's, which shows them. A request that a model refuses for
a setting or an image is sent again without it, and later requests to that model are sent without it at once.

:class:`SDKGateway` is for OpenAI's and Anthropic's SDKs, which one generator (Stainless) makes alike. What it uses of
them without their documentation's word, in openai 3.57 and anthropic 2.14: an APIConnectionError has the HTTP library's
error as its cause, and a streamed response has that library's as its `http_response`.
"""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    aclosing,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any, ClassVar

from mojentic_nb.llm.cancellation import Cancellation
from mojentic_nb.llm.concurrency import in_thread
from mojentic_nb.llm.errors import BadRequestError, ConfigurationError, LLMError
from mojentic_nb.llm.events import ModelEvent, Notice
from mojentic_nb.llm.gateway_filter import GatewayFilter, Passage
from mojentic_nb.llm.messages import LLMMessage
from mojentic_nb.llm.request import Request

from .failures import NO_IMAGES, Server, broken, no_answer, redirected, retry_after, status_error, unreachable_error
from .keys import NO_KEY, STAND_IN, Key, RedirectedError, ambient_headers
from .transport import LIMITS, Hooks, Lines, LoopLines, Timeout, Wire, proxy_checked, tls_context
from .wire.decoding import Decoder, Paused, StreamError

__all__ = ["ASYNCHRONOUS_CLIENT", "HTTPGateway", "SDKGateway", "amend"]

ASYNCHRONOUS_CLIENT = (
    "This gateway has an asynchronous client. Use the broker's asynchronous methods, or pass a synchronous client."
)
IMAGE = "(an image)"  # the content of a message that had only images

# What some models or servers refuse, and without which the request means nearly the same: settings (of `tool_choice`
# only the default), and the fields in which other servers want a message's reasoning back.
OPTIONAL = (
    *("temperature", "top_p", "top_k", "stream_options", "include", "reasoning.summary", "tool_choice"),
    *(f"messages.{field}" for field in ("reasoning_content", "reasoning", "reasoning_details")),
)
AUTO = ("auto", {"type": "auto"})  # OpenAI's and Anthropic's spelling
REFUSED = re.compile(
    "unsupported|not support|deprecated|only the default|may only be set|not permitted|unknown|unrecognized|unexpected"
    "|verified"
)


class HTTPGateway(GatewayFilter):
    """A gateway over connections that it keeps; a filter before its own attempts.

    A subclass sets `_server`, `_key`, `_lines` and `_async_lines`, which is None where the client is synchronous.
    """

    _server: Server
    _key: Key
    _lines: Lines[Any]
    _async_lines: LoopLines[Any] | None

    def __init__(self) -> None:
        self._blind: set[str] = set()  # the models that read no images

    def begin(self, request: Request) -> Passage:
        """Begin to adapt `request` to what the model takes."""
        return Adapting(request, self)

    def close(self) -> None:
        """Close the connections that are kept for later requests, except those of a client that was passed in."""
        self._lines.close()

    async def aclose(self) -> None:
        """Close those of the running event loop as well, which otherwise close with the loop."""
        self.close()
        if self._async_lines:
            await self._async_lines.aclose()

    def __repr__(self) -> str:
        host = self._server.host if hasattr(self, "_server") else None  # None if the constructor raised an error
        return f"{type(self).__name__}({host!r})"

    def sees(self, model: str) -> bool:
        """Return whether `model` reads images, as far as is known."""
        return model not in self._blind

    def adapt(self, request: Request, error: LLMError) -> list[Notice] | None:
        """Learn from `error` what the model refuses. Return notices about it, or None if another attempt is no use."""
        if image_count(request) and NO_IMAGES.search(str(error)):
            self._blind.add(request.model)
            return []
        return None

    def clean(self, error: LLMError) -> BaseException:
        """Return `error` without the key."""
        return self._key.clean(error)

    @abstractmethod
    def _body(self, request: Request) -> dict[str, Any]:
        """Return the JSON body of `request`."""

    @abstractmethod
    def _decoder(self, request: Request) -> Decoder:
        """Return what reads the response to `request`."""

    @abstractmethod
    def _post(self, client: Any, body: dict[str, Any]) -> AbstractContextManager[Any]:  # noqa: ANN401 (the SDK's)
        """Send `body`, and have the HTTP library's response within the block."""

    @abstractmethod
    def _apost(self, client: Any, body: dict[str, Any]) -> AbstractAsyncContextManager[Any]:  # noqa: ANN401
        """The same, asynchronously."""

    @abstractmethod
    def _translated(self, error: Exception, model: str, wire: Wire) -> LLMError | None:
        """Return our error for one of the SDK or its HTTP library; None for any other."""

    def _send(self, request: Request) -> Generator[ModelEvent, None, None]:
        body = self._body(request)
        with (
            self._lines.line(request.cancellation) as (wire, client),
            self._translated_errors(request.model, wire),
            self._post(client, body) as response,
        ):
            wire.begin(response)
            yield from wire.read(self._reader(request), response.iter_bytes(), request.config)

    def _asend(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        lines = self._async_lines
        return in_thread(self._send(request)) if lines is None else self._send_on(lines, request)

    async def _send_on(self, lines: LoopLines[Any], request: Request) -> AsyncGenerator[ModelEvent, None]:
        body = self._body(request)
        async with lines.aline(request.cancellation) as (wire, client):
            with self._translated_errors(request.model, wire):
                async with self._apost(client, body) as response:
                    wire.begin(response)
                    reply = wire.aread(self._reader(request), response.aiter_bytes(), request.config)
                    async with aclosing(reply) as events:
                        async for event in events:
                            yield event

    def _reader(self, request: Request) -> Decoder:
        """Return the decoder, which doesn't quote the key."""
        decoder = self._decoder(request)
        decoder.hide = self._key.hide
        return decoder

    @contextmanager
    def _asking(self, model: str = "") -> Iterator[Any]:
        """Lend a client for a request other than a completion, and raise our errors in place of the SDK's."""
        with self._lines.line(Cancellation()) as (wire, client), self._translated_errors(model, wire):
            yield client

    def _list(self, read: Callable[[Any], list[str]]) -> list[str]:
        """Return the names of models that `read` gets from a client.

        Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` if the reply isn't a list of models, such as a
        proxy's page.
        """
        try:
            with self._asking() as client:
                return read(client)
        except LLMError as error:
            raise self._key.clean(error)  # noqa: B904 (its cause is kept)
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"{self._server.name} didn't return a list of models. Check its address."
            ) from self._key.clean(error)

    @contextmanager
    def _translated_errors(self, model: str, wire: Wire) -> Iterator[None]:
        try:
            yield
        except UnicodeEncodeError as error:
            raise BadRequestError("The messages contain a lone surrogate, half a character. Remove it.") from error
        except StreamError as error:
            failure = self._status_error(error.status, error.body, str(error), model)
            raise failure from self._key.clean(error)
        except Exception as error:
            if (translated := self._translated(error, model, wire)) is None:
                raise
            raise translated from self._key.clean(error)

    def _status_error(
        self, status: int | None, body: object, message: str, model: str, headers: Mapping[str, str] | None = None
    ) -> LLMError:
        wait = retry_after(headers or {})
        error = status_error(self._server, status, body, message, model=model, key=self._key, wait=wait)
        error.retry_after = wait
        return error


class Adapting(Passage):
    """One request, sent again without what the model refuses of it, or to let a paused model go on."""

    def __init__(self, request: Request, gateway: HTTPGateway) -> None:
        super().__init__(request)
        self._gateway = gateway

    def before(self) -> Request:
        """Return the request, without images if the model reads none, and add a notice about these."""
        request = self.request
        count = image_count(request)
        if count and not self._gateway.sees(request.model):
            images = "1 image was" if count == 1 else f"{count} images were"
            self.notices.append(Notice(f"{images} left out: {request.model} reads text only."))
            self.request = replace(request, messages=tuple(map(without_images, request.messages)))
        return self.request

    def retries(self, error: Exception) -> bool:
        """Go on after a pause, or adapt the request; raise an error that doesn't help with, without the key."""
        if isinstance(error, Paused):
            self.request = error.request
            return True
        if not isinstance(error, LLMError):
            return False
        notices = self._gateway.adapt(self.request, error)
        if notices is None:
            raise self._gateway.clean(error)
        self.notices += notices
        return True


def image_count(request: Request) -> int:
    """Count the images in the messages."""
    return sum(len(message.image_paths or ()) for message in request.messages)


def without_images(message: LLMMessage) -> LLMMessage:
    """Return `message` for a model that reads text only."""
    if not message.image_paths:
        return message
    return message.model_copy(update={"content": message.content or IMAGE, "image_paths": None})


class SDKGateway(HTTPGateway):
    """A gateway over an SDK, with the user's own `client`, or with a pair of its own.

    `_classes` are the SDK's client classes, `_addresses` the environment variables of the base URL.
    """

    _provider: str
    _classes: tuple[str, str]
    _addresses: tuple[str, ...]
    _keyless: bool = False  # whether a server at another address may need no key
    _ambient: tuple[str, ...] = ()  # headers that the SDK fills from the environment
    _other_names: ClassVar[Mapping[str, str]] = {}  # of settings that a server knows by one name or the other

    def __init__(
        self,
        sdk: ModuleType,
        client: Any,  # noqa: ANN401 (the SDK's)
        api_key: Key | None,
        base_url: str | None,
        timeout: Timeout | float | None,
        *,
        trust_env: bool = True,
    ) -> None:
        import httpx2

        super().__init__()
        self._sdk = sdk
        self._timeout = Timeout.of(timeout)
        self._own = client is None
        self._trust_env = trust_env
        self._refused: dict[str, set[str]] = {}
        if self._own:
            self._key, clients = self._make_clients(api_key, base_url)
        else:
            self._key = Key(str(getattr(client, "api_key", None) or ""))  # some clouds' clients have none
            # The clients of clouds have no class in common.
            clients = (None, client) if hasattr(client, "__aenter__") else (client, None)
        self._client, self._async_client = clients
        url = str((self._client or self._async_client).base_url)
        self._server = Server.at(url, f"{self._provider.upper()}_API_KEY")
        late = httpx2.ReadTimeout
        self._lines = Lines(self._line_client, self._timeout, late, own=self._own)
        self._async_lines = (
            LoopLines(self._async_line_client, self._timeout, late, own=self._own) if self._async_client else None
        )

    @abstractmethod
    def _endpoint(self, client: Any, model: str) -> Any:  # noqa: ANN401 (the SDK's)
        """Return the SDK's resource that requests to `model` go to."""

    @abstractmethod
    def _encode(self, request: Request) -> dict[str, Any]:
        """Return the JSON body of `request`, with all that it asks for."""

    def adapt(self, request: Request, error: LLMError) -> list[Notice] | None:
        """Learn from `error` also which setting to leave out, or to send by its other name."""
        known = super().adapt(request, error)
        if known is not None or not isinstance(error, BadRequestError):
            return known
        body = self._body(request)
        refused = self._refused.setdefault(request.model, set())
        words = f"{error} {getattr(error.__cause__, 'param', None)}"  # some servers name it only there
        for path in (*OPTIONAL, *self._other_names):
            name, other = path.rpartition(".")[2], self._other_names.get(path)
            if not re.search(rf"\b{name}\b", words) or not REFUSED.search(words.lower()) or other in refused:
                continue
            if amend(body, path, other):
                refused.add(path)
                missed = other is None and name in request.config.model_fields_set
                return [Notice(f"`{name}` was left out: {request.model!r} doesn't support it.")] if missed else []
        return None

    def _body(self, request: Request) -> dict[str, Any]:
        """Return the JSON body without what this model has refused before, or with the other name for it."""
        body = self._encode(request)
        for path in self._refused.get(request.model, ()):
            amend(body, path, self._other_names.get(path))
        return body

    def _request(self, client: Any, body: dict[str, Any]) -> Any:  # noqa: ANN401
        """Call the SDK's method. It sees few of the settings, since servers take more than it knows."""
        required = {name: body.pop(name) for name in ("model", "messages", "input", "max_tokens") if name in body}
        endpoint = self._endpoint(client, required["model"])
        return endpoint.with_streaming_response.create(**required, stream=body.pop("stream"), extra_body=body)

    @contextmanager
    def _post(self, client: Any, body: dict[str, Any]) -> Iterator[Any]:  # noqa: ANN401
        with self._request(client, body) as response:
            yield response.http_response

    @asynccontextmanager
    async def _apost(self, client: Any, body: dict[str, Any]) -> AsyncGenerator[Any, None]:  # noqa: ANN401
        async with self._request(client, body) as response:
            yield response.http_response

    def _translated(self, error: Exception, model: str, wire: Wire) -> LLMError | None:  # noqa: ARG002
        import httpx2

        match error:
            case self._sdk.APIStatusError():
                return self._status_error(error.status_code, error.body, error.message, model, error.response.headers)
            case (RedirectedError() as redirect) | self._sdk.APIConnectionError(
                __cause__=RedirectedError() as redirect
            ):
                return redirected(self._server, redirect)
            case self._sdk.APIConnectionError() if isinstance(error.__cause__, httpx2.ConnectError):
                return unreachable_error(self._server)
            case self._sdk.APIConnectionError():
                return no_answer(self._server, error.__cause__)
            case httpx2.HTTPError():
                return broken(self._server, error)
        return None

    def _line_client(self, wire: Wire) -> Any:  # noqa: ANN401
        if self._client is None:
            raise ConfigurationError(ASYNCHRONOUS_CLIENT)
        return self._on_line(self._client, self._sdk.DefaultHttpxClient, wire.hooks)

    def _async_line_client(self, wire: Wire) -> Any:  # noqa: ANN401
        return self._on_line(self._async_client, self._sdk.DefaultAsyncHttpxClient, wire.async_hooks)

    def _on_line(self, client: Any, kind: type[Any], hooks: Callable[..., Hooks]) -> Any:  # noqa: ANN401
        """Return a copy of the SDK's `client`, with an HTTP client of its own unless the user made it."""
        if not self._own:
            return client.with_options(max_retries=0)
        sign = partial(self._key.sign, server=client.base_url)
        timeout = self._sdk.Timeout(self._timeout.connect, read=self._timeout.read)
        return client.with_options(http_client=self._http_client(kind, hooks(sign)), max_retries=0, timeout=timeout)

    def _http_client(self, kind: type[Any], hooks: Hooks | None = None) -> Any:  # noqa: ANN401
        """Return an HTTP client of the SDK's own `kind`."""
        import httpx2

        tls = tls_context(httpx2.create_ssl_context, trust_env=self._trust_env)
        limits = httpx2.Limits(**LIMITS)
        return kind(event_hooks=hooks, trust_env=self._trust_env, verify=tls, limits=limits)

    def _make_clients(self, api_key: Key | None, base_url: str | None) -> tuple[Key, tuple[Any, Any]]:
        """Return the key and the SDK's clients, from which each line's is derived.

        With a key and an address, nothing that the environment has for the provider is sent.
        """
        prefix = self._provider.upper()
        headers = None
        if api_key and base_url:
            headers = ambient_headers(self._sdk, f"{prefix}_CUSTOM_HEADERS", *self._ambient) or None
        for name in self._addresses:
            base_url = base_url or os.environ.get(name) or None
            if base_url and not re.match("https?://[^/]", base_url):
                raise ConfigurationError(
                    f"The base URL (`base_url` or `{name}`) must begin with `http://` or `https://`."
                )
        key = api_key or Key.in_environment(f"{prefix}_API_KEY")
        if not key:
            if not (base_url and self._keyless):
                raise ConfigurationError(
                    f"{self._provider} needs an API key. Set the environment variable `{prefix}_API_KEY`."
                )
            key = Key(NO_KEY)
        key = key.checked()
        options = {"api_key": STAND_IN, "base_url": base_url, "default_headers": headers}
        sync, asynchronous = (getattr(self._sdk, name) for name in self._classes)
        with proxy_checked():
            return key, (
                sync(**options, http_client=self._http_client(self._sdk.DefaultHttpxClient)),
                asynchronous(**options, http_client=self._http_client(self._sdk.DefaultAsyncHttpxClient)),
            )


def amend(body: dict[str, Any], path: str, other: str | None) -> bool:
    """Take what is at `path` out of `body`, in each element of a list on the way; return whether there was any.

    With an `other` name, put it there under that name instead. A choice of tools other than *auto* stays: without it
    the request would mean another thing.
    """
    if path == "tool_choice" and body.get(path) not in AUTO:
        return False
    outer, _, name = path.rpartition(".")
    inside = body.get(outer, ()) if outer else body
    found = [part for part in (inside if isinstance(inside, list) else [inside]) if name in part]
    for part in found:
        value = part.pop(name)
        if other:
            part[other] = value
    return bool(found)
