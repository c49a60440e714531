"""What the cells of a notebook have in common: their conversations, what they cost, and the trace of it all.

The conversations of a notebook: what its cells have asked and been answered.

Running a cell again replaces its exchange and leaves the others; those after it were said in view of what is gone, and
are marked stale.

What a notebook's answers cost, and a limit to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import aclosing, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from mojentic_nb.llm import FinishReason, LLMBroker, LLMMessage, MessageRole, ModelEvent, StepFinish, Usage
from mojentic_nb.llm.compat import as_gateway
from mojentic_nb.llm.errors import LLMError
from mojentic_nb.llm.gateways import LocalGateway
from mojentic_nb.llm.providers import broker_for, found_name
from mojentic_nb.llm.request import Gateway, Request, astream
from mojentic_nb.llm.request_usage import RequestUsage
from mojentic_nb.llm.window import FittingGateway, Measured, Window
from mojentic_nb.tracer import TracerSystem

from .options import Model
from .prompt import shortened

__all__ = ["MAIN", "Chat", "Exchange", "Notebook", "marked"]


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


class BudgetExceededError(LLMError):
    """The notebook has used up the tokens that it may use."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one request of a cell took."""

    cell: str
    model: str
    usage: Usage


@dataclass(slots=True)
class Ledger:
    """The tokens that a notebook's cells have used. `limit` is how many they may; 0 sets none."""

    limit: int = 0
    entries: list[Entry] = field(default_factory=list)

    @property
    def total(self) -> Usage:
        """What was used in all."""
        return sum((entry.usage for entry in self.entries), Usage())

    def by(self, what: Callable[[Entry], str]) -> dict[str, Usage]:
        """What was used, summed up by what the entries are told apart by."""
        sums: dict[str, Usage] = {}
        for entry in self.entries:
            sums[what(entry)] = sums.get(what(entry), Usage()) + entry.usage
        return sums

    def check(self) -> None:
        """Raise :class:`BudgetExceededError` if no more may be asked."""
        used = self.total
        tokens = used.input_tokens + used.output_tokens
        if self.limit and tokens >= self.limit:
            raise BudgetExceededError(
                f"Token limit reached: {marked(tokens, estimated=used.estimated)} of {self.limit} used. "
                "Raise `LLMMagics.max_tokens_per_notebook` to go on."
            )


def marked(tokens: int, *, estimated: bool) -> str:
    """A count of tokens as it is shown, which tells an estimate from what a provider reported."""
    return f"≈{tokens}" if estimated and tokens else str(tokens)


class MeteredGateway:
    """Stands before a gateway: enters in the ledger what each request of a cell took, however its answer ended.

    It lets none through that the ledger's limit forbids. What the provider didn't report is estimated, and told to the
    run as well.
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
                yield completed(event, answer)

    async def astream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The same, asynchronously."""
        with self._metered(request) as answer:
            async with aclosing(astream(self._gateway, request)) as events:
                async for event in events:
                    answer.feed(event)
                    yield completed(event, answer)

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
                request.tally.usage = answer.usage
                self._ledger.entries.append(Entry(self._cell, self._model, request.tally.usage))


def completed(event: ModelEvent, answer: RequestUsage) -> ModelEvent:
    """The event; where it ends the answer, with what that took."""
    return replace(event, usage=answer.usage) if isinstance(event, StepFinish) else event


MAIN = "main"


class Notebook:
    """The state of one session.

    `models` names those that were asked or listed, `local` has those that were started. `unexplained` is the error that
    ``%llm explain`` was to explain, until it has. `inserted` is the code that each cell has put into a new cell.
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

    def broker(self, model: Model, cell: str, max_context: int) -> tuple[str, LLMBroker]:
        """The full name of `model`, and a broker for a question of `cell` to it.

        One without a name is the model found at hand. A model on this machine stays loaded from cell to cell. A gateway
        to a server is made anew for each, so that a key or an address that was changed in the environment counts at
        once. Requests are cut to `max_context` tokens, and the ledger is told of them.
        """
        name = model.name
        if not name:
            name = self._found = self._found or found_name()
        broker = broker_for(name, base_url=model.base_url, api_key=model.key)
        if isinstance(broker.adapter, LocalGateway):
            broker.adapter = self.local.setdefault(broker.adapter.model_path, broker.adapter)
        full_name = f"{name.partition(':')[0].strip()}:{broker.model}"
        metered = MeteredGateway(as_gateway(broker.adapter), self.ledger, cell, full_name)
        broker.adapter = FittingGateway(metered, Window(max_context), Measured())
        self.models[full_name] = None
        return full_name, broker

    def forget_found(self) -> None:
        """Look anew for a model at the next question that names none: the last one found may be gone."""
        self._found = ""

    def close(self) -> None:
        """End the models that this session started."""
        for gateway in self.local.values():
            gateway.close()
        self.local.clear()
