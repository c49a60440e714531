"""A model's Markdown as HTML that is safe anywhere.

Needs markdown-it-py and nh3, of the extra ``html``. No text is lost: HTML is shown as text, link reference definitions
are ordinary text, and surplus cells of a table stay. Nothing is loaded: an image becomes a link that names its host.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from mojentic_nb.llm.text import printable

from .escape import escape_code, escape_html
from .formulas import add_formulas, render_rule
from .highlight import highlight
from .sanitize import SCHEMES, link_to_image, sanitize_prose
from .tex import Allowance

__all__ = ["render_markdown"]

DRESS = {"blockquote": "quote", "th": "head", "td": "cell", "a": "link"}
ALIGNED = {"p", "th", "td"}  # by JupyterLab's style sheet, unless they have a style of their own
HOLDING = {"ul", "ol", "blockquote"}  # set the direction of their contents, so that marks stand where text begins
DIRECTED = {"p", "h1", "h2", "h3", "h4", "h5", "h6", "th", "td"} | HOLDING
TASK = re.compile(r"\[([ xX])\] +")
LINK = re.compile(rf"({'|'.join(sorted(SCHEMES))}):", re.IGNORECASE)


def render_markdown(text: str, formulas: Allowance | None = None) -> str:
    """Render Markdown; `formulas` is what remains of the answer's allowance."""
    allowance = Allowance() if formulas is None else formulas
    return sanitize_prose(make_parser().render(printable(text, joiners=True), {"formulas": allowance}))


@cache
def make_parser() -> MarkdownIt:
    """Make the parser, once."""
    made = MarkdownIt("commonmark", {"html": False})
    made.enable(["table", "strikethrough"]).disable(["reference", "html_block", "html_inline"])
    made.validateLink = lambda url: bool(LINK.match(url))  # type: ignore[method-assign]
    add_formulas(made)
    made.inline.ruler.after("text", "url", read_url)
    made.core.ruler.push("dress", style_elements)
    for name, write in RULES.items():
        made.add_render_rule(name, render_rule(write))
    return made


LONGEST_URL = 2_000  # characters; servers take no more, and a longer one would be scanned again from each part
SCHEME = re.compile(r"(?<![A-Za-z0-9.+-])https?$", re.IGNORECASE)
# The characters that end a URL; the last ones are East Asian.
END = r"\s<>\"`|\\\u2018-\u201f\u2026\u3001\u3002\u300a-\u3011\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f"
REST = re.compile(f"://[^/?#{END}][^{END}]*")
PAIRS = {")": "(", "]": "[", "}": "{"}
TRAILING = set("?!.,:;*_~'") | set(PAIRS)


def read_url(state: StateInline, silent: bool) -> bool:
    """Make a link of the URL at a colon, whose scheme (http or https) comes before it."""
    if silent or state.linkLevel or state.src[state.pos] != ":":
        return False
    scheme = SCHEME.search(state.pending[-6:])
    rest = scheme and REST.match(state.src, state.pos, min(state.posMax, state.pos + LONGEST_URL))
    if not scheme or not rest or rest.end() == state.pos + LONGEST_URL:
        return False
    url = scheme[0] + trim_url(rest[0])
    link = state.md.normalizeLink(url)
    if len(url) <= len(scheme[0]) + len("://") or not state.md.validateLink(link):
        return False
    state.pending = state.pending[: -len(scheme[0])]
    state.push("link_open", "a", 1).attrs = {"href": link}
    state.push("text", "", 0).content = state.md.normalizeLinkText(url)
    state.push("link_close", "a", -1)
    state.pos += len(url) - len(scheme[0])
    return True


def trim_url(text: str) -> str:
    """Remove the sentence's marks at the end of a URL, except a bracket that the URL opens."""
    end = len(text)
    while end and text[end - 1] in TRAILING:
        last = text[end - 1]
        if last in PAIRS and text.count(PAIRS[last], 0, end) >= text.count(last, 0, end):
            break
        end -= 1
    return text[:end]


def style_elements(state: StateCore) -> None:
    """Add styles and directions to elements, boxes to the list items of tasks, and surplus cells to rows."""
    keep_extra_cells(state)
    before: list[Token] = []
    held = 0
    for token in state.tokens:
        for part in (token, *(token.children or ())):
            if part.nesting == 1:
                style_element(part)
        if token.nesting == 1 and token.tag in DIRECTED and not held:
            token.attrSet("dir", "auto")
        held += token.nesting * (token.tag in HOLDING)
        if token.type == "inline" and [seen.type for seen in before[-2:]] == ["list_item_open", "paragraph_open"]:
            mark_task(before[-2], token)
        before.append(token)


def style_element(token: Token) -> None:
    """Add the style of an element."""
    align = str(token.attrs.pop("style", "text-align:start")).removeprefix("text-align:")
    names = (DRESS.get(token.tag), align if token.tag in ALIGNED else None)
    if classes := " ".join(f"mnb-{name}" for name in names if name):
        token.attrSet("class", classes)


def mark_task(item: Token, inline: Token) -> None:
    """Add the box of a list item that is a task."""
    first = inline.children[0] if inline.children else None
    if first and first.type == "text" and (found := TASK.match(first.content)):
        item.attrSet("class", "mnb-task")
        first.content = ("☐ " if found[1] == " " else "☑ ") + first.content[found.end() :]


def keep_extra_cells(state: StateCore) -> None:
    """Append the surplus cells of a table's row to its last cell."""
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


def write_block(token: Token) -> str:
    """Write a code block below its info string."""
    info = token.info.strip()
    language = info.split(maxsplit=1)[0] if info else ""
    label = f'<div class="mnb-language">{escape_html(info)}</div>' if info else ""
    text = highlight(token.content, language)
    return f'<div class="mnb-code-box">{label}<pre class="mnb-pre">{text}</pre></div>\n'


RULES: dict[str, Callable[[Token], str]] = {
    "text": lambda token: escape_html(token.content, joiners=True),
    "code_inline": lambda token: f'<code class="mnb-inline-code">{escape_code(token.content)}</code>',
    "code_block": write_block,
    "fence": write_block,
    "image": lambda token: link_to_image(str(token.attrGet("src") or ""), token.content),
    "table_open": lambda _: '<div class="mnb-table-box"><table class="mnb-table">\n',
    "table_close": lambda _: "</table></div>\n",
}
