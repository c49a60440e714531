"""The tracer's events as JSON, one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from mojentic_nb.llm import Usage
from mojentic_nb.llm.redaction import Redaction

from .events import LLMResponseTracerEvent, TracerEvent

__all__ = ["lines", "plain"]


def lines(events: Iterable[TracerEvent]) -> Iterable[str]:
    """Yield a line for each event, without secrets, and in ASCII only, so that it survives any encoding."""
    redaction = Redaction.of_secrets()
    for event in events:
        yield json.dumps(redaction.value(as_json(event)), default=str) + "\n"


def as_json(event: TracerEvent) -> dict[str, Any]:
    """Return the event's type and fields; those of a usage are fields of their own, for tables."""
    found: dict[str, Any] = {"type": type(event).__name__}
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, Usage):
            found |= {part.name: getattr(value, part.name) for part in fields(value)}
        else:
            found[field.name] = plain(value)
    if isinstance(event, LLMResponseTracerEvent):
        found["tokens_per_second"] = event.tokens_per_second
    return found


def plain(value: object) -> object:
    """Return `value` as JSON, with text in place of what JSON can't represent."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, tuple):
        return [plain(part) for part in value]
    if isinstance(value, Mapping):
        value = dict(value)
    return finite(to_jsonable_python(value, fallback=str, bytes_mode="base64"))


def finite(value: object) -> object:
    """Return `value` with text in place of numbers that JSON doesn't have: infinities and NaN."""
    match value:
        case float() if value - value != 0:
            return str(value)
        case list():
            return [finite(part) for part in value]
        case dict():
            return {key: finite(part) for key, part in value.items()}
        case _:
            return value
