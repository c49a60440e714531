"""Fields of a server's JSON, which may hold anything: each function returns what is usable of a value, else nothing.

Use them for what an answer can do without. What is said itself is read as it is, so that an odd value there is an error
and no text is lost unnoticed.
"""

from __future__ import annotations

import json
from typing import Any

from mojentic_nb.llm.text import mended

__all__ = ["read_count", "read_index", "read_object", "read_objects", "read_text", "sendable"]

LARGEST = 2**53  # what JSON numbers hold exactly


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
    """Return `value` if it counts something, else 0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= LARGEST else 0


def read_index(value: object) -> int | None:
    """Return `value` if it can be a place in a list, else None."""
    return value if isinstance(value, int) else None


def sendable(value: dict[str, Any]) -> dict[str, Any]:
    """Return `value` as a request can carry it: null for numbers that aren't finite, no half characters.

    A server may put anything into what it wants back, and no HTTP client can send those.
    """
    text = mended(json.dumps(value, ensure_ascii=False))
    made: dict[str, Any] = json.loads(text, parse_constant=lambda _: None)
    return made
