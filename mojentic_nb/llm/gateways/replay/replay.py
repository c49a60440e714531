"""Replaying recorded replies: offline, at no cost, and the same each time."""

from __future__ import annotations

import difflib
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

from mojentic_nb.llm.compat import MojenticCalls
from mojentic_nb.llm.concurrency import pause
from mojentic_nb.llm.errors import ConfigurationError, LLMError
from mojentic_nb.llm.events import ModelEvent
from mojentic_nb.llm.redaction import Redaction, as_secrets
from mojentic_nb.llm.request import Request

from .recordings import Exchange, TimedEvent, describe_request, key_of, load, read_answer

__all__ = ["ReplayGateway", "ReplayMissError"]

WIDTH = 100  # characters of a line of the comparison
SHOWN = 40  # lines of it


class ReplayMissError(ConfigurationError):
    """The request wasn't recorded. After the first line, the message compares it with the most similar one."""


class ReplayGateway(MojenticCalls):
    """Replies from the file `path` that a :class:`RecordingGateway` wrote.

    A request that was recorded several times gets its replies in that order, then from the first again. A `speed` of
    1.0 replays with the recorded delays, 2.0 twice as fast, and None without delays, also before retries. `secrets` are
    those that were passed when it was recorded.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for a file that isn't a recording, and
    :class:`ReplayMissError` for a request that wasn't recorded.
    """

    def __init__(self, path: str | Path, *, speed: float | None = None, secrets: str | Iterable[str] = ()) -> None:
        self.path = Path(path).expanduser()
        if speed is not None and speed <= 0:
            raise ConfigurationError(f"speed must be more than 0, or None for no delays, not {speed}.")
        self._speed = speed
        self._secrets = as_secrets(secrets)
        recorded: dict[str, list[Exchange]] = {}
        for exchange in load(self.path):
            recorded.setdefault(key_of(exchange.request), []).append(exchange)
        self._requests = [exchanges[0].request for exchanges in recorded.values()]
        self._answers: dict[str, Iterator[Exchange]] = {key: cycle(exchanges) for key, exchanges in recorded.items()}

    @property
    def model(self) -> str:
        """The recorded model; raises ConfigurationError if there are several, or none."""
        models = self.get_available_models()
        if len(models) != 1:
            raise ConfigurationError(
                f"The recording {str(self.path)!r} has {len(models)} models ({', '.join(models) or 'it is empty'}). "
                "Name one, as in LLMBroker(model, ReplayGateway(path))."
            )
        return models[0]

    def get_available_models(self) -> list[str]:
        """Return the names of the recorded models."""
        return sorted({request["model"] for request in self._requests})

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Yield the events that were recorded for `request`, or raise the recorded error."""
        for timed in self._recorded(request):
            if self._speed is not None and request.cancellation.wait(timed.wait / self._speed):
                return
            yield self._event(timed)

    async def astream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The same, asynchronously."""
        for timed in self._recorded(request):
            if self._speed is not None:
                await pause(request.cancellation, timed.wait / self._speed)
                if request.cancellation.cancelled:
                    return
            yield self._event(timed)

    def __repr__(self) -> str:
        return f"ReplayGateway({str(self.path)!r})"

    def _event(self, timed: TimedEvent) -> ModelEvent:
        """Return the event, or raise the error."""
        if not isinstance(timed.event, LLMError):
            return timed.event
        if self._speed is None and timed.event.transient:
            timed.event.retry_after = 0.0
        raise timed.event

    def _recorded(self, request: Request) -> Iterator[TimedEvent]:
        wanted = describe_request(request, Redaction.of(self._secrets))
        answers = self._answers.get(key_of(wanted))
        if answers is None:
            raise ReplayMissError(self._miss(wanted))
        exchange = next(answers)
        return read_answer(exchange.answer, exchange.ms)

    def _miss(self, wanted: Mapping[str, Any]) -> str:
        """Return the message for a request that wasn't recorded."""
        head = f"This request isn't in the recording {str(self.path)!r}. Record it, or repeat a recorded request."
        if not self._requests:
            return f"{head} The recording is empty."
        asked = list(readable(wanted))
        nearest = max(
            (list(readable(request)) for request in self._requests), key=lambda lines: similarity(lines, asked)
        )
        compared = list(difflib.unified_diff(nearest, asked, "recorded", "asked", n=1, lineterm=""))
        more = [f"… and {len(compared) - SHOWN} more lines"] if len(compared) > SHOWN else []
        return "\n".join([f"{head} The most similar one differs:", *compared[:SHOWN], *more])


def similarity(lines: list[str], others: list[str]) -> float:
    """Return how similar two requests are, from 0 to 1, by their lines and by their text."""
    by_lines = difflib.SequenceMatcher(None, lines, others, autojunk=False).ratio()
    by_text = difflib.SequenceMatcher(None, "\n".join(lines), "\n".join(others)).quick_ratio()
    return (by_lines + by_text) / 2


def readable(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a request, for a comparison."""
    for name, value in request.items():
        parts = value if isinstance(value, list) else [value]
        for part in parts:
            if name == "messages":
                rest = {field: item for field, item in part.items() if field not in ("role", "content")}
                texts = [*part.get("content", "").splitlines(), *([key_of(rest)] if rest else [])]
                yield from (piece for text in texts for piece in pieces(f"{part['role']}: {text}"))
            else:
                yield from pieces(f"{name}: {part if isinstance(part, str) else key_of(part)}")


def pieces(line: str) -> list[str]:
    """Return the line, folded if it is long."""
    return [line[start : start + WIDTH] for start in range(0, len(line), WIDTH)]
