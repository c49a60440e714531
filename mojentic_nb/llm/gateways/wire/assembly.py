"""Putting together what providers send in pieces: tool calls, and characters cut in half.

Servers differ in how they stream calls, and few do it by the book. The rule that serves them all: a new call begins
where its index is new, or where an id is there that differs from the last one's together with a name, or, without an
id, a name with arguments after the last one's are complete; everything else belongs to the call of that index, or to
the last one where there is no index. What is known of the field:

- the index is missing or null, be it only at first, or 0 for each of several calls (Ollama's and Gemini's endpoints);
- the id is repeated on every chunk (vLLM), or is another on every chunk (OCI), or there is none;
- the arguments are null, empty (a tool without arguments), an object in place of JSON text, or whole in one piece;
- the finish reason is ``stop``, or missing.

The order in which a model wrote its reasoning, text and calls, kept for providers that want it back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from io import StringIO
from typing import Any

from mojentic_nb.llm.arguments import parse_call
from mojentic_nb.llm.events import ToolCallDelta, ToolCallEnd, ToolCallStart
from mojentic_nb.llm.messages import LLMMessage, LLMToolCall
from mojentic_nb.llm.text import SURROGATE, mended

from .fields import sendable

__all__ = ["Calls", "Characters", "interleaved", "placed"]


class Characters:
    """Text that comes in pieces.

    A server may send an emoji as two escapes in two pieces, each of them half of a surrogate pair.
    """

    def __init__(self) -> None:
        self._half = ""

    def feed(self, text: str) -> str:
        """The whole characters of `text`; a half at its end waits for the other."""
        if not self._half and (text.isascii() or not SURROGATE.search(text)):
            return text
        text = self._half + text
        self._half = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        return mended(text.removesuffix(self._half))

    def end(self) -> str:
        """What stands for a half whose other never came."""
        half, self._half = self._half, ""
        return mended(half)


class Calls:
    """Feed it the pieces of a step's calls. `turn` makes the ids of those that have none: unique in a conversation."""

    def __init__(self, turn: int) -> None:
        self._turn = turn
        self._calls: list[Call] = []
        self._by_index: dict[int, Call] = {}
        self._last: Call | None = None

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def last_id(self) -> str:
        """The id of the call that was last fed."""
        return self._last.id if self._last else ""

    def feed(
        self, *, index: object, call_id: object, name: object, arguments: object
    ) -> Iterator[ToolCallStart | ToolCallDelta]:
        """Take one piece, as it stands in the server's JSON."""
        index = index if type(index) is int else None
        call_id = str(call_id) if call_id else None
        name = str(name) if name else None
        call = self._last if index is None else self._by_index.get(index)
        if call is None and not (name or call_id) and self._last not in self._by_index.values():
            call = self._last  # it began without an index, and goes on with one
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
            call.name = mended(name)
            call.id = self._unique(call)
            yield ToolCallStart(call.id, call.name)
            yield from call.deltas()
        delta = arguments if isinstance(arguments, str) else "" if arguments is None else json.dumps(arguments)
        if delta:
            call.waiting.append(call.characters.feed(delta))
            if call.name:
                yield from call.deltas()

    def end(self) -> Iterator[ToolCallStart | ToolCallDelta | ToolCallEnd]:
        """All calls are complete."""
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
        given = mended(call.given_id or "")
        if given and given not in taken:
            return given
        return f"call_{self._turn}_{self._calls.index(call)}"


class Call:
    """A call that is still coming in. Before its name is known its arguments wait."""

    def __init__(self, given_id: str | None) -> None:
        self.given_id = given_id
        self.id = ""
        self.name = ""
        self.arguments = StringIO()
        self.characters = Characters()
        self.waiting: list[str] = []

    @property
    def complete(self) -> bool:
        """Whether nothing can be added to its arguments."""
        arguments = self.arguments.getvalue()
        return bool(arguments.strip()) and not parse_call(self.id, self.name, arguments).error

    def deltas(self) -> Iterator[ToolCallDelta]:
        """The pieces of arguments that can be told now."""
        for text in filter(None, self.waiting):
            self.arguments.write(text)
            yield ToolCallDelta(self.id, text)
        self.waiting.clear()


AFTER = "after"


def placed(block: Mapping[str, Any], characters: int, calls: int) -> dict[str, Any]:
    """A block of reasoning as details, with how many characters of text and how many calls came before it."""
    kept = sendable({name: value for name, value in block.items() if name != AFTER})
    return {**kept, AFTER: [characters, calls]} if characters or calls else kept


def interleaved(message: LLMMessage, kind: str | tuple[str, ...]) -> Iterator[str | LLMToolCall | dict[str, Any]]:
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
