"""OpenAI's Chat Completions API, which most servers speak: messages to its JSON, its stream to events.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from mojentic_nb.llm.events import FinishReason, ModelEvent, ReasoningDelta, StepFinish, TextDelta, Usage
from mojentic_nb.llm.messages import LLMMessage, LLMToolCall, MessageRole

from .assembly import Calls, Characters
from .base import Request
from .decoding import Decoder, StreamError
from .images import load_image

__all__ = ["ChatDecoder", "encode"]

FINISH_REASONS: dict[str, FinishReason] = {
    "length": "length",
    "model_length": "length",  # Mistral's name for the context's end
    "content_filter": "content_filter",
}


def encode(request: Request) -> dict[str, Any]:
    """The request's JSON body; only settings that the caller made are in it."""
    config = request.config
    settings = {
        "temperature": config.temperature,
        "top_p": config.top_p,
        "top_k": config.top_k,
        "max_tokens": config.token_limit,
        "reasoning_effort": config.reasoning_effort,
        "response_format": response_format(request),
        "tools": [dict(tool.descriptor) for tool in request.tools] or None,
    }
    return {
        "model": request.model,
        "messages": [encode_message(message) for message in request.messages],
        "stream": True,
        "stream_options": {"include_usage": True},
        **{name: value for name, value in settings.items() if value is not None},
    }


def response_format(request: Request) -> dict[str, Any] | None:
    """The form that the answer is to have."""
    if request.object_model is None:
        return request.config.response_format
    # OpenAI lets a name have 64 of these characters, so "Page[Row]" is none.
    name = re.sub(r"[^\w-]", "_", request.object_model.__name__, flags=re.ASCII)[:64]
    return {"type": "json_schema", "json_schema": {"name": name, "schema": request.schema}}


def encode_message(message: LLMMessage) -> dict[str, Any]:
    """One message's JSON."""
    encoded: dict[str, Any] = {"role": message.role.value, "content": message.content}
    if message.role is MessageRole.Tool:
        encoded["tool_call_id"] = message.tool_calls[0].id if message.tool_calls else None
        return encoded
    if message.image_paths:
        encoded["content"] = content_parts(message.content, message.image_paths)
    if message.tool_calls:
        encoded["tool_calls"] = [encode_call(call) for call in message.tool_calls]
        # DeepSeek refuses a tool's result without the reasoning that led to the call.
        # https://api-docs.deepseek.com/guides/thinking_mode#tool-calls
        for details in message.reasoning_details or ():
            if "field" in details:
                encoded[details["field"]] = message.thinking
    return encoded


def content_parts(text: str | None, image_paths: Sequence[str]) -> list[dict[str, Any]]:
    """A message's text and images."""
    images = [{"type": "image_url", "image_url": {"url": load_image(path).url}} for path in image_paths]
    return [{"type": "text", "text": text}, *images] if text else images


def encode_call(call: LLMToolCall) -> dict[str, Any]:
    """A call's JSON."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.json_arguments()}}


class ChatDecoder(Decoder):
    """Reads a streamed completion; also a whole one, from a server that doesn't stream.

    The finish reason comes before the usage, which has a last chunk of its own, so the StepFinish is made at the end.
    """

    def __init__(self, turn: int = 0) -> None:
        super().__init__()
        self._text = Characters()
        self._reasoning = Characters()
        self._reasoning_field = ""
        self._calls = Calls(turn)
        self._finish_reason: str | None = None
        self._usage = Usage()

    def read(self, body: dict[str, Any]) -> Sequence[ModelEvent]:
        """The events of one chunk."""
        if error := body.get("error"):
            raise StreamError(error)
        if counts := body.get("usage"):
            self._usage = read_usage(counts)
        events: list[ModelEvent] = []
        for choice in body.get("choices") or ():
            self._read_piece(choice.get("delta") or choice.get("message") or {}, events)
            self._finish_reason = choice.get("finish_reason") or self._finish_reason
        return events

    def _read_piece(self, piece: dict[str, Any], events: list[ModelEvent]) -> None:
        for field in ("reasoning_content", "reasoning"):
            if (value := piece.get(field)) and isinstance(value, str):
                self._reasoning_field = field
                self._add(events, ReasoningDelta, self._reasoning.feed(value))
                break
        content = piece.get("content") or piece.get("refusal")
        if isinstance(content, str):
            self._add(events, TextDelta, self._text.feed(content))
        elif content:
            self._read_parts(content, events)
        for call in piece.get("tool_calls") or ():
            function = call.get("function") or {}
            events += self._calls.feed(
                index=call.get("index"),
                call_id=call.get("id"),
                name=function.get("name"),
                arguments=function.get("arguments"),
            )

    def _read_parts(self, parts: list[dict[str, Any]], events: list[ModelEvent]) -> None:
        """Content as a list of parts, as Mistral's reasoning models send it."""
        for part in parts:
            if thinking := part.get("thinking"):
                text = "".join(inner.get("text") or "" for inner in thinking)
                self._add(events, ReasoningDelta, self._reasoning.feed(text))
            self._add(events, TextDelta, self._text.feed(part.get("text") or ""))

    def finish(self) -> Iterable[ModelEvent]:
        """The events at the end; none where the answer broke off, with neither a finish reason nor ``[DONE]``."""
        events: list[ModelEvent] = []
        self._add(events, ReasoningDelta, self._reasoning.end())
        self._add(events, TextDelta, self._text.end())
        if not (self._finish_reason or self.done):
            return events
        finish_reason = FINISH_REASONS.get(self._finish_reason or "stop", "stop")
        if self._calls and finish_reason == "stop":
            if self._reasoning_field:
                events.append(ReasoningDelta("", {"field": self._reasoning_field}))
            events += self._calls.end()
            finish_reason = "tool_calls"
        events.append(StepFinish(finish_reason, self._usage))
        return events

    @staticmethod
    def _add(events: list[ModelEvent], kind: type[TextDelta | ReasoningDelta], text: str) -> None:
        if text:
            events.append(kind(text))


def read_usage(counts: dict[str, Any]) -> Usage:
    """The tokens that a completion took."""
    read = counts.get("prompt_tokens_details") or {}
    written = counts.get("completion_tokens_details") or {}
    return Usage(
        counts.get("prompt_tokens") or 0,
        counts.get("completion_tokens") or 0,
        read.get("cached_tokens") or 0,
        written.get("reasoning_tokens") or 0,
    )
