"""The file of recorded exchanges: requests to a model, and what came back.

It is JSON, with one message, one tool and one line of the answer to a line, so that it can be read and compared. What
differs from run to run is left out or named by its place: ids of calls, reasoning that was sent back, where on this
machine a file is. An image is known by a hash of its content. Only the line ``ms``, the milliseconds before each event,
is another each time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.messages import LLMMessage, MessageRole

from .base import Request
from .images import load_image
from .redaction import Redaction

__all__ = ["Exchange", "key_of", "load", "request_in_json", "save"]

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
        content = json.loads(path.read_text("utf-8", "surrogatepass"))
        exchanges = [Exchange(each["request"], each["answer"], each["ms"]) for each in content["exchanges"]]
        made = content["format"], content["version"]
    except OSError as error:
        why = f"{error.strerror}: record it with a RecordingGateway, or check the path"
        raise ConfigurationError(f"The recording {str(path)!r} can't be read. {why}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{str(path)!r} is no recording ({type(error).__name__}: {error}): delete it and record it anew."
        ) from error
    if made != (FORMAT, VERSION):
        wanted = f"not {FORMAT!r}, version {VERSION}"
        raise ConfigurationError(f"{str(path)!r} is {made[0]!r}, version {made[1]}, {wanted}: record it anew.")
    return exchanges


def save(path: Path, exchanges: Iterable[Exchange]) -> None:
    """Write the exchanges to the file, whole or not at all: sorted by their requests, so that rounds follow another."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "exchanges": [
            {"request": each.request, "answer": each.answer, "ms": each.ms} for each in sorted(exchanges, key=place_of)
        ],
    }
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(in_lines(content) + "\n", "utf-8", "surrogatepass", "\n")
        new.replace(path)
    except OSError as error:
        raise ConfigurationError(f"The recording {str(path)!r} can't be written: {error.strerror}.") from error
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
