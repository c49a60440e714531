"""What is said to a model and what it says: the messages of a conversation."""

from __future__ import annotations

import json
from copy import deepcopy
from enum import Enum
from typing import Any

from pydantic import BaseModel, PrivateAttr, SerializeAsAny

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
    _origin: LLMToolCall | None = PrivateAttr(None)
    _checked: dict[str, Any] | None = PrivateAttr(None)

    def json_arguments(self) -> str:
        """The arguments as JSON text."""
        return json.dumps(self.arguments, ensure_ascii=False)

    @property
    def origin(self) -> LLMToolCall:
        """The call in the conversation, where this is the copy of it that somebody is asked to approve; else itself."""
        return self._origin or self

    def with_checked(self, arguments: dict[str, Any]) -> LLMToolCall:
        """Return a copy to ask about, with the arguments that the tool gets."""
        copied = self.model_copy(update={"arguments": deepcopy(arguments)})
        copied._origin, copied._checked = self.origin, arguments  # noqa: SLF001 (it is of the same class)
        return copied

    def as_checked(self) -> LLMToolCall:
        """Return the call with the arguments that the tool gets, whatever became of those of this copy."""
        return self if self._checked is None else self.origin.with_checked(self._checked)


class LLMMessage(BaseModel):
    """One message of a conversation; from the user unless `role` says otherwise.

    An assistant's `tool_calls` are what it asked for. A tool's message answers the one call in its own `tool_calls`,
    with the result as its `content`, and may have images as well. `image_paths` are files, ``http(s)`` links or
    ``data:`` URIs. `thinking` is an assistant's visible reasoning, `reasoning_details` what its provider wants back of
    it, word for word.
    """

    role: MessageRole = MessageRole.User
    content: str | None = None
    thinking: str | None = None
    object: SerializeAsAny[BaseModel] | None = None
    tool_calls: list[LLMToolCall] | None = None
    image_paths: list[str] | None = None
    reasoning_details: list[dict[str, Any]] | None = None
