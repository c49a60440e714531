r"""What a cell asks: its text, with the values of Python that stand in it.

``{{ expression }}`` is replaced by the expression's value, and nothing else is, so that JSON, code and LaTeX pass as
they are. Where the braces hold no Python they stay, too; only with a space after them, as people write who mean it,
they are a mistake that is told. ``\{{`` is two plain braces. Values are put in once: braces in them are text.

How a value of Python is told to a model.

The tools that a cell names: from the notebook's own variables, or built in.
"""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import CodeType
from typing import Any

from IPython.core.error import UsageError

from mojentic_nb.llm import LLMMessage
from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.pictures import data_uri, draw_picture
from mojentic_nb.llm.request import Tool
from mojentic_nb.llm.tools import CurrentDateTimeTool, ResolveDateTool
from mojentic_nb.llm.tools.function import as_tools, is_tool

__all__ = ["BUILT_IN", "Image", "PromptError", "compose", "evaluate", "named_tools", "shortened", "told", "tools_in"]

BUDGET = 4000  # characters of a table; a thousand tokens, about
MOST_ROWS = 40


@dataclass(frozen=True, slots=True)
class Image:
    """A picture, as a ``data:`` address."""

    url: str


def shown(value: object) -> str | Image:
    """What a model is shown of `value`: of tables the columns and first rows, pictures as they look, all else as text.

    Pictures are what :func:`~mojentic_nb.llm.pictures.draw_picture` can draw.
    """
    if isinstance(value, str):
        return value
    if (picture := draw_picture(value)) is not None:
        return Image(data_uri(picture))
    if is_table(value):
        return table(value)
    return str(value)


def is_table(value: object) -> bool:
    """Whether `value` is a table or a column whose size is known, of pandas or polars or what is like them."""
    shape = getattr(value, "shape", None)
    counted = isinstance(shape, tuple) and all(isinstance(count, int) for count in shape)
    return (
        counted and hasattr(value, "head") and any(hasattr(value, name) for name in ("to_frame", "to_csv", "write_csv"))
    )


