"""The channel that takes a transcript's operations to its views.

Operations are collected for :data:`PERIOD` and sent as one message with the next number. A thread sends them, also
while the model pauses. A snapshot has everything up to its number, for a view that opens late or missed a message.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec

from mojentic_nb.llm import LLMToolCall
from mojentic_nb.llm.concurrency import in_background

from .blocks import Op, merge
from .transcript import Transcript

__all__ = ["PERIOD", "Channel"]

PERIOD = 0.05  # seconds; each message costs 0.7 kB, and Jupyter discards more than 1,000 messages a second
Arguments = ParamSpec("Arguments")


class Channel:
    """Changes `transcript`, and gives the operations to `send`. All methods may be called from any thread.

    `run` is a number that differs for each run of a view.
    """

    def __init__(self, transcript: Transcript, send: Callable[[dict[str, Any]], object], seq: int = 0) -> None:
        self.seq = seq
        self.run = seq
        self._transcript = transcript
        self._send = send
        self._lock = threading.RLock()
        self._ops: list[Op] = []
        self._more = threading.Event()
        self._ended = threading.Event()

    def apply(
        self,
        change: Callable[Concatenate[Transcript, Arguments], list[Op]],
        *args: Arguments.args,
        **options: Arguments.kwargs,
    ) -> list[Op]:
        """Call a method of the transcript, such as ``Transcript.feed``, and return the operations that it causes."""
        with self._lock:
            ops = change(self._transcript, *args, **options)
            self._collect(ops)
            return ops

    def card(self, call: LLMToolCall, within: LLMToolCall | None) -> int | None:
        """Show the arguments of a call, and return its block; None if the call has ended."""
        with self._lock:
            index, ops = self._transcript.card(call, within)
            self._collect(ops)
            return index

    def snapshot(self) -> dict[str, Any]:
        """Return everything so far, with the number of the last message in it and the number of the run."""
        with self._lock:
            self.flush()
            return {"run": self.run, "seq": self.seq, "state": self._transcript.state()}

    def flush(self) -> None:
        """Send the collected operations."""
        with self._lock:
            if self._ops:
                self.seq += 1
                ops, self._ops = merge(self._ops), []
                self._send({"seq": self.seq, "ops": ops})

    @contextmanager
    def pumping(self) -> Iterator[None]:
        """Send operations within the ``with`` block, the last ones at its end."""
        in_background(self._pump)
        try:
            yield
        finally:
            self._ended.set()
            self._more.set()
            self.flush()

    def _collect(self, ops: list[Op]) -> None:
        if ops:
            self._ops += ops
            self._more.set()

    def _pump(self) -> None:
        while not self._ended.wait(PERIOD):
            self._more.wait()
            self._more.clear()
            self.flush()
