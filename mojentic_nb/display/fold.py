"""The fold of one run's events into blocks; a tool that itself asks a model has a fold of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from mojentic_nb.llm import (
    Event,
    Finish,
    Notice,
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
from mojentic_nb.llm.text import mended

from .blocks import Blocks
from .render.failures import failure
from .render.labels import AT_ONCE
from .render.results import parts, tells_all
from .render.values import bounded, means, short, summary

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
        self._tools: list[int] = []  # the blocks of calls
        self._coming: dict[str, list[int]] = {}  # of those whose arguments still come, by their ids
        self._whole: dict[int, tuple[LLMToolCall, int]] = {}  # calls, by identity, with their blocks
        self._ahead: dict[str, int] = {}  # calls that are shown before their events come, by their ids
        self._inner: dict[int, Fold] = {}

    @property
    def running(self) -> bool:
        """Whether there are calls without a result."""
        return any(self._is_unsettled(index) for _, index in self._whole.values())

    def feed(self, event: Event) -> None:
        """Take the run's next event in."""
        match event:
            case TextDelta(delta):
                self._grow("text", delta)
            case ReasoningDelta(delta):
                self._grow("reasoning", delta)
            case ToolCallStart(call_id, name) if call_id not in self._ahead:
                self._start(call_id, name)
            case ToolCallDelta(call_id, delta) if call_id not in self._ahead:
                self._blocks.append(self._growing(call_id), delta)
            case ToolCallEnd(call):
                self._end(call)
            case StepFinish():
                self._run()
            case ToolProgress(call_id, value, call):
                self._progress(call_id, value, call)
            case ToolResult():
                self._result(event)
            case Notice(text):
                self.notice("warning", text)
            case Retry(attempt, delay, reason):
                pause = f" in {delay:.1f} s" if delay >= AT_ONCE else ""
                self.notice("warning", f"{reason} Trying again{pause} (retry {attempt}).")
            case Finish():
                self._finish(event)

    def close(self) -> None:
        """The run is over: what is open is closed, calls without a result are cancelled."""
        self._close_text()
        for index in self._tools:
            untold = index in self._ahead.values() and self._blocks[index]["state"] == "running"
            self._settle(index, state="done" if untold else "cancelled")

    def _finish(self, event: Finish) -> None:
        """The run is over; say so where the answer is not whole."""
        self.close()
        if event.limit:
            self.notice("warning", f"The answer was cut off at {event.limit}: raise it for the rest.")
        elif event.finish_reason in NOTICES:
            self.notice("warning", NOTICES[event.finish_reason])

    def card(self, call: LLMToolCall, within: LLMToolCall | None = None) -> int | None:
        """The block of a call; None if the call, or the one that it was made for, has ended.

        A call whose events were not fed has a new block, in that of the call `within` if there is one.
        """
        fold = self._holder(call.origin)
        if fold is None:
            fold = self if within is None else self._within(within)
            if fold is None:
                return None
            fold._show_ahead(call.origin)  # noqa: SLF001 (another fold)
        index = fold._whole[id(call.origin)][1]  # noqa: SLF001
        return index if self._is_unsettled(index) else None

    def draw(self, index: int, call: LLMToolCall) -> None:
        """Show the arguments of a call as they are."""
        self._blocks.replace(index, call.json_arguments())
        self._blocks.set(index, summary=summary(call.arguments))

    def approval(self, index: int, *, pending: bool) -> None:
        """A person has to approve of the call with that block, or no longer."""
        if self._is_unsettled(index):
            started = self._blocks[index]["started"]
            self._blocks.set(
                index,
                state="approval" if pending else "running",
                started=self._seconds() if started is None else started,
            )

    def _show_ahead(self, call: LLMToolCall) -> None:
        """Show a call before its events come, or where they won't."""
        self._close_text()
        call_id = call.id or ""
        self._ahead[call_id] = self._add(call_id, call.name)
        self._complete(self._ahead[call_id], call)

    def _holder(self, call: LLMToolCall) -> Fold | None:
        """The fold that has that call."""
        if id(call) in self._whole:
            return self
        return next((found for inner in self._inner.values() if (found := inner._holder(call))), None)  # noqa: SLF001

    def _within(self, call: LLMToolCall) -> Fold | None:
        """The fold of the runs that the tool of that call has; None if the call has ended."""
        holder = self._holder(call)
        if holder is None:
            return self
        index = holder._whole[id(call)][1]  # noqa: SLF001
        return holder._inner_at(index) if self._is_unsettled(index) else None  # noqa: SLF001

    def _inner_at(self, index: int) -> Fold:
        if index not in self._inner:
            self._inner[index] = Fold(self._blocks, self._seconds, self._code_name, index)
        return self._inner[index]

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

    def _start(self, call_id: str, name: str) -> int:
        self._close_text()
        for index in self._tools:
            if self._blocks[index]["id"] == call_id and self._blocks[index]["state"] in ("running", "approval"):
                self._settle(index, state="cancelled")  # it is of an earlier step, and has lost its id
        index = self._add(call_id, name)
        self._coming.setdefault(call_id, []).append(index)
        return index

    def _add(self, call_id: str, name: str) -> int:
        index = self._blocks.add(
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
        self._tools.append(index)
        return index

    def _growing(self, call_id: str) -> int:
        """The block of the last call of that id that still comes; a new one where a gateway says of none."""
        coming = self._coming.get(call_id)
        return coming[-1] if coming else self._start(call_id, "")

    def _end(self, call: LLMToolCall) -> None:
        """The arguments are whole; a gateway that has them at once gave no pieces."""
        call_id = call.id or ""
        self._ahead.pop(call_id, None)
        if id(call) in self._whole and self._is_unsettled(self._whole[id(call)][1]):
            return  # it is shown already
        if not self._coming.get(call_id):
            self._start(call_id, call.name)
        self._complete(self._coming[call_id].pop(0), call)

    def _complete(self, index: int, call: LLMToolCall) -> None:
        """Note that the block is that of `call`, which is whole."""
        self._whole[id(call)] = (call, index)
        if not call.error and not means(self._blocks.text(index), call.json_arguments()):
            self._blocks.replace(index, call.json_arguments())
        self._blocks.set(index, state="waiting", name=mended(call.name), summary=summary(call.arguments))

    def _run(self) -> None:
        self._close_text()
        for _, index in self._whole.values():
            if self._blocks[index]["state"] == "waiting":
                self._blocks.set(index, state="running", started=self._seconds())

    def _find(self, call_id: str, call: LLMToolCall | None) -> int:
        """The block of a call: of the one that is meant, else the first of its id that has not ended, else the last."""
        if call is not None and id(call) in self._whole:
            return self._whole[id(call)][1]
        known = [index for index in self._tools if self._blocks[index]["id"] == call_id]
        open_ones = filter(self._is_unsettled, known)
        return next(open_ones, known[-1]) if known else self._start(call_id, call.name if call else "")

    def _progress(self, call_id: str, value: object, call: LLMToolCall | None) -> None:
        if isinstance(value, ToolResult) and id(value.call) in self._whole:  # it is done before its turn
            self._result(value)
            return
        index = self._find(call_id, call)
        if not self._is_unsettled(index):
            return  # a tool whose time is up may go on
        if isinstance(value, Event):
            self._inner_at(index).feed(value)
        else:
            self._blocks.set(index, progress=short(value))

    def _result(self, result: ToolResult) -> None:
        self._settle(
            self._find(result.call.id or "", result.call),
            state=result.outcome,
            seconds=round(result.duration, 3),
            display=parts(result),
            output=None if tells_all(result) else bounded(result.output),
            error=failure(result.display, result.output, self._code_name) if result.is_error else None,
        )

    def _is_unsettled(self, index: int) -> bool:
        return self._blocks[index]["state"] not in get_args(ToolOutcome)

    def _settle(self, index: int, **fields: object) -> None:
        """The call has ended; nothing where it had before."""
        if self._is_unsettled(index):
            self._blocks.set(index, **fields)
            if inner := self._inner.pop(index, None):
                inner.close()
