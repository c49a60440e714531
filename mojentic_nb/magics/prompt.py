r"""What a cell sends: its text with Python values inserted, its pictures, and the tools it names.

``{{ expression }}`` is replaced by the expression's value. Nothing else is, so JSON, code and LaTeX need no escaping.
Braces around anything but Python stay as they are, unless a space follows them, as people write it on purpose: that is
a mistake to report. ``\{{`` is two plain braces. Values are inserted once: braces within them are plain text.

The user's code runs here, and may fail in any way. Each failure is a :class:`PromptError`, and nothing is sent.
"""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from os import PathLike
from types import CodeType
from typing import Any

from IPython.core.error import UsageError

from mojentic_nb.llm import LLMMessage
from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.gateways.wire.images import load_image
from mojentic_nb.llm.pictures import data_uri, draw_picture
from mojentic_nb.llm.request import Tool
from mojentic_nb.llm.tools import CurrentDateTimeTool, ResolveDateTool
from mojentic_nb.llm.tools.function import as_tools, is_tool

__all__ = [
    "BUILT_IN",
    "PromptError",
    "compose",
    "evaluate",
    "read_image",
    "read_type",
    "resolve_tools",
    "shorten",
    "split_text",
    "user_tools",
]

OPENING = re.compile(r"\\?\{\{")
CLOSING = re.compile(r"(?=\}\})")
LONGEST = 2000  # characters of an expression: any braces within it may close it, so each of them is tried
ESCAPE = r"Write \{{ for two plain braces."


class PromptError(ValueError):
    """An expression in a cell that has no value. Nothing was sent. The message is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


@dataclass(frozen=True, slots=True)
class Expression:
    """A piece of Python in a cell: its source and its code."""

    source: str
    code: CodeType


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as a ``data:`` URL."""

    url: str


def compose(text: str, namespace: Mapping[str, Any], images: Iterable[str] = ()) -> LLMMessage:
    """Make the user's message from `text`, with values of `namespace` inserted and `images` (paths or URLs) attached.

    Values that are pictures are attached as well, and named in the text. Raises :class:`PromptError`.
    """
    paths = list(images)
    pieces: list[str] = []
    for part in split_text(text):
        value = part if isinstance(part, str) else render(evaluate(part, namespace), place_of(part))
        if isinstance(value, Picture):
            paths.append(value.url)
            value = f"[image {len(paths)}]"
        pieces.append(value)
    return LLMMessage(content="".join(pieces), image_paths=paths or None)


def split_text(text: str) -> Iterator[str | Expression]:
    """Split a cell into its expressions and the text between them."""
    position = 0
    while opening := OPENING.search(text, position):
        yield text[position : opening.start()]
        position = opening.end()
        if opening[0].startswith("\\"):
            yield "{{"
        elif found := find_expression(text, position):
            expression, position = found
            yield expression
        else:
            yield "{{"
    yield text[position:]


def find_expression(text: str, start: int) -> tuple[Expression, int] | None:
    """Find the expression from ``{{`` to the first ``}}`` that makes it valid, and where the text goes on."""
    first_error: Exception | None = None
    ends = [match.start() for match in CLOSING.finditer(text, start, start + LONGEST)]
    for end in ends:
        source = text[start:end].strip()
        try:
            return Expression(source, compile(source, "<%%llm>", "eval")), end + 2
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:  # a null character, too many brackets
            first_error = first_error or error
    first = text[start : ends[0]] if ends else ""
    if first[:1].isspace() and "{" not in first:
        raise PromptError(f"{{{{{first}}}}} isn't a Python expression. {ESCAPE}") from first_error
    return None


def evaluate(expression: Expression | str, namespace: Mapping[str, Any], option: str = "") -> object:
    """Evaluate an expression of the text, or of that `option`. Raises PromptError."""
    if isinstance(expression, str):
        try:
            expression = Expression(expression, compile(expression.strip(), "<%%llm>", "eval"))
        except (SyntaxError, ValueError) as error:
            raise PromptError(f"{option} {expression} isn't a Python expression.") from error
    place = place_of(expression, option)
    try:
        return eval(expression.code, dict(namespace))  # noqa: S307 (the user's own cell)
    except NameError as error:
        raise PromptError(
            f"{error.name!r} isn't defined, in {place}. Define it first.{'' if option else f' {ESCAPE}'}"
        ) from error
    except Exception as error:
        raise PromptError(f"{place} failed: {summarize(error)}") from error


def place_of(expression: Expression, option: str = "") -> str:
    """Say where a person finds the expression: in the text, or after that `option`."""
    return f"{option} {expression.source}" if option else f"{{{{ {expression.source} }}}}"


def summarize(error: Exception) -> str:
    """Return the kind and the message of an error of the user's code, whose message may fail as well."""
    return traceback.format_exception_only(error)[-1]


def read_image(expression: str, namespace: Mapping[str, Any]) -> str:
    """Return the path or URL of the picture that `-i` gives: the value of an expression, else a path as it is.

    Raises UsageError, PromptError and :class:`~mojentic_nb.llm.errors.ConfigurationError`.
    """
    try:
        value = evaluate(expression, namespace, "-i")
    except PromptError as error:
        return read_path(expression, error)
    picture = render(value, f"-i {expression}")
    if isinstance(picture, Picture):
        return picture.url
    if not isinstance(value, str | PathLike):
        raise UsageError(f"-i {expression} isn't a picture. Give a path, a URL, a figure, an image or its array.")
    load_image(picture)
    return picture


