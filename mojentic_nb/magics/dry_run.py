"""What a question would send."""

from __future__ import annotations

from collections.abc import Iterator

from mojentic_nb.display import printable
from mojentic_nb.llm import LLMMessage, MessageRole
from mojentic_nb.llm.context import Window

from .question import Question

__all__ = ["preview"]


def preview(question: Question) -> str:
    """All that would be sent, as text, and about how many tokens it takes."""
    return printable("\n".join(lines(question)))


def lines(question: Question) -> Iterator[str]:
    """The same line by line."""
    tokens = Window(1).estimate(question.messages)
    count = len(question.messages)
    yield f"This would go to {question.name}, about {tokens} tokens in {count} message{'s' * (count != 1)}:"
    for message in question.messages:
        yield ""
        yield f"--- {message.role.value}"
        yield from told(message)
    if question.tools:
        yield ""
        yield "--- tools"
        for tool in question.tools:
            function = tool.descriptor["function"]
            yield f"{function['name']}: {function.get('description', '')} {function.get('parameters', {})}"
    if settings := question.config.model_dump(exclude_unset=True):
        yield ""
        yield "--- settings"
        yield ", ".join(f"{name}={value!r}" for name, value in settings.items())


def told(message: LLMMessage) -> Iterator[str]:
    """One message."""
    if message.content:
        yield message.content
    if message.role is MessageRole.Assistant:
        for call in message.tool_calls or ():
            yield f"calls {call.name}({call.json_arguments()})"
    for number, path in enumerate(message.image_paths or (), start=1):
        yield f"[image {number}: {path if len(path) < 200 else f'{path[:40]}…, {len(path)} characters'}]"
