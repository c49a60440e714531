"""The tool calls that wait for a person's approval, each known by the block that shows it.

Neither a call's id nor its name would do: a model may give two calls one id, and so may two models if a tool of one
asks the other.
"""

from __future__ import annotations

from concurrent.futures import Future, InvalidStateError
from contextlib import suppress

__all__ = ["Approvals"]


class Approvals:
    """The open approvals of a view. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._open: dict[int, Future[bool]] = {}

    def open(self, block: int) -> Future[bool] | None:
        """Return the decision about the call of that block, to wait for; None if it is awaited already."""
        decision: Future[bool] = Future()
        return decision if self._open.setdefault(block, decision) is decision else None

    def close(self, block: int) -> None:
        """Forget the decision, which is no longer awaited."""
        del self._open[block]

    def decide(self, block: int, *, approved: bool) -> None:
        """Decide about the call of that block if its decision is awaited."""
        if decision := self._open.get(block):
            with suppress(InvalidStateError):  # decided already, or no longer awaited
                decision.set_result(approved)

    def deny_all(self) -> None:
        """Deny all calls that wait."""
        for block in list(self._open):
            self.decide(block, approved=False)
