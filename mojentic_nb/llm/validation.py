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
TOLD = 5  # wrong values that are told at once


def complaint(error: ValidationError, known: str) -> str:
    """What is wrong; `known` is a sentence that names what there is, said where something unknown was given."""
    errors = sorted(error.errors(include_url=False), key=order)
    wrong = list(map(fault, errors))
    told = wrong[:TOLD] + [f"and {len(wrong) - TOLD} more"] * (len(wrong) > TOLD)
    unknown = any(found["type"] in UNKNOWN and len(found["loc"]) == 1 for found in errors)
    return f"{'; '.join(told)}.{f' {known}' if unknown else ''}"


def suggestion(error: ValidationError, names: Sequence[str]) -> str:
    """The one of `names` that comes nearest to an unknown one, or all of them: a sentence for :func:`complaint`."""
    for found in error.errors(include_url=False):
        if found["type"] in UNKNOWN and (close := get_close_matches(str(found["loc"][0]), names, 1)):
            return f"Did you mean {close[0]}?"
    return f"The fields are: {', '.join(names)}."


def order(error: ErrorDetails) -> int:
    """What is missing comes first, then what there is not, then what is wrong; each in pydantic's order."""
    return 0 if error["type"].startswith("missing") else 1 if error["type"] in UNKNOWN else 2


def fault(error: ErrorDetails) -> str:
    """What is wrong with one value."""
    where = ".".join(map(str, error["loc"]))
    if error["type"].startswith("missing"):
        return f"{where} is missing"
    if error["type"] in UNKNOWN:
        return f"there is no {where}"
    said = " ".join(error["msg"].split())
    told = f"{where}{said.removeprefix('Input')}" if said.startswith("Input ") else f"{where}: {said}"
    value = json.dumps(error["input"], ensure_ascii=False, default=str)
    return f"{told}, got {value if len(value) <= SHOWN else value[: SHOWN - 1] + '…'}"
