"""The tracer: a reader of runs that keeps the last events of all of them."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TextIO

from .by_hand import RecordedByHand
from .events import TracerEvent
from .jsonl import lines
from .recorder import Recorder
from .store import EventStore, Kind
from .waterfall import Waterfall

__all__ = ["TracerSystem"]


class TracerSystem(RecordedByHand):
    """Give it to a broker, ``LLMBroker(…, tracer=tracer)``, and ask it afterwards what happened.

    `event_store` keeps the events, by default the last 10,000 of them. While the tracer is not `enabled`, none are
    kept. It serves any number of runs and brokers, in several threads at once. A notebook shows the waterfall of the
    last run in its place.
    """

    def __init__(self, event_store: EventStore | None = None, enabled: bool = True) -> None:
        self.event_store = EventStore() if event_store is None else event_store
        self.enabled = enabled

    def begin(self, correlation_id: str) -> Recorder:
        """What a run of a broker tells its happenings to."""
        return Recorder(self.record_event, correlation_id, self.event_store.enter)

    def record_event(self, event: TracerEvent) -> None:
        """Keep `event`, if the tracer is enabled."""
        if self.enabled:
            self.event_store.store(event)

    def get_events(
        self,
        event_type: type[Kind] | None = None,
        start_time: float | None = None,
        end_time: float | None = None,
        filter_func: Callable[[Kind], object] | None = None,
        *,
        correlation_id: str | None = None,
    ) -> list[Kind]:
        """The events kept, in the order in which they came.

        Only those of the class `event_type`, from `start_time` to `end_time` (both included, in seconds since the
        epoch), with that `correlation_id`, and for which `filter_func` returns something true.
        """
        return self.event_store.get_events(event_type, start_time, end_time, filter_func, correlation_id=correlation_id)

    def get_last_n_tracer_events(self, n: int, event_type: type[Kind] | None = None) -> list[Kind]:
        """The last `n` events, of that type; fewer where there are fewer."""
        return self.event_store.get_last_n_events(n, event_type)

    def clear(self) -> None:
        """Forget all events."""
        self.event_store.clear()

    def enable(self) -> None:
        """Keep events from now on."""
        self.enabled = True

    def disable(self) -> None:
        """Keep no events from now on; those that are kept stay."""
        self.enabled = False

    def waterfall(self, correlation_id: str | None = None) -> Waterfall:
        """When each request and each tool call began and ended: of the last run, or of all that has that id.

        Print it, or have a notebook show it. Raises LookupError for an id that no event has.
        """
        events = self.get_events(correlation_id=correlation_id)
        if correlation_id is not None:
            if not events:
                raise LookupError(f"No event has the correlation id {correlation_id!r}: see get_events().")
            return Waterfall(events)
        last = events[-1:]
        return Waterfall([event for event in events if run_of(event) == run_of(*last)])

    def to_jsonl(self, path_or_file: str | PathLike[str] | TextIO | None = None) -> str | None:
        """The events as JSON, an object a line: written to that path or file, else returned.

        ``pandas.read_json(path, lines=True)`` makes a table of them.
        """
        text = lines(self.get_events())
        if path_or_file is None:
            return "".join(text)
        if isinstance(path_or_file, (str, PathLike)):
            with Path(path_or_file).open("w", encoding="utf-8") as file:
                file.writelines(text)
        else:
            path_or_file.writelines(text)
        return None

    def __repr__(self) -> str:
        return "<TracerSystem>"

    def _repr_html_(self) -> str:
        return self.waterfall()._repr_html_()


def run_of(event: TracerEvent) -> tuple[str, str]:
    """What all events of a run have in common."""
    return event.correlation_id, event.run_id
