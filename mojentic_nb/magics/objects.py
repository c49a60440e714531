"""What ``--as`` asks for, as a table that fills in while the answer streams."""

from __future__ import annotations

import sys
import time
from typing import Any

from IPython.display import display
from pydantic import BaseModel

from mojentic_nb.display.table import Table
from mojentic_nb.llm.object_stream import AsyncObjectStream, ObjectStream

from .values import shortened

__all__ = ["ObjectTable", "as_value"]

PERIOD = 0.25  # seconds; each table goes whole to the front end
LARGE = 20_000  # characters of a table; one that is larger comes in the end only
CELL = 500  # characters of a cell


class ObjectTable:
    """Displays the object of `stream`, as far as it has come, below what is displayed already."""

    def __init__(self, stream: ObjectStream[Any] | AsyncObjectStream[Any]) -> None:
        self._stream = stream
        self._handle: Any = None
        self._due = 0.0

    def grow(self) -> None:
        """Show what has come, unless that was done a moment ago."""
        now = time.monotonic()
        if now >= self._due:
            shown = self._show(self._stream.snapshot)
            self._due = now + PERIOD if shown < LARGE else float("inf")

    def end(self) -> None:
        """Show the object as it is in the end, or as far as it came."""
        self._show(self._stream.snapshot)

    def _show(self, value: object) -> int:
        """Show `value`; return how many characters that took."""
        if value is None:
            return 0
        table = as_table(value)
        bundle = {"text/plain": repr(table), "text/html": table._repr_html_()}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)
        return len(bundle["text/html"])


def as_table(value: object) -> Table:
    """A model as its fields, a list of models as rows, all else as one cell."""
    if isinstance(value, BaseModel):
        return Table(("field", "value"), [(name, cell(each)) for name, each in value])
    if isinstance(value, list):
        rows = [dict(row) if isinstance(row, BaseModel) else {"value": row} for row in value]
        header = list(dict.fromkeys(name for row in rows for name in row))
        return Table(header, [[cell(row.get(name)) for name in header] for row in rows], "There are no rows.")
    return Table(("value",), [(cell(value),)])


def cell(value: object) -> str:
    """A value within a table; what has not come yet is empty."""
    return "" if value is None else shortened(str(value), CELL)


def as_value(value: object) -> object:
    """`value`, but a list of models as a DataFrame where pandas is in use."""
    pandas = sys.modules.get("pandas")
    if pandas and isinstance(value, list) and value and all(isinstance(row, BaseModel) for row in value):
        return pandas.DataFrame([row.model_dump() for row in value])
    return value
