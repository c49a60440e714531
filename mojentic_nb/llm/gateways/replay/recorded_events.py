"""The lines of a recorded answer: events as JSON, and back.

A line has several pieces of text, so that a file stays small and shows what was said; each piece is an event again when
it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, get_args

from mojentic_nb.llm import errors
from mojentic_nb.llm.errors import ConfigurationError, LLMError
from mojentic_nb.llm.events import (
    FinishReason,
    ModelEvent,
    Notice,
    ReasoningDelta,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
)
from mojentic_nb.llm.gateways.wire.fields import read_count, read_object, read_text, sendable
from mojentic_nb.llm.messages import LLMToolCall
from mojentic_nb.llm.redaction import Redaction

__all__ = ["Happening", "answer_in_json", "happenings"]

LINE = 100  # characters of text
GRAIN = 10  # milliseconds; finer differences are noise
LONGEST = 3_600_000  # milliseconds between two events
FINISH_REASONS = get_args(FinishReason)
# What a recording may name; a warning is none of them.
ERRORS: dict[str, type[LLMError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, LLMError)
}


@dataclass(frozen=True, slots=True)
class Happening:
    """An event, or the error that ended the answer, `wait` seconds after the one before it."""

    wait: float
    event: ModelEvent | LLMError


def answer_in_json(
    answer: Iterable[Happening], turn: int, redaction: Redaction
) -> tuple[list[dict[str, Any]], list[int]]:
    """The lines of an answer, and the milliseconds before each event; calls are named by `turn` and their place."""
    names: dict[str | None, str] = {}
    lines: list[dict[str, Any]] = []
    ms: list[int] = []
    for happening in redacted_pieces(list(answer), redaction):
        ms.append(round(happening.wait * 1000 / GRAIN) * GRAIN)
        event = happening.event
        if isinstance(event, LLMError):
            line = error_in_json(event, redaction)
        elif isinstance(event, ToolCallStart | ToolCallDelta | ToolCallEnd):
            call_id = event.call.id if isinstance(event, ToolCallEnd) else event.id
            name = names.setdefault(call_id, f"call_{turn}_{len(names)}")
            line = call_in_json(event, name, redaction)
        else:
            line = event_in_json(event, redaction)
        if not (lines and continues(lines[-1], line)):
            lines.append(line)
    return lines, ms


def redacted_pieces(answer: list[Happening], redaction: Redaction) -> Iterator[Happening]:
    """The answer, in which a text that had to be changed comes in one piece: a secret may lie across several."""
    whole: dict[object, str] = {}
    for happening in answer:
        if isinstance(happening.event, TextDelta | ReasoningDelta | ToolCallDelta):
            text = text_of(happening.event)
            whole[text] = whole.get(text, "") + happening.event.delta
    changed = {text: redaction.text(said) for text, said in whole.items() if redaction.text(said) != said}
    waited = 0.0
    for happening in answer:
        event, waited = happening.event, waited + happening.wait
        if isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta) and text_of(event) in changed:
            delta, changed[text_of(event)] = changed[text_of(event)], ""
            if not delta and not (isinstance(event, ReasoningDelta) and event.details):
                continue
            event = TextDelta(delta) if isinstance(event, TextDelta) else replace(event, delta=delta)
        yield Happening(waited, event)
        waited = 0.0


def text_of(event: TextDelta | ReasoningDelta | ToolCallDelta) -> object:
    """Which of an answer's texts the piece belongs to."""
    return (type(event), event.id if isinstance(event, ToolCallDelta) else "")


def call_in_json(event: ToolCallStart | ToolCallDelta | ToolCallEnd, name: str, redaction: Redaction) -> dict[str, Any]:
    """A line for one event of the call of that name."""
    match event:
        case ToolCallStart(name=tool):
            return {"call": name, "name": tool}
        case ToolCallDelta(delta=delta):
            return {"call": name, "json": [delta]}
    call = event.call
    line = {"call": name, "name": call.name, "arguments": redaction.value(call.arguments)}
    return {**line, "error": redaction.text(call.error)} if call.error else line


