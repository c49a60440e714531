"""The file of recorded exchanges: requests to a model, and the replies, to JSON and back.

Each message, tool and piece of a reply is on a line of its own, so that you can read and compare files. What differs
from run to run is left out or named by its place: ids of calls, reasoning that was sent back, the path of a file on
this machine. An image is recorded as a hash of its content. Only the line ``ms``, the milliseconds before each event,
differs each time. A line of a reply has several pieces of text, each of which becomes an event again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

from mojentic_nb.llm import errors
from mojentic_nb.llm.arguments import nests_deeper
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
from mojentic_nb.llm.gateways.wire.images import load_image
from mojentic_nb.llm.messages import LLMMessage, LLMToolCall, MessageRole
from mojentic_nb.llm.redaction import DEEPEST, Redaction
from mojentic_nb.llm.request import Request

from .locking import locked

__all__ = ["Exchange", "TimedEvent", "describe_answer", "describe_request", "edit", "key_of", "load", "read_answer"]

FORMAT, VERSION = "mojentic_nb recording", 1
# Settings that aren't sent to providers.
CLIENTS = {"max_answer_chars", "max_stream_bytes", "max_tool_iterations", "think_tags"}
EXPANDED = 4  # levels of JSON that are written on several lines


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and the lines of its reply, both in JSON, and the milliseconds before each event."""

    request: Mapping[str, Any]
    answer: list[dict[str, Any]]
    ms: list[int]


def describe_request(request: Request, redaction: Redaction) -> dict[str, Any]:
    """Return what identifies a request. Raises ConfigurationError for a missing image."""
    names: dict[str | None, str] = {}
    described = {
        "model": request.model,
        "settings": request.config.model_dump(exclude_none=True, exclude=CLIENTS),
        "tools": [dict(tool.descriptor) for tool in request.tools],
        "tool_choice": request.tool_choice,
        "schema": request.object_model.model_json_schema() if request.object_model else None,
        "messages": [describe_message(message, turn, names) for turn, message in enumerate(request.messages)],
    }
    redacted: dict[str, Any] = redaction.value(drop_empty(described))
    return redacted


def describe_message(message: LLMMessage, turn: int, names: dict[str | None, str]) -> dict[str, Any]:
    """Return the message at the place `turn`; `names` are those of the calls so far, by their ids."""
    calls = message.tool_calls or []
    fields: dict[str, Any] = {"role": message.role.value, "content": message.content}
    if message.content is None and message.object is not None:
        fields["content"] = message.object.model_dump_json()
    if message.role is MessageRole.Tool:
        fields["answers"] = names.get(calls[0].id) if calls else None
    else:
        names |= {call.id: f"call_{turn}_{number}" for number, call in enumerate(calls)}
        fields["calls"] = [{"call": names[call.id], "name": call.name, "arguments": call.arguments} for call in calls]
    fields["images"] = [describe_image(path) for path in message.image_paths or ()]
    return drop_empty(fields)


def describe_image(path: str) -> str:
    """Return a link as it is, or a hash of the image."""
    image = load_image(path)
    return image.link or f"{image.media_type} sha256:{hashlib.sha256(image.data.encode()).hexdigest()[:32]}"


