"""OpenAI's Chat Completions API, which most servers speak: messages to its JSON, and its stream to events.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mojentic_nb.llm.events import FinishReason, ModelEvent, ReasoningDelta, StepFinish, Usage
from mojentic_nb.llm.messages import LLMMessage, LLMToolCall, MessageRole
from mojentic_nb.llm.openai_messages import FINISH_REASONS
from mojentic_nb.llm.request import Request, Tally, chosen

from .assembly import Calls, Prose
from .decoding import Decoder, StreamError, identity
from .fields import drop_unset, read_count, read_object, read_objects, read_text, sendable
from .images import load_image, with_images_after_results
from .schemas import OPENAI, translate

__all__ = ["ChatDecoder", "encode", "response_format"]

REASONING = ("reasoning_content", "reasoning")  # different servers' names
# Finish reasons of replies that failed: OpenRouter and Mistral, vLLM, DeepSeek, Zhipu, Gemini.
FAILURES = {"error", "abort", "insufficient_system_resource", "network_error", "function_call_filter"}


def encode(request: Request) -> dict[str, Any]:
    """Return the JSON body of `request`."""
    config = request.config
    settings = {
        "temperature": config.temperature,
        "top_p": config.top_p,
        "top_k": config.top_k,
        "max_tokens": config.token_limit,
        "reasoning_effort": config.reasoning_effort,
        "response_format": response_format(request),
        "tools": [dict(tool.descriptor) for tool in request.tools] or None,
        "tool_choice": tool_choice(request),
    }
    return {
        "model": request.model,
        "messages": list(encode_messages(request.messages)),
        "stream": True,
        "stream_options": {"include_usage": True},
        **drop_unset(settings),
    }


def tool_choice(request: Request) -> str | dict[str, Any] | None:
    """Return the setting ``tool_choice``."""
    match chosen(request):
        case None | "auto" | "none" | "required" as mode:
            return mode
        case name:
            return {"type": "function", "function": {"name": name}}


def response_format(request: Request) -> dict[str, Any] | None:
    """Return the setting ``response_format``."""
    if request.object_model is None:
        return request.config.response_format
    # OpenAI allows 64 of these characters, so not "Page[Row]".
    name = re.sub(r"[^\w-]", "_", request.object_model.__name__, flags=re.ASCII)[:64]
    schema = translate(request.schema or {}, OPENAI)
    strict = schema is not None  # otherwise the model sees the schema, but isn't held to it
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema or request.schema, "strict": strict}}


def encode_messages(messages: Iterable[LLMMessage]) -> Iterator[dict[str, Any]]:
    """Yield the JSON of the messages, with the reasoning in a turn with calls.

    DeepSeek refuses a call's result without it. https://api-docs.deepseek.com/guides/thinking_mode#tool-calls
    """
    called, field = False, ""
    for message in with_images_after_results(messages):
        encoded = encode_message(message)
        if message.role is MessageRole.User:
            called, field = False, ""
        called = called or bool(message.tool_calls)
        for details in message.reasoning_details or ():
            field = details["field"] if details.get("field") in REASONING else field
            if "reasoning_details" in details:
                encoded["reasoning_details"] = details["reasoning_details"]
            for call in encoded.get("tool_calls", ()):
                call.update(read_object(read_object(details.get("calls")).get(call["id"])))
        if called and field and message.role is MessageRole.Assistant:
            encoded[field] = message.thinking or ""
        yield encoded


def encode_message(message: LLMMessage) -> dict[str, Any]:
    """Return the JSON of one message, without its reasoning."""
    encoded: dict[str, Any] = {"role": message.role.value, "content": message.content}
    if message.role is MessageRole.Tool:
        encoded["tool_call_id"] = message.tool_calls[0].id if message.tool_calls else None
        return encoded
    if message.image_paths:
        encoded["content"] = content_parts(message.content, message.image_paths)
    if message.tool_calls:
        encoded["tool_calls"] = [encode_call(call) for call in message.tool_calls]
    return encoded


def content_parts(text: str | None, image_paths: Sequence[str]) -> list[dict[str, Any]]:
    """Return the content of a message with images."""
    images = [{"type": "image_url", "image_url": {"url": load_image(path).url}} for path in image_paths]
    return [{"type": "text", "text": text}, *images] if text else images


def encode_call(call: LLMToolCall) -> dict[str, Any]:
    """Return the JSON of a call."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.json_arguments()}}


