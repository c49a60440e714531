"""The grammar of a run's events, and what providers accept as a conversation: what every run has to keep to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from mojentic_nb.llm import (
    Event,
    Finish,
    LLMMessage,
    MessageRole,
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
    Retry: "R",
    TextDelta: "d",
    ReasoningDelta: "d",
    ToolCallStart: "d",
    ToolCallDelta: "d",
    ToolCallEnd: "E",
    StepFinish: "S",
    ToolProgress: "p",
    ToolResult: "r",
    Finish: "F",
}
STEP = "R*d*E*S"
TOOLS = "(p*r)+"
RUN = re.compile(f"({STEP}({TOOLS}{STEP})*({TOOLS})?)?F")


def letters(events: Iterable[Event]) -> str:
    """One letter for each event."""
    return "".join(LETTERS[type(event)] for event in events)


def assert_complete(events: Sequence[Event]) -> None:
    """A run that ended without an error keeps to the grammar, and each call has exactly one result, after it."""
    assert RUN.fullmatch(letters(events)), letters(events)
    ended = Counter(event.call.id for event in events if isinstance(event, ToolCallEnd))
    answered = Counter(event.call.id for event in events if isinstance(event, ToolResult))
    assert ended == answered


def assert_acceptable(messages: Sequence[LLMMessage]) -> None:
    """A provider takes these messages: each call is answered right after it, and no user speaks twice in a row."""
    waiting: list[str | None] = []
    for before, message in zip([None, *messages], messages, strict=False):
        if message.role is MessageRole.Tool:
            assert [call.id for call in message.tool_calls] == [waiting.pop(0)]
            assert message.content is not None
            continue
        assert waiting == []
        if message.role is MessageRole.Assistant:
            waiting = [call.id for call in message.tool_calls or ()]
            assert message.content or message.tool_calls or message.thinking
        assert before is None or message.role is MessageRole.Assistant or message.role is not before.role
    assert waiting == []
