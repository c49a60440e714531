"""OpenAI's Responses API, the only one for some of its models, and the one that shows their reasoning.

The provider stores nothing: reasoning arrives encrypted, and is sent back with the calls that it led to.
https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mojentic_nb.llm.events import FinishReason, ModelEvent, ReasoningDelta, StepFinish, Usage
from mojentic_nb.llm.messages import LLMMessage, LLMToolCall, MessageRole
from mojentic_nb.llm.request import Request, Tally

from . import chat_completions
from .assembly import Calls, Prose, interleave, place
from .decoding import Decoder, StreamError, identity
from .fields import drop_unset, read_count, read_index, read_object, read_objects, read_text
from .images import load_image

__all__ = ["ResponsesDecoder", "encode"]


def encode(request: Request) -> dict[str, Any]:
    """Return the JSON body of `request`."""
    config = request.config
    settings = {
        "temperature": config.temperature,
        "top_p": config.top_p,
        "max_output_tokens": config.token_limit,
        "reasoning": {"effort": config.reasoning_effort, "summary": "auto"} if config.reasoning_effort else None,
        "text": text_format(request),
        "tools": [encode_tool(tool.descriptor) for tool in request.tools] or None,
        "tool_choice": tool_choice(request),
    }
    return {
        "model": request.model,
        "input": [item for message in request.messages for item in encode_message(message)],
        "store": False,
        "include": ["reasoning.encrypted_content"],
        **drop_unset(settings),
    }


def text_format(request: Request) -> dict[str, Any] | None:
    """Return the setting ``text``, in which the fields of ``json_schema`` are beside the type."""
    form = dict(chat_completions.response_format(request) or {})
    if schema := form.pop("json_schema", None):
        form |= {"strict": False, **schema}
    return {"format": form} if form else None


def tool_choice(request: Request) -> str | dict[str, Any] | None:
    """Return the setting ``tool_choice``, without the nesting of Chat Completions."""
    choice = chat_completions.tool_choice(request)
    return {"type": "function", **choice["function"]} if isinstance(choice, dict) else choice


def encode_tool(descriptor: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON of a tool."""
    return {"type": "function", "parameters": None, "strict": False, **descriptor["function"]}


def encode_message(message: LLMMessage) -> Iterator[dict[str, Any]]:
    """Yield the items of one message: its reasoning, content and calls, or a call's result."""
    if message.role is MessageRole.Tool:
        call_id = message.tool_calls[0].id if message.tool_calls else None
        output = content_parts(message) if message.image_paths else message.content or ""
        yield {"type": "function_call_output", "call_id": call_id, "output": output}
        return
    if message.image_paths:
        yield {"role": message.role.value, "content": content_parts(message)}
        return
    for part in interleave(message, "reasoning"):
        match part:
            case str():
                if part:
                    yield {"role": message.role.value, "content": part}
            case LLMToolCall(id=call_id, name=name):
                yield {"type": "function_call", "call_id": call_id, "name": name, "arguments": part.json_arguments()}
            case _:
                yield part


def content_parts(message: LLMMessage) -> list[dict[str, Any]]:
    """Return the content of a message with images."""
    images = [
        {"type": "input_image", "image_url": load_image(path).url, "detail": "auto"}
        for path in message.image_paths or ()
    ]
    return [{"type": "input_text", "text": message.content}, *images] if message.content else images


