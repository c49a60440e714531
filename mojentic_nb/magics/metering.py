"""What a notebook's answers cost, and a limit to it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, closing
from dataclasses import dataclass, field

from mojentic_nb.llm import ModelEvent, StepFinish, Usage
from mojentic_nb.llm.errors import LLMError
from mojentic_nb.llm.gateways.base import Gateway, Request, astream

__all__ = ["BudgetExceededError", "Ledger", "MeteredGateway"]


class BudgetExceededError(LLMError):
    """The notebook has used up the tokens that it may use."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What one request of a cell took."""

    cell: str
    model: str
    usage: Usage


@dataclass(slots=True)
class Ledger:
    """The tokens that a notebook's cells have used. `limit` is how many they may; 0 sets none."""

    limit: int = 0
    entries: list[Spent] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All tokens, in and out."""
        return sum(entry.usage.input_tokens + entry.usage.output_tokens for entry in self.entries)

    def by(self, what: Callable[[Spent], str]) -> dict[str, Usage]:
        """What was used in all, by what the entries are told apart."""
        sums: dict[str, Usage] = {}
        for entry in self.entries:
            sums[what(entry)] = sums.get(what(entry), Usage()) + entry.usage
        return sums

    def check(self) -> None:
        """Raise :class:`BudgetExceededError` if no more may be asked."""
        if self.limit and self.total >= self.limit:
            raise BudgetExceededError(
                f"This notebook has used {self.total} tokens of the {self.limit} that it may: "
                "raise %config LLMMagics.max_tokens_per_notebook to go on."
            )


class MeteredGateway:
    """Stands before a gateway: enters in the ledger what each request of a cell took.

    It lets none through that the ledger's limit forbids.
    """

    def __init__(self, gateway: Gateway, ledger: Ledger, cell: str, model: str) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._cell = cell
        self._model = model

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Send `request`, and yield the model's events."""
        self._ledger.check()
        with closing(self._gateway.stream(request)) as events:
            for event in events:
                self._note(event)
                yield event

    async def astream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The same, asynchronously."""
        self._ledger.check()
        async with aclosing(astream(self._gateway, request)) as events:
            async for event in events:
                self._note(event)
                yield event

    def _note(self, event: ModelEvent) -> None:
        if isinstance(event, StepFinish):
            self._ledger.entries.append(Spent(self._cell, self._model, event.usage))
