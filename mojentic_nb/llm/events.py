"""What happens while a model answers, as values.

A gateway yields :data:`ModelEvent`, the broker yields :data:`Event`; every reader (the text iterator, the display) is a
filter or a fold over that one stream::

    run  = step Finish
    step = TextDelta* StepFinish

Errors are exceptions, not events.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Event", "Finish", "FinishReason", "ModelEvent", "StepFinish", "TextDelta", "Usage"]

FinishReason = Literal["stop", "length", "content_filter", "cancelled"]
"""Why an answer ended, spelled as OpenAI does; *cancelled* means that the reader stopped it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What requests cost, in tokens as the provider counts them; usages add up with ``+``."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input_tokens + other.input_tokens, self.output_tokens + other.output_tokens)


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer; joined, the pieces are the answer."""

    delta: str


@dataclass(frozen=True, slots=True)
class StepFinish:
    """One request to the model is done."""

    finish_reason: FinishReason
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Finish:
    """The run is done: the last event, exactly once. `usage` is the sum over its requests."""

    finish_reason: FinishReason
    usage: Usage = Usage()


ModelEvent = TextDelta | StepFinish
Event = ModelEvent | Finish
