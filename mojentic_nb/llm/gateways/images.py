"""Images for a model: from a file, a link or a ``data:`` URI, as each provider wants them."""

from __future__ import annotations

import base64
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path

from mojentic_nb.llm.errors import ConfigurationError

__all__ = ["Image", "load_image"]

DATA_URI = re.compile(r"data:(image/[\w.+-]+);base64,(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its `media_type` and `data` in base64, or the `link` where the provider finds it."""

    media_type: str = ""
    data: str = ""
    link: str = ""

    @property
    def url(self) -> str:
        """The image as a URL."""
        return self.link or f"data:{self.media_type};base64,{self.data}"


def load_image(path: str) -> Image:
    """The image at `path`: a file's, a link, or a ``data:`` URI.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for what can't be read or is no image.
    """
    if re.match("https?://", path):
        return Image(link=path)
    if path.startswith("data:"):
        if found := DATA_URI.fullmatch(path):
            return Image(found[1], found[2])
        raise ConfigurationError("An image's data: URI has to begin with data:image/TYPE;base64, and then its data.")
    media_type, _ = mimetypes.guess_type(path, strict=False)  # WebP is no standard type before Python 3.13
    if media_type is None or not media_type.startswith("image/"):
        raise ConfigurationError(f"{path!r} is no image by its name: it has to end in .png, .jpg, .gif or .webp.")
    try:
        content = Path(path).expanduser().read_bytes()
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"The image {path!r} can't be read ({why}): check its path.") from error
    return Image(media_type, base64.b64encode(content).decode())