def drop_empty(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that aren't empty."""
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def key_of(request: Mapping[str, Any]) -> str:
    """Return the key of a request; the same requests have equal keys."""
    return json.dumps(request, sort_keys=True, ensure_ascii=False)


def load(path: Path) -> list[Exchange]:
    """Return the exchanges of a file; raise ConfigurationError if it isn't a recording."""
    try:
        content = parse(read(path))
        if (made := (content["format"], content["version"])) == (FORMAT, VERSION):
            return list(map(exchange_of, content["exchanges"]))
    except OSError as error:
        raise ConfigurationError(
            f"Can't read the recording {str(path)!r} ({error.strerror}). Check its path, or record it with a "
            "RecordingGateway."
        ) from error
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{str(path)!r} isn't a recording ({fault(error)}). Check the path.") from error
    if made[0] == FORMAT:
        raise ConfigurationError(
            f"The recording {str(path)!r} has version {made[1]}, but this program reads version {VERSION}. "
            "Record it again, or use the program that made it."
        )
    raise ConfigurationError(f"{str(path)!r} isn't a recording (its format is {made[0]!r}). Check the path.")


def read(path: Path) -> str:
    """Return the text of a file; raise OSError for anything else, such as a pipe, where reading would wait."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, encoding="utf-8", errors="surrogatepass") as file:  # noqa: PTH123 (a Path has no descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "It isn't a file")
        return file.read()


def exchange_of(each: Mapping[str, Any]) -> Exchange:
    """Return an exchange from a file; raise what its use would raise if it isn't one."""
    exchange = Exchange(each["request"], each["answer"], each["ms"])
    place_of(exchange)
    return exchange


def parse(text: str | bytes) -> Any:  # noqa: ANN401 (any JSON)
    """Read JSON; raise RecursionError at the same depth in each version of Python."""
    content = json.loads(text)
    if nests_deeper(content, DEEPEST):
        raise RecursionError
    return content


def fault(error: Exception) -> str:
    """Return what is wrong with a file that isn't a recording."""
    match error:
        case KeyError():
            return f"it has no `{error.args[0]}`"
        case RecursionError():
            return "its JSON is nested too deep"
        case json.JSONDecodeError() | UnicodeDecodeError():
            return "it isn't JSON"
    return "a part of it has another form"


@contextmanager
def edit(path: Path) -> Iterator[list[Exchange]]:
    """Lend the exchanges of the file, and write them at the end of the block; other processes wait.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` if the file can't be written, or isn't a recording.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path):
            exchanges = load(path) if path.exists() else []
            yield exchanges
            save(path, exchanges)
    except OSError as error:
        raise ConfigurationError(f"Can't write the recording {str(path)!r}: {error.strerror}.") from error


def save(path: Path, exchanges: Iterable[Exchange]) -> None:
    """Write the exchanges to the file, whole or not at all, sorted so that the rounds of a conversation follow."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "exchanges": [
            {"request": each.request, "answer": each.answer, "ms": each.ms} for each in sorted(exchanges, key=place_of)
        ],
    }
    new = path.with_name(f".{path.name}.{secrets.token_hex(16)}")  # a name that nobody can guess
    try:
        with new.open("x", encoding="utf-8", errors="surrogatepass", newline="\n") as file:
            file.write(in_lines(content) + "\n")
        if path.exists():
            shutil.copymode(path, new)
        new.replace(path)
    finally:
        with suppress(OSError):
            new.unlink(missing_ok=True)


def place_of(exchange: Exchange) -> tuple[str, list[str], str]:
    """Return the sort key: the model, then the messages, so that a conversation precedes what continues it."""
    rest = {name: value for name, value in exchange.request.items() if name != "messages"}
    return exchange.request["model"], list(map(key_of, exchange.request["messages"])), key_of(rest)


def in_lines(value: Any, depth: int = 0) -> str:  # noqa: ANN401 (JSON)
    """Return `value` as JSON, with its upper levels on several lines and lower ones on one."""
    pad = "\n" + " " * (depth + 1)
    match value:
        case dict() if value and depth < EXPANDED:
            parts = [f"{json.dumps(name)}: {in_lines(item, depth + 1)}" for name, item in value.items()]
            return "{" + pad + f",{pad}".join(parts) + pad[:-1] + "}"
        case [dict(), *_] if depth <= EXPANDED:
            return "[" + pad + f",{pad}".join(in_lines(item, depth + 1) for item in value) + pad[:-1] + "]"
    return json.dumps(value, ensure_ascii=False)


LINE = 100  # characters of text
GRAIN = 10  # milliseconds; finer differences are noise
LONGEST = 3_600_000  # milliseconds between two events
FINISH_REASONS = get_args(FinishReason)
# The errors, not the warnings, that a recording may name.
ERRORS: dict[str, type[LLMError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, LLMError)
}


@dataclass(frozen=True, slots=True)
class TimedEvent:
    """An event, or the error that ended the reply, `wait` seconds after the one before it."""

    wait: float
    event: ModelEvent | LLMError


def describe_answer(
    answer: Iterable[TimedEvent], turn: int, redaction: Redaction
) -> tuple[list[dict[str, Any]], list[int]]:
    """Return the lines of a reply, and the milliseconds before each event; calls are named by `turn` and number."""
    names: dict[str | None, str] = {}
    lines: list[dict[str, Any]] = []
    ms: list[int] = []
    for timed in redacted_pieces(list(answer), redaction):
        ms.append(round(timed.wait * 1000 / GRAIN) * GRAIN)
        line = line_of(timed.event, turn, names, redaction)
        if not (lines and continues(lines[-1], line)):
            lines.append(line)
    return lines, ms


