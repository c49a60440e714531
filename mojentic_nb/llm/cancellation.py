"""Cancelling a request or a tool from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["Cancellation"]


class Cancellation:
    """A flag that is set once. Code that blocks registers a callback to be woken.

    A signal may set it while the thread that it interrupts is in any of these methods, so none of them holds a lock.
    `cancelled` is whether :meth:`cancel` was called.
    """

    def __init__(self) -> None:
        self.cancelled = False
        self._callbacks: list[Callable[[], object]] = []

    def cancel(self) -> None:
        """Set the flag and run the callbacks in this thread. Does nothing the second time."""
        if not self.cancelled:
            self.cancelled = True
            for callback in list(self._callbacks):
                callback()

    @contextmanager
    def on_cancel(self, callback: Callable[[], object]) -> Iterator[None]:
        """Run `callback`, maybe twice, if the flag is set within the ``with`` block, or was set before."""
        self._callbacks.append(callback)
        try:
            if self.cancelled:
                callback()
            yield
        finally:
            self._callbacks.remove(callback)

    def wait(self, seconds: float) -> bool:
        """Wait for `seconds` or until the flag is set; return whether it was."""
        gate = threading.Lock()
        gate.acquire()

        def open_gate() -> None:
            with suppress(RuntimeError):  # it is already open
                gate.release()

        with self.on_cancel(open_gate):
            return gate.acquire(timeout=seconds)
