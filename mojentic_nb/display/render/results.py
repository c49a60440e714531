"""What a person sees of a tool's result, by its type.

Objects are known by their methods, as Jupyter knows them: no library is imported for it. Whatever a method raises or
returns, there is something to show in the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import from_json

from mojentic_nb.display.blocks import Part
from mojentic_nb.llm import ToolResult

from .images import drawn_part, image_part, svg_part
from .values import bounded, indented, said

__all__ = ["parts", "tells_all"]

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
    """What a person sees of `result`; None where it is an error, which says all."""
    if isinstance(result.display, BaseException) or (result.is_error and result.display is None):
        return None
    value = parsed(result.output) if result.display is None else result.display
    if isinstance(value, list | tuple) and any(rich(item) for item in value[:MOST_PARTS]):
        return [rich(item) or plain(item) for item in value[:MOST_PARTS]]
    return [rich(value) or plain(value)]


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
    if value is None or isinstance(value, str | int | float | dict | list | tuple | type):
        return None
    ways: tuple[Callable[[object], Part | None], ...] = (bytes_image, table, drawn_part, representation)
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
    function = getattr(value, method, None)
    try:
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
