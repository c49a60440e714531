"""Images as ``data:`` URIs."""

from __future__ import annotations

import base64
import binascii

from mojentic_nb.display.blocks import Part
from mojentic_nb.llm.pictures import draw_picture, image_kind

__all__ = ["drawn_part", "image_kind", "image_part", "svg_part"]

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