def read_path(expression: str, failure: PromptError) -> str:
    """Return `expression` as a path or URL; it has failed as a Python expression."""
    try:
        load_image(expression)
    except ConfigurationError:
        if isinstance(failure.__cause__, NameError | AttributeError | SyntaxError | ValueError):  # so a path was meant
            raise
        raise failure from None
    return expression


def read_type(expression: str | None, namespace: Mapping[str, Any]) -> object:
    """Return the type that ``--as`` names; None without the option."""
    if expression is None:
        return None
    if (named := evaluate(expression, namespace, "--as")) is None:
        raise UsageError("--as None doesn't name a type. Give a pydantic model, or leave out --as.")
    return named


BUDGET = 4000  # characters of a table; about a thousand tokens
MOST_ROWS = 40


def render(value: object, place: str) -> str | Picture:
    """Render `value`, found at that `place`, for a model. Raises PromptError.

    A table becomes its columns and first rows, a picture stays one, and anything else becomes text. Pictures are what
    :func:`~mojentic_nb.llm.pictures.draw_picture` can draw.
    """
    if inspect.isawaitable(value):
        kind = type(value).__name__
        if inspect.iscoroutine(value):
            value.close()  # else Python warns that it was never awaited
        raise PromptError(f"{place} is a {kind}. Await it in its own cell first, then insert the result.")
    try:
        if isinstance(value, str):
            return value
        if (picture := draw_picture(value)) is not None:
            return Picture(data_uri(picture))
        return render_table(value) if is_table(value) else str(value)
    except Exception as error:
        raise PromptError(f"{place} can't be shown to the model: {summarize(error)}") from error


def is_table(value: object) -> bool:
    """Whether `value` is a table or column of a known size, from pandas, polars or a library like them."""
    shape = getattr(value, "shape", None)
    counted = isinstance(shape, tuple) and all(isinstance(count, int) for count in shape)
    return (
        counted and hasattr(value, "head") and any(hasattr(value, name) for name in ("to_frame", "to_csv", "write_csv"))
    )


def render_table(value: Any) -> str:  # noqa: ANN401 (from pandas or polars)
    """Render a table: its size, its columns with their types, and as many of its first rows as fit, as CSV."""
    frame = value.to_frame() if hasattr(value, "to_frame") else value
    rows, columns = frame.shape
    columns_of = zip(frame.columns, frame.dtypes, strict=True)
    schema = shorten(", ".join(f"{name} ({kind})" for name, kind in columns_of), BUDGET // 4)
    text = to_csv(frame.head(MOST_ROWS))
    count = min(rows, MOST_ROWS)
    while len(text) > BUDGET and count > 1:
        count //= 2
        text = to_csv(frame.head(count))
    extent = "all rows" if count == rows else f"the first {count}"
    head = f"{type(value).__name__} with {rows} rows and {columns} columns: {schema}"
    return f"{head}\n{extent}:\n{shorten(text.rstrip(), BUDGET)}"


def to_csv(frame: Any) -> str:  # noqa: ANN401 (from pandas or polars)
    """Write a small table as CSV, with its index unless that only counts the rows."""
    if hasattr(frame, "write_csv"):
        return str(frame.write_csv())
    return str(frame.to_csv(index=type(frame.index).__name__ != "RangeIndex"))


def shorten(text: str, most: int) -> str:
    """Cut `text` to at most that many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


BUILT_IN: dict[str, Callable[[], Tool]] = {
    "current_datetime": CurrentDateTimeTool,
    "resolve_date": ResolveDateTool,
}


def resolve_tools(names: Iterable[str], namespace: Mapping[str, Any]) -> tuple[Tool, ...]:
    """Find the tools of these names; a name may stand for a list of tools. Raises UsageError and PromptError."""
    found: list[Any] = []
    for name in names:
        value = resolve_tool(name, namespace)
        found += value if isinstance(value, list | tuple) else [value]
    try:
        return as_tools(found)
    except (TypeError, ValueError) as error:
        raise UsageError(f"-t {', '.join(names)}: {error}") from error


def resolve_tool(name: str, namespace: Mapping[str, Any]) -> object:
    """Find what `name` stands for: a value of the user's, or a built-in tool."""
    if name.partition(".")[0] in namespace:
        return evaluate(name, namespace, "-t")
    if name in BUILT_IN:
        try:
            return BUILT_IN[name]()
        except ConfigurationError as error:
            raise UsageError(str(error)) from error
    close = get_close_matches(name, [*BUILT_IN, *user_tools(namespace)], 1)
    hint = f"Did you mean `{close[0]}`?" if close else "Define it first. %llm tools lists the tools."
    raise UsageError(f"-t {name}: no tool or function has this name. {hint}")


def user_tools(namespace: Mapping[str, Any]) -> dict[str, object]:
    """Return the user's own functions and tools, by name."""
    return {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and (is_tool(value) or is_own_function(value))
    }


def is_own_function(value: object) -> bool:
    """Whether `value` is a function defined in the notebook."""
    return callable(value) and getattr(value, "__module__", "") == "__main__" and hasattr(value, "__code__")
