"""Text that is safe in HTML, and for the front end's typesetter, which looks for LaTeX in whatever is shown."""

from __future__ import annotations

import html
import re

from mojentic_nb.llm.text import printable

__all__ = ["attribute", "code", "escaped", "literal"]

# An element between the signs keeps MathJax from seeing a formula where none is meant, or where its commands are a way
# to run scripts: it looks for formulas in stretches of text, which elements end. It leaves <pre> and <code> alone.
DELIMITERS = re.compile(r"\$|\\(?=[\\()\[\]{}]|begin|end)")


def escaped(text: str, *, joiners: bool = False) -> str:
    """`text` for HTML, as it reads: no markup, no formulas, every character visible."""
    return literal(code(text, joiners=joiners))


def literal(text: str) -> str:
    """The HTML `text`, which has no tags, without formulas."""
    return DELIMITERS.sub(lambda match: f"<span>{match[0]}</span>", text)


def code(text: str, *, joiners: bool = False) -> str:
    """`text` for the inside of ``<pre>`` and ``<code>``."""
    return html.escape(printable(text, joiners=joiners))


def attribute(text: str) -> str:
    """`text` for the value of an attribute."""
    return html.escape(" ".join(printable(text).split()))
