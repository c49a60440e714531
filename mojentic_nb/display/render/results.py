"""What a person sees of a tool's result, by its type.

Objects are known by their methods, as Jupyter knows them: no library is imported for it. Whatever a method raises or
returns, there is something to show in the end.

Exceptions as a person is told of them.

A small table, as text and as HTML.

Images as ``data:`` URIs.
"""

from __future__ import annotations

import base64
import binascii
import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic_core import from_json

import mojentic_nb.llm
from mojentic_nb.display.blocks import Failure, Part
from mojentic_nb.llm import ToolResult
from mojentic_nb.llm.pictures import draw_picture, image_kind
from mojentic_nb.llm.text import printable

from .escape import escaped
from .values import bounded, indented, said

__all__ = ["Table", "failure", "parts", "tells_all"]

OURS = str(Path(mojentic_nb.llm.__file__).parent)


def failure(error: object, output: str, code_name: Callable[[str], str] = str) -> Failure:
    """What is told of `error`; of anything that is no exception, the `output` that the model was told.

    An exception that no code outside the broker raised (nobody approved of a call, its time was up) has no class. Its
    traceback calls files of code by their `code_name`.
    """
    if not isinstance(error, BaseException):
        return {"type": "", "message": bounded(output), "traceback": None}
    steps = theirs(error.__traceback__)
    told = traceback.TracebackException(type(error), error, steps, limit=-30, compact=True) if steps else None
    for step in told.stack if told else ():
        step.filename = code_name(step.filename)
    return {
        "type": type(error).__name__ if told else "",
        "message": bounded(said(error)),
        "traceback": bounded("".join(told.format())) if told else None,
    }


def theirs(steps: TracebackType | None) -> TracebackType | None:
    """The traceback from the first step on that is not in the broker: how a tool was called tells nobody anything."""
    while steps and steps.tb_frame.f_code.co_filename.startswith(OURS):
        steps = steps.tb_next
    return steps


CELL = "text-align: left; padding: 2px 12px 2px 0; vertical-align: top; white-space: pre-wrap"


