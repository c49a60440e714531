"""What tests read off events, which may have come in any pieces."""

from __future__ import annotations

from collections.abc import Iterable

from mojentic_nb.llm import Event, ReasoningDelta, TextDelta, ToolCallDelta


def merged(events: Iterable[Event]) -> list[Event]:
    """The events with adjacent pieces of one text, reasoning or call joined: a provider's bytes may be split anywhere.

    A piece of reasoning with `details` is the last of its block.
    """
    result: list[Event] = []
    for event in events:
        match result, event:
            case [*_, TextDelta(before)], TextDelta(delta):
                result[-1] = TextDelta(before + delta)
            case [*_, ReasoningDelta(before, None)], ReasoningDelta(delta, details):
                result[-1] = ReasoningDelta(before + delta, details)
            case [*_, ToolCallDelta(call_id, before)], ToolCallDelta(id, delta) if id == call_id:
                result[-1] = ToolCallDelta(id, before + delta)
            case _:
                result.append(event)
    return result


def text_of(events: Iterable[Event]) -> str:
    """The answer's text."""
    return "".join(event.delta for event in events if isinstance(event, TextDelta))