class ChatDecoder(Decoder):
    """Reads a streamed completion, or a whole one from a server that doesn't stream.

    The usage arrives after the finish reason, in a chunk of its own, so the StepFinish is made at the end.
    """

    def __init__(self, turn: int = 0, tally: Tally | None = None) -> None:
        super().__init__()
        self._tally = tally or Tally()
        self._usage = Usage()
        self._prose = Prose()
        self._field = ""
        self._thought = False
        self._details: dict[str, Any] = {}
        self._calls = Calls(turn)
        self._refused = False
        self._finish_reason: FinishReason | None = None
        self._last: dict[str, Any] = {}

    def read(self, body: dict[str, Any]) -> Sequence[ModelEvent]:
        """Return the events of one chunk."""
        if error := body.get("error"):
            raise StreamError(error)
        if body.get("object") == "error":  # older vLLMs
            raise StreamError(body)
        if "choices" not in body and body.keys() & {"message", "detail"}:  # a proxy's, with status 200
            raise StreamError(body)
        counts = body.get("usage")
        if not counts and "x_groq" in body:
            counts = read_object(body["x_groq"]).get("usage")
        if counts:
            self._count(counts)
        events: list[ModelEvent] = []
        for choice in body.get("choices") or ():
            index = choice.get("index")
            if index and type(index) is int and index > 0:  # a second reply, which some servers are set up to give
                continue
            piece = choice.get("delta")
            self._read_piece((choice.get("message") if piece is None else piece) or {}, events)
            if counts := choice.get("usage"):  # Moonshot's
                self._count(counts)
            if reason := choice.get("finish_reason"):
                self._finish_reason = finish_reason(reason, choice)
                self._last = body
        return events

    def _count(self, counts: object) -> None:
        """Read counts, which are cumulative."""
        self._usage = self._tally.usage = read_usage(counts)

    def _read_piece(self, piece: dict[str, Any], events: list[ModelEvent]) -> None:
        for field in REASONING:
            if isinstance(value := piece.get(field), str):
                self._field = field
                self._thought = self._thought or bool(value)
                self._prose.reasoning(value, events)
                break
        if blocks := piece.get("reasoning_details"):
            for block in read_objects(blocks):
                add_block(self._details.setdefault("reasoning_details", []), block)
        self._refused = self._refused or bool(piece.get("refusal"))
        content = piece.get("content") or piece.get("refusal")
        if isinstance(content, str):
            self._prose.text(content, events)
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
            if extra := call.get("extra_content"):  # Gemini's signature of the thought that led to the call
                self._details.setdefault("calls", {})[self._calls.last_id] = {"extra_content": extra}

    def _read_parts(self, parts: list[dict[str, Any]], events: list[ModelEvent]) -> None:
        """Read content in parts, as Mistral's reasoning models send it."""
        for part in parts:
            if thinking := part.get("thinking"):
                inner = [{"text": thinking}] if isinstance(thinking, str) else thinking
                self._prose.reasoning("".join(piece.get("text") or "" for piece in inner), events)
            self._prose.text(part.get("text") or "", events)

    def finish(self) -> Iterable[ModelEvent]:
        """Return the events at the end; none if the reply broke off, with neither a finish reason nor ``[DONE]``."""
        events = list(self._prose.end())
        if not (self._finish_reason or self.done):
            return events
        if self._field and (self._thought or self._calls):  # servers that want it back also want an empty one
            self._details["field"] = self._field
        if self._details:
            events.append(ReasoningDelta("", sendable(self._details)))
        reason = self._finish_reason or "stop"
        if self._calls and reason == "stop":
            events += self._calls.end()
            reason = "tool_calls"
        if self._refused and reason == "stop":
            reason = "content_filter"
        events.append(StepFinish(reason, self._usage, *identity(self._last)))
        return events


def finish_reason(reason: object, choice: dict[str, Any]) -> FinishReason:
    """Return our name for a finish reason; raise StreamError if the reply failed."""
    name, _, more = str(reason).lower().partition(":")  # "content_filter: PROHIBITED_CONTENT"
    if name in FAILURES:
        raise StreamError(choice.get("error") or f"the reply ended with {more.strip() or reason!r}")
    return FINISH_REASONS.get(name, "stop")


def add_block(blocks: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    """Add a piece of OpenRouter's reasoning to its block: text grows, other fields are sent once.

    https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks
    """
    last = blocks[-1] if blocks else {}
    if (piece.get("type"), piece.get("index")) != (last.get("type"), last.get("index")):
        blocks.append(dict(piece))
        return
    for name, value in piece.items():
        if name in ("text", "summary", "data") and isinstance(before := last.get(name), str):
            last[name] = before + read_text(value)
        elif value is not None:
            last[name] = value


def read_usage(usage: object) -> Usage:
    """Return the tokens that a completion used."""
    counts = read_object(usage)
    read = read_object(counts.get("prompt_tokens_details"))
    written = read_object(counts.get("completion_tokens_details"))
    # DeepSeek's and Moonshot's names are different.
    cached = read.get("cached_tokens") or counts.get("prompt_cache_hit_tokens") or counts.get("cached_tokens")
    return Usage(
        read_count(counts.get("prompt_tokens")),
        read_count(counts.get("completion_tokens")),
        read_count(cached),
        read_count(written.get("reasoning_tokens")),
    )
