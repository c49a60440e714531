"""What the broker tells of its runs, for whoever wants to keep record of them."""

from __future__ import annotations

import warnings
from typing import Protocol

from .events import Event
from .gateways.base import Request

__all__ = ["RunTracer", "Tracer", "tell"]


class RunTracer(Protocol):
    """Is told of everything that happens in one run, when it happens."""

    def record(self, happening: Request | Event | Exception) -> None:
        """Take note of a request that is about to be sent, of an event, or of the error that ends the run."""
        ...


class Tracer(Protocol):
    """Keeps record of runs.

    A run is not ended by a tracer that fails: what it raises becomes a RuntimeWarning.
    """

    def begin(self, correlation_id: str) -> RunTracer:
        """What a new run tells its happenings to.

        Several runs may be under way at once, in several threads, and several may have one `correlation_id`: those of
        tools that ask a model themselves, say.
        """
        ...


def tell(tracer: RunTracer, happening: Request | Event | Exception) -> None:
    """Tell `tracer`, which is not to break the run."""
    try:
        tracer.record(happening)
    except Exception as error:  # noqa: BLE001 (whatever it is, the answer is worth more than its trace)
        warnings.warn(
            f"The tracer failed, the run goes on: {type(error).__name__}: {error}", RuntimeWarning, stacklevel=2
        )
