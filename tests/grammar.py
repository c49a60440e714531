"""The grammar of a run's events, and what providers accept as a conversation: what every run has to keep to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from mojentic_nb.llm import (
    Event,
    Finish,
    LLMMessage,
    MessageRole,
    Notice,
    ReasoningDelta,
    Retry,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolProgress,
    ToolResult,
)

LETTERS = {
    Retry: "y",
    Notice: "n",
    TextDelta: "t",
    ReasoningDelta: "r",
    ToolCallStart: "s",
    ToolCallDelta: "d",
    ToolCallEnd: "e",
    StepFinish: "f",
    ToolProgress: "p",
    ToolResult: "o",
    Finish: "F",
}
STEP = "[yn]*[trsd]*e*f"
TOOLS = "(p*o)+"
RUN = f"({STEP}(({TOOLS})?{STEP})*({TOOLS})?)?F"


def assert_step(events: Iterable[Event]) -> None:
    """The events of one request follow the grammar in mojentic_nb/llm/events.py."""
    assert_spelled(STEP, list(events))


def assert_run(events: Iterable[Event]) -> None:
    """The events of a whole run do, and each call has one result."""
    events = list(events)
    assert_spelled(RUN, events)
    ended = [event.call for event in events if isinstance(event, ToolCallEnd)]
    assert [event.call for event in events if isinstance(event, ToolResult)] == ended


def assert_spelled(grammar: str, events: list[Event]) -> None:
    """The order is that of the grammar; no piece of a call comes before its start, and what ends has started."""
    assert re.fullmatch(grammar, "".join(LETTERS[type(event)] for event in events)), events
    started: dict[str, str] = {}
    for event in events:
        match event:
            case ToolCallStart(id, name):
                assert id not in started
                started[id] = name
            case ToolCallDelta(id):
                assert id in started
            case ToolCallEnd(call):
                assert started.get(call.id or "") == call.name


def assert_acceptable(messages: Sequence[LLMMessage]) -> None:
    """A provider takes these messages: each call is answered right after it, and no user speaks twice in a row,
    or right after a result."""
    waiting: list[str | None] = []
    for before, message in zip([None, *messages], messages, strict=False):
        if message.role is MessageRole.Tool:
            assert [call.id for call in message.tool_calls] == [waiting.pop(0)]
            assert message.content is not None
            continue
        assert waiting == []
        if message.role is MessageRole.Assistant:
            waiting = [call.id for call in message.tool_calls or ()]
            assert message.content or message.tool_calls
        assert before is None or message.role is MessageRole.Assistant or message.role is not before.role
        assert before is None or message.role is not MessageRole.User or before.role is not MessageRole.Tool
    assert waiting == []
