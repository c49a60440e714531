"""Ollama's chat API: messages to its JSON, and its stream of JSON documents, one per line, to events.

https://docs.ollama.com/api/chat
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mojentic_nb.llm.config import CompletionConfig
from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.events import ModelEvent, ReasoningDelta, StepFinish, TextDelta, Usage
from mojentic_nb.llm.messages import LLMMessage, MessageRole
from mojentic_nb.llm.request import Request, chosen, is_forced
from mojentic_nb.llm.text import join_surrogates

from .assembly import Calls
from .decoding import Decoder, StreamError, identity
from .fields import drop_unset, read_count
from .images import load_image, with_images_after_results
from .sse import LineDecoder

__all__ = ["OllamaDecoder", "encode"]


def encode(request: Request) -> dict[str, Any]:
    """Return the JSON body of `request`."""
    config = request.config
    options: dict[str, Any] = {
        "temperature": config.temperature,
        "top_p": config.top_p,
        "top_k": config.top_k,
        "num_ctx": config.num_ctx,
        "num_predict": config.max_tokens if config.num_predict is None else config.num_predict,
    }
    settings = {
        "options": drop_unset(options) or None,
        "think": thinking(request),
        "format": request.schema or answer_format(config),
        "tools": offered(request),
    }
    return {
        "model": request.model,
        "messages": [encode_message(message) for message in with_images_after_results(request.messages)],
        "stream": True,
        **drop_unset(settings),
    }


def offered(request: Request) -> list[dict[str, Any]] | None:
    """Return the tools, none of them if the choice is *none*.

    The API has no setting for the choice, so one that forces a call is an error.
    https://github.com/ollama/ollama/issues/11171
    """
    choice = chosen(request)
    if is_forced(choice):
        raise ConfigurationError(
            f"Ollama can't force a tool call. Leave out tool_choice={choice!r}, or use another gateway."
        )
    return None if choice == "none" else [dict(tool.descriptor) for tool in request.tools] or None


def answer_format(config: CompletionConfig) -> str | None:
    """Return the setting ``format`` for a reply without a schema."""
    return "json" if (config.response_format or {}).get("type") == "json_object" else None


def thinking(request: Request) -> bool | str | None:
    """Return the setting ``think``: a level for the one family that supports it, a boolean for all others."""
    effort = request.config.reasoning_effort
    if effort is None or not request.model.startswith("gpt-oss"):
        return None if effort is None else effort != "none"
    levels: dict[str, bool | str] = {"none": False, "minimal": "low", "xhigh": "high", "max": "high"}
    return levels.get(effort, effort)


def encode_message(message: LLMMessage) -> dict[str, Any]:
    """Return the JSON of one message."""
    encoded: dict[str, Any] = {"role": message.role.value, "content": message.content or ""}
    if message.role is MessageRole.Tool:
        encoded["tool_name"] = message.tool_calls[0].name if message.tool_calls else None
        return encoded
    if message.image_paths:
        encoded["images"] = [encode_image(path) for path in message.image_paths]
    if message.tool_calls:
        encoded["tool_calls"] = [
            {"function": {"name": call.name, "arguments": call.arguments}} for call in message.tool_calls
        ]
        if message.thinking:
            encoded["thinking"] = message.thinking
    return encoded


def encode_image(path: str) -> str:
    """Return an image's data in base64."""
    image = load_image(path)
    if image.link:
        raise ConfigurationError(f"Ollama doesn't support links to images. Download {path} and pass the file.")
    return image.data


class OllamaDecoder(Decoder):
    """Reads a streamed chat completion. Tool calls arrive whole, and ``done`` ends it."""

    def __init__(self, turn: int = 0) -> None:
        super().__init__(LineDecoder())
        self._calls = Calls(turn)
        self._count = 0
        self._last: dict[str, Any] = {}

    def read(self, body: dict[str, Any]) -> Sequence[ModelEvent]:
        """Return the events of one line."""
        if "error" in body and (error := body["error"]):
            raise StreamError(error)
        message = body.get("message") or {}  # older servers leave it out of the last line
        events: list[ModelEvent] = []
        if text := message.get("thinking"):
            events.append(ReasoningDelta(join_surrogates(text)))
        if text := message.get("content"):
            events.append(TextDelta(join_surrogates(text)))
        if calls := message.get("tool_calls"):
            events += self._called(calls)
        if body.get("done") is True:
            self._last = body
            self.done = True
        return events

    def _called(self, calls: Iterable[dict[str, Any]]) -> Iterator[ModelEvent]:
        for call in calls:
            function = call["function"]
            yield from self._calls.feed(
                index=self._count, call_id=call.get("id"), name=function["name"], arguments=function.get("arguments")
            )
            self._count += 1

    def finish(self) -> Iterable[ModelEvent]:
        """Yield the events at the end; none if the reply broke off."""
        if not self.done:
            return
        usage = Usage(read_count(self._last.get("prompt_eval_count")), read_count(self._last.get("eval_count")))
        if self._last.get("done_reason") == "length":
            yield StepFinish("length", usage, *identity(self._last))
            return
        yield from self._calls.end()
        yield StepFinish("tool_calls" if self._calls else "stop", usage, *identity(self._last))
