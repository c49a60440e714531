"""Keeps the tracer's events."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from typing_extensions import TypeVar  # of pydantic; with a default, which Python has from 3.13 on

from mojentic_nb.llm import LLMToolCall

from .events import TracerEvent

__all__ = ["EventStore", "Kind"]

Kind = TypeVar("Kind", bound=TracerEvent, default=TracerEvent)


class EventStore:
    """Keeps the last `max_events` events, for several threads at once.

    `on_store_callback` is called with each event once it is kept, in the thread of its run; it should be quick.
    Raises ValueError for a limit below 1.
    """

    def __init__(
        self, on_store_callback: Callable[[TracerEvent], object] | None = None, *, max_events: int = 10_000
    ) -> None:
        if max_events < 1:
            raise ValueError(f"`max_events` must be at least 1, not {max_events!r}.")
        self.on_store_callback = on_store_callback
        self._events: deque[TracerEvent] = deque(maxlen=max_events)
        self._lock = threading.Lock()

    def store(self, event: TracerEvent) -> None:
        """Keep `event`; raises what the callback raises."""
        with self._lock:
            self._events.append(event)
        if self.on_store_callback is not None:
            self.on_store_callback(event)

    def enter(self, call: LLMToolCall, started: float, correlation_id: str, run_id: str) -> None:
        """Let the callback prepare the context of the tool of `call`, which is the current one, if it can."""
        if (enter := getattr(self.on_store_callback, "enter", None)) is not None:
            enter(call, started, correlation_id, run_id)

    def get_events(
        self,
        event_type: type[Kind] | None = None,
        start_time: float | None = None,
        end_time: float | None = None,
        filter_func: Callable[[Kind], object] | None = None,
        *,
        correlation_id: str | None = None,
    ) -> list[Kind]:
        """Return the kept events, in order.

        Only those of the class `event_type`, from `start_time` to `end_time` (both included, in seconds since the
        epoch), with that `correlation_id`, and for which `filter_func` returns something true.
        """
        with self._lock:
            events = list(self._events)
        kind: type[Any] = event_type or TracerEvent
        return [
            event
            for event in events
            if isinstance(event, kind)
            and (start_time is None or event.timestamp >= start_time)
            and (end_time is None or event.timestamp <= end_time)
            and (correlation_id is None or event.correlation_id == correlation_id)
            and (filter_func is None or filter_func(event))
        ]

    def get_last_n_events(self, n: int, event_type: type[Kind] | None = None) -> list[Kind]:
        """Return the last `n` events of that type, or all if there are fewer."""
        return self.get_events(event_type)[-n:] if n > 0 else []

    def clear(self) -> None:
        """Forget all events."""
        with self._lock:
            self._events.clear()
