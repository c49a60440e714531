"""Exchanges recorded from real providers: the repository's own, and more where a folder of them lies beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

OWN = Path(__file__).parent / "wire"
SHARED = Path(__file__).parents[2] / "shared" / "wire"


@dataclass(frozen=True)
class Exchange:
    """One request's JSON, and the response as it came."""

    request: dict
    status: int
    content_type: str
    body: bytes


def recorded(name: str) -> list[Exchange]:
    """The exchanges of the recording called `name`; the test is skipped where a recording isn't at hand."""
    path = next((folder / f"{name}.json" for folder in (OWN, SHARED) if (folder / f"{name}.json").exists()), None)
    if path is None:
        pytest.skip(f"the recording {name}.json is not in this repository, and there is no {SHARED}")
    return [
        Exchange(
            exchange["request"]["body"],
            exchange["response"]["status"],
            exchange["response"]["content_type"],
            exchange["response"]["body"].encode(),
        )
        for exchange in json.loads(path.read_text("utf-8"))["exchanges"]
    ]
