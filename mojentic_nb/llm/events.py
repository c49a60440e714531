"""What happens while a model answers, as values.

A gateway yields :data:`ModelEvent`, the broker yields :data:`Event`; every reader (the text iterator, the display, the
tracer) is a filter or a fold over that one stream::

    run   = [step ([tools] step)* [tools]] Finish        (a cancelled run may end after its tools, or at once)
    tools = (ToolProgress* ToolResult)+                  one result for each ToolCallEnd of the step before, in order
    step  = (Retry | Notice)* (TextDelta | ReasoningDelta | ToolCallStart | ToolCallDelta)* ToolCallEnd* StepFinish

Two steps with no tools between them are an object and the same once more: the model is told what was wrong with the
first, and a Retry begins the second. Errors are exceptions, not events.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .messages import LLMToolCall

__all__ = [
    "Event",
    "Finish",
    "FinishReason",
    "ModelEvent",
    "Notice",
    "OmissionWarning",
    "ReasoningDelta",
    "Retry",
    "StepFinish",
    "TextDelta",
    "ToolCallDelta",
    "ToolCallEnd",
    "ToolCallStart",
    "ToolOutcome",
    "ToolProgress",
    "ToolResult",
    "Usage",
]

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "cancelled", "max_steps"]
"""Why an answer ended, spelled as OpenAI does; *cancelled* means that the reader stopped it, *max_steps* that the model
still called tools when the limit of rounds was reached."""


class OmissionWarning(UserWarning):
    """A part of the request was left out, since the model doesn't take it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What requests cost, in tokens as the provider counts them; usages add up with ``+``.

    `cached_tokens` are those of `input_tokens` that came from the provider's cache, `reasoning_tokens` those of
    `output_tokens` that went into reasoning.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


@dataclass(frozen=True, slots=True, init=False)
class TextDelta:
    """A piece of the answer; joined, the pieces of a step are its message's content."""

    delta: str

    def __init__(self, delta: str) -> None:
        set_delta(self, delta)


# There is one for each token, and what dataclasses generate for a frozen class takes half as long again.
set_delta = TextDelta.__dict__["delta"].__set__


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of visible reasoning.

    Where a provider wants its reasoning back with the message, `details` is what it wants, word for word (a signature,
    say); it comes with the last piece, which may be empty.
    """

    delta: str
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ToolCallStart:
    """The model begins to call a tool."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of the call's arguments, which joined are JSON."""

    id: str
    delta: str


@dataclass(frozen=True, slots=True)
class ToolCallEnd:
    """The call is complete: its arguments are parsed, or ``call.error`` says why they can't be."""

    call: LLMToolCall


@dataclass(frozen=True, slots=True)
class ToolProgress:
    """A running tool reports how far it has come.

    Results come in the order of the calls; a call that is done before its turn says so here, its `value` is then the
    :class:`ToolResult` that will follow. `call` tells calls apart that have the same id.
    """

    id: str
    value: object
    call: LLMToolCall | None = field(default=None, compare=False, repr=False)


ToolOutcome = Literal["done", "failed", "denied", "timed_out", "cancelled"]
"""How a call went: *failed* also where there is no such tool or its arguments were wrong, *cancelled* where the run
ended before it did."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """A call is answered: `output` is what the model is told, `duration` is in seconds.

    `display` is what a person is shown: what the tool returned, as it is, or the exception that it raised. With
    `is_error` the tool failed, does not exist, or was not run; `outcome` says which in a word. `images` are what the
    model is shown besides, as ``data:`` URIs.
    """

    call: LLMToolCall
    output: str
    is_error: bool = False
    duration: float = 0.0
    display: object = field(default=None, compare=False)
    outcome: ToolOutcome = "done"
    images: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.is_error and self.outcome == "done":
            object.__setattr__(self, "outcome", "failed")


@dataclass(frozen=True, slots=True)
class Notice:
    """A part of the request was left out, since the model doesn't take it; `text` says which."""

    text: str

    def warn(self) -> None:
        """Have Python warn of it, for readers who see the answer's text alone."""
        warnings.warn(self.text, OmissionWarning, stacklevel=3)


@dataclass(frozen=True, slots=True)
class Retry:
    """A request failed before its first token and is tried again after `delay` seconds; `attempt` counts from 1.

    Or its answer was not the object that was asked for, which is asked for again; what there was of it is void.
    """

    attempt: int
    delay: float
    reason: str


@dataclass(frozen=True, slots=True)
class StepFinish:
    """One request to the model is done.

    `limit` is the setting of :class:`~mojentic_nb.llm.CompletionConfig` that cut its answer off, for *length*; "" where
    the provider did.

    `response_id` and `response_model` are what the provider calls the response and the model that gave it, where it
    says so; they say nothing of the answer, and do not count in comparisons.
    """

    finish_reason: FinishReason
    usage: Usage = Usage()
    response_id: str | None = field(default=None, compare=False)
    response_model: str | None = field(default=None, compare=False)
    limit: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """The run is done: the last event, exactly once.

    `usage` is the sum over its requests, `limit` that of the last :class:`StepFinish`.
    """

    finish_reason: FinishReason
    usage: Usage = Usage()
    limit: str = ""


ModelEvent = Notice | TextDelta | ReasoningDelta | ToolCallStart | ToolCallDelta | ToolCallEnd | StepFinish
"""What a gateway may yield: what happens while a model answers one request."""

Event = ModelEvent | Retry | ToolProgress | ToolResult | Finish
"""What a run yields: what its gateway does, and what becomes of tool calls, retries and the run itself."""
