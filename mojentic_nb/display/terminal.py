"""An answer in a terminal: its text as it streams, a line for each tool call and notice, a line about the run."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import get_args

from mojentic_nb.llm import Event, Notice, Retry, TextDelta, ToolProgress, ToolResult
from mojentic_nb.llm.events import ToolOutcome

from .blocks import Block, Op
from .render.labels import status_words
from .render.text import told
from .stream import Writer
from .surface import can_ask, kernel
from .transcript import Transcript

__all__ = ["Terminal"]


class Terminal:
    """Writes to standard output."""

    def __init__(self) -> None:
        self._out = Writer(sys.stdout, live=can_ask() or kernel() is None)
        self._told: set[int] = set()

    def feed(self, event: Event, ops: Iterable[Op], transcript: Transcript) -> None:
        """Write what `event` brought, which caused those operations in `transcript`."""
        if isinstance(event, TextDelta):
            self._out.write(event.delta)
        elif isinstance(event, ToolResult | ToolProgress | Notice | Retry):
            for index in (op[1] for op in ops if op[0] in ("block", "set")):
                self._tell(index, transcript.block(index))

    def end(self, transcript: Transcript) -> None:
        """Write what is left, and how the run went."""
        self._out.end()
        state = transcript.state()
        for index, block in enumerate(state["blocks"]):
            self._tell(index, block)
        status = state["status"]
        ended = [status["finish"]] if status["finish"] else []
        self._out.write(" · ".join([*status_words(status), *ended]) + "\n")
        self._out.end()

    def _tell(self, index: int, block: Block) -> None:
        if index not in self._told and settled(block):
            self._told.add(index)
            self._out.end()
            self._out.write(told(block) + "\n")


def settled(block: Block) -> bool:
    """Whether a line tells of `block`, now that it changes no more."""
    if block["kind"] == "tool":
        return block["parent"] is None and block["state"] in get_args(ToolOutcome)
    return block["kind"] == "notice" and block["level"] != "error"  # which is raised, and told by who catches it
