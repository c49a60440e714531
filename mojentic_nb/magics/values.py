"""How a value of Python is told to a model."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mojentic_nb.display.render.images import image_kind

__all__ = ["Image", "shortened", "shown"]

BUDGET = 4000  # characters of a table; a thousand tokens, about
MOST_ROWS = 40
MOST_NESTED = 4  # axes in a figure within a figure within a figure


@dataclass(frozen=True, slots=True)
class Image:
    """A picture, as a ``data:`` address."""

    url: str


def shown(value: object) -> str | Image:
    """What a model is shown of `value`: of tables the columns and first rows, pictures as they look, all else as text.

    Pictures are figures and what is drawn in one (axes, or what a plot of pandas or seaborn returns), images of PIL,
    arrays of bytes in the shape of an image (height, width, and 3 or 4 for colours) and whatever else can show itself
    as one.
    """
    if isinstance(value, str):
        return value
    if (picture := picture_of(value)) is not None:
        return image(picture)
    if is_table(value):
        return table(value)
    return str(value)


def image(data: bytes) -> Image:
    """The picture that `data` holds."""
    return Image(f"data:image/{image_kind(data) or 'png'};base64,{base64.b64encode(data).decode()}")


def picture_of(value: Any) -> bytes | None:  # noqa: ANN401 (anything)
    """The file of the picture that `value` is, None where it is none."""
    if (figure := figure_of(value)) is not None:
        return saved(figure.savefig, format="png", bbox_inches="tight")
    if hasattr(value, "to_image") and hasattr(value, "to_plotly_json"):
        return bytes(value.to_image(format="png"))  # which raises without plotly's extra package kaleido, and says so
    if is_image_array(value):
        import PIL.Image

        value = PIL.Image.fromarray(value)
    if hasattr(value, "save") and hasattr(value, "getbands"):  # PIL's
        return saved(value.save, format="PNG")
    if hasattr(value, "_repr_png_") and (data := value._repr_png_()):
        data = data[0] if isinstance(data, tuple) else data
        return base64.b64decode(data) if isinstance(data, str) else bytes(data)
    return None


def figure_of(value: Any) -> Any:  # noqa: ANN401
    """The figure that `value` is, is a part of, or consists of parts of; None where there isn't one.

    Plotting functions return axes, arrays, lists or dictionaries of them, and containers of what they drew.
    """
    figure = None
    for part in parts_of(value):
        found = figure_around(part)
        if found is None or figure not in (None, found):
            return None
        figure = found
    return figure


def parts_of(value: Any, depth: int = MOST_NESTED) -> Iterator[Any]:  # noqa: ANN401
    """What a container holds, and what containers in it hold; else the value itself."""
    if isinstance(value, dict):
        value = list(value.values())
    elif str(getattr(value, "dtype", "")) == "object" and hasattr(value, "flat"):
        value = list(value.flat)
    if not depth or not isinstance(value, list | tuple):
        yield value
        return
    for part in value:
        yield from parts_of(part, depth - 1)


def figure_around(value: Any) -> Any:  # noqa: ANN401
    """The figure that `value` is or is a part of; None where there isn't one."""
    for _ in range(MOST_NESTED):
        if value is None or hasattr(value, "savefig"):
            return value
        inner = getattr(value, "figure", None)
        value = getattr(value, "figure_", None) if inner is None else inner  # the latter is scikit-learn's
    return None


def saved(save: Any, **options: str) -> bytes:  # noqa: ANN401
    """What `save` writes into a file."""
    buffer = io.BytesIO()
    save(buffer, **options)
    return buffer.getvalue()


def is_image_array(value: Any) -> bool:  # noqa: ANN401
    """Whether `value` is an array that can only be an image."""
    if str(getattr(value, "dtype", "")) != "uint8" or not hasattr(value, "__array_interface__"):
        return False
    return len(value.shape) == 3 and value.shape[2] in (3, 4)


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
