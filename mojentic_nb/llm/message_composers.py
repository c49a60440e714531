"""Builds messages from files, images and templates."""

from __future__ import annotations

import glob
import mimetypes
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self

from .messages import LLMMessage, MessageRole

__all__ = ["FileTypeSensor", "MessageBuilder"]

LANGUAGES = {
    "c": "c",
    "cbl": "cobol",
    "clj": "clojure",
    "cpp": "c++",
    "cs": "csharp",
    "css": "css",
    "csv": "csv",
    "cxx": "c++",
    "fs": "fsharp",
    "go": "go",
    "h": "c",
    "hpp": "c++",
    "html": "html",
    "java": "java",
    "jl": "julia",
    "js": "javascript",
    "json": "json",
    "kt": "kotlin",
    "md": "markdown",
    "py": "python",
    "r": "r",
    "rb": "ruby",
    "rs": "rust",
    "sh": "bash",
    "sql": "sql",
    "swift": "swift",
    "tex": "latex",
    "toml": "toml",
    "ts": "typescript",
    "xml": "xml",
    "yaml": "yaml",
    "yml": "yaml",
}
LINK = re.compile("https?://|data:")


class FileTypeSensor:
    """Tells the language of a file by the ending of its name, for the fence around its text."""

    def __init__(self) -> None:
        self.extension_map = dict(LANGUAGES)
        self.default_language = "text"

    def add_language(self, extension: str, language: str) -> None:
        """Have names that end in `extension`, given without its dot, mean `language`."""
        self.extension_map[extension.removeprefix(".").lower()] = language

    def get_language(self, file_path: str | Path) -> str:
        """The language of the file, *text* if its name tells none."""
        return self.extension_map.get(Path(file_path).suffix[1:].lower(), self.default_language)


class MessageBuilder:
    """Builds a user's message from a text, files and images; its methods can be chained.

    The files come first, each in a fence with its path above it, then the `content`. They are read when they are added,
    as UTF-8. What is added twice is there once. Paths may begin with ``~``. Each method raises FileNotFoundError for a
    file that isn't there and ValueError for one that can't go into a message; nothing is added then.
    """

    def __init__(self, content: str | None = None) -> None:
        self.role = MessageRole.User
        self.content = content
        self.type_sensor = FileTypeSensor()
        self._texts: dict[Path, str] = {}
        self._images: list[str] = []

    @property
    def file_paths(self) -> list[Path]:
        """The files that were added."""
        return list(self._texts)

    @property
    def image_paths(self) -> list[str]:
        """The images that were added."""
        return list(self._images)

    def add_file(self, file_path: str | Path) -> Self:
        """Add the text of one file."""
        path = existing(file_path)
        self._texts[path] = read_text(path)
        return self

    def add_files(self, *file_paths: str | Path) -> Self:
        """Add files, the text files of a folder, or those that match a pattern such as ``src/**/*.py``, by name.

        Of a folder or a pattern, binary files and hidden ones are left out. Raises FileNotFoundError where nothing
        remains.
        """
        self._texts.update([(path, read_text(path)) for path in all_of(file_paths, is_text, "text file")])
        return self

    def add_image(self, image_path: str | Path) -> Self:
        """Add an image: a file, an ``http(s)`` link or a ``data:`` URI."""
        self._add_images([checked_image(image_path)])
        return self

    def add_images(self, *image_paths: str | Path) -> Self:
        """Add images, those of a folder, or those that match a pattern such as ``plots/*.png``, by name."""
        links = {str(path) for path in image_paths if LINK.match(str(path))}
        found: list[str] = []
        for path in image_paths:
            found += [str(path)] if str(path) in links else map(checked_image, all_of([path], is_image, "image"))
        self._add_images(found)
        return self

    def load_content(self, file_path: str | Path, template_values: Mapping[str, object] | None = None) -> Self:
        """Take the content from a file, in which ``{name}`` stands for the value of that name in `template_values`.

        A value is a text, or a Path for the text of that file. Other braces stay as they are, and so do those within
        values.
        """
        template = read_text(existing(file_path))
        values = {
            name: read_text(existing(value)).strip() if isinstance(value, Path) else str(value)
            for name, value in (template_values or {}).items()
        }
        names = "|".join(map(re.escape, values))
        self.content = re.sub(f"{{({names})}}", lambda found: values[found[1]], template) if values else template
        return self

    def build(self) -> LLMMessage:
        """The message. Raises ValueError where there is nothing in it."""
        parts = [self._fenced(path, text) for path, text in self._texts.items()]
        if self.content is not None:
            parts.append(self.content)
        if not parts and not self._images:
            raise ValueError("The message is empty. Add text, a file or an image.")
        return LLMMessage(role=self.role, content="\n\n".join(parts) or None, image_paths=self.image_paths or None)

    def _add_images(self, images: Iterable[str]) -> None:
        self._images = list(dict.fromkeys([*self._images, *images]))

    def _fenced(self, path: Path, text: str) -> str:
        """The text of a file in a fence that nothing in it can close."""
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        text = text if text.endswith("\n") or not text else f"{text}\n"
        return f"File: {path}\n{fence}{self.type_sensor.get_language(path)}\n{text}{fence}"


def existing(path: str | Path) -> Path:
    """The file at `path`; raises FileNotFoundError if there is none."""
    file = Path(path).expanduser()
    if not file.is_file():
        if file.is_dir():
            raise FileNotFoundError(f"{str(path)!r} is a folder. Pass a file.")
        raise FileNotFoundError(f"No file {located(path)}. Check its path.")
    return file


def located(path: str | Path) -> str:
    """Return `path` for an error, with the working folder if it is relative."""
    absolute = Path(path).expanduser().is_absolute()
    return repr(str(path)) if absolute else f"{str(path)!r} in {Path.cwd()}"


def read_text(path: Path) -> str:
    """The text of a file; raises ValueError for a binary one."""
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ValueError(f"{str(path)!r} isn't UTF-8 text. Convert it first.")
    return text


def is_text(path: Path) -> bool:
    """Whether the file is a text."""
    try:
        read_text(path)
    except ValueError:
        return False
    return True


def is_image(path: Path) -> bool:
    """Whether the file is an image by its name."""
    media_type, _ = mimetypes.guess_type(path.name, strict=False)  # WebP is no standard type before Python 3.13
    return bool(media_type) and str(media_type).startswith("image/")


def checked_image(path: str | Path) -> str:
    """The path of an image; raises what is wrong with it."""
    if LINK.match(str(path)):
        return str(path)
    file = existing(path)
    if not is_image(file):
        raise ValueError(f"{str(path)!r} isn't an image by its name. Use a .png, .jpg, .gif or .webp file.")
    return str(file)


def all_of(paths: Iterable[str | Path], wanted: Callable[[Path], bool], kind: str) -> Iterator[Path]:
    """The files at `paths`, where a folder or a pattern stands for the `wanted` ones of its files, by name."""
    for path in paths:
        place = Path(path).expanduser()
        is_pattern = glob.has_magic(str(place)) and not place.exists()
        if not is_pattern and not place.is_dir():
            yield existing(path)
            continue
        pattern = str(place) if is_pattern else str(Path(glob.escape(str(place))) / "*")
        matches = map(Path, glob.glob(pattern, recursive=True))  # noqa: PTH207 (Path's has no absolute patterns)
        found = sorted(match for match in matches if match.is_file())
        chosen = list(filter(wanted, found))
        if not chosen:
            raise FileNotFoundError(f"No {kind} at {located(path)}.")
        yield from chosen
