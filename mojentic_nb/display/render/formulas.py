r"""Markdown rules that keep formulas as they are, for the front end's typesetter.

Formulas are ``$…$``, ``$$…$$``, ``\(…\)``, ``\[…\]`` and ``\begin{…}…\end{…}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markdown_it.utils import EnvType

from .escape import escape_code

__all__ = ["add_formulas", "render_rule"]

LONGEST = 10_000  # characters, and 200 lines, to search for the end of a formula
MOST_LINES = 200
CLOSERS = {"$$": "$$", r"\(": r"\)", r"\[": r"\]"}


def add_formulas(parser: MarkdownIt) -> None:
    """Add the rules to `parser`; the environment of a rendering holds its Allowance as `formulas`."""
    parser.inline.ruler.before("escape", "formula", read_inline)
    parser.block.ruler.before("fence", "formula_block", read_block, {"alt": ["paragraph", "blockquote", "list"]})
    parser.add_render_rule("formula", write_formula)
    parser.add_render_rule("formula_block", write_formula)


def read_inline(state: StateInline, silent: bool) -> bool:
    """Read a formula within a line of text."""
    end = find_end(state.src[state.pos : min(state.posMax, state.pos + LONGEST)])
    if not end:
        return False
    if not silent:
        token = state.push("formula", "", 0)
        token.content = state.src[state.pos : state.pos + end]
    state.pos += end
    return True


def find_end(text: str) -> int:
    """Find the end of the formula that `text` begins with; 0 if it doesn't begin with one."""
    closer = CLOSERS.get(text[:2])
    if closer:
        end = text.find(closer, 2)
        return end + 2 if end > 2 and text[2:end].strip() else 0
    if text[:1] != "$":
        return 0
    found = re.compile(r"\$(?![\s$])(?:[^$\\`]|\\.)*?(?<!\s)\$(?!\d)", re.DOTALL).match(text)
    return found.end() if found else 0


def read_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Read a formula on lines of its own."""
    first = line_of(state, start)
    environment = re.match(r"\\begin\{([A-Za-z]+\*?)\}", first)
    closer = f"\\end{{{environment[1]}}}" if environment else CLOSERS.get(first[:2])
    if state.is_code_block(start) or not closer or closer == r"\)":
        return False
    line = find_last_line(state, start, min(end, start + MOST_LINES), closer, 0 if environment else 2)
    if line is None:
        return False
    if not silent:
        token = state.push("formula_block", "", 0)
        token.content = state.getLines(start, line + 1, state.blkIndent, False).strip()
        token.map = [start, line + 1]
    state.line = line + 1
    return True


def find_last_line(state: StateBlock, start: int, end: int, closer: str, opener: int) -> int | None:
    """Find the first line before `end` that ends with `closer`; the formula opens with `opener` characters."""
    begin = state.bMarks[start] + state.tShift[start] + opener
    closing = re.compile(re.escape(closer) + r"[^\S\n]*$", re.MULTILINE)
    found = closing.search(state.src, begin, state.eMarks[end - 1])
    if found and found.start() == begin:  # still empty
        found = closing.search(state.src, found.end(), state.eMarks[end - 1])
    return next((line for line in range(start, end) if state.eMarks[line] >= found.end()), None) if found else None


def line_of(state: StateBlock, line: int) -> str:
    """Return the text of a line."""
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]


def write_formula(_: RendererProtocol, tokens: Sequence[Token], index: int, __: object, env: EnvType) -> str:
    """Write a formula as it is, or as code, where no typesetter looks, if it could do harm.

    Each is in an element of its own, because the typesetter also counts braces, and might see another formula than
    this rule did.
    """
    token = tokens[index]
    text = escape_code(token.content)
    shown = text if env["formulas"].take(token.content) else f"<code>{text}</code>"
    return f"<span>{shown}</span>" if token.type == "formula" else f"<p>{shown}</p>\n"


def render_rule(write: Callable[[Token], str]) -> Callable[..., str]:
    """Make the method with which the parser writes a token."""

    def render(_: RendererProtocol, tokens: Sequence[Token], index: int, *_options: object) -> str:
        return write(tokens[index])

    return render
