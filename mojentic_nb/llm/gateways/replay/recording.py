"""Recording a model's replies, so that a notebook or a test can replay them without the model."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from mojentic_nb.llm.compat import MojenticCalls, as_gateway
from mojentic_nb.llm.errors import AuthenticationError, ConfigurationError, LLMError
from mojentic_nb.llm.events import ModelEvent, ReasoningDelta, StepFinish, TextDelta, ToolCallDelta
from mojentic_nb.llm.gateway_filter import GatewayFilter, Passage
from mojentic_nb.llm.gateways.keys import Key
from mojentic_nb.llm.redaction import Redaction, as_secrets
from mojentic_nb.llm.request import Request

from .recordings import Exchange, TimedEvent, describe_answer, describe_request, edit, key_of, load
from .replay import ReplayGateway

__all__ = ["RecordingGateway", "record_or_replay"]


class RecordingGateway(GatewayFilter, MojenticCalls):
    """Sends requests through `gateway`, and writes each reply to the JSON file `path`, for a :class:`ReplayGateway`.

    A reply is written when it is complete, also if it broke off or is the provider's error. It isn't written if it was
    cancelled or the reader left, since its rest is unknown, nor if the error is on this side: a
    :class:`~mojentic_nb.llm.errors.ConfigurationError`, or a refused key. Recordings of other requests stay in the
    file; the first reply to a request replaces those that it had, further ones are added.

    API keys and passwords are replaced by "(secret)": the key of `gateway`, what looks like one, the values of
    environment variables whose names have a word such as KEY, TOKEN, SECRET, PASSWORD or PAT, and the given `secrets`.
    The paths of the home folder and the current one become ``~`` and ``.``. Several threads and processes may record
    to one file. Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for a file that isn't a recording, or can't
    be written.
    """

    def __init__(self, gateway: Any, path: str | Path, *, secrets: str | Iterable[str] = ()) -> None:  # noqa: ANN401
        self.gateway = gateway
        self.path = Path(path).expanduser().absolute()  # the current folder may change
        super().__init__(as_gateway(gateway))
        if self.path.exists():
            load(self.path)
        key = getattr(gateway, "_key", None)
        self._secrets = (*as_secrets(secrets), *(key.secrets() if isinstance(key, Key) else ()))
        self._recorded: set[str] = set()

    def can_stream(self, model: str) -> bool:
        """Return whether `model` can stream at the gateway."""
        return not hasattr(self._gateway, "can_stream") or bool(self._gateway.can_stream(model))

    def begin(self, request: Request) -> Passage:
        """Begin to record `request`."""
        return Take(request, self._secrets, self._keep)

    def close(self) -> None:
        """Close the connections of `gateway`, if it has any."""
        getattr(self.gateway, "close", lambda: None)()

    async def aclose(self) -> None:
        """The same, and those of the running event loop."""
        self.close()
        if hasattr(self.gateway, "aclose"):
            await self.gateway.aclose()

    def _keep(self, exchange: Exchange) -> None:
        """Write an exchange to the file."""
        key = key_of(exchange.request)
        with edit(self.path) as exchanges:
            if key not in self._recorded:
                exchanges[:] = [other for other in exchanges if key_of(other.request) != key]
            exchanges.append(exchange)
        self._recorded.add(key)

    def __repr__(self) -> str:
        return f"RecordingGateway({self.gateway!r}, {str(self.path)!r})"


class Take(Passage):
    """One reply that is being recorded."""

    def __init__(self, request: Request, secrets: Iterable[str], keep: Callable[[Exchange], None]) -> None:
        super().__init__(request)
        self._redaction = Redaction.of(secrets)
        self._described = describe_request(request, self._redaction)
        self._room = request.config.max_answer_chars or math.inf
        self._keep = keep
        self._answer: list[TimedEvent] = []
        self._last = time.monotonic()
        self._kept = False

    def event(self, event: ModelEvent) -> ModelEvent:
        """Record `event`, and write a reply that ends here before a reader sees the event, who may leave then.

        It also ends with the piece that makes it longer than it may be: the run reads no further.
        """
        self._take(event)
        if isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta):
            self._room -= len(event.delta)
            if self._room < 0 and not self._kept:
                self._take(StepFinish("length", self.request.tally.usage, limit="max_answer_chars"))
                self.end(None)
        elif isinstance(event, StepFinish):
            self.end(None)
        return event

    def end(self, error: BaseException | None) -> None:
        """Write the reply if it is complete or ended by the provider's error, and wasn't cancelled."""
        if isinstance(error, ConfigurationError | AuthenticationError) or not isinstance(error, LLMError | None):
            return
        if error is not None:
            self._take(error)
        if not self._kept and not self.request.cancellation.cancelled:
            self._kept = True
            lines, ms = describe_answer(self._answer, len(self.request.messages), self._redaction)
            self._keep(Exchange(self._described, lines, ms))

    def _take(self, event: ModelEvent | LLMError) -> None:
        now = time.monotonic()
        self._answer.append(TimedEvent(now - self._last, event))
        self._last = now


def record_or_replay(
    make_gateway: Callable[[], object], path: str | Path, *, secrets: str | Iterable[str] = ()
) -> RecordingGateway | ReplayGateway:
    """Return a gateway that replays the file `path` if it exists, or one that records it from `make_gateway()`.

    For tests: the first run asks the model, all others need neither a key nor the network, and a request that wasn't
    recorded is an error. Delete the file to record it again. `make_gateway` may be a gateway's class.
    """
    if Path(path).expanduser().exists():
        return ReplayGateway(path, secrets=secrets)
    return RecordingGateway(make_gateway(), path, secrets=secrets)
