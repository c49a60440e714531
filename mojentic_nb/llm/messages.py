"""What is said to a model and what it says: the messages of a conversation."""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel

__all__ = ["LLMMessage", "MessageRole"]


class MessageRole(Enum):
    """Who speaks."""

    System = "system"
    User = "user"
    Assistant = "assistant"


class LLMMessage(BaseModel):
    """One message of a conversation; from the user unless `role` says otherwise."""

    role: MessageRole = MessageRole.User
    content: str | None = None
