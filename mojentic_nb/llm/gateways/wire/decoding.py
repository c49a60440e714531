"""From a response's bytes to events, without a network: the part of a decoder that all providers share."""

from __future__ import annotations

import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from pydantic_core import from_json

from mojentic_nb.llm.errors import IncompleteStreamError
from mojentic_nb.llm.events import ModelEvent, StepFinish
from mojentic_nb.llm.request import Request

from .sse import BOM, SSEDecoder

__all__ = ["TOO_LONG", "Decoder", "Paused", "StreamError", "decoded", "identity"]

WHITESPACE = b" \t\r\n"
TOO_LONG = StepFinish("length", limit="max_stream_bytes")


class StreamError(Exception):
    """An error object in a response that had begun with status 200 (OpenRouter, vLLM, Anthropic, proxies).

    `status` is the HTTP status that it has as its code, None where it has none.
    """

    def __init__(self, error: object) -> None:
        self.body = error if isinstance(error, dict) else {"message": str(error)}
        code = str(self.body.get("code"))
        self.status = int(code) if re.fullmatch("[45][0-9]{2}", code) else None
        super().__init__(str(self.body.get("message") or error))


class Paused(Exception):  # noqa: N818 (nothing is wrong)
    """The provider has paused the model's turn: `request` lets it go on."""

    def __init__(self, request: Request) -> None:
        super().__init__("the model's turn is paused")
        self.request = request


def identity(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """What the provider calls the response that `body` is of, and the model that gave it, where it says so."""
    response, model = body.get("id"), body.get("model")
    return response if isinstance(response, str) else None, model if isinstance(model, str) else None


class Splitter(Protocol):
    """Parts bytes into documents."""

    @property
    def is_silent(self) -> bool:
        """Whether all that came without a document is space, or comments that keep the connection open."""
        ...

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

    @property
    def is_silent(self) -> bool:
        """Whether all that came without a document is space, or comments that keep the connection open."""
        return self._start in (b"", b":")

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
        if self._empty and not self._splitter.is_silent:  # a page
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
    except ValueError as error:  # it is stricter: it refuses half a character, and a byte order mark
        if "recursion limit" in str(error):
            raise
        return json.loads(document.decode("utf-8-sig", errors="replace"))


def decoded(decoder: Decoder, chunks: Iterable[bytes], most: int | None = None) -> Iterator[ModelEvent]:
    """The events of a response that comes in `chunks`, of which `most` bytes are read."""
    left = most or math.inf
    for chunk in chunks:
        yield from decoder.feed(chunk)
        if decoder.done:
            return
        left -= len(chunk)
        if left < 0:
            yield TOO_LONG
            return
    yield from decoder.end()
