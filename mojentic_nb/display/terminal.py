"""An answer as text on standard output: it streams, with a line for each tool call and notice, and the status."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable
from typing import TextIO, get_args

from mojentic_nb.llm import Event, Notice, Retry, TextDelta, ToolProgress, ToolResult
from mojentic_nb.llm.events import ToolOutcome
from mojentic_nb.llm.text import JOINERS, fence_after, printable

from .blocks import Block, Op
from .render.labels import status_line
from .render.text import block_as_text
from .surface import can_ask, kernel
from .transcript import Transcript

__all__ = ["Terminal"]

FLUSH_PERIOD = 0.05  # seconds; a message per token could exceed Jupyter's 1,000 a second, and lose text
LONGEST_FENCE = 200  # characters of a line in which to look for a fence
PIECES = re.compile(r"[^\n]*\n|[^\n]+")
WAITING = {"\r", *JOINERS}


class Writer:
    """Writes text in pieces, with every character visible.

    If `live`, it flushes as often as a notebook can bear. Otherwise it writes everything at the end, because a program
    that runs a notebook saves each flush as an output of its own.
    """

    def __init__(self, out: TextIO, *, live: bool) -> None:
        self._out = out
        self._live = live
        self._period = 0 if out.isatty() else FLUSH_PERIOD
        self._flushed = 0.0
        self._kept: list[str] = []
        self._last = "\n"
        self._held = ""  # a character whose form depends on the next one
        self._before = ""
        self._line = ""  # so far
        self._fence = ""  # of the current code block

    def write(self, text: str) -> None:
        """Write `text`. A kernel flushes the rest by itself within 0.2 s."""
        text = self._held + text
        self._held = text[-1:] if text[-1:] in WAITING else ""
        self._show(text.removesuffix(self._held))

    def _show(self, text: str) -> None:
        text = "".join(map(self._printable, PIECES.findall(text)))
        self._last = text[-1:] or self._last
        if not self._live:
            self._kept.append(text)
            return
        self._out.write(text)
        if time.monotonic() - self._flushed >= self._period:
            self._out.flush()
            self._flushed = time.monotonic()

    def _printable(self, piece: str) -> str:
        """Make a piece of one line printable; joiners stay outside code."""
        shown = printable(self._before + piece, joiners=not self._fence)[len(self._before) :]
        self._before = (self._before + shown)[-2:]
        self._line = (self._line + piece)[:LONGEST_FENCE]
        if piece.endswith("\n"):
            self._fence = fence_after(self._fence, self._line.rstrip("\r\n"))
            self._line = ""
        return shown

    def end(self) -> None:
        """Write the rest and end the last line. Does nothing the second time."""
        if self._held:
            self._show(self._held)
            self._held = ""
        if self._last != "\n":
            self._kept.append("\n")
            self._last = "\n"
        self._out.write("".join(self._kept))
        self._out.flush()
        self._kept.clear()


class Terminal:
    """Writes an answer to standard output."""

    def __init__(self) -> None:
        self._out = Writer(sys.stdout, live=can_ask() or kernel() is None)
        self._written: set[int] = set()

    def feed(self, event: Event, ops: Iterable[Op], transcript: Transcript) -> None:
        """Write what `event` adds; it caused these operations in `transcript`."""
        if isinstance(event, TextDelta):
            self._out.write(event.delta)
        elif isinstance(event, ToolResult | ToolProgress | Notice | Retry):
            for index in (op[1] for op in ops if op[0] in ("block", "set")):
                self._write_line(index, transcript.block(index))

    def end(self, transcript: Transcript) -> None:
        """Write the rest, and the status."""
        self._out.end()
        state = transcript.state()
        for index, block in enumerate(state["blocks"]):
            self._write_line(index, block)
        self._out.write(status_line(state["status"]) + "\n")
        self._out.end()

    def _write_line(self, index: int, block: Block) -> None:
        if index not in self._written and is_settled(block):
            self._written.add(index)
            self._out.end()
            self._out.write(block_as_text(block) + "\n")


def is_settled(block: Block) -> bool:
    """Whether `block` gets a line and changes no more."""
    if block["kind"] == "tool":
        return block["parent"] is None and block["state"] in get_args(ToolOutcome)
    return block["kind"] == "notice" and block["level"] != "error"  # errors are raised, and shown elsewhere