def table(value: Any) -> str:  # noqa: ANN401 (of pandas or polars)
    """The table's size, its columns with their types, and as many of its first rows as fit the budget, as CSV."""
    frame = value.to_frame() if hasattr(value, "to_frame") else value
    rows, columns = frame.shape
    columns_of = zip(frame.columns, frame.dtypes, strict=True)
    schema = shortened(", ".join(f"{name} ({kind})" for name, kind in columns_of), BUDGET // 4)
    text = csv(frame.head(MOST_ROWS))
    count = min(rows, MOST_ROWS)
    while len(text) > BUDGET and count > 1:
        count //= 2
        text = csv(frame.head(count))
    told = "all rows" if count == rows else f"the first {count}"
    head = f"{type(value).__name__} with {rows} rows and {columns} columns: {schema}"
    return f"{head}\n{told}:\n{shortened(text.rstrip(), BUDGET)}"


def csv(frame: Any) -> str:  # noqa: ANN401
    """A small table as CSV, with its index if that says more than the row's number."""
    if hasattr(frame, "write_csv"):
        return str(frame.write_csv())
    return str(frame.to_csv(index=type(frame.index).__name__ != "RangeIndex"))


def shortened(text: str, most: int) -> str:
    """At most that many characters of `text`."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


OPENING = re.compile(r"\\?\{\{")
CLOSING = re.compile(r"(?=\}\})")
LONGEST = 2000  # characters of an expression; each of the braces in them may be its end, and has to be tried
ESCAPE = r"Write \{{ for two plain braces."


class PromptError(ValueError):
    """An expression in a cell that has no value; nothing was sent. The message is one line."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


@dataclass(frozen=True, slots=True)
class Expression:
    """A piece of Python in a cell: as it was written, and compiled."""

    source: str
    code: CodeType


def compose(text: str, namespace: Mapping[str, Any], images: Sequence[str] = ()) -> LLMMessage:
    """The user's message that `text` makes, with values of `namespace` in it, and with `images` (paths or addresses).

    Values that are pictures are attached, and named in the text. Raises :class:`PromptError`.
    """
    paths = list(images)
    pieces: list[str] = []
    for part in parts(text):
        value = part if isinstance(part, str) else told(evaluate(part, namespace), place_of(part))
        if isinstance(value, Image):
            paths.append(value.url)
            value = f"[image {len(paths)}]"
        pieces.append(value)
    return LLMMessage(content="".join(pieces), image_paths=paths or None)


def parts(text: str) -> Iterator[str | Expression]:
    """The text between the expressions, and the expressions."""
    position = 0
    while opening := OPENING.search(text, position):
        yield text[position : opening.start()]
        position = opening.end()
        if opening[0].startswith("\\"):
            yield "{{"
        elif found := expression_at(text, position):
            expression, position = found
            yield expression
        else:
            yield "{{"
    yield text[position:]


def expression_at(text: str, start: int) -> tuple[Expression, int] | None:
    """The expression between ``{{`` and the first ``}}`` that makes it Python, and where the text goes on."""
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
        raise PromptError(f"{{{{{first}}}}} is no Python expression. {ESCAPE}") from first_error
    return None


def evaluate(expression: Expression | str, namespace: Mapping[str, Any], option: str = "") -> object:
    """The value of an expression, which that `option` has if not the text; raises :class:`PromptError` if none."""
    if isinstance(expression, str):
        try:
            expression = Expression(expression, compile(expression.strip(), "<%%llm>", "eval"))
        except (SyntaxError, ValueError) as error:
            raise PromptError(f"{option} {expression} is no Python expression.") from error
    place = place_of(expression, option)
    try:
        return eval(expression.code, dict(namespace))  # noqa: S307 (the user's own cell)
    except NameError as error:
        raise PromptError(
            f"There is no {error.name!r}, in {place}: define it first.{'' if option else f' {ESCAPE}'}"
        ) from error
    except Exception as error:
        raise PromptError(f"{place} failed: {summary(error)}") from error


def told(value: object, place: str) -> str | Image:
    """What a model is told of `value`, which stands at that `place`; raises :class:`PromptError`."""
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()  # else Python warns that nobody has awaited it
        raise PromptError(f"{place} has still to be awaited: do that in a cell of its own, and put in what it gives.")
    try:
        return shown(value)
    except Exception as error:
        raise PromptError(f"{place} can't be told: {summary(error)}") from error


def place_of(expression: Expression, option: str = "") -> str:
    """How a person finds the expression: in the text, or after that `option`."""
    return f"{option} {expression.source}" if option else f"{{{{ {expression.source} }}}}"


def summary(error: Exception) -> str:
    """The kind and the words of an error of the user's code, whose words may fail as well."""
    return traceback.format_exception_only(error)[-1]


BUILT_IN: dict[str, Callable[[], Tool]] = {
    "current_datetime": CurrentDateTimeTool,
    "resolve_date": ResolveDateTool,
}


def named_tools(names: Iterable[str], namespace: Mapping[str, Any]) -> tuple[Tool, ...]:
    """The tools of these names; a name may stand for a list of them. Raises UsageError and PromptError."""
    found: list[Any] = []
    for name in names:
        value = named(name, namespace)
        found += value if isinstance(value, list | tuple) else [value]
    try:
        return as_tools(found)
    except (TypeError, ValueError) as error:
        raise UsageError(f"-t {', '.join(names)}: {error}") from error


def named(name: str, namespace: Mapping[str, Any]) -> object:
    """What `name` stands for."""
    if name.partition(".")[0] in namespace:
        return evaluate(name, namespace, "-t")
    if name in BUILT_IN:
        try:
            return BUILT_IN[name]()
        except ConfigurationError as error:
            raise UsageError(str(error)) from error
    known = [*BUILT_IN, *tools_in(namespace)]
    close = get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}?" if close else "define it first; %llm tools lists those there are."
    raise UsageError(f"-t {name}: there is no tool or function of that name: {hint}")


def tools_in(namespace: Mapping[str, Any]) -> dict[str, object]:
    """The user's own functions and tools, by name."""
    return {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and (is_tool(value) or is_own_function(value))
    }


def is_own_function(value: object) -> bool:
    """Whether `value` is a function that was defined in the notebook."""
    return callable(value) and getattr(value, "__module__", "") == "__main__" and hasattr(value, "__code__")
