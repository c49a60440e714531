"""From a response's bytes to events, without a network: the part of a decoder that all providers share."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from pydantic_core import from_json

from mojentic_nb.llm.errors import IncompleteStreamError
from mojentic_nb.llm.events import ModelEvent

from .sse import BOM, SSEDecoder

__all__ = ["Decoder", "StreamError", "adecoded", "decoded"]


# The HTTP status that an error within a response, which had begun with status 200, would have had by its code or type.
# https://platform.openai.com/docs/guides/error-codes, https://platform.claude.com/docs/en/api/errors
STATUSES = {
    "authentication_error": 401,
    "billing_error": 402,
    "context_length_exceeded": 400,
    "insufficient_quota": 429,
    "invalid_prompt": 400,
    "invalid_request_error": 400,
    "not_found_error": 404,
    "overloaded_error": 529,
    "permission_error": 403,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "request_too_large": 413,
}
WHITESPACE = b" \t\r\n"


class StreamError(Exception):
    """An error object in a response that had begun with status 200 (OpenRouter, vLLM, Anthropic, proxies)."""

    def __init__(self, error: object) -> None:
        self.body = error if isinstance(error, dict) else {"message": str(error)}
        code, kind = str(self.body.get("code")), str(self.body.get("type"))
        self.status = int(code) if code.isdecimal() else STATUSES.get(code) or STATUSES.get(kind) or 500
        super().__init__(str(self.body.get("message") or error))


class Splitter(Protocol):
    """Parts bytes into documents."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The documents that `chunk` completes."""
        ...

    def end(self) -> list[bytes]:
        """What is left."""
        ...


class EventData:
    """The data of server-sent events; or the one JSON document of a server that does not stream."""

    def __init__(self) -> None:
        self._before = b""
        self._start = b""
        self._document: list[bytes] = []
        self._events = SSEDecoder()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the events that `chunk` completes."""
        if not self._start:
            chunk = self._before = self._before + chunk
            self._start = chunk.lstrip(BOM + WHITESPACE)[:1]
            if not self._start:
                return []
        if self._start == b"{":
            self._document.append(chunk)
            return []
        return self._events.feed(chunk)

    def end(self) -> list[bytes]:
        """What no end marked."""
        if self._document:
            return [b"".join(self._document)]
        return self._events.end()


class Decoder(ABC):
    """Reads one response. Feed it the bytes as they come, however they are split, then :meth:`end` it.

    Raises StreamError for an error that the server reports, IncompleteStreamError for what can't be read, of which it
    quotes the beginning, passed through `hide`.
    """

    hide: Callable[[str], str] = staticmethod(str)

    def __init__(self, splitter: Splitter | None = None) -> None:
        self.done = False
        self._splitter = splitter or EventData()
        self._empty = True

    @abstractmethod
    def read(self, body: dict[str, Any]) -> Sequence[ModelEvent]:
        """The events that one document tells; sets `done` where it is the last."""

    @abstractmethod
    def finish(self) -> Iterable[ModelEvent]:
        """The events that the end of the response tells; no StepFinish if it broke off."""

    def feed(self, chunk: bytes) -> Iterator[ModelEvent]:
        """Iterate the events that `chunk` completes."""
        return self._events(self._splitter.feed(chunk))

    def end(self) -> Iterator[ModelEvent]:
        """Yield the events at the end of the bytes."""
        yield from self._events(self._splitter.end())
        if self._empty:
            raise IncompleteStreamError(
                "The server did not answer with a streamed completion: is its address right? It usually ends in /v1."
            )
        if not self.done:
            yield from self.finish()

    def _events(self, documents: list[bytes]) -> Iterator[ModelEvent]:
        for document in documents:
            self._empty = False
            if document[:1] == b"[" and document.strip() == b"[DONE]":
                self.done = True
            else:
                try:
                    events = self.read(parsed(document))
                except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError) as error:
                    start = self.hide(document.decode(errors="replace"))[:80]
                    raise IncompleteStreamError(
                        f"The server sent something that is no completion: {start!r}. Ask again, or check its address."
                    ) from error
                yield from events
            if self.done:
                yield from self.finish()
                return


def parsed(document: bytes) -> Any:  # noqa: ANN401 (any JSON)
    """What a JSON document says, read at a third of the standard library's cost."""
    try:
        return from_json(document)
    except ValueError:  # it is stricter: it refuses half a character, and a byte order mark
        return json.loads(document.decode("utf-8-sig", errors="replace"))


def decoded(decoder: Decoder, chunks: Iterable[bytes]) -> Iterator[ModelEvent]:
    """The events of a response that comes in `chunks`."""
    for chunk in chunks:
        yield from decoder.feed(chunk)
        if decoder.done:
            return
    yield from decoder.end()


async def adecoded(decoder: Decoder, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[ModelEvent, None]:
    """The same of a response that comes asynchronously."""
    async with aclosing(chunks):
        async for chunk in chunks:
            for event in decoder.feed(chunk):
                yield event
            if decoder.done:
                return
    for event in decoder.end():
        yield event
