"""What a person sees of a tool's result: a table, an image, HTML, Markdown, JSON or text, and errors.

Objects are recognised by their methods, as Jupyter does it, so no library is imported. Whatever a method raises or
returns, something is shown in the end.
"""

from __future__ import annotations

import base64
import binascii
import json
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from pydantic_core import from_json

import mojentic_nb.llm
from mojentic_nb.display.blocks import Failure, Part
from mojentic_nb.llm import ToolResult
from mojentic_nb.llm.pictures import draw_picture, image_kind

from .values import cut, to_indented_json, to_text

__all__ = ["describe_failure", "is_same_as_output", "parts_of_result"]

MOST_PARTS = 20  # of a list
MOST_ROWS = 30  # of a table
MOST_COLUMNS = 20
LONGEST_HTML = 300_000  # characters
LARGEST = 2_000_000  # bytes of an image, which the notebook keeps
REPRS = {
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "image/svg+xml": "_repr_svg_",
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
}


def parts_of_result(result: ToolResult) -> list[Part] | None:
    """Return what a person sees of `result` and of what the tool displayed; None for an error, which says it all."""
    displayed = [rich_part(item) or plain_part(item) for item in result.displayed[:MOST_PARTS]]
    if isinstance(result.display, BaseException) or (result.is_error and result.display is None):
        return displayed or None
    value = parse_container(result.output) if result.display is None else result.display
    return [*parts_of_value(value), *displayed]


def parts_of_value(value: object) -> list[Part]:
    """Return what a person sees of `value`; of a list that holds something rich, each item by itself."""
    if whole := rich_part(value):
        return [whole]
    items = value[:MOST_PARTS] if isinstance(value, list | tuple) else ()
    rich = [rich_part(item) for item in items]
    if not any(rich):
        return [plain_part(value)]
    return [part or plain_part(item) for part, item in zip(rich, items, strict=True)]


def is_same_as_output(result: ToolResult) -> bool:
    """Whether a person who sees `result` sees what the model read."""
    value = result.display
    if value is None:
        return True
    if isinstance(value, BaseException):
        return result.output in (to_text(value), f"{type(value).__name__}: {to_text(value)}")
    if rich_part(value):
        return False
    try:
        return result.output == value or from_json(result.output) == from_json(to_indented_json(value))
    except Exception:  # noqa: BLE001 (from code that isn't ours)
        return False


OURS = str(Path(mojentic_nb.llm.__file__).parent)


def describe_failure(error: object, output: str, code_name: Callable[[str], str] = str) -> Failure:
    """Describe `error`, or the `output` that the model read if it isn't an exception.

    An exception that only the broker raised (a denied call, a time limit) has no class and no traceback. The traceback
    names files of code by their `code_name`.
    """
    if not isinstance(error, BaseException):
        return {"type": "", "message": cut(output), "traceback": None}
    steps = skip_ours(error.__traceback__)
    trace = traceback.TracebackException(type(error), error, steps, limit=-30, compact=True) if steps else None
    for step in trace.stack if trace else ():
        step.filename = code_name(step.filename)
    return {
        "type": type(error).__name__ if trace else "",
        "message": cut(to_text(error)),
        "traceback": cut("".join(trace.format())) if trace else None,
    }


def skip_ours(steps: TracebackType | None) -> TracebackType | None:
    """Skip the steps in the broker, which called the tool."""
    while steps and steps.tb_frame.f_code.co_filename.startswith(OURS):
        steps = steps.tb_next
    return steps


