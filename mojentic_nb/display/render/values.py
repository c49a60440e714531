"""Python values as short texts, whatever their own methods do: raise, return something else, or never end."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic_core import to_json, to_jsonable_python

from mojentic_nb.llm.text import join_surrogates

__all__ = ["cut", "indent_json", "is_same_json", "one_line", "summarize_arguments", "to_indented_json", "to_text"]

LONGEST = 20_000  # characters of a value to show: a text meant for a model may be endless
LONGEST_LINE = 200
LONGEST_SUMMARY = 80


def cut(text: str, limit: int = LONGEST) -> str:
    """Cut `text` to `limit` characters, and say how many are left out."""
    text = join_surrogates(text)
    return text if len(text) <= limit else f"{text[:limit]}\n… ({len(text) - limit:,} more characters)"


def to_text(value: object) -> str:
    """Return ``str(value)``, or why that fails."""
    try:
        return join_surrogates(str(value))
    except Exception as error:  # noqa: BLE001 (from code that isn't ours)
        return f"<{type(value).__name__}, whose text can't be had: {type(error).__name__}>"


def to_indented_json(value: object) -> str:
    """Write `value` as indented JSON. Raises ValueError, or what the value's own methods raise."""
    return to_json(value, indent=2, fallback=str, bytes_mode="base64").decode()


def indent_json(text: str) -> str:
    """Indent JSON text; text that isn't complete JSON stays as it is."""
    try:
        return cut(json.dumps(json.loads(text), ensure_ascii=False, indent=2))
    except (ValueError, RecursionError):
        return cut(text)


def is_same_json(text: str, canonical: str) -> bool:
    """Whether JSON `text` means the same as `canonical`, and gives each name once."""
    try:
        value = json.loads(text, object_pairs_hook=unambiguous_object)
        return json.dumps(value, ensure_ascii=False) == canonical
    except (ValueError, RecursionError):
        return False


def unambiguous_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make a JSON object. Raises ValueError if it gives a name twice, of which only the last counts."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("A name appears twice.")
    return made


def one_line(value: object, limit: int = LONGEST_LINE) -> str:
    """Write `value` in one line of at most `limit` characters: a container as JSON if possible, else as text."""
    text = to_text(value)
    if isinstance(value, dict | list | tuple):
        try:
            text = json.dumps(to_jsonable_python(value, fallback=str), ensure_ascii=False)
        except Exception:  # noqa: BLE001 (from code that isn't ours, or the value contains itself)
            text = to_text(value)
    line = " ".join(join_surrogates(text[: 10 * limit]).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def summarize_arguments(arguments: Mapping[str, object]) -> str:
    """Write a call's arguments in one line: ``city="Paris", days=3``."""
    pieces = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items())
    return one_line(", ".join(pieces), LONGEST_SUMMARY)
