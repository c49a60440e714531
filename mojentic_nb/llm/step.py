"""One request to the model: its events become the assistant's message, and the results of its calls those after it.

:class:`ThinkTags` turns reasoning that a server leaves in the text into events. :func:`sendable` makes a
message of an earlier step one that providers accept.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from .events import (
    FinishReason,
    ModelEvent,
    ReasoningDelta,
    StepFinish,
    TextDelta,
    ToolCallEnd,
    ToolProgress,
    ToolResult,
)
from .messages import LLMMessage, LLMToolCall, MessageRole

__all__ = ["NOT_RUN", "Step", "sendable"]

OPEN, CLOSE = "<think>", "</think>"
NO_ANSWER = "(no answer)"
NOT_RUN = "The call was stopped before it had a result."


class ThinkTags:
    """Turns text between ``<think>`` and ``</think>`` into reasoning. Feed it a step's text; a tag may be split.

    Only a tag before the first word counts. Further down, the answer may be about such tags.
    """

    def __init__(self) -> None:
        self._place = "start"  # then "inside", "gap" (after the closing tag), "answer"
        self._kept = ""

    def feed(self, text: str) -> list[TextDelta | ReasoningDelta]:
        """Return the events of `text`, except for an end that may be the beginning of a tag."""
        text, self._kept = self._kept + text, ""
        events: list[TextDelta | ReasoningDelta] = []
        if self._place == "start":
            start = text.lstrip()
            if start.startswith(OPEN):
                self._place, text = "inside", start.removeprefix(OPEN)
            elif OPEN.startswith(start):
                self._kept, text = text, ""
            else:
                self._place = "answer"
        if self._place == "inside":
            reasoning, tag, text = text.partition(CLOSE)
            if tag:
                self._place = "gap"
            else:
                held = next((n for n in range(len(CLOSE) - 1, 0, -1) if reasoning.endswith(CLOSE[:n])), 0)
                reasoning, self._kept = reasoning[: len(reasoning) - held], CLOSE[:held]
            if reasoning:
                events.append(ReasoningDelta(reasoning))
        if self._place == "gap" and (text := text.lstrip()):
            self._place = "answer"
        if text:
            events.append(TextDelta(text))
        return events

    def end(self) -> list[TextDelta | ReasoningDelta]:
        """Return what was held back and isn't part of a tag."""
        kept, self._kept = self._kept, ""
        if not kept:
            return []
        return [ReasoningDelta(kept) if self._place == "inside" else TextDelta(kept)]


class Step:
    """One request to the model, and its outcome so far."""

    def __init__(self, *, think_tags: bool) -> None:
        self.seen = False
        self.finish_reason: FinishReason | None = None
        self.calls: list[LLMToolCall] = []
        self.text = StringIO()  # a list of a million pieces takes ten times the memory of its text
        self._thinking = StringIO()
        self._details: list[dict[str, object]] = []
        self._tags = ThinkTags() if think_tags else None
        # Results and calls by identity, since a model may give two calls the same id.
        self._results: dict[int, ToolResult] = {}
        self._fed: set[int] = set()
        self._answered = 0

    def feed(self, event: ModelEvent | ToolProgress | ToolResult) -> Sequence[ModelEvent | ToolProgress | ToolResult]:
        """Take an event in. Return it, or the events that it turns out to be."""
        self.seen = True
        if self._tags is None and isinstance(event, TextDelta):  # most events are; the rest takes four times as long
            self.text.write(event.delta)
            return (event,)
        if isinstance(event, ToolResult):
            return self._in_turn(event)
        events: Sequence[ModelEvent | ToolProgress] = (event,)
        if self._tags and isinstance(event, TextDelta):
            events = self._tags.feed(event.delta)
        elif self._tags and not isinstance(event, ReasoningDelta):
            events = [*self._tags.end(), event]
        for each in events:
            match each:
                case TextDelta(delta):
                    self.text.write(delta)
                case ReasoningDelta(delta, details):
                    self._thinking.write(delta)
                    if details is not None:
                        self._details.append(dict(details))
                case ToolCallEnd(call):
                    self.calls.append(call)
                case StepFinish(finish_reason):
                    self.finish_reason = finish_reason
        return events

    def keep(self, result: ToolResult) -> ToolResult:
        """Keep the result of a call, from any thread. Return the call's first result, which counts."""
        return self._results.setdefault(id(result.call), result)

    def _in_turn(self, result: ToolResult) -> Sequence[ToolProgress | ToolResult]:
        """Return the results whose turn it is now; if there are none, the progress that this call is done."""
        first = self.keep(result)
        self._fed.add(id(result.call))
        ready: list[ToolResult] = []
        while (call := self.next_call) and id(call) in self._fed:
            ready.append(self._results[id(call)])
            self._answered += 1
        return ready or [ToolProgress(result.call.id or "", first, result.call)]

    @property
    def next_call(self) -> LLMToolCall | None:
        """The first call whose result the reader hasn't seen."""
        return self.calls[self._answered] if self._answered < len(self.calls) else None

    def unanswered(self) -> tuple[LLMToolCall, ...]:
        """Return the calls that have no result."""
        return tuple(call for call in self.calls if id(call) not in self._results)

    def message(self) -> LLMMessage | None:
        """Return the assistant's message, None before its first character."""
        text, thinking = self.text.getvalue(), self._thinking.getvalue()
        if not (text or thinking or self.calls):
            return None
        return LLMMessage(
            role=MessageRole.Assistant,
            content=text if text or not self.calls else None,
            thinking=thinking or None,
            tool_calls=self.calls or None,
            reasoning_details=self._details or None,
        )

    def messages(self) -> list[LLMMessage]:
        """Return the assistant's message and the results of its calls, in the order of the calls."""
        message = self.message()
        return [message, *map(self._result_message, self.calls)] if message else []

    def _result_message(self, call: LLMToolCall) -> LLMMessage:
        result = self._results.get(id(call)) or ToolResult(call, NOT_RUN, is_error=True)
        return LLMMessage(
            role=MessageRole.Tool,
            content=result.output,
            tool_calls=[call],
            image_paths=list(result.images) or None,
            is_error=result.is_error,
        )


def sendable(message: LLMMessage) -> LLMMessage:
    """Return `message` as providers accept it: an object as JSON, and some text for an assistant that said nothing.

    Some refuse an empty message, and some refuse two messages of the user's in a row, so it can't be left out.
    """
    if message.tool_calls or (message.content or "").strip():
        return message
    if message.object is not None:
        content = message.object.model_dump_json()
    elif message.role is MessageRole.Assistant:
        content = NO_ANSWER
    else:
        return message
    return message.model_copy(update={"content": content, "thinking": None, "reasoning_details": None})
