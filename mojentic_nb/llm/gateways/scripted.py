"""A gateway that answers from a script, for tests, talks, and trying a display without a model."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable

from mojentic_nb.llm.compat import MojenticCalls
from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.events import ModelEvent, StepFinish, TextDelta, Usage
from mojentic_nb.llm.request import Request

__all__ = ["ScriptedGateway"]


class ScriptedGateway(MojenticCalls):
    """Answers the first request with the first step of `script`, the second with the second, and so on.

    A step is a text, which streams word by word, or a series of events; an exception among them is raised in its turn.
    `requests` keeps the requests. A request after the script's last step raises
    :class:`~mojentic_nb.llm.errors.ConfigurationError`.
    """

    def __init__(self, script: Iterable[str | Iterable[ModelEvent | Exception]]) -> None:
        self.requests: list[Request] = []
        self._script = list(script)

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Yield the events of the script's next step."""
        self.requests.append(request)
        if len(self.requests) > len(self._script):
            raise ConfigurationError(
                f"The script is used up. Add the reply to request {len(self.requests)} to ScriptedGateway's script."
            )
        step = self._script[len(self.requests) - 1]
        for event in text_events(step) if isinstance(step, str) else step:
            if isinstance(event, Exception):
                raise event
            yield event

    def assert_complete(self) -> None:
        """Raise AssertionError unless every step of the script was used."""
        used = len(self.requests)
        if used < len(self._script):
            raise AssertionError(f"The script has unused steps: {used} of {len(self._script)} used.")


def text_events(text: str) -> Generator[ModelEvent, None, None]:
    """Yield the events of a reply that is just `text`: a delta for each word, which counts as a token."""
    words = re.findall(r"\s*\S+\s*$|\s*\S+|\s+", text)
    yield from map(TextDelta, words)
    yield StepFinish("stop", Usage(output_tokens=len(words)))
