"""What a cell was answered, as a value."""

from __future__ import annotations

from typing import Any, Self

from mojentic_nb.display import Transcript, as_html
from mojentic_nb.display.render.table import Table
from mojentic_nb.llm import AsyncRun, Event, FinishReason, LLMMessage, LLMToolCall, Run, ToolResult, Usage
from mojentic_nb.tracer import Waterfall

from .objects import as_table, as_value

__all__ = ["Response"]


class Response(str):
    """An answer's text, and all that is known of it.

    `messages` are the conversation with it, `tool_calls` what the model called on the way, `events` what happened,
    `usage` the tokens that it took, `model` who gave it, `finish_reason` why it ended (None after an error), `object`
    what ``--as`` asked for, `trace` when its requests and calls began and ended.
    """

    messages: list[LLMMessage]
    tool_calls: list[LLMToolCall]
    events: list[Event]
    usage: Usage
    model: str
    finish_reason: FinishReason | None
    object: Any
    trace: Waterfall
    _transcript: Transcript
    _table: Table | None

    @classmethod
    def of(
        cls,
        run: Run | AsyncRun,
        transcript: Transcript,
        events: list[Event],
        model: str,
        object: Any,  # noqa: A002, ANN401 (what the user asked for, None if that is text)
        trace: Waterfall,
    ) -> Self:
        """The response that `run` is, as it was shown in `transcript`."""
        last = run.partial
        response = cls((last.content or "") if last else "")
        response.messages = run.messages
        response.tool_calls = [event.call for event in events if isinstance(event, ToolResult)]
        response.events = events
        response.usage = run.usage
        response.model = model
        response.finish_reason = run.finish_reason
        response.object = as_value(object)
        response.trace = trace
        response._transcript = transcript
        response._table = None if object is None else as_table(object)
        return response

    def _repr_html_(self) -> str:
        return as_html(self._transcript) + (self._table._repr_html_() if self._table else "")
