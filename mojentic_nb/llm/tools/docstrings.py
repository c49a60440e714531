"""Reads a function's docstring, in the style of Google, NumPy or Sphinx: what it does and what its parameters are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import cleandoc
from itertools import takewhile

__all__ = ["Documentation", "read_docstring"]

PARAMETERS = "Args|Arguments|Parameters|Params|Keyword Args|Keyword Arguments|Other Parameters"
OTHERS = "Returns?|Yields?|Receives|Raises|Except|Warns"
GOOGLE = re.compile(rf"(?:(?P<parameters>{PARAMETERS})|{OTHERS}):", re.IGNORECASE)
NUMPY = re.compile(rf"(?:(?P<parameters>{PARAMETERS})|{OTHERS})", re.IGNORECASE)
UNDERLINE = re.compile("-{3,}|={3,}")
FIELDS = "type|returns?|rtype|yields?|ytype|raises?|except|exception|meta"
PARAMETER = r"(?P<parameters>param|parameter|arg|argument|key|keyword)(?:\s[^:]*?)?\s\**(?P<name>\w+)"
SPHINX = re.compile(rf":(?:{PARAMETER}|(?:{FIELDS})(?:\s[^:]*)?):")
NAMES = r"\**\w+(?:\s*,\s*\**\w+)*"
GOOGLE_ITEM = re.compile(rf"(?P<names>{NAMES})\s*(?:\([^:]*\))?\s*:(?:\s+(?P<text>.*)|$)")
NUMPY_ITEM = re.compile(rf"(?P<names>{NAMES})\s*(?::.*)?")


@dataclass(frozen=True, slots=True)
class Documentation:
    """What a function does, and what each of its parameters is, by name."""

    description: str
    parameters: dict[str, str]


def read_docstring(docstring: str | None) -> Documentation:
    """The documentation in `docstring`; its description ends where the first section of such a style begins."""
    lines = cleandoc(docstring or "").splitlines()
    description = list(takewhile(lambda number: not begins_section(lines, number), range(len(lines))))
    parameters: dict[str, str] = {}
    for number in range(len(description), len(lines)):
        for names, text in parameters_at(lines, number):
            parameters |= {name.lstrip("*"): text for name in re.split(r"\s*,\s*", names) if text}
    return Documentation("\n".join(lines[: len(description)]).strip(), parameters)


def begins_section(lines: list[str], number: int) -> bool:
    """Whether that line is where a section begins."""
    line = lines[number].rstrip()
    return bool(GOOGLE.fullmatch(line) or SPHINX.match(line) or (NUMPY.fullmatch(line) and underlined(lines, number)))


def underlined(lines: list[str], number: int) -> bool:
    """Whether that line has an underline."""
    return bool(UNDERLINE.fullmatch("".join(lines[number + 1 : number + 2]).strip()))


def parameters_at(lines: list[str], number: int) -> Iterator[tuple[str, str]]:
    """The names and descriptions of parameters in the section that begins at that line, if one does."""
    line = lines[number].rstrip()
    if (found := SPHINX.match(line)) and found["parameters"]:
        yield found["name"], joined([line[found.end() :], *indented(lines[number + 1 :])])
    elif (found := GOOGLE.fullmatch(line)) and found["parameters"]:
        section = cleandoc("\n" + "\n".join(indented(lines[number + 1 :]))).splitlines()
        for at, item in enumerate(section):
            if found := GOOGLE_ITEM.fullmatch(item):
                yield found["names"], joined([found["text"] or "", *indented(section[at + 1 :])])
    elif (found := NUMPY.fullmatch(line)) and found["parameters"] and underlined(lines, number):
        for at in range(number + 2, len(lines)):
            if begins_section(lines, at) or underlined(lines, at):
                return
            if found := NUMPY_ITEM.fullmatch(lines[at]):
                yield found["names"], joined(indented(lines[at + 1 :]))


def indented(lines: list[str]) -> list[str]:
    """The lines up to the first that is not indented."""
    return list(takewhile(lambda line: not line.strip() or line.startswith((" ", "\t")), lines))


def joined(lines: list[str]) -> str:
    """The text of `lines`, in one."""
    return " ".join(" ".join(lines).split())
