"""The Markdown of a model as HTML that is safe anywhere.

Needs markdown-it-py and nh3, of the extra ``html``. Nothing of the text is lost: HTML in it is shown as text, link
reference definitions are not known, cells too many for their table stay. Nothing is loaded: an image is a link that
names its host.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from mojentic_nb.llm.text import printable

from .addresses import with_addresses
from .escape import code, escaped
from .formulas import render_rule, with_formulas
from .highlight import highlighted
from .sanitize import SCHEMES, image_link, sanitized_prose
from .tex import Allowance

__all__ = ["rendered"]

DRESS = {"blockquote": "quote", "th": "head", "td": "cell", "a": "link"}
ALIGNED = {"p", "th", "td"}  # to the left or the right by JupyterLab, unless told otherwise
HOLDING = {"ul", "ol", "blockquote"}  # what stands in one has its direction: its marks are where the text begins
DIRECTED = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "th", "td"} | HOLDING
TASK = re.compile(r"\[([ xX])\] +")
LINK = re.compile(rf"({'|'.join(sorted(SCHEMES))}):", re.IGNORECASE)


def rendered(text: str, formulas: Allowance | None = None) -> str:
    """The Markdown `text` as HTML; `formulas` is what is left of the answer's allowance."""
    allowance = Allowance() if formulas is None else formulas
    return sanitized_prose(parser().render(printable(text, joiners=True), {"formulas": allowance}))


@cache
def parser() -> MarkdownIt:
    """The parser with all that it is to know."""
    made = MarkdownIt("commonmark", {"html": False})
    made.enable(["table", "strikethrough"]).disable(["reference", "html_block", "html_inline"])
    made.validateLink = lambda url: bool(LINK.match(url))  # type: ignore[method-assign]
    with_formulas(made)
    with_addresses(made)
    made.core.ruler.push("dress", dress)
    for name, write in RULES.items():
        made.add_render_rule(name, render_rule(write))
    return made


def dress(state: StateCore) -> None:
    """Give elements their styles and directions, list items of tasks their boxes, rows the cells that they have."""
    keep_cells(state)
    before: list[Token] = []
    held = 0
    for token in state.tokens:
        for part in (token, *(token.children or ())):
            if part.nesting == 1:
                dressed(part)
        if token.nesting == 1 and token.tag in DIRECTED and not held:
            token.attrSet("dir", "auto")
        held += token.nesting * (token.tag in HOLDING)
        if token.type == "inline" and [seen.type for seen in before[-2:]] == ["list_item_open", "paragraph_open"]:
            box(before[-2], token)
        before.append(token)


def dressed(token: Token) -> None:
    """Give an element its style."""
    align = str(token.attrs.pop("style", "text-align:start")).removeprefix("text-align:")
    names = (DRESS.get(token.tag), align if token.tag in ALIGNED else None)
    if classes := " ".join(f"mnb-{name}" for name in names if name):
        token.attrSet("class", classes)


def box(item: Token, inline: Token) -> None:
    """Show the task that a list item may be."""
    first = inline.children[0] if inline.children else None
    if first and first.type == "text" and (found := TASK.match(first.content)):
        item.attrSet("class", "mnb-task")
        first.content = ("☐ " if found[1] == " " else "☑ ") + first.content[found.end() :]


def keep_cells(state: StateCore) -> None:
    """Put what a table's row has more than the table has columns into its last cell, where it can be read."""
    lines = state.src.split("\n")
    cells: list[Token] = []
    for before, token in zip(state.tokens, state.tokens[1:], strict=False):
        if token.type == "tr_open" and token.map:
            cells = []
            row = re.sub(r"^[\s>|]*|\|\s*$", "", lines[token.map[0]])
        elif token.type == "inline" and before.type == "td_open":
            cells.append(token)
        elif token.type == "tr_close" and cells:
            extra = re.split(r"(?<!\\)\|", row)[len(cells) :]
            if extra and cells[-1].children is not None:
                cells[-1].children.append(Token("text", "", 0, content=" | " + " | ".join(map(str.strip, extra))))


def written_text(token: Token) -> str:
    """Text."""
    return escaped(token.content, joiners=True)


def written_code(token: Token) -> str:
    """Code in a line."""
    return f'<code class="mnb-inline-code">{code(token.content)}</code>'


def written_block(token: Token) -> str:
    """A code block, under what was said of it."""
    info = token.info.strip()
    language = info.split(maxsplit=1)[0] if info else ""
    label = f'<div class="mnb-language">{escaped(info)}</div>' if info else ""
    text = highlighted(token.content, language)
    return f'<div class="mnb-code-box">{label}<pre class="mnb-pre">{text}</pre></div>\n'


def written_image(token: Token) -> str:
    """An image is not loaded."""
    return image_link(str(token.attrGet("src") or ""), token.content)


RULES: dict[str, Callable[[Token], str]] = {
    "text": written_text,
    "code_inline": written_code,
    "code_block": written_block,
    "fence": written_block,
    "image": written_image,
    "table_open": lambda _: '<div class="mnb-table-box"><table class="mnb-table">\n',
    "table_close": lambda _: "</table></div>\n",
}
