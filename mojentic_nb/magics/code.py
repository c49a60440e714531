"""The code in an answer."""

from __future__ import annotations

from collections.abc import Iterator

from mojentic_nb.llm.text import fence_after, printable

__all__ = ["code_of"]

PYTHON = {"", "py", "python", "python3", "ipython", "ipython3", "jupyter"}


def code_of(answer: str) -> str:
    """The Python code in the fenced blocks of `answer`, one after the other; "" if there is none.

    Every character of it is visible: what is read is what runs.
    """
    found = (code for info, code in blocks(answer) if language(info) in PYTHON)
    return "\n\n".join(printable(code).strip("\n") for code in found)


def blocks(answer: str) -> Iterator[tuple[str, str]]:
    """What the fence says of each fenced block that is closed, and its code."""
    fence = ""
    lines: list[str] = []
    for line in answer.replace("\r\n", "\n").split("\n"):
        before, fence = fence, fence_after(fence, line)
        if fence:
            lines.append(line)
        elif before:
            info, *code = lines
            indent = info[: info.index(before)]
            yield info.strip().lstrip(before[0]), "\n".join(line.removeprefix(indent) for line in code)
            lines.clear()


def language(info: str) -> str:
    """The language that a fence names."""
    return (info.split() or [""])[0].strip("{}.").lower()
