"""Stopping what is under way, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["Cancellation"]


class Cancellation:
    """A switch that is thrown once. Whoever blocks on something registers how to be woken.

    A signal may throw it while the thread that it interrupts is in any of these methods, so none of them holds a lock.
    `cancelled` tells whether :meth:`cancel` was called.
    """

    def __init__(self) -> None:
        self.cancelled = False
        self._callbacks: list[Callable[[], object]] = []

    def cancel(self) -> None:
        """Throw the switch and call what is registered, in the calling thread. Does nothing the second time."""
        if not self.cancelled:
            self.cancelled = True
            for callback in list(self._callbacks):
                callback()

    @contextmanager
    def on_cancel(self, callback: Callable[[], object]) -> Iterator[None]:
        """Have `callback` called if the switch is thrown within the ``with`` block, or was before it.

        It may be called twice.
        """
        self._callbacks.append(callback)
        try:
            if self.cancelled:
                callback()
            yield
        finally:
            self._callbacks.remove(callback)

    def wait(self, seconds: float) -> bool:
        """Wait that long, or until the switch is thrown; tell whether it was."""
        gate = threading.Lock()
        gate.acquire()

        def open_gate() -> None:
            with suppress(RuntimeError):  # it is open already
                gate.release()

        with self.on_cancel(open_gate):
            return gate.acquire(timeout=seconds)
