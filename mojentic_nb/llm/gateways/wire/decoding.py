"""The part of a decoder that all providers share: from the bytes of a response to events."""

from __future__ import annotations

import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import from_json

from mojentic_nb.llm.errors import IncompleteStreamError
from mojentic_nb.llm.events import ModelEvent, StepFinish
from mojentic_nb.llm.request import Request

from .sse import EventData, LineDecoder

__all__ = ["TOO_LONG", "Decoder", "Paused", "StreamError", "decode_chunks", "identity"]

TOO_LONG = StepFinish("length", limit="max_stream_bytes")


class StreamError(Exception):
    """An error object in a response with status 200 (OpenRouter, vLLM, Anthropic, proxies).

    `status` is the HTTP status that the error has as its code; None if it has none.
    """

    def __init__(self, error: object) -> None:
        self.body = error if isinstance(error, dict) else {"message": str(error)}
        code = str(self.body.get("code"))
        self.status = int(code) if re.fullmatch("[45][0-9]{2}", code) else None
        super().__init__(str(self.body.get("message") or error))


class Paused(Exception):  # noqa: N818 (nothing is wrong)
    """The provider paused the model's turn; `request` continues it."""

    def __init__(self, request: Request) -> None:
        super().__init__("the model's turn is paused")
        self.request = request


def identity(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the id of the response that `body` is part of, and the name of its model, if the provider sent them."""
    response, model = body.get("id"), body.get("model")
    return response if isinstance(response, str) else None, model if isinstance(model, str) else None


class Decoder(ABC):
    """Reads one response. Feed it the bytes as they arrive, however they are split, then :meth:`end` it.

    Raises StreamError for an error that the server reports, and IncompleteStreamError for an unreadable document, whose
    beginning it quotes after passing it through `hide`.
    """

    hide: Callable[[str], str] = staticmethod(str)

    def __init__(self, splitter: EventData | LineDecoder | None = None) -> None:
        self.done = False
        self._splitter = splitter or EventData()
        self._empty = True

    @abstractmethod
    def read(self, body: dict[str, Any]) -> Sequence[ModelEvent]:
        """Return the events of one document, and set `done` if it is the last."""

    @abstractmethod
    def finish(self) -> Iterable[ModelEvent]:
        """Return the events at the end of the response, without a StepFinish if it broke off."""

    def feed(self, chunk: bytes) -> Iterator[ModelEvent]:
        """Return an iterator of the events that `chunk` completes."""
        return self._events(self._splitter.feed(chunk))

    def end(self) -> Iterator[ModelEvent]:
        """Yield the events at the end of the bytes."""
        yield from self._events(self._splitter.end())
        if self._empty and not self._splitter.is_silent:  # a page
            raise IncompleteStreamError(
                "The server didn't answer with a streamed completion. Check its address, which usually ends in `/v1`."
            )
        if not self.done:
            yield from self.finish()

    def _events(self, documents: list[bytes]) -> Iterator[ModelEvent]:
        self._empty = self._empty and not documents
        for document in documents:
            try:
                try:  # at a third of the standard library's cost
                    body = from_json(document)
                except ValueError as error:
                    body = self._parse_odd(document, error)
                events = () if self.done else self.read(body)
            except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError) as error:
                start = self.hide(document.decode(errors="replace"))[:80]
                raise IncompleteStreamError(
                    f"The server sent {start!r}, which isn't a completion. Ask again, or check its address."
                ) from error
            yield from events
            if self.done:
                yield from self.finish()
                return

    def _parse_odd(self, document: bytes, error: ValueError) -> Any:  # noqa: ANN401 (any JSON)
        """Parse a document that the stricter parser refused with `error`; note that ``[DONE]`` is the last."""
        if document.strip() == b"[DONE]":
            self.done = True
            return None
        if "recursion limit" in str(error):
            raise error
        return json.loads(document.decode("utf-8-sig", errors="replace"))  # with half a character, or a byte order mark


def decode_chunks(decoder: Decoder, chunks: Iterable[bytes], most: int | None = None) -> Iterator[ModelEvent]:
    """Yield the events of a response that arrives in `chunks`; read at most `most` bytes."""
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
