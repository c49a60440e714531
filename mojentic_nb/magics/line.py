"""How a magic's line is split into words, and words are put into one: as IPython does, which leaves backslashes."""

from __future__ import annotations

import re

from IPython.utils.process import arg_split  # type: ignore[attr-defined]

__all__ = ["quoted", "unquoted", "words"]


def words(line: str) -> list[str]:
    """The words of `line`, those in quotes without them. Raises ValueError for a quote that nothing closes."""
    return [unquoted(word) for word in arg_split(line)]


def unquoted(word: str) -> str:
    """`word` without the quotes around it."""
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word


def quoted(word: str) -> str:
    """`word` as it stands in a line; one with both kinds of quotes in it can't."""
    if word and not re.search(r"[\s\"']", word):
        return word
    mark = "'" if '"' in word else '"'
    return f"{mark}{word}{mark}"
