"""How a run reports what happens in it, to whoever keeps a record."""

from __future__ import annotations

import warnings
from typing import Protocol, runtime_checkable

from .events import Event
from .messages import LLMToolCall
from .request import Request

__all__ = ["RunTracer", "ToolTracer", "Tracer", "begin", "enter_tool", "report", "tell"]


class RunTracer(Protocol):
    """Receives everything that happens in one run, when it happens."""

    def record(self, happening: Request | Event | Exception) -> None:
        """Record a request that is about to be sent, an event, or the error that ends the run."""
        ...


@runtime_checkable
class ToolTracer(RunTracer, Protocol):
    """Also prepares the context in which a run's tools run, with a span, say."""

    def enter(self, call: LLMToolCall) -> None:
        """Set context variables for the tool of `call`.

        This is called in the tool's own context before it runs, once for each that it has: a thread's, and a task's.
        """
        ...


class Tracer(Protocol):
    """Keeps a record of runs.

    If it raises an error, the run goes on, and the error becomes a RuntimeWarning.
    """

    def begin(self, correlation_id: str) -> RunTracer:
        """Return the tracer of a new run.

        Several runs may be under way at once, in several threads, and several may have the same `correlation_id`, such
        as those of tools that ask a model themselves.
        """
        ...


def begin(tracer: Tracer | None, correlation_id: str) -> RunTracer | None:
    """Return the `tracer` of a new run; None if there is none, or if it fails."""
    try:
        return None if tracer is None else tracer.begin(correlation_id)
    except Exception as error:  # noqa: BLE001 (whatever it is, the answer is worth more than its trace)
        report(error)
        return None


def tell(tracer: RunTracer, happening: Request | Event | Exception) -> None:
    """Report to `tracer`. Its errors don't end the run."""
    try:
        tracer.record(happening)
    except Exception as error:  # noqa: BLE001 (as above)
        report(error)


def enter_tool(tracer: RunTracer | None, call: LLMToolCall) -> None:
    """Let `tracer` prepare the context of a tool, if it can. Its errors don't end the run."""
    try:
        if isinstance(tracer, ToolTracer):
            tracer.enter(call)
    except Exception as error:  # noqa: BLE001 (as above)
        report(error)


def report(error: Exception) -> None:
    """Warn that a tracer failed."""
    warnings.warn(f"The tracer failed, the run goes on: {type(error).__name__}: {error}", RuntimeWarning, stacklevel=3)