class ResponsesDecoder(Decoder):
    """Reads a streamed response, or a whole one of a model that can't stream."""

    def __init__(self, turn: int = 0, tally: Tally | None = None) -> None:
        super().__init__()
        self._tally = tally or Tally()
        self._prose = Prose()
        self._begun = False  # whether any part of the reply has arrived
        self._calls = Calls(turn)
        self._argued: set[int | None] = set()  # the indices of calls with arguments
        self._refused = False
        self._response: dict[str, Any] | None = None

    def read(self, body: dict[str, Any]) -> Sequence[ModelEvent]:
        """Return the events of one of the API's events."""
        match body.get("type"):
            case "response.output_text.delta":
                return self._text(body["delta"])
            case "response.refusal.delta":
                self._refused = True
                return self._text(body["delta"])
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                self._begun = True
                events: list[ModelEvent] = []
                self._prose.reasoning(body["delta"], events)
                return events
            case "response.reasoning_summary_part.added" if body.get("summary_index"):
                return [ReasoningDelta("\n\n")]
            case "response.output_item.added" if (item := read_object(body.get("item"))).get("type") == "function_call":
                return self._called(read_index(body.get("output_index")), item)
            case "response.function_call_arguments.delta":
                return self._called(read_index(body.get("output_index")), {"arguments": body["delta"]})
            case "response.function_call_arguments.done" | "response.output_item.done":
                return self._completed(read_index(body.get("output_index")), read_object(body.get("item")) or body)
            case "response.completed" | "response.incomplete" | "response.failed":
                self.done = True
                return self._ended(read_object(body.get("response")))
            case "error":
                raise StreamError(body.get("error") or body)
            case None if body.get("error"):
                raise StreamError(body["error"])
            case None if "output" in body:
                return self._ended(body)
        return ()

    def finish(self) -> Iterable[ModelEvent]:
        """Yield the events at the end; no StepFinish if the response broke off."""
        yield from self._prose.end()
        if self._response is None:
            return
        usage = read_usage(self._response.get("usage"))
        called = identity(self._response)
        reason = read_object(self._response.get("incomplete_details")).get("reason")
        if reason or self._response.get("status") == "incomplete":
            yield StepFinish("content_filter" if reason == "content_filter" else "length", usage, *called)
            return
        yield from self._calls.end()
        stop: FinishReason = "content_filter" if self._refused else "stop"
        yield StepFinish("tool_calls" if self._calls else stop, usage, *called)

    def _text(self, piece: str) -> Sequence[ModelEvent]:
        self._begun = True
        events: list[ModelEvent] = []
        self._prose.text(piece, events)
        return events

    def _reasoned(self, item: dict[str, Any], summary: str = "") -> ReasoningDelta:
        """Return the event of a complete item of reasoning."""
        self._begun = True
        return ReasoningDelta(summary, place(item, self._prose.written, len(self._calls)))

    def _completed(self, index: int | None, item: dict[str, Any]) -> Sequence[ModelEvent]:
        """Read a complete item; some servers send a call's arguments, a whole call or a text only then."""
        match item.get("type"):
            case "reasoning":
                return [self._reasoned(item)]
            case "function_call" | "response.function_call_arguments.done" if index not in self._argued:
                return self._called(index, item)
            case "message" if not self._prose.written:
                return self._message(item)
        return ()

    def _message(self, item: dict[str, Any]) -> list[ModelEvent]:
        """Return the events of a message in one piece."""
        events: list[ModelEvent] = []
        for part in read_objects(item.get("content")):
            self._refused = self._refused or bool(part.get("refusal"))
            events += self._text(part.get("text") or part.get("refusal") or "")
        return events

    def _called(self, index: int | None, item: dict[str, Any]) -> list[ModelEvent]:
        if item.get("arguments"):
            self._argued.add(index)
        self._begun = True
        fields = {name: item.get(name) for name in ("call_id", "name", "arguments")}
        return list(self._calls.feed(index=index, **fields))

    def _whole(self, response: dict[str, Any]) -> list[ModelEvent]:
        """Return the events of a response in one piece."""
        events: list[ModelEvent] = []
        for index, item in enumerate(read_objects(response.get("output"))):
            match item.get("type"):
                case "message":
                    events += self._message(item)
                case "reasoning":
                    summary = "\n\n".join(read_text(part.get("text")) for part in read_objects(item.get("summary")))
                    events.append(self._reasoned(item, summary))
                case "function_call":
                    events += self._called(index, item)
        return events

    def _ended(self, response: dict[str, Any]) -> list[ModelEvent]:
        """Read a complete response; some servers send its content only now. A failed one may have been paid for."""
        self._tally.usage = read_usage(response.get("usage"))
        if response.get("error") or response.get("status") == "failed":
            raise StreamError(response.get("error") or "the response failed, without a reason")
        self._response = response
        return [] if self._begun else self._whole(response)


def read_usage(usage: object) -> Usage:
    """Return the tokens that a response used."""
    counts = read_object(usage)
    return Usage(
        read_count(counts.get("input_tokens")),
        read_count(counts.get("output_tokens")),
        read_count(read_object(counts.get("input_tokens_details")).get("cached_tokens")),
        read_count(read_object(counts.get("output_tokens_details")).get("reasoning_tokens")),
    )
