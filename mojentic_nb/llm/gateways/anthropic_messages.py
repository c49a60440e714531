"""Anthropic's Messages API: messages to its JSON, its stream to events.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import StringIO
from typing import Any

from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.events import FinishReason, ModelEvent, ReasoningDelta, StepFinish, TextDelta, Usage
from mojentic_nb.llm.messages import LLMMessage, LLMToolCall, MessageRole

from .assembly import Calls, Characters
from .base import Request
from .decoding import Decoder, StreamError
from .images import Image, load_image
from .interleaving import interleaved, placed
from .schemas import ANTHROPIC, fitted
from .tool_choice import chosen, is_forced

__all__ = ["MessagesDecoder", "encode"]

# The API wants a limit with each request. The oldest models that are still served can write this much.
MAX_TOKENS = 8192
# Models up to 4.5 take a budget of tokens for their thinking, later ones an effort.
# https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking
# With MAX_TOKENS, these stay below the 32,000 tokens that the least of them can write.
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 20480, "max": 23808}
TAKES_BUDGET = re.compile(r"claude-(3-7|(sonnet|opus)-4[-@](0|1|2025)|(haiku|sonnet|opus)-4-5)")
# For a schema that the API refuses: one that holds itself, or leaves keys or values free.
FOLLOW = "Answer with nothing but JSON that follows this schema: "
FINISH_REASONS: dict[str, FinishReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


def encode(request: Request) -> dict[str, Any]:
    """The request's JSON body; of the settings only those that the caller made are in it."""
    config = request.config
    system = [message.content for message in request.messages if message.role is MessageRole.System]
    thinking, output = reasoning(request)
    if request.schema is not None:
        if schema := fitted(request.schema, ANTHROPIC):
            output["format"] = {"type": "json_schema", "schema": schema}
        else:
            system.append(FOLLOW + json.dumps(request.schema, ensure_ascii=False))
    settings = {
        "system": "\n\n".join(filter(None, system)) or None,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "top_k": config.top_k,
        "thinking": thinking,
        "output_config": output or None,
        "tools": [encode_tool(tool.descriptor) for tool in request.tools] or None,
        "tool_choice": tool_choice(request),
    }
    budget = (thinking or {}).get("budget_tokens", 0)
    return {
        "model": request.model,
        "messages": encode_messages(request.messages),
        "max_tokens": config.token_limit or MAX_TOKENS + budget,
        "stream": True,
        **{name: value for name, value in settings.items() if value is not None},
    }


def reasoning(request: Request) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """The settings ``thinking`` and ``output_config`` for the effort that the caller asks for."""
    match request.config.reasoning_effort:
        case None:
            return None, {}
        case "none":
            return {"type": "disabled"}, {}
        case effort if TAKES_BUDGET.search(request.model):
            limit = request.config.token_limit
            budget = BUDGETS[effort] if limit is None else max(1024, min(BUDGETS[effort], limit - 1))
            return {"type": "enabled", "budget_tokens": budget}, {}
        case effort:
            return {"type": "adaptive", "display": "summarized"}, {"effort": effort if effort != "minimal" else "low"}


def tool_choice(request: Request) -> dict[str, str] | None:
    """Whether tools are to be called, and which.

    A call that is forced can't be thought about: the API refuses both together, and neither is left out unasked.
    https://platform.claude.com/docs/en/build-with-claude/extended-thinking#extended-thinking-with-tool-use
    """
    choice = chosen(request)
    if is_forced(choice) and request.config.reasoning_effort not in (None, "none"):
        raise ConfigurationError(
            f"Claude can't think before a call that it has to make: leave out tool_choice={choice!r}, "
            f"or reasoning_effort={request.config.reasoning_effort!r}."
        )
    match choice:
        case None:
            return None
        case "auto" | "none" as mode:
            return {"type": mode}
        case "required":
            return {"type": "any"}
        case name:
            return {"type": "tool", "name": name}


def encode_tool(descriptor: Mapping[str, Any]) -> dict[str, Any]:
    """A tool's JSON."""
    function = descriptor["function"]
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    return {"name": function["name"], "description": function.get("description", ""), "input_schema": schema}


def encode_messages(messages: Iterable[LLMMessage]) -> list[dict[str, Any]]:
    """The turns of the conversation: tools' results are the user's, and what follows on the same side is one turn."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role is MessageRole.System:
            continue
        role = "assistant" if message.role is MessageRole.Assistant else "user"
        if content := encode_content(message):
            if turns and turns[-1]["role"] == role:
                turns[-1]["content"] += content
            else:
                turns.append({"role": role, "content": content})
    return turns


def encode_content(message: LLMMessage) -> list[dict[str, Any]]:
    """One message's blocks; the API refuses an empty text."""
    if message.role is MessageRole.Tool:
        call_id = message.tool_calls[0].id if message.tool_calls else None
        content: Any = message.content or ""
        if images := image_blocks(message):
            content = [*text_blocks(message.content or ""), *images]
        return [{"type": "tool_result", "tool_use_id": call_id, "content": content}]
    if message.role is MessageRole.Assistant:
        return list(assistant_blocks(message))
    return [*image_blocks(message), *text_blocks(message.content or "")]


def image_blocks(message: LLMMessage) -> list[dict[str, Any]]:
    """The blocks of a message's images."""
    return [{"type": "image", "source": encode_image(load_image(path))} for path in message.image_paths or ()]


