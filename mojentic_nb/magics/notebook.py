"""What the cells of a notebook share: their conversations, the tokens they use, and the models they loaded.

Running a cell again replaces its exchange in the conversation and leaves the others. Those after it answered something
that is gone, and are marked stale.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from mojentic_nb.display.render.values import one_line
from mojentic_nb.llm import FinishReason, LLMMessage, MessageRole, ModelEvent, StepFinish, Usage
from mojentic_nb.llm.compat import as_gateway
from mojentic_nb.llm.errors import LLMError
from mojentic_nb.llm.gateway_filter import GatewayFilter, Passage
from mojentic_nb.llm.gateways import LocalGateway
from mojentic_nb.llm.providers import broker_for, found_name
from mojentic_nb.llm.request import Gateway, Request
from mojentic_nb.llm.request_usage import RequestUsage
from mojentic_nb.llm.window import FittingGateway, Measured, Window
from mojentic_nb.tracer import TracerSystem

from .options import Model

__all__ = ["MAIN", "CellExchange", "Chat", "Notebook", "mark_estimate"]

MAIN = "main"


class Notebook:
    """The state of one session.

    `models` names the models that were asked or listed, `local` holds those that run on this machine. `unexplained` is
    the error that ``%llm explain`` failed to explain. `inserted` is the code that each cell has inserted in a new cell.
    """

    def __init__(self) -> None:
        self.chats: defaultdict[str, Chat] = defaultdict(Chat)
        self.ledger = Ledger()
        self.tracer = TracerSystem()
        self.local: dict[Path, LocalGateway] = {}
        self.models: dict[str, None] = {}
        self.unexplained: BaseException | None = None
        self.inserted: dict[str, str] = {}
        self._found = ""

    def connect(self, model: Model, cell: str, max_context: int) -> tuple[str, Gateway]:
        """Return the full name of `model`, and a gateway for a question of `cell` to it.

        A model without a name is the one found at hand. A model on this machine stays loaded from cell to cell. A
        gateway to a server is new for each question, so that a changed key or address counts at once. It cuts requests
        to `max_context` tokens, and enters them in the ledger.
        """
        name = model.name
        if not name:
            name = self._found = self._found or found_name()
        broker = broker_for(name, base_url=model.base_url, api_key=model.key)
        gateway = broker.adapter
        if isinstance(gateway, LocalGateway):
            gateway = self.local.setdefault(gateway.model_path, gateway)
        full_name = f"{name.partition(':')[0].strip()}:{broker.model}"
        self.models[full_name] = None
        metered = MeteredGateway(as_gateway(gateway), self.ledger, cell, full_name)
        return full_name, FittingGateway(metered, Window(max_context), Measured())

    def forget_found(self) -> None:
        """Look for a model again at the next question without one: the last one found may be gone."""
        self._found = ""

    def close(self) -> None:
        """Stop the models that this session started."""
        for gateway in self.local.values():
            gateway.close()
        self.local.clear()


@dataclass(frozen=True, slots=True)
class CellExchange:
    """A cell's question and all messages that followed; `system` is the cell's own system message, if it has one."""

    cell: str
    messages: tuple[LLMMessage, ...]
    model: str
    system: str | None = None
    usage: Usage = field(default_factory=Usage)
    finish_reason: FinishReason | None = None
    stale: bool = False

    @property
    def beginnings(self) -> tuple[str, str]:
        """The beginnings of the question and the answer."""
        question, answer = self.messages[0].content or "", self.messages[-1].content or ""
        return one_line(question, 100), one_line(answer, 100)

    @property
    def marks(self) -> list[str]:
        """What ``%llm history`` notes beside it."""
        stopped = self.finish_reason in ("cancelled", None)
        return ["stopped"] * stopped + ["stale: an earlier cell was run again"] * self.stale


@dataclass(slots=True)
class Chat:
    """The exchanges of one conversation, in the order of their first run."""

    exchanges: list[CellExchange] = field(default_factory=list)

    def history(self, cell: str, system: str | None, default: str) -> Iterator[LLMMessage]:
        """Yield the messages before that cell, all if it is new.

        They begin with the system message: `system`, else the last one that a cell gave, else the `default`.
        """
        before = self.exchanges[: self._position(cell)]
        systems = [system, *(exchange.system for exchange in reversed(before)), default]
        if content := next(content for content in systems if content is not None):  # "" sends none
            yield LLMMessage(role=MessageRole.System, content=content)
        for exchange in before:
            yield from exchange.messages

    def put(self, exchange: CellExchange) -> None:
        """Add the exchange, or replace the one its cell had; those after it become stale."""
        position = self._position(exchange.cell)
        later = [replace(after, stale=True) for after in self.exchanges[position + 1 :]]
        self.exchanges[position:] = [exchange, *later]

    def _position(self, cell: str) -> int:
        cells = [exchange.cell for exchange in self.exchanges]
        return cells.index(cell) if cell in cells else len(cells)


class BudgetExceededError(LLMError):
    """The notebook has used all the tokens it may use."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The tokens that one request of a cell used."""

    cell: str
    model: str
    usage: Usage