def event_in_json(event: Notice | TextDelta | ReasoningDelta | StepFinish, redaction: Redaction) -> dict[str, Any]:
    """A line for any other event."""
    match event:
        case Notice(text):
            return {"notice": redaction.text(text)}
        case TextDelta(delta):
            return {"text": [delta]}
        case ReasoningDelta(delta, details):
            line: dict[str, Any] = {"reasoning": [delta]}
            return line if details is None else {**line, "details": redaction.value(dict(details))}
    usage = {name: count for name, count in asdict(event.usage).items() if count}
    return {"finish": event.finish_reason, "usage": usage, **({"limit": event.limit} if event.limit else {})}


def error_in_json(event: LLMError, redaction: Redaction) -> dict[str, Any]:
    """A line for the error that ended the answer."""
    kind = next(each.__name__ for each in type(event).__mro__ if each.__name__ in ERRORS)
    line = {"error": kind, "message": redaction.text(str(event)), "transient": event.transient}
    return line if event.retry_after is None else {**line, "retry_after": event.retry_after}


def continues(before: dict[str, Any], line: dict[str, Any]) -> bool:
    """Put the piece in `line` at the end of the line `before`, if it belongs there; tell whether it does."""
    for kind in ("text", "reasoning", "json"):
        same = "details" not in line and {**before, kind: None} == {**line, kind: None}
        if kind in line and same and sum(map(len, before[kind])) < LINE:
            before[kind] += line[kind]
            return True
    return False


def happenings(answer: object, ms: object) -> Iterator[Happening]:
    """What was recorded, in order; an error is a new one each time.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for lines that no recording has.
    """
    waits = iter(ms if isinstance(ms, list) else [])
    for line in answer if isinstance(answer, list) else [answer]:
        try:
            events = list(events_of(line))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"A line of the recording can't be read: {str(line)[:80]!r}. Record the exchange again."
            ) from error
        for event in events:
            yield Happening(min(read_count(next(waits, 0)), LONGEST) / 1000, event)


def events_of(line: Any) -> Iterator[ModelEvent | LLMError]:  # noqa: ANN401 (any JSON)
    """The events of one line. Raises TypeError or ValueError for what is none."""
    match line:
        case {"notice": text}:
            yield Notice(text)
        case {"text": pieces}:
            yield from map(TextDelta, texts(pieces))
        case {"reasoning": [str(delta)], "details": dict(details)}:
            yield ReasoningDelta(delta, sendable(details))
        case {"reasoning": pieces}:
            yield from map(ReasoningDelta, texts(pieces))
        case {"json": pieces, "call": str(call_id)}:
            yield from (ToolCallDelta(call_id, piece) for piece in texts(pieces))
        case {"arguments": dict(arguments), "call": call_id, "name": name}:
            call = LLMToolCall(id=call_id, name=name, arguments=sendable(arguments), error=line.get("error"))
            yield ToolCallEnd(call)
        case {"call": str(call_id), "name": str(name)} if "arguments" not in line:
            yield ToolCallStart(call_id, name)
        case {"finish": reason} if reason in FINISH_REASONS:
            counts = read_object(line.get("usage"))
            usage = Usage(**{name: read_count(count) for name, count in counts.items()})
            yield StepFinish(reason, usage, limit=read_text(line.get("limit")))
        case {"error": str(kind), "message": str(message)} if kind in ERRORS:
            error = ERRORS[kind](message)
            error.transient = line.get("transient") is True
            wait = line.get("retry_after")
            error.retry_after = wait if isinstance(wait, int | float) and wait >= 0 else None
            yield error
        case _:
            raise ValueError(line)


def texts(pieces: object) -> list[str]:
    """The pieces of a text."""
    if not isinstance(pieces, list) or not all(isinstance(piece, str) for piece in pieces):
        raise TypeError(pieces)
    return pieces
