"""How a value of Python is told to a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mojentic_nb.llm.pictures import data_uri, draw_picture

__all__ = ["Image", "shortened", "shown"]

BUDGET = 4000  # characters of a table; a thousand tokens, about
MOST_ROWS = 40


@dataclass(frozen=True, slots=True)
class Image:
    """A picture, as a ``data:`` address."""

    url: str


def shown(value: object) -> str | Image:
    """What a model is shown of `value`: of tables the columns and first rows, pictures as they look, all else as text.

    Pictures are what :func:`~mojentic_nb.llm.pictures.draw_picture` can draw.
    """
    if isinstance(value, str):
        return value
    if (picture := draw_picture(value)) is not None:
        return Image(data_uri(picture))
    if is_table(value):
        return table(value)
    return str(value)


def is_table(value: object) -> bool:
    """Whether `value` is a table or a column whose size is known, of pandas or polars or what is like them."""
    shape = getattr(value, "shape", None)
    counted = isinstance(shape, tuple) and all(isinstance(count, int) for count in shape)
    return (
        counted and hasattr(value, "head") and any(hasattr(value, name) for name in ("to_frame", "to_csv", "write_csv"))
    )


def table(value: Any) -> str:  # noqa: ANN401 (of pandas or polars)
    """The table's size, its columns with their types, and as many of its first rows as fit the budget, as CSV."""
    frame = value.to_frame() if hasattr(value, "to_frame") else value
    rows, columns = frame.shape
    columns_of = zip(frame.columns, frame.dtypes, strict=True)
    schema = shortened(", ".join(f"{name} ({kind})" for name, kind in columns_of), BUDGET // 4)
    text = csv(frame.head(MOST_ROWS))
    count = min(rows, MOST_ROWS)
    while len(text) > BUDGET and count > 1:
        count //= 2
        text = csv(frame.head(count))
    told = "all rows" if count == rows else f"the first {count}"
    head = f"{type(value).__name__} with {rows} rows and {columns} columns: {schema}"
    return f"{head}\n{told}:\n{shortened(text.rstrip(), BUDGET)}"


def csv(frame: Any) -> str:  # noqa: ANN401
    """A small table as CSV, with its index if that says more than the row's number."""
    if hasattr(frame, "write_csv"):
        return str(frame.write_csv())
    return str(frame.to_csv(index=type(frame.index).__name__ != "RangeIndex"))


def shortened(text: str, most: int) -> str:
    """At most that many characters of `text`."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