def parse_container(text: str) -> object:
    """Return the JSON object or list in `text`, or else the text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict | list) else text


def plain_part(value: object) -> Part:
    """Show `value` as text or JSON."""
    if isinstance(value, str):
        return {"type": "text", "text": cut(value)}
    if isinstance(value, bytes | bytearray):
        return {"type": "text", "text": f"{len(value):,} bytes"}
    try:
        return {"type": "json", "text": cut(to_indented_json(value))}
    except Exception:  # noqa: BLE001 (from code that isn't ours, or the value contains itself)
        return {"type": "text", "text": cut(to_text(value))}


def rich_part(value: object) -> Part | None:
    """Show `value` as a table, an image, HTML or Markdown, whichever works first; None for a plain value."""
    if value is None or isinstance(value, str | int | float | type):
        return None
    ways: tuple[Callable[[object], Part | None], ...] = (bytes_part, table_part, picture_part, repr_part)
    if isinstance(value, dict | list | tuple):
        ways = (picture_part,)
    elif try_call(value, "_repr_html_"):
        ways = (table_part, repr_part, picture_part)
    for way in ways:
        try:
            if part := way(value):
                return part
        except Exception:  # noqa: BLE001, S112 (from code that isn't ours; the next way may work)
            continue
    return None


def bytes_part(value: object) -> Part | None:
    """Show bytes that are an image."""
    return image_part(value, "image") if isinstance(value, bytes | bytearray) else None


def table_part(value: object) -> Part | None:
    """Show a DataFrame or Series as pandas writes it, without the middle of a long one."""
    if not hasattr(value, "iloc"):
        return None
    frame: Any = value
    if not hasattr(frame, "to_html"):
        frame = frame.to_frame()
    shown = frame.to_html(max_rows=MOST_ROWS, max_cols=MOST_COLUMNS, show_dimensions=True, border=0)
    return html_part(shown, "table")


def picture_part(value: object) -> Part | None:
    """Show a figure, an image or its array. Raises what drawing it raises."""
    data = draw_picture(value)
    return None if data is None else image_part(data, type(value).__name__)


def repr_part(value: object) -> Part | None:
    """Show `value` as it represents itself to Jupyter."""
    for mime, data in representations(value):
        if mime == "text/html":
            part = html_part(data, "html")
        elif mime == "text/markdown":
            part = {"type": "markdown", "text": cut(data)} if isinstance(data, str) and data.strip() else None
        elif mime == "image/svg+xml":
            part = svg_part(data, type(value).__name__)
        else:
            part = image_part(data, type(value).__name__)
        if part:
            return part
    return None


def representations(value: object) -> list[tuple[str, object]]:
    """Return the representations of `value` that can be shown, the best first."""
    given = try_call(value, "_repr_mimebundle_")
    given = given[0] if isinstance(given, tuple) and given else given
    known = given if isinstance(given, Mapping) else {}
    found = [(mime, known.get(mime) or try_call(value, method)) for mime, method in REPRS.items()]
    # Some return metadata as well.
    return [(mime, data[0] if isinstance(data, tuple) and data else data) for mime, data in found if data]


def try_call(value: object, method: str) -> object:
    """Return what a method of `value` returns; None if it is missing or raises."""
    try:
        function = getattr(value, method, None)
        return function() if callable(function) else None
    except Exception:  # noqa: BLE001 (from code that isn't ours)
        return None


def html_part(text: object, kind: str) -> Part | None:
    """Show HTML, made safe; None if nothing of it is visible then, or if the extra ``html`` isn't installed."""
    try:
        from .sanitize import is_deep, is_visible, sanitize_html
    except ImportError:
        return None
    if not isinstance(text, str) or len(text) > LONGEST_HTML or is_deep(text):
        return None
    safe = sanitize_html(text)
    if not is_visible(safe):
        return None
    return {"type": "table", "html": safe} if kind == "table" else {"type": "html", "html": safe}


def image_part(data: object, alt: str) -> Part | None:
    """Show a PNG, JPEG, GIF or WebP, as bytes or base64 text; None for other data, or a too large image."""
    if isinstance(data, str):
        try:
            data = base64.b64decode(data)
        except (binascii.Error, ValueError):
            return None
    if not isinstance(data, bytes | bytearray) or len(data) > LARGEST:
        return None
    kind = image_kind(data)
    return data_part(bytes(data), kind, alt) if kind else None


def svg_part(data: object, alt: str) -> Part | None:
    """Show SVG text as an image, which runs no scripts and loads nothing."""
    if not isinstance(data, str) or not data.strip() or len(data) > LARGEST:
        return None
    return data_part(data.encode(errors="replace"), "svg+xml", alt)


def data_part(data: bytes, kind: str, alt: str) -> Part:
    """Make an image of the type ``image/`` `kind`, as a ``data:`` URL."""
    return {"type": "image", "src": f"data:image/{kind};base64,{base64.b64encode(data).decode()}", "alt": alt}
