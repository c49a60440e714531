"""What is said to a model and what it says: the messages of a conversation."""

from __future__ import annotations

import json
from enum import Enum
from typing import Any

from pydantic import BaseModel, SerializeAsAny

__all__ = ["LLMMessage", "LLMToolCall", "MessageRole"]


class MessageRole(Enum):
    """Who speaks."""

    System = "system"
    User = "user"
    Assistant = "assistant"
    Tool = "tool"


class LLMToolCall(BaseModel):
    """A model's wish that a tool be run. `error` says why its arguments can't be read, if they can't."""

    id: str | None = None
    name: str
    arguments: dict[str, Any]
    error: str | None = None

    def json_arguments(self) -> str:
        """The arguments as JSON text."""
        return json.dumps(self.arguments, ensure_ascii=False)


class LLMMessage(BaseModel):
    """One message of a conversation; from the user unless `role` says otherwise.

    An assistant's `tool_calls` are what it asked for. A tool's message answers the one call in its own `tool_calls`,
    with the result as its `content`. `image_paths` are files, ``http(s)`` links or ``data:`` URIs. `thinking` is an
    assistant's visible reasoning, `reasoning_details` what its provider wants back of it, word for word. `is_error`
    marks the result of a call that failed or was denied: Anthropic's models see it, other APIs have no field for it.
    """

    role: MessageRole = MessageRole.User
    content: str | None = None
    thinking: str | None = None
    object: SerializeAsAny[BaseModel] | None = None
    tool_calls: list[LLMToolCall] | None = None
    image_paths: list[str] | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    is_error: bool = False
