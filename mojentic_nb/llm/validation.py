"""Says in one line what pydantic found wrong with settings or arguments, and what is possible."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import ErrorDetails

__all__ = ["complaint", "suggestion"]

UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
SHOWN = 60  # characters of a wrong value that are shown to whoever gave it
MOST = 5  # wrong values in one message


def complaint(error: ValidationError, known: str) -> str:
    """Return what is wrong. `known` is a sentence with the known names, added if an unknown one was given."""
    errors = sorted(error.errors(include_url=False), key=order)
    wrong = list(map(fault, errors))
    listed = wrong[:MOST] + [f"and {len(wrong) - MOST} more"] * (len(wrong) > MOST)
    unknown = any(found["type"] in UNKNOWN and len(found["loc"]) == 1 for found in errors)
    return f"{'; '.join(listed)}.{f' {known}' if unknown else ''}"


def suggestion(error: ValidationError, names: Sequence[str]) -> str:
    """Return a sentence for :func:`complaint`: the one of `names` that is closest to the unknown one, or all."""
    for found in error.errors(include_url=False):
        if found["type"] in UNKNOWN and (close := get_close_matches(str(found["loc"][0]), names, 1)):
            return f"Did you mean {close[0]}?"
    return f"The fields are: {', '.join(names)}."


def order(error: ErrorDetails) -> int:
    """Return the rank of an error: missing values first, then unknown ones, then wrong ones."""
    return 0 if error["type"].startswith("missing") else 1 if error["type"] in UNKNOWN else 2


def fault(error: ErrorDetails) -> str:
    """Return what is wrong with one value."""
    where = ".".join(map(str, error["loc"]))
    if error["type"].startswith("missing"):
        return f"{where} is missing"
    if error["type"] in UNKNOWN:
        return f"{where} is unknown"
    message = " ".join(error["msg"].split())
    what = f"{where}{message.removeprefix('Input')}" if message.startswith("Input ") else f"{where}: {message}"
    value = json.dumps(error["input"], ensure_ascii=False, default=str)
    return f"{what}, got {value if len(value) <= SHOWN else value[: SHOWN - 1] + '…'}"
