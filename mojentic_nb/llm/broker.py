"""The broker: one model at one gateway, ready to be asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .config import CompletionConfig
from .conversation import Conversation
from .gateways.base import Gateway
from .messages import LLMMessage
from .run import Run

__all__ = ["LLMBroker"]


class LLMBroker:
    """Asks `model` at `gateway`. The caller's messages are never changed.

    Asking raises TypeError unless it is with a list of messages; other errors
    (:class:`~mojentic_nb.llm.errors.LLMError`) come while the answer is read.
    """

    def __init__(self, model: str, gateway: Gateway) -> None:
        self.model = model
        self.adapter = gateway

    def stream(
        self, messages: Sequence[LLMMessage], *, config: CompletionConfig | None = None, model: str | None = None
    ) -> Run:
        """Ask, and get the run whose events can be iterated; `model` overrides the broker's for this call."""
        conversation = Conversation(model or self.model, messages, config or CompletionConfig())
        return Run(self.adapter, conversation)

    def generate_stream(
        self, messages: Sequence[LLMMessage], *, config: CompletionConfig | None = None, model: str | None = None
    ) -> Iterator[str]:
        """Ask, and iterate the text of the answer as it comes."""
        return self.stream(messages, config=config, model=model).text()

    def generate(
        self, messages: Sequence[LLMMessage], *, config: CompletionConfig | None = None, model: str | None = None
    ) -> str:
        """Ask, and return the whole answer."""
        return "".join(self.generate_stream(messages, config=config, model=model))
