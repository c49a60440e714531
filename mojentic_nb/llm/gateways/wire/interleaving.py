"""The order in which a model wrote its reasoning, text and calls, kept for providers that want it back as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mojentic_nb.llm.messages import LLMMessage, LLMToolCall

from .fields import sendable

__all__ = ["interleaved", "placed"]

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
