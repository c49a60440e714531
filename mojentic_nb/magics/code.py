"""The code in an answer."""

from __future__ import annotations

import re

from mojentic_nb.llm.text import printable

__all__ = ["code_of"]

FENCED = re.compile(r"(?ms)^(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=fence)[ \t]*$")
PYTHON = {"", "py", "python", "python3", "ipython", "ipython3", "jupyter"}


def code_of(answer: str) -> str:
    """The Python code in the fenced blocks of `answer`, one after the other; "" if there is none.

    Every character of it is visible: what is read is what runs.
    """
    blocks = [found for found in FENCED.finditer(answer) if language(found["info"]) in PYTHON]
    return "\n\n".join(printable(found["code"]).strip("\n") for found in blocks)


def language(info: str) -> str:
    """The language that a fence names."""
    return (info.split() or [""])[0].strip("{}.").lower()
