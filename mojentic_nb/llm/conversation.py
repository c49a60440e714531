"""The rules of a run, without I/O: what to ask next, and how a model's events become the assistant's message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .config import CompletionConfig
from .errors import IncompleteStreamError
from .events import Event, Finish, FinishReason, ModelEvent, StepFinish, TextDelta, Usage
from .gateways.base import Request
from .messages import LLMMessage, MessageRole

__all__ = ["Conversation"]


class Conversation:
    """Holds the messages of one run. Drive it with :meth:`request`, :meth:`feed` and, in the end, :meth:`finish`.

    Raises TypeError unless `messages` are messages.
    """

    def __init__(self, model: str, messages: Iterable[LLMMessage], config: CompletionConfig) -> None:
        self.usage = Usage()
        self.finish_reason: FinishReason | None = None
        self._model = model
        self._config = config
        self._messages = list(messages)
        if isinstance(messages, str) or not all(isinstance(message, LLMMessage) for message in self._messages):
            raise TypeError('Messages are a list of LLMMessage, as in [LLMMessage(content="Hello")].')
        self._deltas: list[str] = []
        self._asked = False

    @property
    def partial(self) -> LLMMessage | None:
        """The assistant's message as far as it has arrived, None before its first character."""
        if not self._deltas:
            return None
        return LLMMessage(role=MessageRole.Assistant, content="".join(self._deltas))

    @property
    def messages(self) -> list[LLMMessage]:
        """All messages, the partial answer included; a new list each time."""
        return [*self._messages, *filter(None, [self.partial])]

    def request(self) -> Request | None:
        """What to ask the model next; None when the run is done."""
        if self._asked:
            return None
        self._asked = True
        return Request(self._model, tuple(self._messages), self._config)

    def feed(self, event: ModelEvent) -> Iterator[Event]:
        """Take one event from the model and yield what the reader is to see of it."""
        match event:
            case TextDelta(delta):
                self._deltas.append(delta)
            case StepFinish(finish_reason, usage):
                self.finish_reason = finish_reason
                self.usage += usage
        yield event

    def cancel(self) -> None:
        """The reader stops here: what has arrived is kept."""
        self.finish_reason = self.finish_reason or "cancelled"

    def finish(self) -> Finish:
        """The run's last event, for when :meth:`request` gives None.

        Raises :class:`~mojentic_nb.llm.errors.IncompleteStreamError` where the model never said that it was done.
        """
        if self.finish_reason is None:
            raise IncompleteStreamError("The answer broke off before its end: ask again.")
        return Finish(self.finish_reason, self.usage)
