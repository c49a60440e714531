"""What the gateways over OpenAI's and Anthropic's SDKs share: both SDKs are made alike.

The SDK keeps authentication and the connection; the response is decoded here, from its raw bytes, since the SDKs' own
loops cost several times the CPU per chunk. Retries are the run's, which shows them.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from mojentic_nb.llm.cancellation import Cancellation
from mojentic_nb.llm.concurrency import in_thread
from mojentic_nb.llm.errors import BadRequestError, ConfigurationError, LLMError
from mojentic_nb.llm.events import ModelEvent, Notice
from mojentic_nb.llm.request import Request

from .adaptive import AdaptiveGateway
from .failures import (
    ASYNCHRONOUS_CLIENT,
    HALF_CHARACTER,
    broken,
    host_of,
    no_answer,
    retry_after,
    said_by,
    status_error,
    unreachable_error,
)
from .keys import Key
from .transport import LIMITS, Hooks, Lines, LoopLines, Timeout, Wire, proxy_checked, tls_context
from .wire.decoding import Decoder, StreamError

__all__ = ["SDKGateway", "amend", "checked_address", "checked_key", "http_clients"]

# What some models or servers refuse, and without which the request means nearly the same: settings (of `tool_choice`
# only what is their default anyway), and what other servers want back of a message's reasoning.
OPTIONAL = (
    *("temperature", "top_p", "top_k", "stream_options", "include", "reasoning.summary", "tool_choice"),
    *(f"messages.{field}" for field in ("reasoning_content", "reasoning", "reasoning_details")),
)
AUTO = ("auto", {"type": "auto"})  # OpenAI's and Anthropic's word for it
REFUSED = re.compile(
    "unsupported|not support|deprecated|only the default|may only be set|not permitted|unknown|unrecognized|unexpected"
    "|verified"
)


class SDKGateway(AdaptiveGateway):
    """A gateway over an SDK, with the user's own `client`, or with the two that `sdk` made here."""

    _key_name: str
    _other_names: Mapping[str, str] = {}  # of settings, which a server knows by one name or the other

    def __init__(
        self,
        sdk: ModuleType,
        clients: tuple[Any, Any],
        *,
        own: bool,
        key: Key | None = None,
        timeout: Timeout | float | None,
        trust_env: bool = True,
    ) -> None:
        import httpx2

        self._sdk = sdk
        self._client, self._async_client = clients
        self._timeout = Timeout.of(timeout)
        self._own = own
        self._trust_env = trust_env
        some_client = self._client or self._async_client
        self._host = host_of(str(some_client.base_url))
        self._path = urlsplit(str(some_client.base_url)).path
        # That of a client of the user's; some clouds' clients have none.
        self._key = key or Key(str(getattr(some_client, "api_key", None) or ""))
        self._refused: dict[str, set[str]] = {}
        self._blind = set()
        self._lines: Lines[Any] = Lines(self._line_client, self._timeout, httpx2.ReadTimeout, own=own)
        self._async_lines: LoopLines[Any] = LoopLines(
            self._async_line_client, self._timeout, httpx2.ReadTimeout, own=own
        )

    @abstractmethod
    def _endpoint(self, client: Any, request: Request) -> Callable[..., Any]:  # noqa: ANN401 (the SDK's)
        """The SDK's method that sends `request`."""

    @abstractmethod
    def _encode(self, request: Request) -> dict[str, Any]:
        """The JSON body of `request`."""

    @abstractmethod
    def _decoder(self, request: Request) -> Decoder:
        """What reads the response to `request`."""

    @contextmanager
    def _asking(self, model: str = "") -> Iterator[Any]:
        """A client for a request other than a completion, and the SDK's errors turned into ours."""
        with self._translated_errors(model), self._lines.line(Cancellation()) as (_, client):
            yield client

    def _line_client(self, wire: Wire) -> Any:  # noqa: ANN401
        if self._client is None:
            raise ConfigurationError(ASYNCHRONOUS_CLIENT)
        if not self._own:
            return self._client.with_options(max_retries=0)
        http = http_client(self._sdk.DefaultHttpxClient, self._key, wire.hooks(), trust_env=self._trust_env)
        return self._client.with_options(http_client=http, **self._options())

    def _async_line_client(self, wire: Wire) -> Any:  # noqa: ANN401
        if not self._own:
            return self._async_client.with_options(max_retries=0)
        http = http_client(self._sdk.DefaultAsyncHttpxClient, self._key, wire.async_hooks(), trust_env=self._trust_env)
        return self._async_client.with_options(http_client=http, **self._options())

    def _options(self) -> dict[str, Any]:
        return {"max_retries": 0, "timeout": self._sdk.Timeout(self._timeout.connect, read=self._timeout.read)}

    def _attempt(self, request: Request) -> Generator[ModelEvent, None, None]:
        arguments = self._arguments(request)
        with (
            self._translated_errors(request.model),
            self._lines.line(request.cancellation) as (wire, client),
            self._endpoint(client, request)(**arguments) as response,
        ):
            wire.watch(response.http_response.extensions.get("network_stream"))
            yield from wire.read(self._reader(request), response.iter_bytes(), request.config)

    def _aattempt(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        return in_thread(self._attempt(request)) if self._async_client is None else self._asent(request)

    async def _asent(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        arguments = self._arguments(request)
        with self._translated_errors(request.model):
            async with (
                self._async_lines.aline(request.cancellation) as (wire, client),
                self._endpoint(client, request)(**arguments) as response,
            ):
                wire.watch(response.http_response.extensions.get("network_stream"))
                async with aclosing(wire.aread(self._reader(request), response.iter_bytes(), request.config)) as events:
                    async for event in events:
                        yield event

    def _reader(self, request: Request) -> Decoder:
        """The decoder, which doesn't quote the key."""
        decoder = self._decoder(request)
        decoder.hide = self._key.hide
        return decoder

    def _arguments(self, request: Request) -> dict[str, Any]:
        """What the SDK's method is called with; the settings pass it unseen, for servers take more than it knows."""
        body = self._body(request)
        required: dict[str, Any] = {
            name: body.pop(name) for name in ("model", "messages", "input", "max_tokens") if name in body
        }
        return {**required, "stream": body.pop("stream"), "extra_body": body}

    def _body(self, request: Request) -> dict[str, Any]:
        """The JSON body, without what this model has refused before, or with the other name for it."""
        body = self._encode(request)
        for path in self._refused.get(request.model, ()):
            amend(body, path, self._other_names.get(path))
        return body

    def _adapted(self, request: Request, error: LLMError) -> Sequence[Notice] | None:
        """Learn from `error` also which setting to do without, or to call by its other name."""
        known = super()._adapted(request, error)
        if known is not None or not isinstance(error, BadRequestError):
            return known
        body = self._body(request)
        refused = self._refused.setdefault(request.model, set())
        said = f"{error} {getattr(error.__cause__, 'param', None)}"  # some name it there alone
        for path in (*OPTIONAL, *self._other_names):
            name, other = path.rpartition(".")[2], self._other_names.get(path)
            if not re.search(rf"\b{name}\b", said) or not REFUSED.search(said.lower()) or other in refused:
                continue
            if amend(body, path, other):
                refused.add(path)
                missed = other is None and name in request.config.model_fields_set
                return [Notice(f"{request.model!r} does not take {name!r}: it is left out.")] if missed else []
        return None

    @contextmanager
    def _translated_errors(self, model: str) -> Iterator[None]:
        """Turn the SDK's errors, and its HTTP library's, into ours."""
        import httpx2

        try:
            yield
        except self._sdk.APIStatusError as error:
            headers = error.response.headers
            failure = self._status_error(error.status_code, error.body, error.message, headers, model)
            raise failure from self._key.clean(error)
        except self._sdk.APIConnectionError as error:
            if isinstance(error.__cause__, httpx2.ConnectError):
                raise unreachable_error(self._host) from self._key.clean(error)
            raise no_answer(self._host, error.__cause__) from self._key.clean(error)
        except httpx2.HTTPError as error:
            raise broken(self._host, error) from self._key.clean(error)
        except StreamError as error:
            failure = self._status_error(error.status, error.body, str(error), {}, model)
            raise failure from self._key.clean(error)
        except UnicodeEncodeError as error:
            raise BadRequestError(HALF_CHARACTER) from error

    def _status_error(self, status: int | None, body: object, message: str, headers: Any, model: str) -> Exception:  # noqa: ANN401
        said = said_by(body, message, self._key)
        error = status_error(status, body, said, host=self._host, model=model, key_name=self._key_name, path=self._path)
        error.retry_after = retry_after(headers)
        return error


def amend(body: dict[str, Any], path: str, other: str | None) -> bool:
    """Take out of `body` what is at `path`, in each element of a list on the way; tell whether there was any.

    If it has an `other` name, it is there under that instead. A choice of tools other than *auto* stays: without it the
    request would mean another thing.
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


def http_clients(sdk: ModuleType, key: Key, *, trust_env: bool = True) -> tuple[Any, Any]:
    """HTTP clients for the SDK's own clients, from which each request's is derived."""
    with proxy_checked():
        return (
            http_client(sdk.DefaultHttpxClient, key, trust_env=trust_env),
            http_client(sdk.DefaultAsyncHttpxClient, key, trust_env=trust_env),
        )


def http_client(kind: type[Any], key: Key, hooks: Hooks | None = None, *, trust_env: bool) -> Any:  # noqa: ANN401
    """An HTTP client of the SDK's own `kind`, which signs its requests with `key`."""
    import httpx2

    tls = tls_context(httpx2.create_ssl_context, trust_env=trust_env)
    limits = httpx2.Limits(**LIMITS)
    return kind(auth=key.sign, event_hooks=hooks, trust_env=trust_env, verify=tls, limits=limits)


def checked_key(key: Key | None, *, name: str, otherwise: str = "") -> Key:
    """`key`, else the environment's `name`, else `otherwise`.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` where it is missing or can't be one.
    """
    key = key or Key.in_environment(name) or Key(otherwise)
    if not key:
        provider = {"OPENAI_API_KEY": "OpenAI"}.get(name, "Anthropic")
        raise ConfigurationError(f"{provider} needs an API key: set the environment variable {name}.")
    return key.checked()


def checked_address(url: str | None, *, name: str) -> str | None:
    """`url`; raises :class:`~mojentic_nb.llm.errors.ConfigurationError` where it can't be a server's address."""
    if url and not re.match("https?://[^/]", url):
        raise ConfigurationError(f"The server's address (base_url, {name}) has to begin with http:// or https://.")
    return url
