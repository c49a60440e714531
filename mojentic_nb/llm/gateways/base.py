"""What the broker wants of a gateway.

A gateway is an encoder (messages to the provider's JSON), a pure decoder (the provider's bytes to events) and a call.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Protocol

from mojentic_nb.llm.config import CompletionConfig
from mojentic_nb.llm.events import ModelEvent
from mojentic_nb.llm.messages import LLMMessage

__all__ = ["Gateway", "Request"]


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a model."""

    model: str
    messages: tuple[LLMMessage, ...]
    config: CompletionConfig = field(default_factory=CompletionConfig)


class Gateway(Protocol):
    """The way to a provider's models."""

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Send `request` and yield the model's events, the last one a StepFinish unless the answer broke off.

        Closing the generator ends the request at once. Raises :class:`~mojentic_nb.llm.errors.LLMError`.
        """
        ...
