"""The fold of one run's events into blocks; a tool that itself asks a model has a fold of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from mojentic_nb.llm import (
    Event,
    Finish,
    ReasoningDelta,
    Retry,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolProgress,
    ToolResult,
)
from mojentic_nb.llm.events import ToolOutcome
from mojentic_nb.llm.messages import LLMToolCall

from .blocks import Blocks
from .failures import failure
from .parts import parts, tells_all
from .values import bounded, short, summary
from .words import AT_ONCE

__all__ = ["Fold"]

NOTICES = {
    "length": "The answer was cut off at max_tokens: raise it for the rest.",
    "content_filter": "The provider's content filter ended the answer: ask in other words.",
    "max_steps": "The model still called tools at the limit of rounds: raise max_tool_iterations, or ask for less.",
}


class Fold:
    """Adds a run's events to `blocks`, inside the tool block `parent` if there is one; `seconds` is the time.

    The text is in the language `source`, if there is one, for something else to be made of it. Tracebacks call files of
    code by their `code_name`.
    """

    def __init__(
        self,
        blocks: Blocks,
        seconds: Callable[[], float],
        code_name: Callable[[str], str],
        parent: int | None = None,
        source: str = "",
    ) -> None:
        self._source = source
        self._blocks = blocks
        self._seconds = seconds
        self._code_name = code_name
        self._parent = parent
        self._open: int | None = None  # the text or reasoning block that grows
        self._tools: dict[str, int] = {}  # ids to blocks; providers may use an id again in a later step
        self._calls: dict[str, LLMToolCall] = {}  # those that are whole and have no result
        self._inner: dict[str, Fold] = {}

    @property
    def running(self) -> bool:
        """Whether there are calls without a result."""
        return bool(self._calls)

    def feed(self, event: Event) -> None:
        """Take the run's next event in."""
        match event:
            case TextDelta(delta):
                self._grow("text", delta)
            case ReasoningDelta(delta):
                self._grow("reasoning", delta)
            case ToolCallStart(call_id, name):
                self._start(call_id, name)
            case ToolCallDelta(call_id, delta):
                self._blocks.append(self._tool(call_id), delta)
            case ToolCallEnd(call):
                self._end(call)
            case StepFinish():
                self._run()
            case ToolProgress(call_id, value):
                self._progress(call_id, value)
            case ToolResult():
                self._result(event)
            case Retry(attempt, delay, reason):
                pause = f" in {delay:.1f} s" if delay >= AT_ONCE else ""
                self.notice("warning", f"{reason} Trying again{pause} (retry {attempt}).")
            case Finish():
                self._finish(event)

    def close(self) -> None:
        """The run is over: what is open is closed, calls without a result are cancelled."""
        self._close_text()
        for call_id in self._tools:
            self._settle(call_id, state="cancelled")

    def _finish(self, event: Finish) -> None:
        """The run is over; say so where the answer is not whole."""
        self.close()
        if event.limit:
            self.notice("warning", f"The answer was cut off at {event.limit}: raise it for the rest.")
        elif event.finish_reason in NOTICES:
            self.notice("warning", NOTICES[event.finish_reason])

    def approval(self, call_id: str, *, pending: bool) -> None:
        """A person has to approve of that call, or no longer."""
        if self._unsettled(call_id):
            self._blocks.set(self._tools[call_id], state="approval" if pending else "running")

    def _grow(self, kind: str, delta: str) -> None:
        if not delta:
            return
        if self._open is not None and self._blocks[self._open]["kind"] == kind:
            self._blocks.append(self._open, delta)
            return
        self._close_text()
        more: dict[str, object] = {"source": self._source} if kind == "text" and self._source else {}
        if kind == "reasoning":
            more = {"started": self._seconds(), "seconds": None}
        self._open = self._blocks.add(kind=kind, parent=self._parent, text=delta, **more)

    def _close_text(self) -> None:
        if self._open is not None and self._blocks[self._open]["kind"] == "reasoning":
            lasted = self._seconds() - self._blocks[self._open]["started"]
            self._blocks.set(self._open, seconds=round(lasted, 3))
        self._open = None

    def notice(self, level: str, text: str) -> None:
        """Add a notice."""
        self._close_text()
        self._blocks.add(kind="notice", parent=self._parent, level=level, text=text)

    def _start(self, call_id: str, name: str) -> None:
        self._close_text()
        self._settle(call_id, state="cancelled")  # a call that has lost its id
        self._tools[call_id] = self._blocks.add(
            kind="tool",
            parent=self._parent,
            id=call_id,
            name=name,
            arguments="",
            summary="",
            state="streaming",
            started=None,
            seconds=None,
            progress=None,
            display=None,
            output=None,
            error=None,
        )

    def _tool(self, call_id: str, name: str = "") -> int:
        """The block of that call, a new one where a gateway never said that it starts."""
        if call_id not in self._tools:
            self._start(call_id, name)
        return self._tools[call_id]

    def _unsettled(self, call_id: str) -> bool:
        return call_id in self._tools and self._blocks[self._tools[call_id]]["state"] not in get_args(ToolOutcome)

    def _end(self, call: LLMToolCall) -> None:
        """The arguments are whole; a gateway that has them at once gave no pieces."""
        call_id = call.id or ""
        index = self._tool(call_id, call.name)
        self._calls[call_id] = call
        if not self._blocks.text(index):
            self._blocks.append(index, call.json_arguments())
        self._blocks.set(index, state="waiting", summary=summary(call.arguments))

    def _run(self) -> None:
        self._close_text()
        for call_id in self._calls:
            self._blocks.set(self._tools[call_id], state="running", started=self._seconds())

    def _progress(self, call_id: str, value: object) -> None:
        if call_id in self._tools and not self._unsettled(call_id):
            return  # a tool whose time is up may go on
        if isinstance(value, ToolResult) and value.call is self._calls.get(call_id):  # it is done before its turn
            self._result(value)
        elif isinstance(value, Event):
            if call_id not in self._inner:
                self._inner[call_id] = Fold(self._blocks, self._seconds, self._code_name, self._tool(call_id))
            self._inner[call_id].feed(value)
        else:
            self._blocks.set(self._tool(call_id), progress=short(value))

    def _result(self, result: ToolResult) -> None:
        call_id = result.call.id or ""
        self._tool(call_id, result.call.name)
        self._settle(
            call_id,
            state=result.outcome,
            seconds=round(result.duration, 3),
            display=parts(result),
            output=None if tells_all(result) else bounded(result.output),
            error=failure(result.display, result.output, self._code_name) if result.is_error else None,
        )

    def _settle(self, call_id: str, **fields: object) -> None:
        """The call has ended; nothing where it had before."""
        if self._unsettled(call_id):
            self._blocks.set(self._tools[call_id], **fields)
            self._calls.pop(call_id, None)
            if call_id in self._inner:
                self._inner.pop(call_id).close()
