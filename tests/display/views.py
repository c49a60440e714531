"""A view as the browser has it: the state that operations build."""

from __future__ import annotations

from collections.abc import Iterable

from mojentic_nb.display.blocks import Op
from mojentic_nb.display.transcript import Transcript
from mojentic_nb.llm import Event


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def applied(ops: Iterable[Op], state: dict | None = None) -> dict:
    """The state after `ops`."""
    state = state or {"blocks": [], "status": {}}
    for op in ops:
        match op:
            case ["block", index, block]:
                assert index == len(state["blocks"])
                state["blocks"].append(dict(block))
            case ["append", index, field, delta]:
                assert delta
                state["blocks"][index][field] += delta
            case ["set", index, fields]:
                assert fields.keys() <= state["blocks"][index].keys()
                assert fields
                state["blocks"][index].update(fields)
            case ["status", fields]:
                assert fields
                state["status"].update(fields)
            case _:
                raise AssertionError(op)
    return state


def transcript_of(events: Iterable[Event], model: str = "model") -> Transcript:
    """A transcript of a whole run, in no time."""
    transcript = Transcript(model, Clock())
    for event in events:
        transcript.feed(event)
    return transcript
