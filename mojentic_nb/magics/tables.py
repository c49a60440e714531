"""Tables in a cell's output: what commands list, and the object that ``--as`` asks for.

The table of an object fills in while the answer streams. Each version of it goes whole to the front end, so a large
table is shown only at the end.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from IPython.display import display
from pydantic import BaseModel

from mojentic_nb.display import printable
from mojentic_nb.display.render.escape import escape_html
from mojentic_nb.display.render.values import to_text
from mojentic_nb.llm.concurrency import in_background
from mojentic_nb.llm.object_stream import AsyncObjectStream, ObjectStream

from .prompt import shorten

__all__ = ["ObjectTable", "Table", "as_table"]

CELL = "text-align: left; padding: 2px 12px 2px 0; vertical-align: top; white-space: pre-wrap"


@dataclass(frozen=True)
class Table:
    """Rows of text under a header: a table in a notebook, columns elsewhere, and the text `empty` without rows."""

    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    empty: str = "Nothing to show."

    def __repr__(self) -> str:
        if not self.rows:
            return self.empty
        lines = [self.header, *self._texts()]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    def _repr_html_(self) -> str:
        if not self.rows:
            return f"<p>{escape_html(self.empty)}</p>"
        head = "".join(f'<th style="{CELL}">{escape_html(name)}</th>' for name in self.header)
        body = "".join(
            "<tr>" + "".join(f'<td style="{CELL}">{escape_html(cell, joiners=True)}</td>' for cell in row) + "</tr>"
            for row in self._texts()
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _texts(self) -> list[list[str]]:
        return [[printable(" ".join(str(cell).split()), joiners=True) for cell in row] for row in self.rows]


PERIOD = 0.25  # seconds between two versions of a table
LARGE = 20_000  # characters of a table that is shown only at the end
LONGEST_CELL = 500  # characters


class ObjectTable:
    """Displays the object of `stream` as a table below the answer: while it grows if `live`, else at the end."""

    def __init__(self, stream: ObjectStream[Any] | AsyncObjectStream[Any], *, live: bool) -> None:
        self._live = live
        self._stream = stream
        self._handle: Any = None
        self._shown = ""
        self._ended = threading.Event()

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Show the table within the ``with`` block, and its last version at the end."""
        growing = in_background(self._grow)
        try:
            yield
        finally:
            self._ended.set()
            growing.result()
            self._show()

    def _grow(self) -> None:
        while self._live and not self._ended.wait(PERIOD) and len(self._shown) < LARGE:
            self._show()

    def _show(self) -> None:
        value = self._stream.snapshot
        if value is None or (value == [] and self._stream.object is None):  # rows may still come
            return
        table = as_table(value)
        bundle = {"text/plain": repr(table), "text/html": table._repr_html_()}
        if bundle["text/html"] == self._shown:
            return
        self._shown = bundle["text/html"]
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def as_table(value: object) -> Table:
    """Make a table of an object: a model's fields, a list's models as rows, any other value as one cell."""
    if isinstance(value, BaseModel):
        return Table(("field", "value"), [(name, cell_text(each)) for name, each in value])
    if isinstance(value, list):
        rows = [dict(row) if isinstance(row, BaseModel) else {"value": row} for row in value]
        header = list(dict.fromkeys(name for row in rows for name in row))
        return Table(header, [[cell_text(row.get(name)) for name in header] for row in rows], "No rows.")
    return Table(("value",), [(cell_text(value),)])


def cell_text(value: object) -> str:
    """Return the text of a table's cell, empty for a value that hasn't arrived."""
    return "" if value is None else shorten(to_text(value), LONGEST_CELL)
