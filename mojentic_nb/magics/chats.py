"""The conversations of a notebook: what its cells have asked and been answered.

Running a cell again replaces its exchange and leaves the others; those after it were said in view of what is gone, and
are marked stale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mojentic_nb.llm import FinishReason, LLMMessage, MessageRole, Usage

from .values import shortened

__all__ = ["Chat", "Exchange"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One cell's question and all that came of it; `system` is what the model was told before, if anything was."""

    cell: str
    messages: tuple[LLMMessage, ...]
    model: str
    system: str | None = None
    usage: Usage = field(default_factory=Usage)
    finish_reason: FinishReason | None = None
    stale: bool = False

    @property
    def answer(self) -> str:
        """The answer's beginning."""
        return shortened(" ".join((self.messages[-1].content or "").split()), 100)

    @property
    def marks(self) -> list[str]:
        """What is to be said of it beside."""
        stopped = self.finish_reason in ("cancelled", None)
        return ["stopped"] * stopped + ["stale: an earlier cell was run again"] * self.stale


@dataclass(slots=True)
class Chat:
    """The exchanges of one conversation, in the order of their first run."""

    exchanges: list[Exchange] = field(default_factory=list)

    def before(self, cell: str) -> list[Exchange]:
        """What was said before that cell: all, if it is new."""
        position = self._position(cell)
        return self.exchanges[:position]

    def put(self, exchange: Exchange) -> None:
        """Add the exchange, in place of the one that its cell had; those after it become stale."""
        position = self._position(exchange.cell)
        later = [replace(after, stale=True) for after in self.exchanges[position + 1 :]]
        self.exchanges[position:] = [exchange, *later]

    def _position(self, cell: str) -> int:
        cells = [exchange.cell for exchange in self.exchanges]
        return cells.index(cell) if cell in cells else len(cells)

    def history(self, cell: str, system: str | None, default: str = "") -> Iterator[LLMMessage]:
        """The messages before that cell, under `system`, else the last one that was given, else the `default`."""
        before = self.before(cell)
        systems = [system, *(exchange.system for exchange in reversed(before)), default]
        if said := next(said for said in systems if said is not None):  # "" says that nothing is told
            yield LLMMessage(role=MessageRole.System, content=said)
        for exchange in before:
            yield from exchange.messages
