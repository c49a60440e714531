"""What a question would send."""

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
    """All that would be sent, as text, and about how many tokens it takes; at most `max_context` of the conversation.

    Raises UsageError for what can't be asked.
    """
    request = question.begin(lambda _: False).run.conversation.request()
    return printable("\n".join(lines(question.name, request, Window(max_context))), joiners=True) if request else ""


def lines(name: str, request: Request, window: Window) -> Iterator[str]:
    """What `request` would send to the model called `name`, line by line."""
    left_out = window.excess(request.messages, Measured())
    messages = without(request.messages, left_out)
    tools = [described(tool.descriptor["function"]) for tool in request.tools]
    schema = [dumped(request.schema)] if request.schema else []
    tokens = window.estimate_request(replace(request, messages=tuple(messages)))
    yield f"This would go to {name}, about {tokens} tokens in {counted(len(messages), 'message')}:"
    if left_out:
        yield f"({counted(left_out, 'exchange')}, the oldest, left out: LLMMagics.max_context is {window.limit})"
    for message in messages:
        yield from section(message.role.value, told(message))
    yield from section("tools", tools)
    yield from section("the answer's schema", schema)
    yield from section("settings", settings(request))


def section(title: str, content: Iterable[str]) -> Iterator[str]:
    """The lines of `content` under a title; none if it is empty."""
    if found := list(content):
        yield from ("", f"--- {title}", *found)


def described(function: dict[str, Any]) -> str:
    """A tool, in a line."""
    return f"{function['name']}: {function.get('description', '')} {dumped(function.get('parameters', {}))}"


def settings(request: Request) -> Iterator[str]:
    """What else is said with the request, in a line."""
    said = request.config.model_dump(exclude_unset=True)
    if request.tool_choice:
        said["tool_choice"] = request.tool_choice
    if said:
        yield ", ".join(f"{name}={value!r}" for name, value in said.items())


def dumped(value: object) -> str:
    """`value` as JSON."""
    return json.dumps(value, ensure_ascii=False, default=str)


def counted(count: int, what: str) -> str:
    """So many of them."""
    return f"{count} {what}{'s' * (count != 1)}"


def told(message: LLMMessage) -> Iterator[str]:
    """One message."""
    if message.content:
        yield message.content
    if message.role is MessageRole.Assistant:
        for call in message.tool_calls or ():
            yield f"calls {call.name}({call.json_arguments()})"
    for number, path in enumerate(message.image_paths or (), start=1):
        yield f"[image {number}: {path if len(path) < 200 else f'{path[:40]}…, {len(path)} characters'}]"
