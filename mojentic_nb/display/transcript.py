"""A transcript: what a reader sees of an answer, folded from the broker's events without any I/O.

Feed a :class:`Transcript` the events of a run. Each returns the *operations* that it causes: lists that go to the
browser as JSON. A view that applies all of them in order, to nothing or to the :meth:`~Transcript.state` of the new
transcript, has the transcript's state. Every character of the answer is in exactly one operation. The types in
:mod:`.blocks` give the shapes of operations, blocks and status. In the browser an operation means::

    switch (op[0]) {
      case "block":  state.blocks.push(op[2]); break;            // op[1] is its index
      case "append": state.blocks[op[1]][op[2]] += op[3]; break;
      case "set":    Object.assign(state.blocks[op[1]], op[2]); break;
      case "status": Object.assign(state.status, op[1]); break;
    }

- Blocks are in the order in which they began. Text after reasoning or after a tool call is a new block. Only the `text`
  and the `arguments` of a block grow. One text block grows at a time, while the arguments and states of several tool
  blocks may change in turn. Arguments are replaced if the whole call has others than its pieces, and when a person is
  asked about them: then they are the ones that the tool receives.
- A block with a `parent` is in the card of that tool block: the tool itself asked a model, and reported the events of
  that run as its progress. Such cards may be nested.
- A tool block goes from *streaming* to *waiting* (its arguments are whole) to *running*, from there to *approval* and
  back, and ends as *done*, *failed*, *denied*, *timed_out* or *cancelled*. It may skip any of them, but ends once. The
  calls of one step run together, and each ends by itself.
- Times are in seconds since the transcript was made. A running timer shows the status's `seconds`, advanced by the
  view's own clock, minus the block's `started`. The status is sent at most four times a second, and whenever its
  `state` changes.
- All text is as it arrived, so it is hostile, and a view escapes it. Only the ``html`` of a :class:`.blocks.Part` and
  the ``src`` of an image are safe to insert.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import get_args

from mojentic_nb.llm import (
    Event,
    Finish,
    LLMError,
    LLMToolCall,
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
    Usage,
)
from mojentic_nb.llm.events import ToolOutcome
from mojentic_nb.llm.text import join_surrogates

from .blocks import LEVELS, Block, Blocks, Op, State
from .meter import Meter
from .render.labels import AT_ONCE
from .render.results import describe_failure, is_same_as_output, parts_of_result
from .render.values import cut, is_same_json, one_line, summarize_arguments, to_text

__all__ = ["Transcript"]

NO_USAGE = Usage()


class Transcript:
    """What a run has shown so far. `model` is the name to show, `clock` returns seconds.

    The answer's text is Markdown, or source text in the language `source` from which something else is made.
    `code_name` receives the name of a file of code, and returns the name for it in the traceback of a failed tool. Feed
    a transcript from one thread at a time. After :class:`~mojentic_nb.llm.Finish`, :meth:`fail` or :meth:`stop` it
    changes no more.
    """

    def __init__(
        self,
        model: str,
        clock: Callable[[], float] = time.monotonic,
        source: str = "",
        code_name: Callable[[str], str] = str,
    ) -> None:
        self._blocks = Blocks()
        self._meter = Meter(model, clock)
        self._fold = Fold(self._blocks, self._meter.seconds, code_name, source=source)

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self._meter.ended

    def feed(self, event: Event) -> list[Op]:
        """Fold the run's next event in, and return the operations that it causes, if any."""
        if self._meter.ended:
            return []
        self._fold.feed(event)
        self._meter.feed(event, running=self._fold.running)
        return self._take_ops()

    def fail(self, error: BaseException, usage: Usage = NO_USAGE) -> list[Op]:
        """End the run, which used `usage`, with `error` as a notice; calls without a result are cancelled."""
        if self._meter.ended:
            return []
        text = to_text(error)
        if not isinstance(error, LLMError):  # our own messages need no class
            text = f"{type(error).__name__}: {text}" if text else type(error).__name__
        self._fold.close()
        self._fold.notice("error", cut(text))
        self._meter.fail(usage)
        return self._take_ops()

    def stop(self, usage: Usage = NO_USAGE) -> list[Op]:
        """End the run, which was interrupted and has no more events; calls without a result are cancelled."""
        return self.feed(Finish("cancelled", usage))

    def notice(self, level: str, text: str) -> list[Op]:
        """Add a notice. Raises ValueError unless `level` is *info*, *warning* or *error*."""
        if level not in LEVELS:
            raise ValueError(f"The level of a notice is one of {', '.join(LEVELS)}, not {level!r}.")
        if self._meter.ended:
            return []
        self._fold.notice(level, cut(text))
        return self._take_ops()

    def card(self, call: LLMToolCall, within: LLMToolCall | None = None) -> tuple[int | None, list[Op]]:
        """Show the current arguments of `call`. Returns the index of its block, None if it has ended, and operations.

        A call of which no event was fed (the tool that made it kept its run to itself) gets a new block, within the
        call `within`, whose tool made it.
        """
        index = None if self._meter.ended else self._fold.card(call, within)
        if index is not None:
            self._fold.draw(index, call)
        return index, self._take_ops()

    def approval(self, index: int, *, pending: bool, denied: bool = False) -> list[Op]:
        """Note that a person is asked about the call of a block, or has decided, and `denied` it or not.

        Does nothing for a call that has ended.
        """
        self._fold.approval(index, pending=pending, denied=denied)
        return self._take_ops()

    def block(self, index: int) -> Block:
        """Return a copy of one block, as JSON."""
        return self._blocks.block(index)

    def state(self) -> State:
        """Return a copy of everything, as JSON, as far as operations have reported it."""
        return {"blocks": self._blocks.state(), "status": self._meter.status()}

    def _take_ops(self) -> list[Op]:
        fields = self._meter.take_changes()
        return [*self._blocks.take_ops(), *([["status", fields]] if fields else [])]


