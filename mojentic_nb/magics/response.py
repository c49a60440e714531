"""What a cell returns: its answer as a value."""

from __future__ import annotations

import sys
from typing import Any, Self

from pydantic import BaseModel

from mojentic_nb.display import Transcript, as_html
from mojentic_nb.llm import AsyncRun, Event, FinishReason, LLMMessage, LLMToolCall, Run, ToolResult, Usage
from mojentic_nb.tracer import Waterfall

from .tables import Table, as_table

__all__ = ["Response"]


class Response(str):
    """The text of an answer, with everything known about it.

    `messages` are the conversation with the answer, `tool_calls` the calls that the model made on the way, `events` all
    that happened, `usage` the tokens used, `model` the model's name, `finish_reason` why the answer ended (None after
    an error), `object` what ``--as`` asked for, `trace` when the requests and calls began and ended.
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
        """Make the response that `run` gave, shown in `transcript`."""
        last = run.partial
        response = cls((last.content or "") if last else "")
        response.messages = run.messages
        response.tool_calls = [event.call for event in events if isinstance(event, ToolResult)]
        response.events = events
        response.usage = run.usage
        response.model = model
        response.finish_reason = run.finish_reason
        response.object = as_frame(object)
        response.trace = trace
        response._transcript = transcript
        response._table = None if object is None else as_table(object)
        return response

    def _repr_html_(self) -> str:
        return as_html(self._transcript) + (self._table._repr_html_() if self._table else "")


def as_frame(value: object) -> object:
    """Return a list of models as a DataFrame if pandas is imported, and any other value as it is."""
    pandas = sys.modules.get("pandas")
    if pandas and isinstance(value, list) and value and all(isinstance(row, BaseModel) for row in value):
        return pandas.DataFrame([row.model_dump() for row in value])
    return value
