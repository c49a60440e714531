"""HTML by an allow-list: the second lock on what is made of Markdown, the only one on what tools return as HTML.

Needs nh3, of the extra ``html``.
"""

from __future__ import annotations

import html
import re
from collections import Counter

import nh3
from markdown_it.common.normalize_url import normalizeLink

from mojentic_nb.llm.text import printable

from .addresses import host_of
from .escape import attribute, escaped, literal
from .styles import inlined

__all__ = ["SCHEMES", "deep", "image_link", "sanitized", "sanitized_prose", "visible"]

SCHEMES = {"http", "https", "mailto"}
LINKS = tuple(f"{scheme}:" for scheme in SCHEMES)
TEXT = {"strong", "em", "b", "i", "u", "s", "del", "ins", "sub", "sup", "small", "mark", "kbd", "samp", "var", "abbr"}
TEXT |= {"a", "br", "cite", "code", "q", "span"}
BLOCKS = {"p", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "ul", "ol", "li", "dl", "dt", "dd", "div"}
BLOCKS |= {"table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td"}
FOLDS = {"details", "summary"}
CELL = {"colspan", "rowspan", "scope"}
# None of these can reach out of the box that the HTML is shown in, or load anything.
PROPERTIES = {"color", "background-color", "text-align", "font-weight", "font-style", "text-decoration", "white-space"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
DEEPEST = 1_000
IMAGE = re.compile(r'<img((?:\s+[a-z]+="[^"]*")*)\s*>')
EMPTY_HEADER = re.compile(r"<th( [^<>]*)?></th>")
TAGS = re.compile("(<[^>]*>)")  # what nh3 writes has no other angle brackets, nor quotes in the values of attributes
DATA_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")

PROSE = nh3.Cleaner(
    tags=TEXT | BLOCKS,
    attributes={
        "*": {"dir", "class"},
        "a": {"href", "title"},
        "ol": {"start"},
        "li": {"value"},
    },
    url_schemes=SCHEMES,
    url_relative="deny",
    link_rel="nofollow noopener noreferrer",
)


def without_data_links(tag: str, name: str, value: str) -> str | None:
    """An attribute's value, unless it is a link to a document that it holds itself."""
    return None if (tag, name) == ("a", "href") and not value.lower().startswith(LINKS) else value


FOREIGN = nh3.Cleaner(
    tags=TEXT | BLOCKS | FOLDS | {"img"},
    attributes={
        "*": {"dir", "title"},
        **{tag: {"style"} for tag in ("span", "div", "p", "tr", "b", "i", "em", "strong", "pre", "code", "li")},
        "a": {"href"},
        "img": {"src", "alt"},
        "ol": {"start"},
        "th": CELL,
        "td": CELL,
        "col": {"span"},
        "details": {"open"},
    },
    set_tag_attribute_values={
        "table": {"class": "mnb-table"},
        "th": {"class": "mnb-head"},
        "td": {"class": "mnb-cell"},
    },
    attribute_filter=without_data_links,
    filter_style_properties=PROPERTIES,
    url_schemes=SCHEMES | {"data"},
    url_relative="deny",
    link_rel="nofollow noopener noreferrer",
)


def sanitized_prose(text: str) -> str:
    """What is made of Markdown here, without anything that is not."""
    return PROSE.clean(text)


def sanitized(text: str) -> str:
    """The HTML `text` of a tool without what could run, load, submit, cover or name anything of the page."""
    safe = IMAGE.sub(safe_image, printable(FOREIGN.clean(text), joiners=True))
    safe = EMPTY_HEADER.sub(r"<td\1></td>", safe)  # a header that says nothing, as in pandas' corner, is none
    return inlined("".join(piece if piece.startswith("<") else literal(piece) for piece in TAGS.split(safe)))


def deep(text: str) -> bool:
    """Whether the HTML `text` has elements in elements in elements, which takes a parser for ever."""
    opened: Counter[str] = Counter()
    depth = 0
    for match in re.finditer(r"<(/?)([A-Za-z][A-Za-z0-9]*)", text):
        tag = match[2].lower()
        if match[1]:
            depth -= min(opened[tag], 1)
            opened[tag] = max(0, opened[tag] - 1)
        elif tag not in VOID:
            depth += 1
            opened[tag] += 1
        if depth > DEEPEST:
            return True
    return False


def visible(text: str) -> bool:
    """Whether there is anything to see in the sanitised `text`."""
    return "<img" in text or bool(html.unescape(TAGS.sub("", text)).strip())


def safe_image(match: re.Match[str]) -> str:
    """An image that is in its own data; a link to any other."""
    attributes = {name: html.unescape(value) for name, value in re.findall(r'([a-z]+)="([^"]*)"', match[1])}
    source, alt = attributes.get("src", ""), attributes.get("alt", "")
    if DATA_IMAGE.fullmatch(source):
        return f'<img src="{attribute(source)}" alt="{attribute(alt)}" class="mnb-image">'
    return image_link(source, alt)


def image_link(source: str, alt: str) -> str:
    """A link in the place of an image from elsewhere: whoever serves it would learn of the reader."""
    source = normalizeLink(source)
    host = host_of(source)
    if not host:
        return f"[{escaped(alt, joiners=True) or 'image'}]"
    words = f": {escaped(alt, joiners=True)}" if alt else ""
    link = f'href="{attribute(source)}" rel="nofollow noopener noreferrer" target="_blank"'
    return f'<a {link} class="mnb-link">[image at {escaped(host)}{words}]</a>'