NOTICES = {
    "length": "The answer was cut off at max_tokens. Raise it for the rest.",
    "content_filter": "The provider's content filter ended the answer. Rephrase the question.",
}


def describe_retry(retry: Retry) -> str:
    """Return why a request failed and when it is sent again."""
    end = "" if retry.reason.endswith((".", "!", "?", "…")) else "."
    pause = f" in {retry.delay:.1f} s" if retry.delay >= AT_ONCE else ""
    return f"{retry.reason}{end} Trying again{pause} (retry {retry.attempt})."


class Fold:
    """Adds the events of one run to `blocks`, within the tool block `parent` if it has one; `seconds` is the clock.

    A tool that asks a model itself has a fold of its own. `source` and `code_name` are those of the transcript.
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
        self._streaming: dict[str, list[int]] = {}  # blocks of calls whose arguments stream, by call id
        self._whole: dict[int, tuple[LLMToolCall, int]] = {}  # whole calls with their blocks, by identity
        self._ahead: dict[str, int] = {}  # blocks of calls shown before their events, by call id
        self._denied: set[int] = set()  # blocks of calls that a person denied
        self._inner: dict[int, Fold] = {}

    @property
    def running(self) -> bool:
        """Whether calls wait for a result."""
        return any(self._is_unsettled(index) for _, index in self._whole.values())

    def feed(self, event: Event) -> None:
        """Add the run's next event."""
        match event:
            case TextDelta(delta):
                self._grow("text", delta)
            case ReasoningDelta(delta):
                self._grow("reasoning", delta)
            case ToolCallStart(call_id, name) if call_id not in self._ahead:
                self._start_call(call_id, name)
            case ToolCallDelta(call_id, delta) if call_id not in self._ahead:
                self._blocks.append(self._streaming_block(call_id), delta)
            case ToolCallEnd(call):
                self._end_call(call)
            case StepFinish():
                self._run_calls()
            case ToolProgress(call_id, value, call):
                self._progress(call_id, value, call)
            case ToolResult():
                self._result(event)
            case Notice(text):
                self.notice("warning", text)
            case Retry():
                self.notice("warning", describe_retry(event))
            case Finish():
                self._finish(event)

    def notice(self, level: str, text: str) -> None:
        """Add a notice."""
        self._close_text()
        self._blocks.add(kind="notice", parent=self._parent, level=level, text=text)

    def close(self) -> None:
        """End the run: close the open text, and cancel calls without a result."""
        self._close_text()
        for index in self._tools:
            unreported = index in self._ahead.values() and self._blocks[index]["state"] == "running"
            state = "denied" if index in self._denied else "done"
            self._settle(index, state=state if unreported else "cancelled")

    def _finish(self, event: Finish) -> None:
        """End the run, and say why if the answer isn't complete."""
        self.close()
        if event.limit:
            self.notice("warning", f"The answer was cut off at {event.limit}. Raise it for the rest.")
        elif event.finish_reason in NOTICES:
            self.notice("warning", NOTICES[event.finish_reason])

    # Text and reasoning

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

    # Tool calls, from their arguments to their results

    def _start_call(self, call_id: str, name: str) -> int:
        self._close_text()
        for index in self._tools:
            if self._blocks[index]["id"] == call_id and self._blocks[index]["state"] in ("running", "approval"):
                self._settle(index, state="cancelled")  # a call of an earlier step, whose id this one takes
        index = self._add_call(call_id, name)
        self._streaming.setdefault(call_id, []).append(index)
        return index

    def _add_call(self, call_id: str, name: str) -> int:
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

    def _streaming_block(self, call_id: str) -> int:
        """Return the block of the last call with this id that still streams; a new one if no start was reported."""
        streaming = self._streaming.get(call_id)
        return streaming[-1] if streaming else self._start_call(call_id, "")

    def _end_call(self, call: LLMToolCall) -> None:
        """Complete the arguments. A gateway that receives a call whole reports no pieces."""
        call_id = call.id or ""
        self._ahead.pop(call_id, None)
        if id(call) in self._whole and self._is_unsettled(self._whole[id(call)][1]):
            return  # already shown
        if not self._streaming.get(call_id):
            self._start_call(call_id, call.name)
        self._complete(self._streaming[call_id].pop(0), call)

    def _complete(self, index: int, call: LLMToolCall) -> None:
        """Note that the block is that of `call`, which is whole."""
        self._whole[id(call)] = (call, index)
        if not call.error and not is_same_json(self._blocks.text(index), call.json_arguments()):
            self._blocks.replace(index, call.json_arguments())
        self._blocks.set(
            index, state="waiting", name=join_surrogates(call.name), summary=summarize_arguments(call.arguments)
        )

    def _run_calls(self) -> None:
        self._close_text()
        for _, index in self._whole.values():
            if self._blocks[index]["state"] == "waiting":
                self._blocks.set(index, state="running", started=self._seconds())

    def _progress(self, call_id: str, value: object, call: LLMToolCall | None) -> None:
        if isinstance(value, ToolResult) and id(value.call) in self._whole:  # done before its turn
            self._result(value)
            return
        index = self._find(call_id, call)
        if not self._is_unsettled(index):
            return  # a tool may go on after its time limit
        if isinstance(value, Event):
            self._inner_at(index).feed(value)
        else:
            self._blocks.set(index, progress=one_line(value))

    def _result(self, result: ToolResult) -> None:
        self._settle(
            self._find(result.call.id or "", result.call),
            state=result.outcome,
            seconds=round(result.duration, 3),
            display=parts_of_result(result),
            output=None if is_same_as_output(result) else cut(result.output),
            error=describe_failure(result.display, result.output, self._code_name) if result.is_error else None,
        )

    def _find(self, call_id: str, call: LLMToolCall | None) -> int:
        """Find the block of `call`, else the first block with its id that has not ended, else the last one."""
        if call is not None and id(call) in self._whole:
            return self._whole[id(call)][1]
        known = [index for index in self._tools if self._blocks[index]["id"] == call_id]
        unsettled = filter(self._is_unsettled, known)
        return next(unsettled, known[-1]) if known else self._start_call(call_id, call.name if call else "")

    def _is_unsettled(self, index: int) -> bool:
        return self._blocks[index]["state"] not in get_args(ToolOutcome)

    def _settle(self, index: int, **fields: object) -> None:
        """End a call, once."""
        if self._is_unsettled(index):
            self._blocks.set(index, **fields)
            if inner := self._inner.pop(index, None):
                inner.close()

    # Calls that a person is asked about

    def card(self, call: LLMToolCall, within: LLMToolCall | None = None) -> int | None:
        """Return the block of a call; None if the call, or the one that made it, has ended.

        A call whose events were not fed gets a new block, within the call `within` if given.
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
        """Show the current arguments of a call."""
        self._blocks.replace(index, call.json_arguments())
        self._blocks.set(index, summary=summarize_arguments(call.arguments))

    def approval(self, index: int, *, pending: bool, denied: bool = False) -> None:
        """Note that a person is asked about the call of a block, or has decided, and `denied` it or not."""
        if index not in self._tools:
            for inner in self._inner.values():
                inner.approval(index, pending=pending, denied=denied)
        elif self._is_unsettled(index):
            self._denied |= {index} if denied else set()
            started = self._blocks[index]["started"]
            self._blocks.set(
                index,
                state="approval" if pending else "running",
                started=self._seconds() if started is None else started,
            )

    def _show_ahead(self, call: LLMToolCall) -> None:
        """Show a call before its events, which may never be fed."""
        self._close_text()
        call_id = call.id or ""
        self._ahead[call_id] = self._add_call(call_id, call.name)
        self._complete(self._ahead[call_id], call)

    def _holder(self, call: LLMToolCall) -> Fold | None:
        """Return the fold that has that call."""
        if id(call) in self._whole:
            return self
        return next((found for inner in self._inner.values() if (found := inner._holder(call))), None)  # noqa: SLF001

    def _within(self, call: LLMToolCall) -> Fold | None:
        """Return the fold of the runs that the tool of that call makes; None if the call has ended."""
        holder = self._holder(call)
        if holder is None:
            return self
        index = holder._whole[id(call)][1]  # noqa: SLF001
        return holder._inner_at(index) if self._is_unsettled(index) else None  # noqa: SLF001

    def _inner_at(self, index: int) -> Fold:
        if index not in self._inner:
            self._inner[index] = Fold(self._blocks, self._seconds, self._code_name, index)
        return self._inner[index]
