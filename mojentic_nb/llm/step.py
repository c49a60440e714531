"""One request to the model: how its events become the assistant's message, and the results of its calls the next."""

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
from .think_tags import ThinkTags

__all__ = ["NOT_RUN", "Step"]

NOT_RUN = "The call was stopped before it had a result."


class Step:
    """One request to the model, and what has come of it."""

    def __init__(self, *, think_tags: bool) -> None:
        self.asked = False
        self.seen = False
        self.retries = 0
        self.finish_reason: FinishReason | None = None
        self.calls: list[LLMToolCall] = []
        self._results: dict[int, ToolResult] = {}
        self._heard: set[int] = set()
        self._told = 0
        self.text = StringIO()  # not a list of a million pieces, each with an overhead of ten times its text
        self._thinking = StringIO()
        self._details: list[dict[str, object]] = []
        self._tags = ThinkTags() if think_tags else None

    def feed(self, event: ModelEvent | ToolProgress | ToolResult) -> Sequence[ModelEvent | ToolProgress | ToolResult]:
        """Take an event in; get it back, or those that it turns out to be."""
        self.seen = True
        if isinstance(event, ToolResult):
            return self._in_turn(event)
        parts: Sequence[ModelEvent | ToolProgress | ToolResult] = (event,)
        if self._tags and isinstance(event, TextDelta):
            parts = list(self._tags.feed(event.delta))
        elif self._tags and not isinstance(event, ReasoningDelta):
            parts = [*self._tags.end(), event]
        for part in parts:
            self._take(part)
        return parts

    def _take(self, event: ModelEvent | ToolProgress | ToolResult) -> None:
        match event:
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

    def keep(self, result: ToolResult) -> ToolResult:
        """Take the result of a call before it is told, from any thread; get back the call's first one, which counts."""
        return self._results.setdefault(id(result.call), result)

    def _in_turn(self, result: ToolResult) -> Sequence[ToolProgress | ToolResult]:
        """The results whose turn it is now that `result` is to be told; if none is, the news that there is one."""
        first = self.keep(result)
        self._heard.add(id(result.call))
        ready: list[ToolResult] = []
        while (call := self.untold) and id(call) in self._heard:
            ready.append(self._results[id(call)])
            self._told += 1
        return ready or [ToolProgress(result.call.id or "", first, result.call)]

    @property
    def untold(self) -> LLMToolCall | None:
        """The first call whose result the reader has not been told."""
        return self.calls[self._told] if self._told < len(self.calls) else None

    def unanswered(self) -> list[LLMToolCall]:
        """The calls that have no result."""
        return [call for call in self.calls if id(call) not in self._results]

    def message(self) -> LLMMessage | None:
        """The assistant's message, None while there is nothing of it."""
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
        """The assistant's message and the results of its calls, in the order of the calls."""
        message = self.message()
        if message is None:
            return []
        results = [self._results.get(id(call)) for call in self.calls]
        return [message, *(answered(call, result) for call, result in zip(self.calls, results, strict=True))]


def answered(call: LLMToolCall, result: ToolResult | None) -> LLMMessage:
    """The message that answers `call`, also where it has no result."""
    output, is_error, images = (result.output, result.is_error, result.images) if result else (NOT_RUN, True, ())
    return LLMMessage(
        role=MessageRole.Tool, content=output, tool_calls=[call], image_paths=list(images) or None, is_error=is_error
    )
