"""Connections that another thread can end, and limits to the time that each part of a response may take.

Closing a connection doesn't wake another thread that waits on it; shutting its socket down does. So each request has an
HTTP client of its own, with one connection, and the client's hooks say which socket that is. When the request is done,
the client waits for the next one.

A reply's last event arrives before its response ends, and the HTTP library closes a connection whose response wasn't
read to the end. So :meth:`Wire.read` reads on after the last event, for a moment, and the next request, in the next
round of tools or minutes later, needs no new connection.

This file has what is used of httpx and httpx2 beyond their documentation, in httpx 0.28.1 with httpcore 1.0.9 and
httpx2 and httpcore2 2.16.2: the events of the extension ``trace`` and the network stream that they return, whose method
`read` is replaced in its ``__dict__``; and that a request's extension ``timeout`` may change until its body is read.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
import ssl
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from mojentic_nb.llm.cancellation import Cancellation
from mojentic_nb.llm.config import CompletionConfig
from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.events import ModelEvent

from .wire.decoding import TOO_LONG, Decoder, decode_chunks

__all__ = ["LIMITS", "Hooks", "Lines", "LoopLines", "Timeout", "Wire", "proxy_checked", "tls_context"]

# For the HTTP client of a line. With a second connection, after a redirect say, nobody would know which one is in use.
# Many load balancers close a connection after 60 idle seconds; the HTTP library would do so after 5.
LIMITS: dict[str, Any] = {"max_connections": 1, "keepalive_expiry": 50.0}
# How much to read after a reply's last event. A new connection takes no longer than that.
REST_SECONDS = 0.25
REST_READS = 16  # of 64 kB at most

Client = TypeVar("Client")
Sign = Callable[[Any], None]
Hooks = dict[str, list[Callable[..., Any]]]


@contextmanager
def proxy_checked() -> Iterator[None]:
    """Raise our error for a proxy that the HTTP library can't use when a client is made."""
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(
            "The environment sets a SOCKS proxy (`ALL_PROXY`). Run `pip install socksio`, or unset the variable."
        ) from error


