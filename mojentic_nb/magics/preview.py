"""``--dry-run``: everything that a question would send, as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from mojentic_nb.display import printable
from mojentic_nb.llm import LLMMessage, MessageRole
from mojentic_nb.llm.request import Request
from mojentic_nb.llm.window import Measured, Window, without

from .ask import Question

__all__ = ["preview"]


def preview(question: Question, max_context: int) -> str:
    """Show what would be sent of at most `max_context` tokens. Raises UsageError for a question that can't be asked."""
    request = question.stream(lambda _: False).conversation.request()
    text = "\n".join(describe(question.model, request, Window(max_context))) if request else ""
    return printable(text, joiners=True)


def describe(model: str, request: Request, window: Window) -> Iterator[str]:
    """Describe what `request` would send to `model`, line by line."""
    left_out = window.excess(request.messages, Measured())
    messages = without(request.messages, left_out)
    tokens = window.estimate_request(replace(request, messages=tuple(messages)))
    yield f"This would go to {model}, about {tokens} tokens in {count_of(len(messages), 'message')}:"
    if left_out:
        yield f"(left out, oldest first: {count_of(left_out, 'exchange')}; LLMMagics.max_context is {window.limit})"
    for message in messages:
        yield from section(message.role.value, describe_message(message))
    yield from section("tools", (describe_tool(tool.descriptor["function"]) for tool in request.tools))
    yield from section("schema of the answer", [to_json(request.schema)] if request.schema else [])
    settings = request.config.model_dump(exclude_unset=True)
    if request.tool_choice:
        settings["tool_choice"] = request.tool_choice
    if settings:
        yield from section("settings", [", ".join(f"{name}={value!r}" for name, value in settings.items())])


def section(title: str, content: Iterable[str]) -> Iterator[str]:
    """Yield the lines of `content` under a title, nothing if there are none."""
    if lines := list(content):
        yield from ("", f"--- {title}", *lines)


def describe_message(message: LLMMessage) -> Iterator[str]:
    """Describe one message."""
    if message.content:
        yield message.content
    if message.role is MessageRole.Assistant:
        for call in message.tool_calls or ():
            yield f"calls {call.name}({call.json_arguments()})"
    for number, path in enumerate(message.image_paths or (), start=1):
        yield f"[image {number}: {path if len(path) < 200 else f'{path[:40]}…, {len(path)} characters'}]"


def describe_tool(function: dict[str, Any]) -> str:
    """Describe a tool in one line."""
    return f"{function['name']}: {function.get('description', '')} {to_json(function.get('parameters', {}))}"


def to_json(value: object) -> str:
    """Write `value` as JSON."""
    return json.dumps(value, ensure_ascii=False, default=str)


def count_of(number: int, noun: str) -> str:
    """Write how many there are: ``1 message``, ``2 messages``."""
    return f"{number} {noun}{'s' * (number != 1)}"
