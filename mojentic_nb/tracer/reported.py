"""Calls that a program reports to the tracer itself, by Mojentic's names, because no broker makes them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from mojentic_nb.llm import FinishReason, LLMToolCall, Usage
from mojentic_nb.llm.openai_messages import Message, read_call, read_messages
from mojentic_nb.llm.request import Tool
from mojentic_nb.llm.validation import complaint

from .events import LLMCallTracerEvent, LLMResponseTracerEvent, ToolBatchTracerEvent, ToolCallTracerEvent, TracerEvent

__all__ = ["ReportedCalls"]


class ReportedCalls:
    """The methods with which a program reports a request, a response, a tool call or a batch, when it happens.

    Events with the same `correlation_id` belong together; it is optional. `source` is Mojentic's and isn't kept.
    Messages, calls and tools may be dictionaries as well. Raises ValueError for one that can't be read, and TypeError
    for a message of another type.
    """

    def record_event(self, event: TracerEvent) -> None:
        """Keep `event`."""
        raise NotImplementedError

    def record_llm_call(
        self,
        model: str,
        messages: Sequence[Message],
        temperature: float | None = None,
        tools: Sequence[Tool | Mapping[str, Any]] | None = None,
        source: object = None,  # noqa: ARG002 (Mojentic's)
        correlation_id: str | None = None,
    ) -> None:
        """Report a request."""
        self.record_event(
            LLMCallTracerEvent(
                time.time(),
                correlation_id or "",
                model=model,
                messages=tuple(read_messages(messages)),
                tools=tuple(map(tool_name, tools or ())),
                temperature=temperature,
            )
        )

    def record_llm_response(
        self,
        model: str,
        content: str,
        tool_calls: Sequence[LLMToolCall | Mapping[str, Any]] | None = None,
        call_duration_ms: float | None = None,
        source: object = None,  # noqa: ARG002 (Mojentic's)
        correlation_id: str | None = None,
        *,
        usage: Usage | Mapping[str, Any] | None = None,
        finish_reason: FinishReason | None = None,
    ) -> None:
        """Report a response. A `usage` that is a dictionary has OpenAI's names or ours."""
        self.record_event(
            LLMResponseTracerEvent(
                time.time(),
                correlation_id or "",
                model=model,
                content=content,
                tool_calls=tuple(map(call_of, tool_calls or ())),
                duration=(call_duration_ms or 0) / 1000,
                usage=usage if isinstance(usage, Usage) else usage_of(usage or {}),
                finish_reason=finish_reason,
            )
        )

    def record_tool_call(  # noqa: PLR0917 (in Mojentic's order)
        self,
        tool_name: str,
        arguments: Mapping[str, Any],
        result: object,
        caller: str | None = None,
        call_duration_ms: float | None = None,
        source: object = None,  # noqa: ARG002 (Mojentic's)
        correlation_id: str | None = None,
    ) -> None:
        """Report a tool call; its `result` is kept as text."""
        self.record_event(
            ToolCallTracerEvent(
                time.time(),
                correlation_id or "",
                tool_name=tool_name,
                arguments=arguments,
                result=str(result),
                caller=caller,
                duration=(call_duration_ms or 0) / 1000,
            )
        )

    def record_tool_batch(  # noqa: PLR0917 (in Mojentic's order)
        self,
        batch_id: str,
        tool_names: Sequence[str],
        success_count: int,
        failure_count: int,
        call_duration_ms: float,
        caller: str | None = None,
        source: object = None,  # noqa: ARG002 (Mojentic's)
        correlation_id: str | None = None,
    ) -> None:
        """Report that all calls of a step have results."""
        self.record_event(
            ToolBatchTracerEvent(
                time.time(),
                correlation_id or "",
                batch_id=batch_id,
                tool_names=tuple(tool_names),
                success_count=success_count,
                failure_count=failure_count,
                caller=caller,
                duration=call_duration_ms / 1000,
            )
        )


def call_of(value: LLMToolCall | Mapping[str, Any]) -> LLMToolCall:
    """Return the call, given itself or as a dictionary."""
    try:
        return LLMToolCall.model_validate(read_call(value))
    except ValidationError as error:
        raise ValueError(f"The call can't be read: {complaint(error, '')}") from error


def tool_name(tool: Tool | Mapping[str, Any]) -> str:
    """Return the name of a tool, given itself or as its descriptor."""
    descriptor = tool if isinstance(tool, Mapping) else tool.descriptor
    try:
        return str(descriptor["function"]["name"])
    except (KeyError, TypeError) as error:
        raise ValueError('A tool must be like {"type": "function", "function": {"name": …}}.') from error


def usage_of(usage: Mapping[str, Any]) -> Usage:
    """Return the usage that a dictionary has."""
    return Usage(
        int(usage.get("input_tokens", usage.get("prompt_tokens")) or 0),
        int(usage.get("output_tokens", usage.get("completion_tokens")) or 0),
        int(usage.get("cached_tokens") or 0),
        int(usage.get("reasoning_tokens") or 0),
    )
