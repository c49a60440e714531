"""Images as ``data:`` URIs."""

from __future__ import annotations

import base64
import binascii
import io

from .blocks import Part

__all__ = ["figure_part", "image_kind", "image_part", "svg_part"]

LARGEST = 2_000_000  # bytes: they are kept in the notebook
SIGNATURES = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"GIF87a": "gif", b"GIF89a": "gif"}


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


def image_kind(data: bytes | bytearray) -> str | None:
    """What an image in `data` is: *png*, *jpeg*, *gif* or *webp*; None where it is none of these."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":  # a RIFF may also be a sound or a film
        return "webp"
    return next((kind for signature, kind in SIGNATURES.items() if data.startswith(signature)), None)


def svg_part(data: object, alt: str) -> Part | None:
    """The SVG text `data`, to be shown as an image: there it runs no scripts and loads nothing."""
    if not isinstance(data, str) or not data.strip() or len(data) > LARGEST:
        return None
    return uri_part(data.encode(errors="replace"), "svg+xml", alt)


def figure_part(figure: object) -> Part | None:
    """What ``savefig`` of a Matplotlib figure draws; raises what it raises."""
    savefig = getattr(figure, "savefig", None)
    if not callable(savefig):
        return None
    drawn = io.BytesIO()
    savefig(drawn, format="png", bbox_inches="tight")
    return image_part(drawn.getvalue(), type(figure).__name__)


def uri_part(data: bytes, kind: str, alt: str) -> Part:
    """An image of the type ``image/`` `kind`."""
    return {"type": "image", "src": f"data:image/{kind};base64,{base64.b64encode(data).decode()}", "alt": alt}
