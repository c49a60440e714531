"""What happens while a model answers, as values.

A gateway yields :data:`ModelEvent`, a run yields :data:`Event`. Every reader (the text iterator, the display, the
tracer) is a filter or a fold over that one stream::

    run   = [step ([tools] step)* [tools]] Finish        (a cancelled run may end after its tools, or at once)
    tools = (ToolProgress* ToolResult)+                  one result for each ToolCallEnd of the step before, in order
    step  = (Retry | Notice)* (TextDelta | ReasoningDelta | ToolCallStart | ToolCallDelta)* ToolCallEnd* StepFinish

A step is one request to the model. Two steps without tools between them are an object that didn't match its type and
the second attempt, which begins with a Retry. Errors are exceptions, not events.
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
"""Why an answer ended, spelled as OpenAI does. *cancelled* means that the reader stopped it, *max_steps* that the model
still called tools at the limit of rounds."""


class OmissionWarning(UserWarning):
    """A part of the request was left out, because the model doesn't accept it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens that requests used, as the provider counts them. Usages add up with ``+``.

    `cached_tokens` are the part of `input_tokens` that came from the provider's cache, `reasoning_tokens` the part of
    `output_tokens` that went into reasoning. `estimated` means that the provider didn't report some of them, and a
    reader such as ``%%llm`` filled them in.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True, init=False)
class TextDelta:
    """A piece of the answer. Joined, the pieces of a step are its message's content."""

    delta: str

    def __init__(self, delta: str) -> None:
        set_delta(self, delta)


# There is one for each token, and a frozen dataclass's own `__init__` takes about 0.2 µs more (benchmarks/broker.py).
set_delta = TextDelta.__dict__["delta"].__set__


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of visible reasoning.

    If a provider wants its reasoning back with the message, `details` is what it wants, such as a signature. It is in
    the last piece, whose `delta` may be empty.
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
    """A piece of the call's arguments. Joined, the pieces are JSON."""

    id: str
    delta: str


@dataclass(frozen=True, slots=True)
class ToolCallEnd:
    """The call is complete: its arguments are parsed, or ``call.error`` says why they can't be."""

    call: LLMToolCall


@dataclass(frozen=True, slots=True)
class ToolProgress:
    """A running tool reports its progress.

    Results keep the order of the calls. A call that is done before its turn is progress, too: `value` is then the
    :class:`ToolResult` that will follow. `call` tells calls with the same id apart.
    """

    id: str
    value: object
    call: LLMToolCall | None = field(default=None, compare=False, repr=False)


ToolOutcome = Literal["done", "failed", "denied", "timed_out", "cancelled"]
"""How a call ended. *failed* includes unknown tools and wrong arguments; *cancelled* means that the run ended first."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a call: `output` goes to the model, `duration` is in seconds.

    `display` is for a person: the value that the tool returned, or the exception that it raised. `is_error` means that
    the tool failed, doesn't exist, or wasn't run; `outcome` says which. `images` go to the model as well, as ``data:``
    URIs. `displayed` is what the tool displayed while it ran, also for a person.
    """

    call: LLMToolCall
    output: str
    is_error: bool = False
    duration: float = 0.0
    display: object = field(default=None, compare=False)
    outcome: ToolOutcome = "done"
    images: tuple[str, ...] = ()
    displayed: tuple[object, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if self.is_error and self.outcome == "done":
            object.__setattr__(self, "outcome", "failed")


@dataclass(frozen=True, slots=True)
class Notice:
    """A part of the request was left out, because the model doesn't accept it; `text` says which."""

    text: str

    def warn(self) -> None:
        """Issue an OmissionWarning, for readers who get only the answer's text."""
        warnings.warn(self.text, OmissionWarning, stacklevel=3)


@dataclass(frozen=True, slots=True)
class Retry:
    """A request failed before its first token and is sent again after `delay` seconds; `attempt` counts from 1.

    Or its reply didn't match the type of the object, which is requested once more; the text so far is void.
    """

    attempt: int
    delay: float
    reason: str


@dataclass(frozen=True, slots=True)
class StepFinish:
    """One request to the model is done.

    For *length*, `limit` is the setting of :class:`~mojentic_nb.llm.CompletionConfig` that cut the reply off, or "" if
    the provider did. `response_id` and `response_model` are the provider's names for the response and its model, if it
    reports them; they don't count in comparisons.
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
"""What a gateway may yield while a model answers one request."""

Event = ModelEvent | Retry | ToolProgress | ToolResult | Finish
"""What a run yields: its gateway's events, and those of tool calls, retries and the run itself."""
