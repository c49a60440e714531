"""Python values as short texts, whatever their own methods do: raise, return no text, or write a novel."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic_core import to_json, to_jsonable_python

from mojentic_nb.llm.text import mended

__all__ = ["bounded", "indented", "means", "pretty", "said", "short", "summary"]

LONGEST = 20_000  # characters of a value that are shown: what is meant for a model can be endless
LONGEST_LINE = 200
LONGEST_SUMMARY = 80


def bounded(text: str, limit: int = LONGEST) -> str:
    """`text` with no more than `limit` characters, and a word on how many are left out."""
    text = mended(text)
    return text if len(text) <= limit else f"{text[:limit]}\n… ({len(text) - limit:,} more characters)"


def said(value: object) -> str:
    """``str(value)``; something that says as much where it raises."""
    try:
        return mended(str(value))
    except Exception as error:  # noqa: BLE001 (of code that is not ours)
        return f"<{type(value).__name__}, whose text can't be had: {type(error).__name__}>"


def indented(value: object) -> str:
    """`value` as indented JSON; raises ValueError or what its own methods raise where it can't be."""
    return to_json(value, indent=2, fallback=str, bytes_mode="base64").decode()


def pretty(text: str) -> str:
    """JSON text with line breaks and indents; as it is where it isn't whole."""
    try:
        return bounded(json.dumps(json.loads(text), ensure_ascii=False, indent=2))
    except (ValueError, RecursionError):
        return bounded(text)


def means(text: str, canonical: str) -> bool:
    """Whether JSON `text` says what `canonical` does, and each thing once."""
    try:
        said = json.loads(text, object_pairs_hook=unambiguous)
        return json.dumps(said, ensure_ascii=False) == canonical
    except (ValueError, RecursionError):
        return False


def unambiguous(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object; raises ValueError where it has a name twice, of which only the last counts."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("A name is there twice.")
    return made


def short(value: object, limit: int = LONGEST_LINE) -> str:
    """`value` in one line of no more than `limit` characters, text as it is and all else as JSON if it can be."""
    text = said(value)
    if isinstance(value, dict | list | tuple):
        try:
            text = json.dumps(to_jsonable_python(value, fallback=str), ensure_ascii=False)
        except Exception:  # noqa: BLE001 (of code that is not ours, or the value contains itself)
            text = said(value)
    line = " ".join(mended(text[: 10 * limit]).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def summary(arguments: Mapping[str, object]) -> str:
    """A call's arguments in one line: ``city="Paris", days=3``."""
    pieces = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in arguments.items())
    return short(", ".join(pieces), LONGEST_SUMMARY)
