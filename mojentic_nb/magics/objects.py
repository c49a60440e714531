"""What ``--as`` asks for, as a table that fills in while the answer streams."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from IPython.display import display
from pydantic import BaseModel

from mojentic_nb.display.render.table import Table
from mojentic_nb.display.render.values import said
from mojentic_nb.llm.concurrency import in_background
from mojentic_nb.llm.object_stream import AsyncObjectStream, ObjectStream

from .values import shortened

__all__ = ["ObjectTable", "as_table", "as_value"]

PERIOD = 0.25  # seconds; each table goes whole to the front end
LARGE = 20_000  # characters of a table; one that is larger comes in the end only
CELL = 500  # characters of a cell


class ObjectTable:
    """Displays the object of `stream` below what is displayed already: as it comes if `live`, else in the end."""

    def __init__(self, stream: ObjectStream[Any] | AsyncObjectStream[Any], *, live: bool) -> None:
        self._live = live
        self._stream = stream
        self._handle: Any = None
        self._shown = ""
        self._ended = threading.Event()

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Show within the ``with`` block what comes, and at its end what has come."""
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
        if value is None or (value == [] and self._stream.object is None):  # whether there will be rows is not known
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
    return "" if value is None else shortened(said(value), CELL)


def as_value(value: object) -> object:
    """`value`, but a list of models as a DataFrame where pandas is in use."""
    pandas = sys.modules.get("pandas")
    if pandas and isinstance(value, list) and value and all(isinstance(row, BaseModel) for row in value):
        return pandas.DataFrame([row.model_dump() for row in value])
    return value
