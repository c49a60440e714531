"""How much of a conversation a model is sent: what it takes in tokens, and what to leave out where it is too long.

A conversation is cut between exchanges only. An exchange is a user's message with all that answers it: calls, their
results, the answer. So no result is left without its call. The system's messages always stay.

What was sent before is as long as the provider counted it: the input and the output of the last request, less the
reasoning, which is not sent again. What has come since is estimated: a token for 4 bytes of UTF-8 (or as many as a
tokenizer says), 4 more for each message, 1,000 for each image. Where exchanges are left out, the rest is taken to be as
dense as the whole.
"""

from __future__ import annotations

import json
import warnings
from bisect import bisect_left
from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace
from typing import Protocol

from .errors import ContextWindowError
from .events import ModelEvent, Notice, StepFinish
from .gateway_filter import GatewayFilter, Passage
from .messages import LLMMessage, MessageRole
from .request import Gateway, Request

__all__ = [
    "BYTES_PER_TOKEN",
    "FittingGateway",
    "Measured",
    "Tokenizer",
    "Window",
    "check_follows",
    "followed_by",
    "without",
]

BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
TOKENS_PER_IMAGE = 1000


class Tokenizer(Protocol):
    """Anything that splits a text into tokens."""

    def encode(self, text: str) -> Sized:
        """The tokens of `text`."""
        ...


