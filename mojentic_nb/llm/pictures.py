"""Pictures among Python's values: figures, images and arrays, as PNG files.

They are recognized by their methods, as in Jupyter, without importing any library.
"""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

__all__ = ["data_uri", "draw_picture", "figure_of", "image_kind"]

SIGNATURES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"GIF87a": "gif", b"GIF89a": "gif"}
MOST_NESTED = 4  # axes in a figure within a figure within a figure
COLOURS = {3: 2, 4: 6}  # PNG's types of pixels, by the number of bytes in a pixel


def draw_picture(value: Any) -> bytes | None:  # noqa: ANN401 (anything)
    """Return a picture as an image file; None if `value` isn't a picture. Raises what its methods raise.

    Pictures are figures and parts of them (axes, or what plots of pandas or seaborn return), PIL's images, arrays of
    bytes with the shape of an image (height, width, and 3 or 4 for colours), image files as bytes, and anything else
    with a method ``_repr_png_``.
    """
    if isinstance(value, bytes | bytearray):
        return bytes(value) if image_kind(value) else None
    if value is None or isinstance(value, str | int | float | type):
        return None
    if (figure := figure_of(value)) is not None:
        return saved(figure.savefig, format="png", bbox_inches="tight")
    if hasattr(value, "to_image") and hasattr(value, "to_plotly_json"):
        return bytes(value.to_image(format="png"))  # raises an error without plotly's extra package kaleido
    if hasattr(value, "save") and hasattr(value, "getbands"):  # PIL's
        return saved(value.save, format="PNG")
    if is_image_array(value):
        return png(value.tobytes(), *value.shape)
    if hasattr(value, "_repr_png_") and (data := value._repr_png_()):
        data = data[0] if isinstance(data, tuple) else data  # some add metadata
        return base64.b64decode(data) if isinstance(data, str) else bytes(data)
    return None


def figure_of(value: Any) -> Any:  # noqa: ANN401
    """Return the figure that `value` is, is part of, or contains parts of; None if there isn't one.

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
    """Yield what a container and the containers in it hold, or else the value itself."""
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
    """Return the figure that `value` is or is part of; None if there isn't one."""
    for _ in range(MOST_NESTED):
        if value is None or hasattr(value, "savefig"):
            return value
        inner = getattr(value, "figure", None)
        value = getattr(value, "figure_", None) if inner is None else inner  # the latter is scikit-learn's
    return None


def saved(save: Any, **options: str) -> bytes:  # noqa: ANN401
    """Return what `save` writes into a file."""
    buffer = io.BytesIO()
    save(buffer, **options)
    return buffer.getvalue()


def is_image_array(value: Any) -> bool:  # noqa: ANN401
    """Return whether `value` is an array that must be an image."""
    if str(getattr(value, "dtype", "")) != "uint8" or not hasattr(value, "__array_interface__"):
        return False
    return len(value.shape) == 3 and value.shape[2] in COLOURS and value.size > 0


def png(pixels: bytes, height: int, width: int, depth: int) -> bytes:
    """Return the PNG of an image with `depth` bytes per pixel, row by row.

    https://www.w3.org/TR/png-3/
    """
    stride = width * depth
    rows = b"".join(b"\0" + pixels[start : start + stride] for start in range(0, len(pixels), stride))
    header = struct.pack(">IIBBBBB", width, height, 8, COLOURS[depth], 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(chunk, *zip(*chunks, strict=True)))


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def image_kind(data: bytes | bytearray) -> str | None:
    """Return the type of the image in `data`: *png*, *jpeg*, *gif* or *webp*; None if it isn't one of these."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":  # a RIFF may also be a sound or a film
        return "webp"
    return next((kind for signature, kind in SIGNATURES.items() if data.startswith(signature)), None)


def data_uri(data: bytes) -> str:
    """Return the image in `data` as a ``data:`` URI."""
    return f"data:image/{image_kind(data) or 'png'};base64,{base64.b64encode(data).decode()}"
