"""Filters between a broker and a gateway: each request passes through, and so do the events that answer it.

A filter is a gateway over another one. For each request it makes a `Passage`, whose methods are the hooks: they may
replace the request and its events, ask for another attempt after a failure, and learn how it ended. There is one
implementation of the hooks, for synchronous and asynchronous callers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, closing
from types import TracebackType
from typing import Self

from .events import ModelEvent, Notice
from .request import Gateway, Request, astream

__all__ = ["GatewayFilter", "Passage"]


class Passage:
    """One request on its way through a filter. Override the hooks that you need; these change nothing.

    `request` is the request to send. Add to `notices` what the reader should see before the next attempt.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self.notices: list[Notice] = []

    def before(self) -> Request:
        """Return the request to send, before each attempt."""
        return self.request

    def event(self, event: ModelEvent) -> ModelEvent:
        """Return `event`, or another one to yield in its place."""
        return event

    def retries(self, error: Exception) -> bool:  # noqa: ARG002 (for a passage that knows a remedy)
        """Return whether to make another attempt after `error`, or raise another error in its place."""
        return False

    def end(self, error: BaseException | None) -> None:
        """Take note of the end, which comes once: None after a complete reply, GeneratorExit if the reader left."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end(error)


class GatewayFilter(ABC):
    """A gateway that sends its requests through another `gateway`. A subclass makes the passage of each request."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    @abstractmethod
    def begin(self, request: Request) -> Passage:
        """Return the passage of `request`, or raise an error to refuse it."""

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Send `request` and yield the model's events; closing the generator closes the gateway's at once."""
        with self.begin(request) as passage:
            while True:
                sent = passage.before()
                yield from take_all(passage.notices)
                try:
                    with closing(self._send(sent)) as events:
                        # Without the hook, events pass at no cost: gateways over HTTP are filters without it.
                        yield from events if type(passage).event is Passage.event else map(passage.event, events)
                except Exception as error:
                    if not passage.retries(error):
                        raise
                else:
                    return

    async def astream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The same, asynchronously."""
        with self.begin(request) as passage:
            while True:
                sent = passage.before()
                for notice in take_all(passage.notices):
                    yield notice
                try:
                    async with aclosing(self._asend(sent)) as events:
                        async for event in events:
                            yield passage.event(event)
                except Exception as error:
                    if not passage.retries(error):
                        raise
                else:
                    return

    def _send(self, request: Request) -> Generator[ModelEvent, None, None]:
        return self._gateway.stream(request)

    def _asend(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        return astream(self._gateway, request)


def take_all(notices: list[Notice]) -> list[Notice]:
    """Return the notices, and empty the list."""
    taken = notices.copy()
    notices.clear()
    return taken
