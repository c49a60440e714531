"""Assembling what providers send in pieces: text, reasoning, tool calls, and the order in which the model wrote them.

Few servers stream calls by the book. One rule serves them all: a new call begins if its index is new, if it has a name
and an id that differs from the last one's, or if it has no id, but a name and arguments after the last call's arguments
are complete. Every other piece belongs to the call of its index, or to the last call if it has none. Known variants:

- the index is missing or null, maybe only at first, or 0 for each of several calls (Ollama's and Gemini's endpoints);
- the id is repeated on every chunk (vLLM), differs on every chunk (OCI), or is missing;
- the arguments are null, empty (a tool without arguments), an object in place of JSON text, or whole in one piece;
- the finish reason is ``stop``, or missing.

Some providers want reasoning back in its order among text and calls; :func:`place` and :func:`interleave` keep it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any

from mojentic_nb.llm.arguments import parse_call
from mojentic_nb.llm.events import ModelEvent, ReasoningDelta, TextDelta, ToolCallDelta, ToolCallEnd, ToolCallStart
from mojentic_nb.llm.messages import LLMMessage, LLMToolCall
from mojentic_nb.llm.text import SURROGATE, join_surrogates

from .fields import sendable

__all__ = ["Calls", "Characters", "Prose", "interleave", "place"]


class Characters:
    """Text that arrives in pieces, of which a server may cut an emoji in two: each piece has half a surrogate pair."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, text: str) -> str:
        """Return the whole characters of `text`; half a character at its end waits for the next piece."""
        if not self._half and (text.isascii() or not SURROGATE.search(text)):
            return text
        text = self._half + text
        self._half = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        return join_surrogates(text.removesuffix(self._half))

    def end(self) -> str:
        """Return the replacement of half a character that was never completed."""
        half, self._half = self._half, ""
        return join_surrogates(half)


class Prose:
    """The text and the reasoning of one reply, as deltas of whole characters. `written` counts the text's."""

    def __init__(self) -> None:
        self.written = 0
        self._text = Characters()
        self._reasoning = Characters()

    def text(self, piece: str, events: list[ModelEvent]) -> None:
        """Add the delta of a piece of text to `events`, if it has any whole character."""
        if whole := self._text.feed(piece):
            self.written += len(whole)
            events.append(TextDelta(whole))

    def reasoning(self, piece: str, events: list[ModelEvent]) -> None:
        """Add the delta of a piece of reasoning to `events`, if it has any whole character."""
        if whole := self._reasoning.feed(piece):
            events.append(ReasoningDelta(whole))

    def end(self) -> Iterator[ModelEvent]:
        """Yield deltas for half characters that were never completed."""
        if half := self._reasoning.end():
            yield ReasoningDelta(half)
        if half := self._text.end():
            yield TextDelta(half)


class Calls:
    """The tool calls of one reply. `turn` makes ids for those that have none, unique in the conversation."""

    def __init__(self, turn: int) -> None:
        self._turn = turn
        self._calls: list[Call] = []
        self._by_index: dict[int, Call] = {}
        self._last: Call | None = None

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def last_id(self) -> str:
        """The id of the call that the last piece belongs to."""
        return self._last.id if self._last else ""

    def feed(
        self, *, index: object, call_id: object, name: object, arguments: object
    ) -> Iterator[ToolCallStart | ToolCallDelta]:
        """Yield the events of one piece, which has the fields of the server's JSON."""
        index = index if type(index) is int else None
        call_id = str(call_id) if call_id else None
        name = str(name) if name else None
        call = self._last if index is None else self._by_index.get(index)
        if call is None and not (name or call_id) and self._last not in self._by_index.values():
            call = self._last  # it began without an index, and continues with one
        if call is None or (
            name and call.name and (call_id != call.given_id if call_id else arguments and call.complete)
        ):
            call = Call(given_id=call_id)
            self._calls.append(call)
        self._last = call
        if index is not None:
            self._by_index[index] = call
        call.given_id = call.given_id or call_id
        if name and not call.name:
            call.name = join_surrogates(name)
            call.id = self._unique(call)
            yield ToolCallStart(call.id, call.name)
            yield from call.deltas()
        delta = arguments if isinstance(arguments, str) else "" if arguments is None else json.dumps(arguments)
        if delta:
            call.waiting.append(call.characters.feed(delta))
            if call.name:
                yield from call.deltas()

    def end(self) -> Iterator[ToolCallStart | ToolCallDelta | ToolCallEnd]:
        """Yield the events at the end, when all calls are complete."""
        for call in self._calls:
            if not call.name:
                call.name, call.id = "unnamed", self._unique(call)
                yield ToolCallStart(call.id, call.name)
            call.waiting.append(call.characters.end())
            yield from call.deltas()
        for call in self._calls:
            yield ToolCallEnd(parse_call(call.id, call.name, call.arguments.getvalue()))

    def _unique(self, call: Call) -> str:
        taken = {other.id for other in self._calls}
        given = join_surrogates(call.given_id or "")
        if given and given not in taken:
            return given
        return f"call_{self._turn}_{self._calls.index(call)}"


class Call:
    """A call that isn't complete. Its arguments wait until its name is known."""

    def __init__(self, given_id: str | None) -> None:
        self.given_id = given_id
        self.id = ""
        self.name = ""
        self.arguments = StringIO()
        self.characters = Characters()
        self.waiting: list[str] = []

    @property
    def complete(self) -> bool:
        """Whether the arguments are complete JSON."""
        arguments = self.arguments.getvalue()
        return bool(arguments.strip()) and not parse_call(self.id, self.name, arguments).error

    def deltas(self) -> Iterator[ToolCallDelta]:
        """Yield the pieces of arguments that wait."""
        for text in filter(None, self.waiting):
            self.arguments.write(text)
            yield ToolCallDelta(self.id, text)
        self.waiting.clear()


AFTER = "after"  # the field of a block's place


def place(block: Mapping[str, Any], characters: int, calls: int) -> dict[str, Any]:
    """Return a block of reasoning as details, with the numbers of characters of text and of calls before it."""
    kept = sendable({name: value for name, value in block.items() if name != AFTER})
    return {**kept, AFTER: [characters, calls]} if characters or calls else kept


def interleave(message: LLMMessage, kind: str | tuple[str, ...]) -> Iterator[str | LLMToolCall | dict[str, Any]]:
    """Yield text, calls and the kept blocks whose ``type`` ends in `kind`, in the order they were written."""
    text, calls = message.content or "", message.tool_calls or []
    written = called = 0
    for details in message.reasoning_details or ():
        if str(details.get("type")).endswith(kind):
            match details.get(AFTER):
                case [int(characters), int(count)]:
                    pass
                case _:
                    characters = count = 0
            yield text[written:characters]
            yield from calls[called:count]
            written, called = characters, count
            yield {name: value for name, value in details.items() if name != AFTER}
    yield text[written:]
    yield from calls[called:]
