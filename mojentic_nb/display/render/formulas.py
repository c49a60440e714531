r"""Markdown rules that keep LaTeX as it is, for the front end's typesetter.

That is ``$…$``, ``$$…$$``, ``\(…\)``, ``\[…\]`` and ``\begin{…}…\end{…}``.
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

from .escape import code

__all__ = ["render_rule", "with_formulas"]

LONGEST = 10_000  # characters, and 200 lines: what opens and is never closed is looked for no further
MOST_LINES = 200
CLOSERS = {"$$": "$$", r"\(": r"\)", r"\[": r"\]"}


def with_formulas(parser: MarkdownIt) -> None:
    """Let `parser` know formulas; the environment of a rendering holds its Allowance as `formulas`."""
    parser.inline.ruler.before("escape", "formula", inline_formula)
    parser.block.ruler.before("fence", "formula_block", block_formula, {"alt": ["paragraph", "blockquote", "list"]})
    parser.add_render_rule("formula", write_formula)
    parser.add_render_rule("formula_block", write_formula)


def inline_formula(state: StateInline, silent: bool) -> bool:
    """A formula in a line of text."""
    end = end_of_formula(state.src[state.pos : min(state.posMax, state.pos + LONGEST)])
    if not end:
        return False
    if not silent:
        token = state.push("formula", "", 0)
        token.content = state.src[state.pos : state.pos + end]
    state.pos += end
    return True


def end_of_formula(text: str) -> int:
    """Where the formula ends that `text` begins with; 0 if it begins with none."""
    closer = CLOSERS.get(text[:2])
    if closer:
        end = text.find(closer, 2)
        return end + 2 if end > 2 and text[2:end].strip() else 0
    if text[:1] != "$":
        return 0
    found = re.compile(r"\$(?![\s$])(?:[^$\\`]|\\.)*?(?<!\s)\$(?!\d)", re.DOTALL).match(text)
    return found.end() if found else 0


def block_formula(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """A formula that has its lines to itself."""
    first = line_of(state, start)
    environment = re.match(r"\\begin\{([A-Za-z]+\*?)\}", first)
    closer = f"\\end{{{environment[1]}}}" if environment else CLOSERS.get(first[:2])
    if state.is_code_block(start) or not closer or closer == r"\)":
        return False
    line = last_line(state, start, min(end, start + MOST_LINES), closer, 0 if environment else 2)
    if line is None:
        return False
    if not silent:
        token = state.push("formula_block", "", 0)
        token.content = state.getLines(start, line + 1, state.blkIndent, False).strip()
        token.map = [start, line + 1]
    state.line = line + 1
    return True


def last_line(state: StateBlock, start: int, end: int, closer: str, opener: int) -> int | None:
    """The first line before `end` that `closer` ends, of a formula whose first line begins with `opener` characters."""
    begin = state.bMarks[start] + state.tShift[start] + opener
    closing = re.compile(re.escape(closer) + r"[^\S\n]*$", re.MULTILINE)
    found = closing.search(state.src, begin, state.eMarks[end - 1])
    if found and found.start() == begin:  # there is nothing in it yet
        found = closing.search(state.src, found.end(), state.eMarks[end - 1])
    return next((line for line in range(start, end) if state.eMarks[line] >= found.end()), None) if found else None


def line_of(state: StateBlock, line: int) -> str:
    """The text of a line."""
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]


def write_formula(_: RendererProtocol, tokens: Sequence[Token], index: int, __: object, env: EnvType) -> str:
    """A formula as it was written, one that could do harm as code, where no typesetter looks.

    Each is in an element of its own, so that the typesetter can't see another one than was seen here: it also counts
    braces.
    """
    token = tokens[index]
    text = code(token.content)
    shown = text if env["formulas"].take(token.content) else f"<code>{text}</code>"
    return f"<span>{shown}</span>" if token.type == "formula" else f"<p>{shown}</p>\n"


def render_rule(write: Callable[[Token], str]) -> Callable[..., str]:
    """What the parser calls to have a token written."""

    def render(_: RendererProtocol, tokens: Sequence[Token], index: int, *_options: object) -> str:
        return write(tokens[index])

    return render
