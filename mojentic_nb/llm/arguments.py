"""Arguments of tool calls, read from the text that a model wrote."""

from __future__ import annotations

import json
from typing import Any

from .messages import LLMToolCall
from .text import join_surrogates

__all__ = ["nests_deeper", "parse_call"]

DEEPEST = 100  # levels; pydantic reads 200, Python as many as the version and its stack allow


def parse_call(call_id: str, name: str, arguments: str) -> LLMToolCall:
    """Return the complete call; if its `arguments` can't be read, its `error` tells the model why."""
    try:
        return LLMToolCall(id=call_id, name=name, arguments=parse_arguments(arguments))
    except ValueError as error:
        beginning = arguments if len(arguments) <= 200 else f"{arguments[:200]}…"
        return LLMToolCall(id=call_id, name=name, arguments={}, error=f"{error}: {beginning}")


def parse_arguments(text: str) -> dict[str, Any]:
    """Parse a JSON object, and raise ValueError for anything that a request couldn't carry back."""
    try:
        value: Any = json.loads(text) if text.strip() else {}
        if isinstance(value, str):  # JSON within JSON, as some models write it
            value = json.loads(value)
        if "\\ud" in text.lower():  # an escape may be half a character
            value = json.loads(join_surrogates(json.dumps(value, ensure_ascii=False)))
        json.dumps(value, allow_nan=False)  # Python reads NaN and Infinity, which aren't JSON
        if nests_deeper(value, DEEPEST):
            raise RecursionError  # noqa: TRY301 (as json does at a depth that differs between versions of Python)
    except ValueError as error:
        raise ValueError(f"The arguments aren't JSON ({error})") from error
    except RecursionError as error:
        raise ValueError(f"The arguments are nested more than {DEEPEST} levels deep") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("The arguments aren't an object")  # noqa: TRY004 (of what a model wrote, not of a caller's)
    return value


def nests_deeper(value: object, levels: int) -> bool:
    """Return whether lists and objects are nested on more than that many levels."""
    held = [value]
    for _ in range(levels):
        held = [
            inner
            for outer in held
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
        ]
    return any(isinstance(each, (dict, list)) for each in held)