def redacted_pieces(answer: list[TimedEvent], redaction: Redaction) -> Iterator[TimedEvent]:
    """Yield the reply; a text with a secret becomes one piece, since the secret may be split between several."""
    whole: dict[object, str] = {}
    for timed in answer:
        if isinstance(timed.event, TextDelta | ReasoningDelta | ToolCallDelta):
            key = text_of(timed.event)
            whole[key] = whole.get(key, "") + timed.event.delta
    changed = {key: new for key, text in whole.items() if (new := redaction.text(text)) != text}
    waited = 0.0
    for timed in answer:
        event, waited = timed.event, waited + timed.wait
        if isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta) and text_of(event) in changed:
            delta, changed[text_of(event)] = changed[text_of(event)], ""
            if not delta and not (isinstance(event, ReasoningDelta) and event.details):
                continue
            event = TextDelta(delta) if isinstance(event, TextDelta) else replace(event, delta=delta)
        yield TimedEvent(waited, event)
        waited = 0.0


def text_of(event: TextDelta | ReasoningDelta | ToolCallDelta) -> object:
    """Return the key of the text that the piece belongs to."""
    return (type(event), event.id if isinstance(event, ToolCallDelta) else "")


def line_of(
    event: ModelEvent | LLMError, turn: int, names: dict[str | None, str], redaction: Redaction
) -> dict[str, Any]:
    """Return the line of an event; `names` are those of the calls so far, by their ids."""

    def name(call_id: str | None) -> str:
        return names.setdefault(call_id, f"call_{turn}_{len(names)}")

    match event:
        case Notice(text):
            return {"notice": redaction.text(text)}
        case TextDelta(delta):
            return {"text": [delta]}
        case ReasoningDelta(delta, details):
            return {"reasoning": [delta]} | ({} if details is None else {"details": redaction.value(dict(details))})
        case ToolCallStart(call_id, tool):
            return {"call": name(call_id), "name": tool}
        case ToolCallDelta(call_id, delta):
            return {"call": name(call_id), "json": [delta]}
        case ToolCallEnd(call):
            line = {"call": name(call.id), "name": call.name, "arguments": redaction.value(call.arguments)}
            return line | ({"error": redaction.text(call.error)} if call.error else {})
        case StepFinish():
            usage = {name: count for name, count in asdict(event.usage).items() if count}
            return {"finish": event.finish_reason, "usage": usage} | ({"limit": event.limit} if event.limit else {})
    kind = next(each.__name__ for each in type(event).__mro__ if each.__name__ in ERRORS)
    line = {"error": kind, "message": redaction.text(str(event)), "transient": event.transient}
    line |= {"advice": event.advice} if event.advice else {}
    return line | ({} if event.retry_after is None else {"retry_after": event.retry_after})


def continues(before: dict[str, Any], line: dict[str, Any]) -> bool:
    """Add the piece in `line` to the end of the line `before` if it belongs there; return whether it does."""
    for kind in ("text", "reasoning", "json"):
        same = "details" not in line and {**before, kind: None} == {**line, kind: None}
        if kind in line and same and sum(map(len, before[kind])) < LINE:
            before[kind] += line[kind]
            return True
    return False


def read_answer(answer: object, ms: object) -> Iterator[TimedEvent]:
    """Yield the recorded events in order; an error is a new one each time.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for invalid lines.
    """
    waits = iter(ms if isinstance(ms, list) else [])
    for line in answer if isinstance(answer, list) else [answer]:
        try:
            events = list(events_of(line))
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"Can't read a line of the recording: {str(line)[:80]!r}. Record the exchange again."
            ) from error
        for event in events:
            yield TimedEvent(min(read_count(next(waits, 0)), LONGEST) / 1000, event)


def events_of(line: Any) -> Iterator[ModelEvent | LLMError]:  # noqa: ANN401 (any JSON)
    """Yield the events of one line. Raises TypeError or ValueError for an invalid one."""
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
            counts: dict[str, Any] = {name: read_count(count) for name, count in read_object(line.get("usage")).items()}
            yield StepFinish(reason, Usage(**counts), limit=read_text(line.get("limit")))
        case {"error": str(kind), "message": str(message)} if kind in ERRORS:
            error = ERRORS[kind](message)
            error.transient = line.get("transient") is True
            error.advice = read_text(line.get("advice"))
            wait = line.get("retry_after")
            error.retry_after = wait if isinstance(wait, int | float) and wait >= 0 else None
            yield error
        case _:
            raise ValueError(line)


def texts(pieces: object) -> list[str]:
    """Return the pieces of a text; raise TypeError for anything else."""
    if not isinstance(pieces, list) or not all(isinstance(piece, str) for piece in pieces):
        raise TypeError(pieces)
    return pieces
