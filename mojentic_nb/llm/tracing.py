"""What the broker tells of its runs, for whoever wants to keep record of them."""

from __future__ import annotations

from typing import Protocol

from .events import Event
from .gateways.base import Request

__all__ = ["Tracer"]


class Tracer(Protocol):
    """Is told of everything that happens in a run, when it happens."""

    def record(self, correlation_id: str, happening: Request | Event | Exception) -> None:
        """Take note of a request that is about to be sent, of an event, or of the error that ends the run.

        All that belongs to one run has the same `correlation_id`.
        """
        ...
