"""Anthropic's Messages API: messages to its JSON, and its stream to events.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from io import StringIO
from itertools import dropwhile, groupby, takewhile
from operator import itemgetter
from typing import Any

from mojentic_nb.llm.arguments import parse_call
from mojentic_nb.llm.errors import ConfigurationError, MaxToolIterationsExceededError
from mojentic_nb.llm.events import FinishReason, ModelEvent, ReasoningDelta, StepFinish, TextDelta, Usage
from mojentic_nb.llm.messages import LLMMessage, LLMToolCall, MessageRole
from mojentic_nb.llm.request import Request, chosen, is_forced

from .assembly import Calls, Characters, interleave, place
from .decoding import Decoder, Paused, StreamError, identity
from .fields import drop_unset, read_count, read_index, read_object, read_text
from .images import Image, load_image
from .schemas import ANTHROPIC, translate

__all__ = ["MessagesDecoder", "encode"]

# The API requires a token limit. All models that are still served can write this many.
MAX_TOKENS = 8192
# Models up to 4.5 have a token budget for thinking, later ones an effort.
# https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking
# Together with MAX_TOKENS, these stay within the smallest limit of these models, 32,000 tokens.
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 20480, "max": 23808}
TAKES_BUDGET = re.compile(r"claude-(3-7|(sonnet|opus)-4[-@](0|1|2025)|(haiku|sonnet|opus)-4-5)")
# Models that support a system message among the others, where the API allows it: after a user's, and before an
# assistant's or at the end. https://platform.claude.com/docs/en/build-with-claude/mid-conversation-system-messages
TAKES_SYSTEM_TURNS = re.compile(r"claude-(opus-(4-8|[5-9])|fable|mythos)")
# The end of the types of results of the provider's own tools. They are sent back in their place, as is thinking.
SERVER_RESULT = "_tool_result"
SENT_BACK = ("thinking", "server_tool_use", SERVER_RESULT)
# For a schema that the API refuses: one that refers to itself, or has free keys or values.
FOLLOW = "Answer with nothing but JSON that follows this schema: "
FINISH_REASONS: dict[str, FinishReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}


def encode(request: Request) -> dict[str, Any]:
    """Return the JSON body of `request`."""
    config = request.config
    system = [message.content for message in takewhile(is_system, request.messages)]
    thinking, output = reasoning(request)
    if request.schema is not None:
        if schema := translate(request.schema, ANTHROPIC):
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
        "messages": encode_messages(request.messages, system_turns=bool(TAKES_SYSTEM_TURNS.search(request.model))),
        "max_tokens": config.token_limit or MAX_TOKENS + budget,
        "stream": True,
        **drop_unset(settings),
    }


def reasoning(request: Request) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Return the settings ``thinking`` and ``output_config`` for the reasoning effort."""
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
    """Return the setting ``tool_choice``.

    The API refuses thinking together with a forced call.
    https://platform.claude.com/docs/en/build-with-claude/extended-thinking#extended-thinking-with-tool-use
    """
    choice = chosen(request)
    if is_forced(choice) and request.config.reasoning_effort not in (None, "none"):
        raise ConfigurationError(
            f"Claude can't think before a forced tool call. Leave out tool_choice={choice!r} or "
            f"reasoning_effort={request.config.reasoning_effort!r}."
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
    """Return the JSON of a tool."""
    function = descriptor["function"]
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    return {"name": function["name"], "description": function.get("description", ""), "input_schema": schema}


def is_system(message: LLMMessage) -> bool:
    """Return whether `message` is the system's."""
    return message.role is MessageRole.System


def encode_messages(messages: Iterable[LLMMessage], *, system_turns: bool) -> list[dict[str, Any]]:
    """Return the turns of the conversation after the first system messages. Tool results are in the user's turns.

    Later system messages keep their place: as their own turn where the API allows it, otherwise marked in the user's.
    """
    ids = CallIds()
    turns = join_turns((turn_of(message), encode_content(message, ids)) for message in dropwhile(is_system, messages))
    for before, turn, after in zip([None, *turns], turns, [*turns[1:], None], strict=False):
        follows_user = before is not None and before["role"] == "user"
        precedes_answer = after is None or after["role"] == "assistant"
        if turn["role"] == "system" and not (system_turns and follows_user and precedes_answer):
            turn["role"] = "user"
            turn["content"] = [block | {"text": f"<system>\n{block['text']}\n</system>"} for block in turn["content"]]
    return join_turns((turn["role"], turn["content"]) for turn in turns)


def turn_of(message: LLMMessage) -> str:
    """Return whose turn a message belongs to."""
    return "user" if message.role is MessageRole.Tool else message.role.value


def join_turns(contents: Iterable[tuple[str, list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    """Return the turns of pairs of role and content; those in a row with the same role are one turn."""
    turns = groupby((pair for pair in contents if pair[1]), itemgetter(0))
    return [{"role": role, "content": [block for _, content in pairs for block in content]} for role, pairs in turns]


class CallIds:
    """Ids for one request's calls as the API requires: of letters, digits, ``_`` and ``-``, each for one call only.

    Other providers' ids may be neither. Get the ids of calls and results in the order of the messages.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._unanswered: defaultdict[str | None, deque[str]] = defaultdict(deque)

    def of_call(self, given: str | None) -> str:
        """Return a call's id."""
        name = made = re.sub("[^a-zA-Z0-9_-]", "_", given or "call")
        number = 1
        while made in self._taken:
            number += 1
            made = f"{name}_{number}"
        self._taken.add(made)
        self._unanswered[given].append(made)
        return made

    def of_result(self, given: str | None) -> str:
        """Return the id of the call that a result answers."""
        waiting = self._unanswered[given]
        return waiting.popleft() if waiting else self.of_call(given)


def encode_content(message: LLMMessage, ids: CallIds) -> list[dict[str, Any]]:
    """Return one message's blocks; the API refuses an empty text."""
    if message.role is MessageRole.Tool:
        call_id = ids.of_result(message.tool_calls[0].id if message.tool_calls else None)
        content: Any = message.content or ""
        if images := image_blocks(message):
            content = [*text_blocks(message.content or ""), *images]
        failed = {"is_error": True} if message.is_error else {}
        return [{"type": "tool_result", "tool_use_id": call_id, "content": content, **failed}]
    if message.role is MessageRole.Assistant:
        return list(assistant_blocks(message, ids))
    return [*image_blocks(message), *text_blocks(message.content or "")]


def image_blocks(message: LLMMessage) -> list[dict[str, Any]]:
    """Return the blocks of a message's images."""
    return [{"type": "image", "source": encode_image(load_image(path))} for path in message.image_paths or ()]


def assistant_blocks(message: LLMMessage, ids: CallIds) -> Iterator[dict[str, Any]]:
    """Yield text, thinking and calls in the order in which the model wrote them; the API refuses another order."""
    for part in interleave(message, SENT_BACK):
        match part:
            case str():
                yield from text_blocks(part)
            case LLMToolCall():
                yield {"type": "tool_use", "id": ids.of_call(part.id), "name": part.name, "input": part.arguments}
            case _:
                yield part


def text_blocks(text: str) -> list[dict[str, Any]]:
    """Return `text` as a block, if there is any."""
    return [{"type": "text", "text": text}] if text.strip() else []


def encode_image(image: Image) -> dict[str, str]:
    """Return an image's source."""
    if image.link:
        return {"type": "url", "url": image.link}
    return {"type": "base64", "media_type": image.media_type, "data": image.data}


@dataclass(frozen=True, slots=True)
class Resumed(Request):
    """A request that ends with the model's reply before its turn was paused.

    `spent` is the usage of the requests before it, `pauses` their number.
    """

    spent: Usage = field(default_factory=Usage)
    pauses: int = 0


class MessagesDecoder(Decoder):
    """Reads a streamed message, or a whole one from a proxy that doesn't stream.

    Raises Paused if the provider pauses the model's turn to run its own tools.
    """

    def __init__(self, request: Request | None = None) -> None:
        super().__init__()
        self._request = request = request or Request("", ())
        self._text = Characters()
        self._written = StringIO()
        self._details: list[dict[str, Any]] = []
        self._calls = Calls(len(request.messages))
        self._block: dict[str, Any] | None = None  # an open one that the API wants back
        self._inside = StringIO()  # its thinking, or the JSON of its input
        self._thoughts = Characters()
        self._signature = ""
        self._calling: set[int | None] = set()  # the indices of calls of our tools, not the provider's
        self._counts: dict[str, int] = {}
        self._spent = Usage()
        self._stop_reason = ""
        self._message: Mapping[str, Any] = {}
        if isinstance(request, Resumed):
            self._written.write(request.messages[-1].content or "")
            self._details += request.messages[-1].reasoning_details or ()
            self._spent = request.spent

    def read(self, body: dict[str, Any]) -> Sequence[ModelEvent]:
        """Return the events of one of the API's events."""
        match body.get("type"):
            case "content_block_delta":
                return self._continued(body.get("index"), body["delta"])
            case "content_block_start":
                return self._started(body.get("index"), read_object(body.get("content_block")))
            case "content_block_stop":
                return self._closed()
            case "message_start":
                self._message = read_object(body.get("message"))
                self._count(self._message.get("usage"))
            case "message_delta":
                self._count(body.get("usage"))
                self._stop_reason = read_text(read_object(body.get("delta")).get("stop_reason")) or self._stop_reason
            case "message_stop":
                self.done = True
            case "message":
                return self._whole(body)
            case "error" | None if error := body.get("error"):  # a proxy's has no type
                raise StreamError(error)
        return ()

    def finish(self) -> Iterable[ModelEvent]:
        """Yield the events at the end; no StepFinish if the message broke off."""
        if half := self._text.end():
            self._written.write(half)
            yield TextDelta(half)
        if not (self._stop_reason or self.done):
            return
        finish_reason = FINISH_REASONS.get(self._stop_reason, "stop")
        if self._calls and finish_reason == "stop":
            yield from self._calls.end()
            finish_reason = "tool_calls"
        elif self._stop_reason == "pause_turn":
            raise Paused(self._resumed())
        yield StepFinish(finish_reason, self._usage(), *identity(self._message))

    def _resumed(self) -> Resumed:
        """Return the request that continues a paused turn; it sends the reply so far back as it is."""
        request, before = self._request, self._request.messages
        pauses = 1
        if isinstance(request, Resumed):
            before, pauses = before[:-1], request.pauses + 1
        limit = request.config.max_tool_iterations
        if limit is not None and pauses > limit:
            raise MaxToolIterationsExceededError(
                f"Claude's turn was paused {pauses} times. Raise `max_tool_iterations`, or ask for less."
            )
        reply = LLMMessage(
            role=MessageRole.Assistant, content=self._written.getvalue(), reasoning_details=self._details or None
        )
        given = {each.name: getattr(request, each.name) for each in fields(Request)}
        return Resumed(**given | {"messages": (*before, reply)}, spent=self._usage(), pauses=pauses)

    def _started(self, index: object, block: dict[str, Any]) -> list[ModelEvent]:
        match block.get("type"):
            case "text":
                return self._write(read_text(block.get("text")))
            case "thinking":
                self._open(block)
                self._signature = read_text(block.get("signature"))
                return self._thought(read_text(block.get("thinking")))
            case "server_tool_use":
                self._open(block)
            case "redacted_thinking":
                return [self._kept(block)]
            case str() as kind if kind.endswith(SERVER_RESULT):
                return [self._kept(block)]
            case "tool_use":
                self._calling.add(read_index(index))
                whole = block.get("input") or None
                fed = self._calls.feed(index=index, call_id=block.get("id"), name=block.get("name"), arguments=whole)
                return list(fed)
        return []

    def _continued(self, index: object, delta: dict[str, Any]) -> Sequence[ModelEvent]:
        match delta["type"]:
            case "text_delta":
                return self._write(delta["text"])
            case "input_json_delta" if read_index(index) in self._calling:
                piece = delta["partial_json"]
                return list(self._calls.feed(index=index, call_id=None, name=None, arguments=piece))
            case "input_json_delta":
                self._inside.write(read_text(delta.get("partial_json")))
            case "thinking_delta":
                return self._thought(delta["thinking"])
            case "signature_delta":
                self._signature += read_text(delta.get("signature"))
        return ()

    def _whole(self, message: dict[str, Any]) -> list[ModelEvent]:
        """Return the events of a message in one piece."""
        self._message = message
        events: list[ModelEvent] = []
        for index, block in enumerate(message["content"]):
            events += [*self._started(index, block), *self._closed()]
        self._count(message.get("usage"))
        self._stop_reason = read_text(message.get("stop_reason"))
        return events

    def _open(self, block: dict[str, Any]) -> None:
        self._block, self._inside = block, StringIO()

    def _thought(self, text: str) -> list[ModelEvent]:
        whole = self._thoughts.feed(text)
        self._inside.write(whole)
        return [ReasoningDelta(whole)] if whole else []

    def _closed(self) -> list[ModelEvent]:
        """Complete the open block; the API wants thinking, and calls of the provider's tools, back as they were."""
        block, self._block = self._block, None
        if block is None:
            return []
        if block["type"] == "server_tool_use":
            written = parse_call("", "", self._inside.getvalue()).arguments
            return [self._kept({**block, "input": written or read_object(block.get("input"))})]
        half = self._thoughts.end()
        self._inside.write(half)
        rest = [ReasoningDelta(half)] if half else []
        return [*rest, self._kept({**block, "thinking": self._inside.getvalue(), "signature": self._signature})]

    def _kept(self, block: dict[str, Any]) -> ReasoningDelta:
        """Keep a complete block that the API wants back."""
        self._details.append(place(block, self._written.tell(), len(self._calls)))
        return ReasoningDelta("", self._details[-1])

    def _write(self, text: str) -> list[ModelEvent]:
        whole = self._text.feed(text)
        self._written.write(whole)
        return [TextDelta(whole)] if whole else []

    def _count(self, usage: object) -> None:
        """Read counts, which are cumulative."""
        counts = read_object(usage)
        counts = {**counts, **read_object(counts.get("output_tokens_details"))}
        self._counts |= {name: read_count(count) for name, count in counts.items() if isinstance(count, int)}
        self._request.tally.usage = self._usage()

    def _usage(self) -> Usage:
        """Return the usage so far, including the requests before a pause."""
        cached = self._counts.get("cache_read_input_tokens", 0)
        # The provider counts tokens that it read from its cache, or wrote to it, separately.
        read = self._counts.get("input_tokens", 0) + cached + self._counts.get("cache_creation_input_tokens", 0)
        thought = self._counts.get("thinking_tokens", 0)
        return self._spent + Usage(read, self._counts.get("output_tokens", 0), cached, thought)
