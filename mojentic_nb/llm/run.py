"""One answer on its way, driven synchronously."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from inspect import GEN_CREATED, getgeneratorstate
from types import TracebackType
from typing import Self

from .conversation import Conversation
from .errors import LLMError
from .events import Event, FinishReason, TextDelta, Usage
from .gateways.base import Gateway
from .messages import LLMMessage

__all__ = ["Run"]


class Run:
    """An answer that streams: iterate it once for its events, or :meth:`text` for the answer alone.

    Nothing is sent before the iteration starts. As a context manager it closes the provider's request on the way out,
    which is what an interrupt needs. Iterating raises :class:`~mojentic_nb.llm.errors.LLMError`.
    """

    def __init__(self, gateway: Gateway, conversation: Conversation) -> None:
        self._gateway = gateway
        self._conversation = conversation
        self._events = self._drive()

    def _drive(self) -> Generator[Event, None, None]:
        conversation = self._conversation
        try:
            while (request := conversation.request()) is not None:
                with closing(self._gateway.stream(request)) as events:
                    for event in events:
                        yield from conversation.feed(event)
            yield conversation.finish()
        except LLMError as error:
            error.partial = conversation.partial
            raise
        except (GeneratorExit, KeyboardInterrupt):
            conversation.cancel()
            raise

    def __iter__(self) -> Iterator[Event]:
        return self._events

    def text(self) -> Iterator[str]:
        """Iterate the answer's text, piece by piece; ending the iteration early closes the run."""
        with self:
            for event in self:
                if isinstance(event, TextDelta):
                    yield event.delta

    @property
    def messages(self) -> list[LLMMessage]:
        """The conversation with the answer as far as it has come: right at any time, also after an interrupt."""
        return self._conversation.messages

    @property
    def usage(self) -> Usage:
        """Tokens used so far, as the provider reports them at the end of each request."""
        return self._conversation.usage

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the answer ended; None while it has not."""
        return self._conversation.finish_reason

    def close(self) -> None:
        """End the provider's request at once, keeping what has arrived. Does nothing after the end."""
        if getgeneratorstate(self._events) == GEN_CREATED:  # closing it then would run none of its code
            self._conversation.cancel()
        self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
