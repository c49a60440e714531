"""Reading the fields of a server's JSON, which may hold anything: each function returns a value if it can be used.

Use them for the optional parts of a reply. Read the text itself directly: an odd value there must be an error, so that
no text is lost silently.
"""

from __future__ import annotations

import json
from typing import Any

from mojentic_nb.llm.text import join_surrogates

__all__ = ["drop_unset", "read_count", "read_index", "read_object", "read_objects", "read_text", "sendable"]

LARGEST = 2**53  # the largest integer that a JSON number holds exactly


def drop_unset(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that aren't None: a request has only settings that the caller made."""
    return {name: value for name, value in fields.items() if value is not None}


def read_object(value: object) -> dict[str, Any]:
    """Return `value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def read_objects(value: object) -> list[dict[str, Any]]:
    """Return the objects in `value`, none if it isn't an array."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def read_text(value: object) -> str:
    """Return `value` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def read_count(value: object) -> int:
    """Return `value` if it is a count, else 0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= LARGEST else 0


def read_index(value: object) -> int | None:
    """Return `value` if it can be an index, else None."""
    return value if isinstance(value, int) else None


def sendable(value: dict[str, Any]) -> dict[str, Any]:
    """Return `value` with null for numbers that aren't finite, and without half characters.

    A server may put these into what it wants back, but no HTTP client can send them.
    """
    text = join_surrogates(json.dumps(value, ensure_ascii=False))
    made: dict[str, Any] = json.loads(text, parse_constant=lambda _: None)
    return made
