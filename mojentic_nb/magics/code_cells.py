"""``--code``: the Python code in an answer, inserted in a new cell.

A kernel can insert a cell below the running one. It can't change or delete another cell, nor see that one is gone. So
a cell that is run again inserts the same code only once, and says what became of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from IPython.core.interactiveshell import InteractiveShell

from mojentic_nb.display.surface import kernel
from mojentic_nb.llm.text import fence_after, printable

__all__ = ["find_code", "insert_code"]

PYTHON = {"", "py", "python", "python3", "ipython", "ipython3", "jupyter"}


def find_code(answer: str) -> str:
    """Return the Python code in the fenced blocks of `answer`, joined; "" if it has none.

    Every character is visible: what you read is what runs.
    """
    found = (code for info, code in fenced_blocks(answer) if language_of(info) in PYTHON)
    return "\n\n".join(printable(code).strip("\n") for code in found)


def fenced_blocks(answer: str) -> Iterator[tuple[str, str]]:
    """Yield the info string and the code of each closed fenced block."""
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


def language_of(info: str) -> str:
    """Return the language that an info string names."""
    return (info.split() or [""])[0].strip("{}.").lower()


def insert_code(code: str, cell: str, inserted: dict[str, str], shell: InteractiveShell) -> None:
    """Insert `code` in a new cell, unless `cell` has done so before; `inserted` has the code of each cell."""
    if not code:
        print("The answer has no Python code to insert.")
        return
    before = inserted.pop(cell, None) if kernel() is not None else None
    if before == code:
        print("The code is already in the cell that was inserted before. If you deleted it, run this cell again.")
        return
    inserted[cell] = code
    shell.set_next_input(code)
    if before is not None:
        print("The new code is in a new cell. Delete the cell below it, which has the previous answer's code.")