def tls_context(create: Callable[..., ssl.SSLContext], *, trust_env: bool = True) -> ssl.SSLContext:
    """Return the TLS context that the HTTP library's `create` makes, one for all clients: it takes many milliseconds.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for certificates that can't be read.
    """
    try:
        return create_once(create, trust_env, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    except OSError as error:
        raise ConfigurationError(
            f"Can't read the certificates that `SSL_CERT_FILE` or `SSL_CERT_DIR` names: {error}."
        ) from error


@cache
def create_once(create: Callable[..., ssl.SSLContext], trust_env: bool, *_: str | None) -> ssl.SSLContext:
    """Return a context for each environment."""
    return create(trust_env=trust_env)


@dataclass(frozen=True, slots=True)
class Timeout:
    """How long to wait, in seconds; None waits forever.

    `connect` limits how long it takes to connect, `read` how long until the response begins (until all its headers
    have arrived), and `stall` the wait for each further piece. Raises ValueError unless each is None or a finite number
    above 0.
    """

    connect: float | None = 10.0
    read: float | None = 600.0
    stall: float | None = 300.0

    def __post_init__(self) -> None:
        for seconds in (self.connect, self.read, self.stall):
            if seconds is not None and not (isinstance(seconds, int | float) and 0 < seconds < math.inf):
                raise ValueError(f"A timeout must be more than 0 seconds, or None to wait forever, not {seconds!r}.")

    @classmethod
    def of(cls, timeout: Timeout | float | None) -> Timeout:
        """Return `timeout`; a number limits each of the waits."""
        return timeout if isinstance(timeout, Timeout) else cls(timeout, timeout, timeout)


class Wire:
    """The connection of one HTTP client, of httpx or httpx2, which the hooks of the client find.

    `late` is that library's ReadTimeout. `answered` tells whether the current request's response has begun.
    """

    def __init__(self, timeout: Timeout, late: type[Exception]) -> None:
        self._timeout = timeout
        self._late = late
        self._stream: Any = None
        self._socket: Any = None
        self.reset()

    def hooks(self, sign: Sign) -> Hooks:
        """Return ``event_hooks`` for a synchronous client, which call `sign` with each request and redirected one."""

        def begun(request: Any) -> None:  # noqa: ANN401 (httpx's or httpx2's)
            sign(request)
            request.extensions["trace"] = self._traced

        return {"request": [begun], "response": [self._answered]}

    def async_hooks(self, sign: Sign) -> Hooks:
        """Return ``event_hooks`` for an asynchronous client."""

        def begun(request: Any) -> None:  # noqa: ANN401
            sign(request)
            request.extensions["trace"] = asynchronous(self._traced)

        return {"request": [asynchronous(begun)], "response": [asynchronous(self._answered)]}

    def reset(self) -> object:
        """Prepare for another request, and return what :meth:`abort` knows it by."""
        self._loan = object()
        self._aborted = False
        self.answered = False
        return self._loan

    def watch(self, network_stream: Any) -> None:  # noqa: ANN401 (httpcore's or httpcore2's)
        """Use `network_stream` as the connection; None if a client has a transport of its own."""
        self._stream = network_stream
        self._socket = network_stream and network_stream.get_extra_info("socket")
        if self._aborted:
            self.abort(self._loan)

    def begin(self, response: Any) -> None:  # noqa: ANN401
        """Note that `response` begins, also if the client was made without the hooks."""
        self.answered = True
        self.watch(response.extensions.get("network_stream"))

    def read(self, decoder: Decoder, chunks: Iterator[bytes], config: CompletionConfig) -> Iterator[ModelEvent]:
        """Yield the events of the response that arrives in `chunks`, and read it to its end.

        That is also done for a reader who leaves at the last event, but not for a response that is too long.
        """
        try:
            yield from decode_chunks(decoder, chunks, config.max_stream_bytes)
        finally:
            if decoder.done:
                with self._rest() as reads:
                    for _ in reads:
                        next(chunks, None)

    async def aread(
        self, decoder: Decoder, chunks: AsyncGenerator[bytes, None], config: CompletionConfig
    ) -> AsyncGenerator[ModelEvent, None]:
        """The same, asynchronously."""
        left = config.max_stream_bytes or math.inf
        async with aclosing(chunks):
            try:
                async for chunk in chunks:
                    for event in decoder.feed(chunk):
                        yield event
                    if decoder.done:
                        return
                    left -= len(chunk)
                    if left < 0:
                        yield TOO_LONG
                        return
                for event in decoder.end():
                    yield event
            finally:
                if decoder.done:
                    with self._rest() as reads:
                        for _ in reads:
                            await anext(chunks, None)

    @contextmanager
    def _rest(self) -> Iterator[range]:
        """Allow for a moment, and as many reads as the range has numbers, to read the rest of the response."""
        if not hasattr(self._stream, "__dict__"):  # the user's own transport, whose reads can't be limited
            yield range(0)
            return
        self._limit(REST_SECONDS)
        try:
            with suppress(Exception):  # the reply is complete, whatever happens to its connection
                yield range(REST_READS)
        finally:
            self._limit(None)

    def abort(self, loan: object) -> None:
        """End the connection of the request `loan`, from any thread, and wake whoever waits on it."""
        if loan is not self._loan:
            return
        self._aborted = True
        with suppress(OSError):  # it is gone already
            if isinstance(self._socket, socket.socket):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # TLS has a method of its own, for one thread
            elif self._socket is not None:  # asyncio's stand-in for one, or uvloop's, which can't shut down
                with socket.fromfd(self._socket.fileno(), self._socket.family, self._socket.type) as twin:
                    twin.shutdown(socket.SHUT_RDWR)

    def _traced(self, name: str, info: dict[str, Any]) -> None:
        if name.endswith(("connect_tcp.complete", "connect_unix_socket.complete", "start_tls.complete")):
            self.watch(info["return_value"])
        elif name.endswith("receive_response_headers.started"):
            self._limit(self._timeout.read)
        elif name.endswith("receive_response_headers.complete"):
            self._limit(None)

    def _limit(self, seconds: float | None) -> None:
        """Limit the time of all reads together from now on; None removes the limit.

        The HTTP library's own limit is for each read: a server that sends a byte now and then never reaches it.
        """
        vars(self._stream).pop("read", None)
        if seconds is not None:
            self._stream.read = in_time(self._stream.read, seconds, self._late)

    def _answered(self, response: Any) -> None:  # noqa: ANN401
        if not response.has_redirect_location:
            self.answered = True
            # The HTTP library reads this when it begins to read the body.
            response.request.extensions["timeout"]["read"] = self._timeout.stall


def asynchronous(hook: Callable[..., None]) -> Callable[..., Awaitable[None]]:
    """Return `hook` as an asynchronous client calls it."""

    async def call(*arguments: Any) -> None:  # noqa: ANN401
        hook(*arguments)

    return call


def in_time(read: Callable[..., Any], seconds: float, late: type[Exception]) -> Callable[..., Any]:
    """Return a network stream's `read`, synchronous or not, that raises `late` when `seconds` from now have passed."""
    end = time.monotonic() + seconds

    def read_in_time(max_bytes: int, timeout: float | None = None) -> Any:  # noqa: ANN401, ARG001 (what is left counts)
        if (left := end - time.monotonic()) <= 0:
            raise late(f"Incomplete after {seconds:g} s.")
        return read(max_bytes, timeout=left)

    return read_in_time


Idle = list[tuple[Wire, Client]]


class Lines(Generic[Client]):
    """Clients with one connection each; `make` makes another one for a wire.

    `late` is the HTTP library's ReadTimeout. Clients that are not the lines' `own` are never closed.
    """

    def __init__(self, make: Callable[[Wire], Client], timeout: Timeout, late: type[Exception], *, own: bool) -> None:
        self._make = make
        self._wire = partial(Wire, timeout, late)
        self._idle: Idle[Client] = []
        self._own = own
        if own:
            weakref.finalize(self, close_all, self._idle).atexit = False

    @contextmanager
    def line(self, cancellation: Cancellation, idle: Idle[Client] | None = None) -> Iterator[tuple[Wire, Client]]:
        """Lend a client, one of those `idle`, for one request, which the cancellation ends."""
        idle = self._idle if idle is None else idle
        try:
            wire, client = idle.pop()
        except IndexError:
            wire = self._wire()
            client = self._make(wire)
        abort = partial(wire.abort, wire.reset())
        try:
            with cancellation.on_cancel(abort):
                yield wire, client
        finally:
            idle.append((wire, client))

    def close(self) -> None:
        """Close the idle clients."""
        if self._own:
            close_all(self._idle)


class LoopLines(Lines[Client]):
    """The same for asynchronous clients, whose connections belong to the event loop in which they were opened."""

    def __init__(self, make: Callable[[Wire], Client], timeout: Timeout, late: type[Exception], *, own: bool) -> None:
        super().__init__(make, timeout, late, own=own)
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[Idle[Client], AsyncGenerator[None, None]]]
        self._loops = WeakKeyDictionary()

    @asynccontextmanager
    async def aline(self, cancellation: Cancellation) -> AsyncIterator[tuple[Wire, Client]]:
        """Lend a client for one request in the running event loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._loops:
            idle: Idle[Client] = []
            self._loops[loop] = idle, self._closed_with_loop(idle)
            await anext(self._loops[loop][1])
        with self.line(cancellation, self._loops[loop][0]) as lent:
            yield lent

    async def aclose(self) -> None:
        """Close the idle clients of the running event loop."""
        if known := self._loops.get(asyncio.get_running_loop()):
            await known[1].aclose()

    async def _closed_with_loop(self, idle: Idle[Client]) -> AsyncGenerator[None, None]:
        """Close the clients in `idle` at the end of the event loop, which ends its asynchronous generators."""
        try:
            yield
        finally:
            self._loops.pop(asyncio.get_running_loop(), None)
            while idle and self._own:
                client: Any = idle.pop()[1]
                await client.close()


def close_all(idle: Idle[Any]) -> None:
    """Close the clients in `idle`."""
    while idle:
        idle.pop()[1].close()
