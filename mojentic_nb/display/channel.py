"""The way of a transcript's operations to its views, each once.

Operations are gathered for :data:`PERIOD` and sent as one message, which carries the next number; a thread does so,
also while the model pauses. A snapshot has everything up to its number, for a view that came late or missed a message.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mojentic_nb.llm import Event, LLMToolCall
from mojentic_nb.llm.concurrency import in_background

from .blocks import Op, merged
from .transcript import Transcript

__all__ = ["PERIOD", "Wire"]

PERIOD = 0.05  # seconds; each message costs 0.7 kB, and Jupyter discards what comes faster than 1,000 a second


class Wire:
    """Feeds `transcript`, and has `send` bring the views what comes of it; may be called from any thread.

    `run` is another number for each run of a view.
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

    def feed(self, event: Event) -> list[Op]:
        """The run's next event; the operations that it caused."""
        with self._lock:
            ops = self._transcript.feed(event)
            self._take(ops)
            return ops

    def fail(self, error: BaseException) -> None:
        """The run ended with `error`."""
        with self._lock:
            self._take(self._transcript.fail(error))

    def stop(self) -> None:
        """The run was stopped, and has no more events."""
        with self._lock:
            self._take(self._transcript.stop())

    def notice(self, level: str, text: str) -> None:
        """Something happened that is no event of the run."""
        with self._lock:
            self._take(self._transcript.notice(level, text))

    def card(self, call: LLMToolCall, within: LLMToolCall | None) -> int | None:
        """Show the arguments of a call that needs approval; its block, None if it has ended."""
        with self._lock:
            index, ops = self._transcript.card(call, within)
            self._take(ops)
            return index

    def approval(self, index: int, *, pending: bool) -> None:
        """A person has to approve of the call with that block, or no longer."""
        with self._lock:
            self._take(self._transcript.approval(index, pending=pending))

    def snapshot(self) -> dict[str, Any]:
        """All there is, the number of the last message that is in it, and one that is another for another run."""
        with self._lock:
            self.flush()
            return {"run": self.run, "seq": self.seq, "state": self._transcript.state()}

    def flush(self) -> None:
        """Send what has gathered."""
        with self._lock:
            if self._ops:
                self.seq += 1
                ops, self._ops = merged(self._ops), []
                self._send({"seq": self.seq, "ops": ops})

    @contextmanager
    def pumping(self) -> Iterator[None]:
        """Send what gathers within the ``with`` block, all of it by its end."""
        in_background(self._pump)
        try:
            yield
        finally:
            self._ended.set()
            self._more.set()
            self.flush()

    def _take(self, ops: list[Op]) -> None:
        if ops:
            self._ops += ops
            self._more.set()

    def _pump(self) -> None:
        while not self._ended.wait(PERIOD):
            self._more.wait()
            self._more.clear()
            self.flush()