def assistant_blocks(message: LLMMessage) -> Iterator[dict[str, Any]]:
    """Text, thinking and calls in the order in which the model wrote them: the API refuses thinking anywhere else."""
    for part in interleaved(message, "thinking"):
        match part:
            case str():
                yield from text_blocks(part)
            case LLMToolCall():
                yield {"type": "tool_use", "id": part.id, "name": part.name, "input": part.arguments}
            case _:
                yield part


def text_blocks(text: str) -> list[dict[str, Any]]:
    """`text` as a block, if there is any."""
    return [{"type": "text", "text": text}] if text.strip() else []


def encode_image(image: Image) -> dict[str, str]:
    """An image's source."""
    if image.link:
        return {"type": "url", "url": image.link}
    return {"type": "base64", "media_type": image.media_type, "data": image.data}


class MessagesDecoder(Decoder):
    """Reads a streamed message; also a whole one, from a proxy that doesn't stream."""

    def __init__(self, turn: int = 0) -> None:
        super().__init__()
        self._text = Characters()
        self._written = 0  # characters
        self._calls = Calls(turn)
        self._block: dict[str, Any] | None = None  # of thinking, while it is open
        self._thinking = StringIO()
        self._thoughts = Characters()
        self._signature = ""
        self._calling: set[int] = set()  # the indices of blocks that are calls of ours, and not of the provider's tools
        self._counts: dict[str, int] = {}
        self._stop_reason: str | None = None

    def read(self, body: dict[str, Any]) -> Sequence[ModelEvent]:
        """The events of one of the API's events."""
        match body.get("type"):
            case "content_block_delta":
                return self._continued(body["index"], body["delta"])
            case "content_block_start":
                return self._started(body["index"], body["content_block"])
            case "content_block_stop":
                return self._closed()
            case "message_start":
                self._count(body["message"].get("usage"))
            case "message_delta":
                self._count(body.get("usage"))
                self._stop_reason = body["delta"].get("stop_reason") or self._stop_reason
            case "message_stop":
                self.done = True
            case "message":
                return self._whole(body)
            case "error" | None if error := body.get("error"):  # a proxy's has no type
                raise StreamError(error)
        return ()

    def finish(self) -> Iterable[ModelEvent]:
        """The events at the end; no StepFinish where the message broke off."""
        if half := self._text.end():
            yield TextDelta(half)
        if not self._stop_reason:
            return
        finish_reason = FINISH_REASONS.get(self._stop_reason, "stop")
        if self._calls and finish_reason == "stop":
            yield from self._calls.end()
            finish_reason = "tool_calls"
        cached = self._counts.get("cache_read_input_tokens", 0)
        # The provider counts what it read from its cache, and what it wrote there, apart from the rest.
        read = self._counts.get("input_tokens", 0) + cached + self._counts.get("cache_creation_input_tokens", 0)
        thought = self._counts.get("thinking_tokens", 0)
        yield StepFinish(finish_reason, Usage(read, self._counts.get("output_tokens", 0), cached, thought))

    def _started(self, index: int, block: dict[str, Any]) -> list[ModelEvent]:
        match block["type"]:
            case "text":
                return self._said(block.get("text") or "")
            case "thinking":
                self._block, self._thinking, self._signature = block, StringIO(), block.get("signature") or ""
                return self._thought(block.get("thinking") or "")
            case "redacted_thinking":
                return [self._reasoned(block)]
            case "tool_use":
                self._calling.add(index)
                whole = block.get("input") or None
                return list(self._calls.feed(index=index, call_id=block["id"], name=block["name"], arguments=whole))
        return []

    def _continued(self, index: int, delta: dict[str, Any]) -> Sequence[ModelEvent]:
        match delta["type"]:
            case "text_delta":
                return self._said(delta["text"])
            case "input_json_delta" if index in self._calling:
                piece = delta["partial_json"]
                return list(self._calls.feed(index=index, call_id=None, name=None, arguments=piece))
            case "thinking_delta":
                return self._thought(delta["thinking"])
            case "signature_delta":
                self._signature += delta["signature"]
        return ()

    def _whole(self, message: dict[str, Any]) -> list[ModelEvent]:
        """The events of a message that comes in one piece."""
        events: list[ModelEvent] = []
        for index, block in enumerate(message["content"]):
            events += [*self._started(index, block), *self._closed()]
        self._count(message.get("usage"))
        self._stop_reason = message.get("stop_reason")
        return events

    def _thought(self, text: str) -> list[ModelEvent]:
        whole = self._thoughts.feed(text)
        self._thinking.write(whole)
        return [ReasoningDelta(whole)] if whole else []

    def _closed(self) -> list[ModelEvent]:
        """A block is complete; one of thinking is wanted back as it was."""
        block, self._block = self._block, None
        if block is None:
            return []
        half = self._thoughts.end()
        self._thinking.write(half)
        said = [ReasoningDelta(half)] if half else []
        return [*said, self._reasoned({**block, "thinking": self._thinking.getvalue(), "signature": self._signature})]

    def _reasoned(self, block: dict[str, Any]) -> ReasoningDelta:
        """A block of thinking, complete."""
        return ReasoningDelta("", placed(block, self._written, len(self._calls)))

    def _said(self, text: str) -> list[ModelEvent]:
        whole = self._text.feed(text)
        self._written += len(whole)
        return [TextDelta(whole)] if whole else []

    def _count(self, usage: Mapping[str, Any] | None) -> None:
        """Take in counts, which are cumulative."""
        usage = usage or {}
        counts = {**usage, **(usage.get("output_tokens_details") or {})}
        self._counts |= {name: count for name, count in counts.items() if isinstance(count, int)}