@dataclass(frozen=True)
class Table:
    """Rows of texts under a header; a table in a notebook, columns elsewhere. `empty` stands for no rows."""

    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    empty: str = "There is nothing."

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
            return f"<p>{escaped(self.empty)}</p>"
        head = "".join(f'<th style="{CELL}">{escaped(name)}</th>' for name in self.header)
        body = "".join(
            "<tr>" + "".join(f'<td style="{CELL}">{escaped(cell, joiners=True)}</td>' for cell in row) + "</tr>"
            for row in self._texts()
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _texts(self) -> list[list[str]]:
        return [[printable(" ".join(str(cell).split()), joiners=True) for cell in row] for row in self.rows]


LARGEST = 2_000_000  # bytes: they are kept in the notebook


def image_part(data: object, alt: str) -> Part | None:
    """The PNG, JPEG, GIF or WebP in `data`, bytes or base64 text; None if there is none, or too large a one."""
    if isinstance(data, str):
        try:
            data = base64.b64decode(data)
        except (binascii.Error, ValueError):
            return None
    if not isinstance(data, bytes | bytearray) or len(data) > LARGEST:
        return None
    kind = image_kind(data)
    return uri_part(bytes(data), kind, alt) if kind else None


def svg_part(data: object, alt: str) -> Part | None:
    """The SVG text `data`, to be shown as an image: there it runs no scripts and loads nothing."""
    if not isinstance(data, str) or not data.strip() or len(data) > LARGEST:
        return None
    return uri_part(data.encode(errors="replace"), "svg+xml", alt)


def drawn_part(value: object) -> Part | None:
    """A figure, an image or an array of one; raises what drawing it raises."""
    data = draw_picture(value)
    return None if data is None else image_part(data, type(value).__name__)


def uri_part(data: bytes, kind: str, alt: str) -> Part:
    """An image of the type ``image/`` `kind`."""
    return {"type": "image", "src": f"data:image/{kind};base64,{base64.b64encode(data).decode()}", "alt": alt}


MOST_ROWS = 30  # of a table
MOST_COLUMNS = 20
LONGEST_HTML = 300_000  # characters
MOST_PARTS = 20  # of a list
REPRS = {
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "image/svg+xml": "_repr_svg_",
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
}


def parts(result: ToolResult) -> list[Part] | None:
    """What a person sees of `result`, and of what the tool displayed; None where it is an error, which says all."""
    displayed = [rich(item) or plain(item) for item in result.displayed[:MOST_PARTS]]
    if isinstance(result.display, BaseException) or (result.is_error and result.display is None):
        return displayed or None
    value = parsed(result.output) if result.display is None else result.display
    return [*parts_of(value), *displayed]


def parts_of(value: object) -> list[Part]:
    """What a person sees of `value`: of a list with something rich in it, one item after the other."""
    if whole := rich(value):
        return [whole]
    items = value[:MOST_PARTS] if isinstance(value, list | tuple) else ()
    seen = [rich(item) for item in items]
    return [part or plain(item) for part, item in zip(seen, items, strict=True)] if any(seen) else [plain(value)]


def tells_all(result: ToolResult) -> bool:
    """Whether a person who sees `result` sees what the model was told."""
    value = result.display
    if value is None:
        return True
    if isinstance(value, BaseException):
        return result.output in (said(value), f"{type(value).__name__}: {said(value)}")
    if rich(value):
        return False
    try:
        return result.output == value or from_json(result.output) == from_json(indented(value))
    except Exception:  # noqa: BLE001 (of code that is not ours)
        return False


def parsed(text: str) -> object:
    """The JSON object or list that `text` is, else the text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict | list) else text


def plain(value: object) -> Part:
    """`value` as text, or as JSON."""
    if isinstance(value, str):
        return {"type": "text", "text": bounded(value)}
    if isinstance(value, bytes | bytearray):
        return {"type": "text", "text": f"{len(value):,} bytes"}
    try:
        return {"type": "json", "text": bounded(indented(value))}
    except Exception:  # noqa: BLE001 (of code that is not ours, or what contains itself)
        return {"type": "text", "text": bounded(said(value))}


def rich(value: object) -> Part | None:
    """`value` as a table, an image, HTML or Markdown, the first that it can; None for what is plain."""
    if value is None or isinstance(value, str | int | float | type):
        return None
    ways: tuple[Callable[[object], Part | None], ...] = (bytes_image, table, drawn_part, representation)
    if isinstance(value, dict | list | tuple):
        ways = (drawn_part,)
    elif called(value, "_repr_html_"):
        ways = (table, representation, drawn_part)
    for way in ways:
        try:
            if part := way(value):
                return part
        except Exception:  # noqa: BLE001, S112 (of code that is not ours; there is another way)
            continue
    return None


def bytes_image(value: object) -> Part | None:
    """Bytes that are an image."""
    return image_part(value, "image") if isinstance(value, bytes | bytearray) else None


def table(value: object) -> Part | None:
    """A DataFrame or Series as pandas writes it; the middle of a long one is left out."""
    if not hasattr(value, "iloc"):
        return None
    frame: Any = value
    if not hasattr(frame, "to_html"):
        frame = frame.to_frame()
    shown = frame.to_html(max_rows=MOST_ROWS, max_cols=MOST_COLUMNS, show_dimensions=True, border=0)
    return html_part(shown, "table")


def representation(value: object) -> Part | None:
    """What `value` says of itself to Jupyter."""
    for mime, data in bundle(value):
        if mime == "text/html":
            part = html_part(data, "html")
        elif mime == "text/markdown":
            part = {"type": "markdown", "text": bounded(data)} if isinstance(data, str) and data.strip() else None
        elif mime == "image/svg+xml":
            part = svg_part(data, type(value).__name__)
        else:
            part = image_part(data, type(value).__name__)
        if part:
            return part
    return None


def bundle(value: object) -> list[tuple[str, object]]:
    """The representations of `value` that can be shown, the best first."""
    given = called(value, "_repr_mimebundle_")
    given = given[0] if isinstance(given, tuple) and given else given
    known = given if isinstance(given, Mapping) else {}
    shown = [(mime, known.get(mime) or called(value, method)) for mime, method in REPRS.items()]
    # Some add data about the data.
    return [(mime, data[0] if isinstance(data, tuple) and data else data) for mime, data in shown if data]


def called(value: object, method: str) -> object:
    """What a method of `value` returns; None if there is none, or it raises."""
    try:
        function = getattr(value, method, None)
        return function() if callable(function) else None
    except Exception:  # noqa: BLE001 (of code that is not ours)
        return None


def html_part(text: object, kind: str) -> Part | None:
    """HTML made safe; None where nothing can be seen of it then, or where the extra ``html`` is not installed."""
    try:
        from .sanitize import deep, sanitized, visible
    except ImportError:
        return None
    if not isinstance(text, str) or len(text) > LONGEST_HTML or deep(text):
        return None
    safe = sanitized(text)
    if not visible(safe):
        return None
    return {"type": "table", "html": safe} if kind == "table" else {"type": "html", "html": safe}
