"""The code in an answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mojentic_nb.llm.text import printable

__all__ = ["code_of"]

FENCE = re.compile(r"(`{3,}|~{3,})([^`]*)")
PYTHON = {"", "py", "python", "python3", "ipython", "ipython3", "jupyter"}


def code_of(answer: str) -> str:
    """The Python code in the fenced blocks of `answer`, one after the other; "" if there is none.

    Every character of it is visible: what is read is what runs.
    """
    found = (code for info, code in blocks(answer) if language(info) in PYTHON)
    return "\n\n".join(printable(code).strip("\n") for code in found)


def blocks(answer: str) -> Iterator[tuple[str, str]]:
    """What the fence says of each fenced block that is closed, and its code."""
    fence = info = ""
    lines: list[str] = []
    for line in answer.split("\n"):
        mark = line.rstrip(" \t\r")
        if not fence:
            if opened := FENCE.fullmatch(line):
                fence, info = opened.groups()
        elif mark.startswith(fence) and not mark.strip(fence[0]):
            yield info, "\n".join(lines)
            fence = ""
            lines.clear()
        else:
            lines.append(line.removesuffix("\r"))


def language(info: str) -> str:
    """The language that a fence names."""
    return (info.split() or [""])[0].strip("{}.").lower()