@dataclass(slots=True)
class Ledger:
    """The tokens that a notebook's cells have used. `limit` is how many they may use; 0 sets no limit."""

    limit: int = 0
    entries: list[Entry] = field(default_factory=list)

    def sum_by(self, key: Callable[[Entry], str]) -> dict[str, Usage]:
        """Sum up the entries by that `key`."""
        sums: dict[str, Usage] = {}
        for entry in self.entries:
            sums[key(entry)] = sums.get(key(entry), Usage()) + entry.usage
        return sums

    def check(self) -> None:
        """Raise :class:`BudgetExceededError` if the limit is reached."""
        used = sum((entry.usage for entry in self.entries), Usage())
        tokens = used.input_tokens + used.output_tokens
        if self.limit and tokens >= self.limit:
            raise BudgetExceededError(
                f"Token limit reached: {mark_estimate(tokens, estimated=used.estimated)} of {self.limit} used. "
                "Raise `LLMMagics.max_tokens_per_notebook` to go on."
            )


def mark_estimate(tokens: int, *, estimated: bool) -> str:
    """Write a number of tokens, with ≈ before an estimate."""
    return f"≈{tokens}" if estimated and tokens else str(tokens)


class MeteredGateway(GatewayFilter):
    """Enters in `ledger` what each request of a cell uses, and refuses requests when its limit is reached.

    What the provider doesn't report is estimated, in the events as well, so that the run shows the same.
    """

    def __init__(self, gateway: Gateway, ledger: Ledger, cell: str, model: str) -> None:
        super().__init__(gateway)
        self._ledger = ledger
        self._cell = cell
        self._model = model

    def begin(self, request: Request) -> Passage:
        """Check the limit before each request."""
        self._ledger.check()
        return Metering(request, self._enter)

    def _enter(self, usage: Usage) -> None:
        self._ledger.entries.append(Entry(self._cell, self._model, usage))


class Metering(Passage):
    """One request, whose usage it gives to `enter` however the reply ends."""

    def __init__(self, request: Request, enter: Callable[[Usage], None]) -> None:
        super().__init__(request)
        self._enter = enter
        self._reply = RequestUsage(request)

    def event(self, event: ModelEvent) -> ModelEvent:
        """Count, and complete the usage at the end of the reply."""
        self._reply.feed(event)
        return replace(event, usage=self._reply.usage) if isinstance(event, StepFinish) else event

    def end(self, error: BaseException | None) -> None:
        """Enter the usage, unless the request failed before the reply began."""
        refused = isinstance(error, Exception) and not (self._reply.begun or self.request.cancellation.cancelled)
        if not refused:
            self.request.tally.usage = usage = self._reply.usage
            self._enter(usage)
