"""The file of recorded exchanges: requests to a model, and what came back.

It is JSON, with one message, one tool and one line of the answer to a line, so that it can be read and compared. What
differs from run to run is left out or named by its place: ids of calls, reasoning that was sent back, where on this
machine a file is. An image is known by a hash of its content. Only the line ``ms``, the milliseconds before each event,
is another each time.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.gateways.wire.images import load_image
from mojentic_nb.llm.messages import LLMMessage, MessageRole, nests_deeper
from mojentic_nb.llm.redaction import DEEPEST, Redaction
from mojentic_nb.llm.request import Request

from .locking import locked

__all__ = ["Exchange", "changed", "key_of", "load", "request_in_json"]

FORMAT, VERSION = "mojentic_nb recording", 1
# Settings that no provider is told.
CLIENTS = {"max_answer_chars", "max_stream_bytes", "max_tool_iterations", "think_tags"}
EXPANDED = 4  # levels of JSON that are written over several lines


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and the lines of its answer, both in JSON, and how many milliseconds passed before each event."""

    request: Mapping[str, Any]
    answer: list[dict[str, Any]]
    ms: list[int]


def request_in_json(request: Request, redaction: Redaction) -> dict[str, Any]:
    """What makes a request this one. Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for a missing image."""
    names: dict[str | None, str] = {}
    said = {
        "model": request.model,
        "settings": request.config.model_dump(exclude_none=True, exclude=CLIENTS),
        "tools": [dict(tool.descriptor) for tool in request.tools],
        "tool_choice": request.tool_choice,
        "schema": request.object_model.model_json_schema() if request.object_model else None,
        "messages": [message_in_json(message, turn, names) for turn, message in enumerate(request.messages)],
    }
    told: dict[str, Any] = redaction.value(without_nothing(said))
    return told


def message_in_json(message: LLMMessage, turn: int, names: dict[str | None, str]) -> dict[str, Any]:
    """One message, the one at the place `turn`; `names` are those of the calls so far, by their ids."""
    calls = message.tool_calls or []
    said: dict[str, Any] = {"role": message.role.value, "content": message.content}
    if message.content is None and message.object is not None:
        said["content"] = message.object.model_dump_json()
    if message.role is MessageRole.Tool:
        said["answers"] = names.get(calls[0].id) if calls else None
    else:
        names |= {call.id: f"call_{turn}_{number}" for number, call in enumerate(calls)}
        said["calls"] = [{"call": names[call.id], "name": call.name, "arguments": call.arguments} for call in calls]
    said["images"] = [image_in_json(path) for path in message.image_paths or ()]
    return without_nothing(said)


def image_in_json(path: str) -> str:
    """A link as it is, else a hash of the image."""
    image = load_image(path)
    return image.link or f"{image.media_type} sha256:{hashlib.sha256(image.data.encode()).hexdigest()[:32]}"


def without_nothing(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def key_of(request: Mapping[str, Any]) -> str:
    """The key of a request: equal ones are the same request."""
    return json.dumps(request, sort_keys=True, ensure_ascii=False)


def load(path: Path) -> list[Exchange]:
    """The exchanges of a file; raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for what is none."""
    try:
        content = parse(read(path))
        if (made := (content["format"], content["version"])) == (FORMAT, VERSION):
            return list(map(exchange_of, content["exchanges"]))
    except OSError as error:
        why = f"{error.strerror}: record it with a RecordingGateway, or check the path"
        raise ConfigurationError(f"The recording {str(path)!r} can't be read. {why}.") from error
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{str(path)!r} isn't a recording ({fault(error)}). Check the path.") from error
    if made[0] == FORMAT:
        raise ConfigurationError(
            f"The recording {str(path)!r} has version {made[1]}, but this program reads version {VERSION}. "
            "Record it again, or use the program that made it."
        )
    raise ConfigurationError(f"{str(path)!r} isn't a recording (its format is {made[0]!r}). Check the path.")


def read(path: Path) -> str:
    """The text of a file; raises OSError for what is none, such as a pipe, on which reading would wait."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, encoding="utf-8", errors="surrogatepass") as file:  # noqa: PTH123 (a Path has no descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "It isn't a file")
        return file.read()


def exchange_of(each: Mapping[str, Any]) -> Exchange:
    """An exchange as it stands in a file; raises what its use would raise if it is none."""
    exchange = Exchange(each["request"], each["answer"], each["ms"])
    place_of(exchange)
    return exchange


def parse(text: str | bytes) -> Any:  # noqa: ANN401 (any JSON)
    """What JSON says; raises RecursionError at the same depth on each version of Python."""
    content = json.loads(text)
    if nests_deeper(content, DEEPEST):
        raise RecursionError
    return content


def fault(error: Exception) -> str:
    """What is wrong with JSON that holds no recording."""
    match error:
        case KeyError():
            return f"it has no `{error.args[0]}`"
        case RecursionError():
            return "its JSON is nested too deep"
        case json.JSONDecodeError() | UnicodeDecodeError():
            return "it isn't JSON"
    return "a part of it has another form"


@contextmanager
def changed(path: Path) -> Iterator[list[Exchange]]:
    """The exchanges of the file, which is written with what they are at the end; other processes wait meanwhile.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` where the file can't be written, or holds another thing.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path):
            exchanges = load(path) if path.exists() else []
            yield exchanges
            save(path, exchanges)
    except OSError as error:
        raise ConfigurationError(f"The recording {str(path)!r} can't be written: {error.strerror}.") from error


def save(path: Path, exchanges: Iterable[Exchange]) -> None:
    """Write the exchanges to the file, whole or not at all, sorted by their requests, so that rounds follow another."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "exchanges": [
            {"request": each.request, "answer": each.answer, "ms": each.ms} for each in sorted(exchanges, key=place_of)
        ],
    }
    new = path.with_name(f".{path.name}.{secrets.token_hex(16)}")  # a name that nobody can take before
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
    """Where in the file it stands: by model, then by what is said, a conversation before what continues it."""
    rest = {name: value for name, value in exchange.request.items() if name != "messages"}
    return exchange.request["model"], list(map(key_of, exchange.request["messages"])), key_of(rest)


def in_lines(value: Any, depth: int = 0) -> str:  # noqa: ANN401 (JSON)
    """`value` as JSON: its upper levels over several lines, what is below them in one."""
    pad = "\n" + " " * (depth + 1)
    match value:
        case dict() if value and depth < EXPANDED:
            parts = [f"{json.dumps(name)}: {in_lines(item, depth + 1)}" for name, item in value.items()]
            return "{" + pad + f",{pad}".join(parts) + pad[:-1] + "}"
        case [dict(), *_] if depth <= EXPANDED:
            return "[" + pad + f",{pad}".join(in_lines(item, depth + 1) for item in value) + pad[:-1] + "]"
    return json.dumps(value, ensure_ascii=False)
