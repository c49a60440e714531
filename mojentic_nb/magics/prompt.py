r"""What a cell asks: its text, with the values of Python that stand in it.

``{{ expression }}`` is replaced by the expression's value, and nothing else is, so that JSON, code and LaTeX pass as
they are. Where the braces hold no Python they stay, too; only with a space after them, as people write who mean it,
they are a mistake that is told. ``\{{`` is two plain braces. Values are put in once: braces in them are text.
"""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

from mojentic_nb.llm import LLMMessage

from .values import Image, shown

__all__ = ["PromptError", "compose", "evaluate", "told"]

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
