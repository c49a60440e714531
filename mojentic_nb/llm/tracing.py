"""What the broker tells of its runs, for whoever wants to keep record of them."""

from __future__ import annotations

import warnings
from typing import Protocol, runtime_checkable

from .events import Event
from .messages import LLMToolCall
from .request import Request

__all__ = ["RunTracer", "ToolTracer", "Tracer", "enter_tool", "tell"]


class RunTracer(Protocol):
    """Is told of everything that happens in one run, when it happens."""

    def record(self, happening: Request | Event | Exception) -> None:
        """Take note of a request that is about to be sent, of an event, or of the error that ends the run."""
        ...


@runtime_checkable
class ToolTracer(RunTracer, Protocol):
    """Can also leave something for the tools that a run calls, such as the span in which they run."""

    def enter(self, call: LLMToolCall) -> None:
        """Set context variables for the tool of `call`, in whose own context this is called.

        That is before the tool runs, once for each context that it has: a thread's, and a task's.
        """
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
        report(error)


def enter_tool(tracer: RunTracer | None, call: LLMToolCall) -> None:
    """Have `tracer` prepare the context of a tool, if it can; it is not to break the run."""
    if not isinstance(tracer, ToolTracer):
        return
    try:
        tracer.enter(call)
    except Exception as error:  # noqa: BLE001 (as above)
        report(error)


def report(error: Exception) -> None:
    """Warn that a tracer failed."""
    warnings.warn(f"The tracer failed, the run goes on: {type(error).__name__}: {error}", RuntimeWarning, stacklevel=3)
