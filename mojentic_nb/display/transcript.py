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
"""

from __future__ import annotations

import time
from collections.abc import Callable

from mojentic_nb.llm import Event, Finish, LLMError, LLMToolCall

from .blocks import LEVELS, Block, Blocks, Op, State
from .fold import Fold
from .meter import Meter
from .render.values import bounded, said

__all__ = ["Transcript"]


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

    def fail(self, error: BaseException) -> list[Op]:
        """The run ended with `error`: calls without a result are cancelled, and a notice tells it."""
        if self._meter.ended:
            return []
        text = said(error)
        if not isinstance(error, LLMError):  # whose messages speak for themselves
            text = f"{type(error).__name__}: {text}" if text else type(error).__name__
        self._fold.close()
        self._blocks.add(kind="notice", parent=None, level="error", text=bounded(text))
        self._meter.end("failed", "failed")
        return self._taken()

    def stop(self) -> list[Op]:
        """The run was stopped, by an interrupt say, and has no more events: calls without a result are cancelled."""
        return self.feed(Finish("cancelled"))

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

    def approval(self, index: int, *, pending: bool) -> list[Op]:
        """A person has to approve of the call with that block, or no longer; nothing for a call that has ended."""
        self._fold.approval(index, pending=pending)
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
