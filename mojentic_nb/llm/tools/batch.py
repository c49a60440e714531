"""One tool call before it runs: its tool, its checked arguments, and whether it may run."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Generator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from mojentic_nb.llm.cancellation import Cancellation
from mojentic_nb.llm.concurrency import Raised, settled
from mojentic_nb.llm.events import ToolResult
from mojentic_nb.llm.messages import LLMToolCall
from mojentic_nb.llm.request import Tool, tool_name

from .function import FunctionTool
from .parameters import defaults_of
from .results import described, drained, failed

__all__ = ["Approve", "PendingCall", "ToolBatch"]

Approve = Callable[[LLMToolCall], bool | str | Awaitable[bool | str | None] | None]
"""Decides whether a call may run. Only True lets it; False, None or a text (the reason, for the model) doesn't. It may
be async."""


@dataclass(frozen=True, slots=True)
class ToolBatch:
    """The `calls` of one step, the `tools`, who may `approve` a call, and the run's `cancellation`.

    `keep` gets each result as soon as it exists, from any thread, before the reader does. `enter` is called in the
    context of each call's tool before it runs.
    """

    calls: tuple[LLMToolCall, ...]
    tools: tuple[Tool, ...]
    approve: Approve | None
    cancellation: Cancellation
    keep: Callable[[ToolResult], object] = lambda _: None
    enter: Callable[[LLMToolCall], object] = lambda _: None


class PendingCall:
    """A call of a batch and its tool, None if no tool has that name.

    The arguments are checked once. `approve` gets a copy of the checked arguments, and the tool gets the same.
    """

    def __init__(self, call: LLMToolCall, tool: Tool | None, batch: ToolBatch, default_timeout: float | None) -> None:
        self.call = call
        self.tool = tool
        self.batch = batch
        self.default_timeout = default_timeout

    @property
    def sequential(self) -> bool:
        """Whether it must run alone."""
        return bool(getattr(self.tool, "sequential", False))

    @property
    def timeout(self) -> float | None:
        """How long it may take, in seconds. A tool's attribute `timeout` that isn't a number means something else."""
        limit = getattr(self.tool, "timeout", None)
        return limit if isinstance(limit, int | float) and limit > 0 else self.default_timeout

    @property
    def is_async(self) -> bool:
        """Whether it needs an event loop from the start."""
        says: bool | None = getattr(self.tool, "is_async", None)
        run = getattr(self.tool, "run", None)
        return inspect.iscoroutinefunction(run) or inspect.isasyncgenfunction(run) if says is None else says

    @property
    def asks(self) -> bool:
        """Whether `approve` must be called. It isn't for a call that fails anyway."""
        return self.batch.approve is not None and isinstance(self._prepared, Prepared)

    @cached_property
    def _prepared(self) -> Prepared | Raised:
        """The call with checked arguments, or the error in it."""
        try:
            return prepare(self.call, self.tool, self.batch.tools)
        except Exception as error:  # noqa: BLE001 (of the validators of a caller's own types)
            return Raised(error)

    def begin(self) -> object:
        """Call the tool. Return its value, or a generator or an awaitable of it. Raises the error in the call."""
        if isinstance(self._prepared, Raised):
            raise self._prepared.error
        return self._prepared.run()

    def steps(self) -> Generator[object, None, object]:
        """Run the tool in this thread: yield its progress, return its value or an awaitable of it."""
        value: Any = self.begin()
        return (yield from drained(value)) if inspect.isgenerator(value) else value

    def ask(self) -> object:
        """Return the answer to whether it may run: of `approve`, maybe an awaitable, or a Raised with its error."""
        if isinstance(self._prepared, Raised):
            return True
        if self.batch.approve is None:
            unapproved = getattr(self.tool, "approval", False)
            return "it needs approval, and no one can be asked" if unapproved else True
        try:
            return self.batch.approve(self.call.with_checked(self._prepared.shown))
        except Exception as error:  # noqa: BLE001 (of the caller's own code)
            return Raised(error)

    async def decision(self, answer: object) -> ToolResult | None:
        """Return the result of a call that may not run, None if it may. `answer` may have to be awaited."""
        return self.verdict(await settled(answer) if inspect.isawaitable(answer) else answer)

    def verdict(self, answer: object) -> ToolResult | None:
        """The same for an answer that needs no awaiting."""
        if answer is True:
            return None
        if isinstance(answer, Raised):
            return self._undecided(answer.error)
        if answer and not isinstance(answer, str):
            answer = f"`approve` returned {type(answer).__name__}. Only True allows a call"
        reason = f"The call was denied: {answer}" if answer else "The call was denied"
        return self._denied(reason if reason.endswith((".", "!", "?", "…")) else f"{reason}.")

    def _undecided(self, error: BaseException) -> ToolResult:
        if not isinstance(error, Exception | asyncio.CancelledError):
            raise error
        reason = f"The call didn't run: `approve` raised {described(error)}"
        return self._denied(reason, error)

    def _denied(self, reason: str, error: BaseException | None = None) -> ToolResult:
        result = failed(self.call, PermissionError(reason), "denied")
        result = replace(result, display=error or result.display)
        self.batch.keep(result)
        return result

    def overdue(self) -> ToolResult:
        """Return the result of a call whose time is up."""
        error = TimeoutError(f"{self.call.name} timed out after {self.timeout:g} s.")
        return failed(self.call, error, "timed_out")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call that can run: `run` calls the tool with the arguments that `shown` has as JSON."""

    run: Callable[[], object]
    shown: dict[str, Any]


def prepare(call: LLMToolCall, tool: Tool | None, tools: Sequence[Tool]) -> Prepared:
    """Check a call's arguments as far as its tool can. Raises the error in the call."""
    if call.error:
        raise ValueError(call.error)
    if tool is None:
        names = ", ".join(map(tool_name, tools)) or "none"
        raise LookupError(f"Unknown tool {call.name!r}. The tools are: {names}.")
    if isinstance(tool, FunctionTool) and type(tool).run is FunctionTool.run:
        bound = tool.bind(call.arguments)
        return Prepared(partial(tool.call, bound), bound.shown)
    arguments = deepcopy(call.arguments)
    return Prepared(partial(tool.run, **arguments), defaults_of(tool.run) | arguments)
