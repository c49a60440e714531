"""Images for a model, from a file, a link or a ``data:`` URI."""

from __future__ import annotations

import base64
import mimetypes
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.messages import LLMMessage, MessageRole

__all__ = ["Image", "load_image", "with_images_after_results"]

DATA_URI = re.compile(r"data:(image/[\w.+-]+);base64,(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its `media_type` and `data` in base64, or a `link` for the provider to follow."""

    media_type: str = ""
    data: str = ""
    link: str = ""

    @property
    def url(self) -> str:
        """The image as a URL."""
        return self.link or f"data:{self.media_type};base64,{self.data}"


def load_image(path: str) -> Image:
    """Return the image at `path`: a file, a link or a ``data:`` URI.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for one that can't be read or isn't an image.
    """
    if re.match("https?://", path):
        return Image(link=path)
    if path.startswith("data:"):
        if found := DATA_URI.fullmatch(path):
            return Image(found[1], found[2])
        raise ConfigurationError("An image's `data:` URI must have the form `data:image/TYPE;base64,DATA`.")
    media_type, _ = mimetypes.guess_type(path, strict=False)  # WebP isn't a standard type before Python 3.13
    if media_type is None or not media_type.startswith("image/"):
        raise ConfigurationError(f"{path!r} isn't an image by its name. Use a .png, .jpg, .gif or .webp file.")
    try:
        content = Path(path).expanduser().read_bytes()
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"Can't read the image {path!r} ({why}). Check its path.") from error
    return Image(media_type, base64.b64encode(content).decode())


def with_images_after_results(messages: Iterable[LLMMessage]) -> Iterator[LLMMessage]:
    """Yield the messages, with the images in tool results moved to a user's message after them.

    For APIs in which a result is text. The results of one step stay together.
    """
    waiting: list[tuple[str, list[str]]] = []
    for message in messages:
        if message.role is not MessageRole.Tool:
            yield from images_of_results(waiting)
            waiting = []
        elif message.image_paths:
            waiting.append((message.tool_calls[0].name if message.tool_calls else "the tool", message.image_paths))
            message = message.model_copy(update={"image_paths": None})  # noqa: PLW2901 (without them it is the same)
        yield message
    yield from images_of_results(waiting)


def images_of_results(results: list[tuple[str, list[str]]]) -> Iterator[LLMMessage]:
    """Yield a user's message with the images of `results`, which are pairs of a tool's name and paths, if any."""
    if results:
        names = ", ".join(f"{len(paths)} of {name}" for name, paths in results)
        paths = [path for _, images in results for path in images]
        yield LLMMessage(content=f"(The images in the results of the tools: {names}.)", image_paths=paths)