@dataclass(frozen=True, slots=True)
class Measured:
    """That a provider counted `tokens` for the first `count` messages without their `left_out` oldest exchanges."""

    tokens: int = 0
    count: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """What fits: `limit` is in tokens, `tokenizer` is for the estimate."""

    limit: int
    tokenizer: Tokenizer | None = None

    def estimate(self, messages: Sequence[LLMMessage]) -> int:
        """About how many tokens the messages take, without a provider's word on it."""
        return sum(map(self._estimate, messages))

    def estimate_request(self, request: Request) -> int:
        """About how many tokens a request takes, with its tools and the schema of its answer."""
        texts = [json.dumps(tool.descriptor["function"], default=str) for tool in request.tools]
        if request.schema:
            texts.append(json.dumps(request.schema))
        return self.estimate(request.messages) + sum(map(self._tokens, texts))

    def _estimate(self, message: LLMMessage) -> int:
        texts = [message.content or ""]
        if message.content is None and message.object is not None:
            texts.append(message.object.model_dump_json())
        if message.role is MessageRole.Assistant:
            texts += [f"{call.name} {call.json_arguments()}" for call in message.tool_calls or ()]
        images = len(message.image_paths or ())
        return TOKENS_PER_MESSAGE + TOKENS_PER_IMAGE * images + sum(map(self._tokens, texts))

    def _tokens(self, text: str) -> int:
        if self.tokenizer is not None:
            return len(self.tokenizer.encode(text))
        return -(-len(text.encode(errors="replace")) // BYTES_PER_TOKEN)

    def size(self, messages: Sequence[LLMMessage], measured: Measured, left_out: int = 0) -> int:
        """How many tokens the messages take without their `left_out` oldest exchanges."""
        estimate = self.estimate(without(messages, left_out))
        covered = messages[: measured.count]
        thought = self.estimate(without(covered, measured.left_out))
        if not thought:
            return estimate
        known = self.estimate(without(covered, left_out))
        return measured.tokens * known // thought + estimate - known

    def excess(self, messages: Sequence[LLMMessage], measured: Measured, limit: int | None = None) -> int:
        """How many exchanges to leave out so that the rest fits; never the last one."""
        limit = self.limit if limit is None else limit
        last = max(0, count_exchanges(messages) - 1)
        return bisect_left(range(last), True, key=lambda count: self.size(messages, measured, count) <= limit)

    def cut(
        self, messages: Sequence[LLMMessage], measured: Measured, left_out: int
    ) -> tuple[list[LLMMessage], Measured]:
        """The messages without their `left_out` oldest exchanges, and what is known of the size of these."""
        covered = messages[: measured.count]
        known = Measured(self.size(covered, measured, left_out), len(without(covered, left_out)))
        return without(messages, left_out), known


class FittingGateway(GatewayFilter):
    """Leaves out of each request of one run the oldest exchanges that no longer fit.

    A model that reads less than the window's limit refuses a longer request. It is asked once more without the older
    half of the messages, with a warning. `asked` tells whether there was a request at all, `left_out` counts the
    exchanges that are no longer sent.
    """

    def __init__(self, gateway: Gateway, window: Window, measured: Measured) -> None:
        super().__init__(gateway)
        self.window = window
        self.asked = False
        self.left_out = 0
        self.measured = measured

    def begin(self, request: Request) -> Passage:
        """Make room for `request`."""
        self.asked = True
        self.left_out = max(self.left_out, self.window.excess(request.messages, self.measured))
        return Fitting(request, self)


class Fitting(Passage):
    """One request that is cut to fit, and what its reply tells of its size."""

    def __init__(self, request: Request, fitting: FittingGateway) -> None:
        super().__init__(request)
        self._fitting = fitting
        self._answered = False
        self._before_halving: int | None = None

    def before(self) -> Request:
        """Return what fits of the request."""
        return replace(self.request, messages=tuple(without(self.request.messages, self._fitting.left_out)))

    def event(self, event: ModelEvent) -> ModelEvent:
        """Learn how many tokens the provider counted."""
        if isinstance(event, Notice):  # precedes the provider's reply
            return event
        self._answered = True
        if isinstance(event, StepFinish) and (usage := event.usage).input_tokens and not usage.estimated:
            tokens = usage.input_tokens + usage.output_tokens - usage.reasoning_tokens
            count = len(self.request.messages) + 1  # with the reply
            self._fitting.measured = Measured(tokens, count, self._fitting.left_out)
        return event

    def retries(self, error: Exception) -> bool:
        """Leave out the older half of a request that is too long: once, and never the last exchange."""
        if not isinstance(error, ContextWindowError):
            return False
        fitting = self._fitting
        if self._before_halving is not None:
            fitting.left_out = self._before_halving  # it didn't help
            return False
        sent = without(self.request.messages, fitting.left_out)
        if self._answered or count_exchanges(sent) <= 1:
            return False
        more = fitting.window.excess(sent, Measured(), fitting.window.estimate(sent) // 2)
        self._before_halving = fitting.left_out
        fitting.left_out += more
        warnings.warn(
            f"{self.request.model!r} can't read max_context={fitting.window.limit} tokens: the oldest exchanges "
            f"({more}) are left out. Give the session a lower max_context.",
            stacklevel=2,
        )
        return True


def count_exchanges(messages: Sequence[LLMMessage]) -> int:
    """How many exchanges there are."""
    said = [message.role for message in messages if message.role is not MessageRole.System]
    return said[1:].count(MessageRole.User) + bool(said)


def without(messages: Sequence[LLMMessage], count: int) -> list[LLMMessage]:
    """The messages without their `count` oldest exchanges; the system's stay, joined where they meet."""
    kept: list[LLMMessage] = []
    exchange = -1
    for message in messages:
        if message.role is MessageRole.System:
            kept = followed_by(kept, message)
            continue
        if exchange < 0 or message.role is MessageRole.User:
            exchange += 1
        if exchange >= count:
            kept.append(message)
    return kept


def followed_by(messages: list[LLMMessage], message: LLMMessage) -> list[LLMMessage]:
    """The messages with one more, as providers take it.

    They refuse a user, or a system, that speaks twice in a row, so these become one message; and a user right after a
    result, so the assistant says nothing in between.
    """
    last = messages[-1] if messages else LLMMessage(role=MessageRole.Assistant)
    if message.role is last.role and message.role in (MessageRole.System, MessageRole.User):
        content = "\n\n".join(filter(None, (last.content, message.content)))
        images = [*(last.image_paths or ()), *(message.image_paths or ())]
        return [*messages[:-1], last.model_copy(update={"content": content, "image_paths": images or None})]
    if message.role is MessageRole.User and last.role is MessageRole.Tool:
        return [*messages, LLMMessage(role=MessageRole.Assistant, content=""), message]
    return [*messages, message]


def check_follows(messages: Sequence[LLMMessage], message: LLMMessage) -> None:
    """Raise ValueError where `message` would leave a call without its result, or a result without its call."""
    waiting: list[str | None] = []
    for before in messages:
        if before.role is MessageRole.Assistant:
            waiting = [call.id for call in before.tool_calls or ()]
        elif before.role is MessageRole.Tool:
            waiting.pop(0)
    answered = [call.id for call in message.tool_calls or ()] if message.role is MessageRole.Tool else []
    if answered != waiting[:1] or (message.role is MessageRole.Tool and not answered):
        wanted = f"the result of call {waiting[0]!r}" if waiting else "no result, for no call waits for one"
        raise ValueError(f"A message of the {message.role.value} can't stand here: next comes {wanted}.")
