"""Text escaped for HTML, and for the front end's typesetter, which looks for LaTeX in everything on the page."""

from __future__ import annotations

import html
import re

from mojentic_nb.llm.text import printable

__all__ = ["escape_attribute", "escape_code", "escape_html", "hide_formulas"]

# MathJax looks for formulas in stretches of text, which elements end. An element around a delimiter keeps it from
# seeing a formula where none is meant, or one whose commands run scripts. It leaves <pre> and <code> alone.
DELIMITERS = re.compile(r"\$|\\(?=[\\()\[\]{}]|begin|end)")


def escape_html(text: str, *, joiners: bool = False) -> str:
    """Escape `text`: it has no markup and no formulas, and every character is visible."""
    return hide_formulas(escape_code(text, joiners=joiners))


def hide_formulas(text: str) -> str:
    """Hide the delimiters of formulas in the HTML `text`, which has no tags, from the typesetter."""
    return DELIMITERS.sub(lambda match: f"<span>{match[0]}</span>", text)


def escape_code(text: str, *, joiners: bool = False) -> str:
    """Escape `text` for ``<pre>`` and ``<code>``."""
    return html.escape(printable(text, joiners=joiners))


def escape_attribute(text: str) -> str:
    """Escape `text` for the value of an attribute."""
    return html.escape(" ".join(printable(text).split()))
