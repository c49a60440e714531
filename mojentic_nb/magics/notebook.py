"""What the cells of a notebook have in common: their conversations, what they cost, and the trace of it all."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from mojentic_nb.llm import LLMBroker
from mojentic_nb.llm.compat import as_gateway
from mojentic_nb.llm.gateways import LocalGateway
from mojentic_nb.llm.providers import broker_for, found_name
from mojentic_nb.llm.window import FittingGateway, Measured, Window
from mojentic_nb.tracer import TracerSystem

from .aliases import Model
from .chats import Chat
from .metering import Ledger, MeteredGateway

__all__ = ["MAIN", "Notebook"]

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
