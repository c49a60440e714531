"""An answer on its way, as a view shows it: a pure fold of the broker's events.

A :class:`Transcript` is fed the events of a run. Each returns the *operations* that it caused, lists that go to the
browser as JSON. A view that applies all of them in order, to nothing or to the :meth:`~Transcript.state` of the new
transcript, has the transcript's state. Every character of the answer is in one operation only. The shapes of the
operations, the blocks and the status are the types of :mod:`.blocks`. In the browser that is::

    switch (op[0]) {
      case "block":  state.blocks.push(op[2]); break;            // op[1] is its index
      case "append": state.blocks[op[1]][op[2]] += op[3]; break;
      case "set":    Object.assign(state.blocks[op[1]], op[2]); break;
      case "status": Object.assign(state.status, op[1]); break;
    }

- The blocks stand in the order in which they began. Text after reasoning or after a tool call is a new block. Only the
  `text` and the `arguments` of a block grow, and only while its run goes on; text comes to one block at a time, while
  arguments and states come to several tool blocks in turn. Arguments are replaced where the whole call has others than
  its pieces said, and where a person is asked about them: then they are those that the tool gets.
- A block with a `parent` belongs inside the card of that tool block: the tool itself asked a model and reported the
  events of that run as its progress. Such cards may hold such cards.
- A tool block goes from *streaming* to *waiting* (its arguments are whole) to *running*, from where *approval* leads
  away and back, and ends as *done*, *failed*, *denied*, *timed_out* or *cancelled*; it may skip any of them but ends
  once. Calls of one step run together; each ends when it does.
- Times are the transcript's, in seconds from its making: a running timer shows the status's `seconds`, advanced by the
  view's own clock, less the block's `started`. The status comes four times a second at most, and at every change of
  its `state`.
- All text is as it came, so it is hostile: a view escapes it. Only the ``html`` of a :class:`.blocks.Part` and the
  ``src`` of an image are safe to insert as they are.

The fold of one run's events into blocks; a tool that itself asks a model has a fold of its own.

The status of a run: how far it is, what it cost, how fast it came.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, cast, get_args

from mojentic_nb.llm import (
    Event,
    Finish,
    FinishReason,
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
from mojentic_nb.llm.text import mended

from .blocks import LEVELS, Block, Blocks, Op, State, Status
from .render.labels import AT_ONCE
from .render.results import failure, parts, tells_all
from .render.values import bounded, means, said, short, summary

__all__ = ["Transcript"]

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
        self._denied: set[int] = set()  # the blocks of calls that a person denied
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
            state = "denied" if index in self._denied else "done"
            self._settle(index, state=state if untold else "cancelled")

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

    def approval(self, index: int, *, pending: bool, denied: bool = False) -> None:
        """A person has to approve of the call with that block, or no longer, and has `denied` it or not."""
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


PERIOD = 0.25  # seconds between two updates of numbers: a reader can't read faster, and each costs bytes
FINISHES: dict[FinishReason, str] = {
    "length": "cut off at max_tokens",
    "content_filter": "ended by the content filter",
    "max_steps": "ended at the limit of tool rounds",
}

Ending = Literal["done", "stopped", "failed"]


class Meter:
    """Keeps the status of a run by its events; `clock` gives seconds."""

    def __init__(self, model: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun = clock()
        self._model = mended(model)
        self._state: str = "waiting"
        self._finish = ""
        self._usage = Usage()  # of the requests that are done
        self._chunks = 0
        self._pieces = 0  # of the request under way
        self._first_token: float | None = None
        self._first: float | None = None  # piece of the request under way
        self._last = 0.0
        self._streamed = 0.0  # seconds in which pieces came, in the requests that are done
        self._told = self._fields(0.0)
        self._fresh = True

    def seconds(self) -> float:
        """The time since this was made."""
        return round(self._clock() - self._begun, 3)

    @property
    def ended(self) -> bool:
        """Whether the run is over."""
        return self._state in get_args(Ending)

    def feed(self, event: Event, *, running: bool) -> None:
        """Take the next event in; `running` tells whether calls wait for their results after it."""
        match event:
            case TextDelta(delta) | ReasoningDelta(delta) | ToolCallDelta(_, delta):
                self._piece(bool(delta))
            case ToolCallStart() | ToolCallEnd():  # some gateways have a call at once
                self._piece(0)
            case StepFinish(reason, usage):
                # What a provider reports before the end is less than has come.
                least = self._pieces if reason == "cancelled" or event.limit else 0
                self._step(replace(usage, output_tokens=max(least, usage.output_tokens)))
                self._state = "tools" if running else "waiting"
            case Finish("cancelled", usage):
                self._total(usage)
                tokens = self._usage.output_tokens
                about = "≈" * self._usage.estimated
                self.end("stopped", f"stopped after {about}{tokens:,} token{'s' * (tokens != 1)}")
            case Finish(reason, usage):
                self._total(usage)
                self.end("done", f"cut off at {event.limit}" if event.limit else FINISHES.get(reason, ""))
            case ToolProgress() | ToolResult() | Retry():
                self._state = "tools" if running else "waiting"

    def fail(self, usage: Usage) -> None:
        """The run failed, and took so much."""
        self._total(usage)
        self.end("failed", "failed")

    def end(self, state: Ending, finish: str) -> None:
        """The run is over, for the reason that `finish` tells."""
        self._state, self._finish = state, finish

    def status(self) -> Status:
        """The status as it was last told."""
        return cast(Status, dict(self._told))

    def taken(self) -> dict[str, Any]:
        """The fields of the status that changed, all of them the first time.

        There are none while only numbers grow and the last time was a moment ago.
        """
        now = self.seconds()
        if not self._fresh and self._told["state"] == self._state and now - self._told["seconds"] < PERIOD:
            return {}
        fields = self._fields(now)
        changed = {name: value for name, value in fields.items() if self._fresh or self._told[name] != value}
        self._told, self._fresh = fields, False
        return changed

    def _piece(self, count: int) -> None:
        self._state = "streaming"
        self._chunks += count
        self._pieces += count
        self._last = self.seconds()
        if self._first is None:
            self._first = self._last
        if self._first_token is None:
            self._first_token = self._last

    def _step(self, usage: Usage) -> None:
        """The request under way is done; what the provider does not count counts by its pieces."""
        self._usage += replace(usage, output_tokens=usage.output_tokens or self._pieces)
        self._streamed += self._streaming()
        self._pieces, self._first = 0, None

    def _total(self, usage: Usage) -> None:
        """The run is over, and took `usage`, as far as that is known."""
        self._step(Usage())
        if usage.estimated or usage.input_tokens > self._usage.input_tokens:
            self._usage = usage  # of the last request, too, which had no end

    def _streaming(self) -> float:
        return 0.0 if self._first is None else self._last - self._first

    def _fields(self, now: float) -> dict[str, Any]:
        tokens, streamed = self._usage.output_tokens + self._pieces, self._streamed + self._streaming()
        return {
            "model": self._model,
            "state": self._state,
            "input_tokens": self._usage.input_tokens,
            "output_tokens": tokens,
            "cached_tokens": self._usage.cached_tokens,
            "reasoning_tokens": self._usage.reasoning_tokens,
            "estimated": self._usage.estimated,
            "chunks": self._chunks,
            "seconds": now,
            "first_token_seconds": self._first_token,
            "tokens_per_second": round(tokens / streamed, 1) if streamed >= AT_ONCE else None,
            "finish": self._finish,
        }


NO_USAGE = Usage()


class Transcript:
    """What a run has said and done so far. `model` is the name to show, `clock` gives seconds.

    The answer's text is Markdown, or is in the language `source`, for something else to be made of it. `code_name` is
    given the name of a file of code, and returns what the traceback of a tool that failed is to call it. Feed it from
    one thread at a time. After :class:`~mojentic_nb.llm.Finish`, :meth:`fail` or :meth:`stop` it is at its end and
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
        """Take the run's next event in; the operations that it causes, maybe none."""
        if self._meter.ended:
            return []
        self._fold.feed(event)
        self._meter.feed(event, running=self._fold.running)
        return self._taken()

    def fail(self, error: BaseException, usage: Usage = NO_USAGE) -> list[Op]:
        """The run, which took `usage`, ended with `error`: a notice tells it, calls without a result are cancelled."""
        if self._meter.ended:
            return []
        text = said(error)
        if not isinstance(error, LLMError):  # whose messages speak for themselves
            text = f"{type(error).__name__}: {text}" if text else type(error).__name__
        self._fold.close()
        self._blocks.add(kind="notice", parent=None, level="error", text=bounded(text))
        self._meter.fail(usage)
        return self._taken()

    def stop(self, usage: Usage = NO_USAGE) -> list[Op]:
        """The run was stopped, by an interrupt say, and has no more events: calls without a result are cancelled."""
        return self.feed(Finish("cancelled", usage))

    def notice(self, level: str, text: str) -> list[Op]:
        """Something happened that is no event of the run; `level` is *info*, *warning* or *error*, else ValueError."""
        if level not in LEVELS:
            raise ValueError(f"A notice is one of {', '.join(LEVELS)}, not {level!r}.")
        if self._meter.ended:
            return []
        self._fold.notice(level, bounded(text))
        return self._taken()

    def card(self, call: LLMToolCall, within: LLMToolCall | None = None) -> tuple[int | None, list[Op]]:
        """Show the arguments that `call` has; the index of its block, None if it has ended, and the operations.

        A call that no event told of, since the tool that made it kept its run for itself, has a new block, in that of
        the call `within`, whose tool made it.
        """
        index = None if self._meter.ended else self._fold.card(call, within)
        if index is not None:
            self._fold.draw(index, call)
        return index, self._taken()

    def approval(self, index: int, *, pending: bool, denied: bool = False) -> list[Op]:
        """A person has to approve of the call with that block, or no longer, and has `denied` it or not.

        Nothing for a call that has ended.
        """
        self._fold.approval(index, pending=pending, denied=denied)
        return self._taken()

    def block(self, index: int) -> Block:
        """One block as JSON; a copy."""
        return self._blocks.block(index)

    def state(self) -> State:
        """All of it as JSON, as it was told by operations so far; a copy."""
        return {"blocks": self._blocks.state(), "status": self._meter.status()}

    def _taken(self) -> list[Op]:
        fields = self._meter.taken()
        return [*self._blocks.taken(), *([["status", fields]] if fields else [])]
