"""Keeping what a model answers, so that a notebook or a test can have it again without the model."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

from mojentic_nb.llm.compat import MojenticCalls, as_gateway
from mojentic_nb.llm.errors import AuthenticationError, ConfigurationError, LLMError
from mojentic_nb.llm.events import ModelEvent, ReasoningDelta, StepFinish, TextDelta, ToolCallDelta
from mojentic_nb.llm.gateways.keys import Key
from mojentic_nb.llm.redaction import Redaction, as_secrets
from mojentic_nb.llm.request import Request, astream

from .recordings import Exchange, Happening, answer_in_json, changed, key_of, load, request_in_json
from .replay import ReplayGateway

__all__ = ["RecordingGateway", "record_or_replay"]


class RecordingGateway(MojenticCalls):
    """Asks `gateway`, and keeps each answer in the JSON file `path`, for a :class:`ReplayGateway`.

    An answer is written once it is complete, also where it broke off or is the provider's error. One that was cancelled
    or left is not, for nobody knows how it would have gone on; nor is what is wrong on this side: a
    :class:`~mojentic_nb.llm.errors.ConfigurationError`, or a key that was refused. What the file holds of other
    requests stays; the first answer to a request takes the place of those that it had, further ones are added.

    API keys and passwords are replaced by "(secret)": the key of `gateway`, what looks like one, the values of
    environment variables whose names have a word such as KEY, TOKEN, SECRET, PASSWORD or PAT, and the given `secrets`.
    The paths of the home folder and the current one become ``~`` and ``.``. Several threads and processes may record
    to one file. Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for a file that isn't a recording, or can't
    be written.
    """

    def __init__(self, gateway: Any, path: str | Path, *, secrets: str | Iterable[str] = ()) -> None:  # noqa: ANN401
        self.gateway = gateway
        self.path = Path(path).expanduser().absolute()  # the current folder may change
        if self.path.exists():
            load(self.path)
        self._asked = as_gateway(gateway)
        key = getattr(gateway, "_key", None)
        self._secrets = (*as_secrets(secrets), *(key.secrets() if isinstance(key, Key) else ()))
        self._recorded: set[str] = set()

    def can_stream(self, model: str) -> bool:
        """Whether `model` can stream at the gateway."""
        return not hasattr(self._asked, "can_stream") or bool(self._asked.can_stream(model))

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Send `request`, yield the model's events and keep them."""
        take = Take(request, self._secrets, self._keep)
        try:
            with closing(self._asked.stream(request)) as events:
                for event in events:
                    take.note(event)
                    yield event
        except LLMError as error:
            take.end(error)
            raise
        take.end()

    async def astream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The same, asynchronously."""
        take = Take(request, self._secrets, self._keep)
        try:
            async with aclosing(astream(self._asked, request)) as events:
                async for event in events:
                    take.note(event)
                    yield event
        except LLMError as error:
            take.end(error)
            raise
        take.end()

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
        with changed(self.path) as exchanges:
            if key not in self._recorded:
                exchanges[:] = [other for other in exchanges if key_of(other.request) != key]
            exchanges.append(exchange)
        self._recorded.add(key)

    def __repr__(self) -> str:
        return f"RecordingGateway({self.gateway!r}, {str(self.path)!r})"


class Take:
    """One answer that is being recorded."""

    def __init__(self, request: Request, secrets: Iterable[str], keep: Callable[[Exchange], None]) -> None:
        self._redaction = Redaction.of(secrets)
        self._described = request_in_json(request, self._redaction)
        self._turn = len(request.messages)
        self._tally = request.tally
        self._cancellation = request.cancellation
        self._room = request.config.max_answer_chars or math.inf
        self._keep = keep
        self._answer: list[Happening] = []
        self._last = time.monotonic()
        self._kept = False

    def note(self, event: ModelEvent) -> None:
        """Take an event; what ends the answer is written before a reader sees it, who may leave then.

        That is also the piece that makes it longer than it may be: the run reads no further.
        """
        self._take(event)
        if isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta):
            self._room -= len(event.delta)
            if self._room < 0 and not self._kept:
                self._take(StepFinish("length", self._tally.usage, limit="max_answer_chars"))
                self.end()
        elif isinstance(event, StepFinish):
            self.end()

    def end(self, error: LLMError | None = None) -> None:
        """The answer is complete, or ended by an error; one that was cancelled is neither."""
        if isinstance(error, ConfigurationError | AuthenticationError):
            return
        if error is not None:
            self._take(error)
        if not self._kept and not self._cancellation.cancelled:
            self._kept = True
            lines, ms = answer_in_json(self._answer, self._turn, self._redaction)
            self._keep(Exchange(self._described, lines, ms))

    def _take(self, event: ModelEvent | LLMError) -> None:
        now = time.monotonic()
        self._answer.append(Happening(now - self._last, event))
        self._last = now


def record_or_replay(
    make_gateway: Callable[[], object], path: str | Path, *, secrets: str | Iterable[str] = ()
) -> RecordingGateway | ReplayGateway:
    """A gateway that replays the file `path` if there is one, else records it from the gateway that is made then.

    This is what tests want: the first run asks the model, all others need neither a key nor the network, and a request
    that was not recorded is an error. Delete the file to record it anew. `make_gateway` may be a gateway's class.
    """
    if Path(path).expanduser().exists():
        return ReplayGateway(path, secrets=secrets)
    return RecordingGateway(make_gateway(), path, secrets=secrets)
