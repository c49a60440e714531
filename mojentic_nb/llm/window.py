"""The context window: how many tokens a conversation takes, and what to leave out if it is too long.

A conversation is cut between exchanges only, so no result loses its call. An exchange is a user's message with
everything that answers it: calls, results and the reply. System messages always stay.

The size of messages that were sent before is what the provider counted: the input and output of the last request, less
the reasoning, which isn't sent again. The size of newer messages is an estimate: a token for 4 bytes of UTF-8 (or what
a tokenizer counts), 4 more for each message, and 1,000 for each image. If exchanges are left out, the others count in
proportion.
"""

from __future__ import annotations

import json
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
    "append_message",
    "check_follows",
    "without",
]

BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
TOKENS_PER_IMAGE = 1000


class Tokenizer(Protocol):
    """Anything that splits text into tokens."""

    def encode(self, text: str) -> Sized:
        """Return the tokens of `text`."""
        ...


@dataclass(frozen=True, slots=True)
class Measured:
    """A provider's count of `tokens` for the first `count` messages without their `left_out` oldest exchanges."""

    tokens: int = 0
    count: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """A limit in tokens, and a tokenizer for estimates."""

    limit: int
    tokenizer: Tokenizer | None = None

    def estimate(self, messages: Sequence[LLMMessage]) -> int:
        """Estimate how many tokens the messages take."""
        return sum(map(self._estimate, messages))

    def estimate_request(self, request: Request) -> int:
        """Estimate how many tokens a request takes, with its tools and schema."""
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
        """Return how many tokens the messages take without their `left_out` oldest exchanges."""
        estimate = self.estimate(without(messages, left_out))
        covered = messages[: measured.count]
        counted = self.estimate(without(covered, measured.left_out))
        if not counted:
            return estimate
        known = self.estimate(without(covered, left_out))
        return measured.tokens * known // counted + estimate - known

    def excess(self, messages: Sequence[LLMMessage], measured: Measured, limit: int | None = None) -> int:
        """Return how many exchanges to leave out so that the rest fits; never the last one."""
        limit = self.limit if limit is None else limit
        last = max(0, count_exchanges(messages) - 1)
        return bisect_left(range(last), True, key=lambda count: self.size(messages, measured, count) <= limit)

    def cut(
        self, messages: Sequence[LLMMessage], measured: Measured, left_out: int
    ) -> tuple[list[LLMMessage], Measured]:
        """Return the messages without their `left_out` oldest exchanges, and their known size."""
        covered = messages[: measured.count]
        known = Measured(self.size(covered, measured, left_out), len(without(covered, left_out)))
        return without(messages, left_out), known


class FittingGateway(GatewayFilter):
    """Leaves out of each request of one run the oldest exchanges that no longer fit.

    A model that reads less than the window's limit refuses a longer request. It is asked once more without the older
    half of the messages, with a notice. `asked` tells whether there was a request at all, `left_out` counts the
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
        oldest = "The oldest exchange was" if more == 1 else f"The {more} oldest exchanges were"
        self.notices.append(
            Notice(
                f"{oldest} left out: {self.request.model!r} can't read max_context={fitting.window.limit} tokens. "
                "Give the session a lower max_context."
            )
        )
        return True


def count_exchanges(messages: Sequence[LLMMessage]) -> int:
    """Count the exchanges."""
    roles = [message.role for message in messages if message.role is not MessageRole.System]
    return roles[1:].count(MessageRole.User) + bool(roles)


def without(messages: Sequence[LLMMessage], count: int) -> list[LLMMessage]:
    """Return the messages without their `count` oldest exchanges; system messages stay, joined if they meet."""
    kept: list[LLMMessage] = []
    exchange = -1
    for message in messages:
        if message.role is MessageRole.System:
            kept = append_message(kept, message)
            continue
        if exchange < 0 or message.role is MessageRole.User:
            exchange += 1
        if exchange >= count:
            kept.append(message)
    return kept


def append_message(messages: list[LLMMessage], message: LLMMessage) -> list[LLMMessage]:
    """Return the messages with another one, in a form that providers accept.

    They refuse two messages in a row from the user or the system, which are joined, and a user's message right after a
    result, before which an empty reply is inserted.
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
    """Raise ValueError if `message` would leave a call without its result, or a result without its call."""
    waiting: list[str | None] = []
    for before in messages:
        if before.role is MessageRole.Assistant:
            waiting = [call.id for call in before.tool_calls or ()]
        elif before.role is MessageRole.Tool:
            waiting.pop(0)
    answered = [call.id for call in message.tool_calls or ()] if message.role is MessageRole.Tool else []
    if answered != waiting[:1] or (message.role is MessageRole.Tool and not answered):
        wanted = f"Add the result of call {waiting[0]!r} first." if waiting else "No call waits for a result."
        raise ValueError(f"Can't add a message from the {message.role.value} here. {wanted}")
