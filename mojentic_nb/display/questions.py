"""The calls that wait for a person's decision, each known by the block that shows it.

Neither a call's id nor its name would do: a model may give two calls one id, and so may two models of which one is
asked by the other's tool.
"""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from contextlib import suppress

__all__ = ["Questions"]


class Questions:
    """May be asked, answered and ended from any thread."""

    def __init__(self) -> None:
        self._open: dict[int, Future[bool]] = {}

    def open(self, block: int) -> Future[bool] | None:
        """The decision about the call with that block, to be waited for; None if somebody waits for it already."""
        decision: Future[bool] = Future()
        return decision if self._open.setdefault(block, decision) is decision else None

    def close(self, block: int) -> None:
        """Nobody waits for that decision any more."""
        del self._open[block]

    def answer(self, block: int, *, approved: bool) -> None:
        """Decide about the call with that block, if anybody waits for it."""
        if decision := self._open.get(block):
            with suppress(InvalidStateError):  # there is one, or nobody waits any more
                decision.set_result(approved)

    def end(self) -> None:
        """Deny all that nobody has decided about."""
        for block in list(self._open):
            self.answer(block, approved=False)
