"""One tool call, from its approval to its result.

Whatever goes wrong is told to the model, which can mend it or do without.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from mojentic_nb.llm.cancellation import Cancellation
from mojentic_nb.llm.events import ToolProgress, ToolResult
from mojentic_nb.llm.gateways.base import Tool
from mojentic_nb.llm.messages import LLMToolCall
from mojentic_nb.llm.threads import in_own_loop

from .results import done, failed

__all__ = ["Approve", "Happening", "Job", "ToolBatch", "adenial", "ahappenings", "denial", "happenings"]

Approve = Callable[[LLMToolCall], bool | str | Awaitable[bool | str]]
"""Decides whether a call may run: True lets it, False or a text (the reason, for the model) doesn't; may be async."""

Happening = ToolProgress | ToolResult


@dataclass(frozen=True, slots=True)
class ToolBatch:
    """The `calls` of one step, the `tools` there are, who is to `approve` of a call, and the run's `cancellation`."""

    calls: tuple[LLMToolCall, ...]
    tools: tuple[Tool, ...]
    approve: Approve | None
    cancellation: Cancellation


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A call and its tool, None if there is none of that name among `names`."""

    call: LLMToolCall
    tool: Tool | None
    names: tuple[str, ...]
    default_timeout: float | None

    @property
    def sequential(self) -> bool:
        """Whether it has to run alone."""
        return bool(getattr(self.tool, "sequential", False))

    @property
    def timeout(self) -> float | None:
        """How long it may take, in seconds."""
        limit: float | None = getattr(self.tool, "timeout", None)
        return self.default_timeout if limit is None else limit

    @property
    def is_async(self) -> bool:
        """Whether it needs an event loop."""
        says: bool | None = getattr(self.tool, "is_async", None)
        run = getattr(self.tool, "run", None)
        return inspect.iscoroutinefunction(run) or inspect.isasyncgenfunction(run) if says is None else says

    def permission(self, approve: Approve | None) -> object:
        """Whether it may run: True, or else the reason; or what is still to be awaited for that."""
        if self.call.error or self.tool is None:
            return True  # it fails, which needs nobody's approval
        if approve is not None:
            return approve(self.call)
        return not getattr(self.tool, "approval", False) or "It needs approval, and nobody is there to give it"

    def verdict(self, said: object) -> ToolResult | None:
        """The result of a call of which that was `said`; None if it may run."""
        if said and not isinstance(said, str):
            return None
        reason = f": {said}" if said else ""
        return failed(self.call, PermissionError(f"The call was denied{reason}."), "denied")

    def undecided(self, error: Exception) -> ToolResult:
        """The result of a call of which could not be decided whether it may run."""
        reason = f"The call was not run, asking for approval failed: {type(error).__name__}: {error}"
        return replace(failed(self.call, PermissionError(reason), "denied"), display=error)

    def begin(self) -> object:
        """Call the tool, which may return what is still to be waited for; raises what is wrong with the call."""
        if self.call.error:
            raise ValueError(self.call.error)
        if self.tool is None:
            names = ", ".join(self.names) or "none"
            raise LookupError(f"There is no tool {self.call.name!r}; there are: {names}.")
        return self.tool.run(**deepcopy(self.call.arguments))

    def overdue(self) -> ToolResult:
        """The result of a call whose time is up."""
        error = TimeoutError(f"{self.call.name} had no result after {self.timeout:g} s, and was given up.")
        return replace(failed(self.call, error, "timed_out"), duration=self.timeout or 0.0)


def happenings(job: Job) -> Generator[Happening, None, None]:
    """Run a tool in this thread; yield its progress and, last, its result."""
    started = time.perf_counter()
    try:
        value = job.begin()
        if inspect.isgenerator(value):
            value = yield from progress(job.call, value)
        elif inspect.isawaitable(value):  # of a function that does not look asynchronous
            value = in_own_loop(value)
        result = done(job.call, value)
    except (Exception, SystemExit) as error:  # noqa: BLE001 (a tool may raise anything; an interrupt is none of these)
        result = failed(job.call, error)
    yield replace(result, duration=time.perf_counter() - started)


def progress(call: LLMToolCall, steps: Generator[object, Any, object]) -> Generator[ToolProgress, None, object]:
    """The progress that a tool's generator reports; returns its result."""
    try:
        while True:
            yield ToolProgress(call.id or "", next(steps))
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


async def ahappenings(job: Job) -> AsyncGenerator[Happening, None]:
    """The same for an asynchronous tool, on this event loop. The last value of a generator is its result."""
    started = time.perf_counter()
    try:
        value = job.begin()
        if inspect.isasyncgen(value):
            last = None
            async with aclosing(value) as steps:
                async for last in steps:
                    yield ToolProgress(job.call.id or "", last)
            value = last
        elif inspect.isawaitable(value):
            value = await value
        result = done(job.call, value)
    except (Exception, SystemExit) as error:  # noqa: BLE001
        result = failed(job.call, error)
    yield replace(result, duration=time.perf_counter() - started)


def denial(job: Job, approve: Approve | None) -> ToolResult | None:
    """The result of a call that can't or may not run; None if it may."""
    try:
        said = job.permission(approve)
        return job.verdict(in_own_loop(said) if inspect.isawaitable(said) else said)
    except Exception as error:  # noqa: BLE001 (of the caller's own code)
        return job.undecided(error)


async def adenial(job: Job, approve: Approve | None) -> ToolResult | None:
    """The same, asynchronously."""
    try:
        said = job.permission(approve)
        return job.verdict(await said if inspect.isawaitable(said) else said)
    except Exception as error:  # noqa: BLE001
        return job.undecided(error)
