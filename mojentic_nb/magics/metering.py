"""What a notebook's answers cost, and a limit to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import aclosing, closing, contextmanager
from dataclasses import dataclass, field

from mojentic_nb.llm import ModelEvent, Usage
from mojentic_nb.llm.errors import LLMError
from mojentic_nb.llm.request import Gateway, Request, astream
from mojentic_nb.llm.request_usage import RequestUsage

__all__ = ["BudgetExceededError", "Ledger", "MeteredGateway", "Spent", "marked"]


class BudgetExceededError(LLMError):
    """The notebook has used up the tokens that it may use."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens that were used; `estimated` says whether a provider didn't report some of them."""

    usage: Usage = field(default_factory=Usage)
    estimated: bool = False

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.usage + other.usage, self.estimated or other.estimated)

    @property
    def tokens(self) -> int:
        """All tokens, in and out."""
        return self.usage.input_tokens + self.usage.output_tokens


@dataclass(frozen=True, slots=True)
class Entry:
    """What one request of a cell took."""

    cell: str
    model: str
    spent: Spent


@dataclass(slots=True)
class Ledger:
    """The tokens that a notebook's cells have used. `limit` is how many they may; 0 sets none."""

    limit: int = 0
    entries: list[Entry] = field(default_factory=list)

    @property
    def total(self) -> Spent:
        """What was used in all."""
        return sum((entry.spent for entry in self.entries), Spent())

    def by(self, what: Callable[[Entry], str]) -> dict[str, Spent]:
        """What was used, summed up by what the entries are told apart by."""
        sums: dict[str, Spent] = {}
        for entry in self.entries:
            sums[what(entry)] = sums.get(what(entry), Spent()) + entry.spent
        return sums

    def check(self) -> None:
        """Raise :class:`BudgetExceededError` if no more may be asked."""
        used = self.total
        if self.limit and used.tokens >= self.limit:
            raise BudgetExceededError(
                f"Token limit reached: {marked(used.tokens, estimated=used.estimated)} of {self.limit} used. "
                "Raise `LLMMagics.max_tokens_per_notebook` to go on."
            )


def marked(tokens: int, *, estimated: bool) -> str:
    """A count of tokens as it is shown, which tells an estimate from what a provider reported."""
    return f"≈{tokens}" if estimated and tokens else str(tokens)


class MeteredGateway:
    """Stands before a gateway: enters in the ledger what each request of a cell took, however its answer ended.

    It lets none through that the ledger's limit forbids.
    """

    def __init__(self, gateway: Gateway, ledger: Ledger, cell: str, model: str) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._cell = cell
        self._model = model

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Send `request`, and yield the model's events."""
        with self._metered(request) as answer, closing(self._gateway.stream(request)) as events:
            for event in events:
                answer.feed(event)
                yield event

    async def astream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The same, asynchronously."""
        with self._metered(request) as answer:
            async with aclosing(astream(self._gateway, request)) as events:
                async for event in events:
                    answer.feed(event)
                    yield event

    @contextmanager
    def _metered(self, request: Request) -> Iterator[RequestUsage]:
        """Enter in the ledger what the request took, unless it failed before there was an answer."""
        self._ledger.check()
        answer = RequestUsage(request)
        refused = False
        try:
            yield answer
        except Exception:
            refused = not (answer.begun or request.cancellation.cancelled)
            raise
        finally:
            if not refused:
                spent = Spent(answer.usage, answer.estimated)
                self._ledger.entries.append(Entry(self._cell, self._model, spent))
