"""Stopping what is under way, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Cancellation"]


class Cancellation:
    """A switch that is thrown once. Whoever blocks on something registers how to be woken.

    `cancelled` tells whether :meth:`cancel` was called.
    """

    def __init__(self) -> None:
        self.cancelled = False
        self._thrown = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []

    def cancel(self) -> None:
        """Throw the switch and call what is registered, in the calling thread. Does nothing the second time."""
        with self._lock:
            if self.cancelled:
                return
            self.cancelled = True
            self._thrown.set()
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    @contextmanager
    def on_cancel(self, callback: Callable[[], None]) -> Iterator[None]:
        """Have `callback` called if the switch is thrown within the ``with`` block, or was before it."""
        with self._lock:
            self._callbacks.append(callback)
        try:
            if self.cancelled:
                callback()
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)

    def wait(self, seconds: float) -> bool:
        """Wait that long, or until the switch is thrown; tell whether it was."""
        return self._thrown.wait(seconds)
