"""HTML made safe by an allow-list: a second check for rendered Markdown, the only one for HTML from tools.

Needs nh3, of the extra ``html``.
"""

from __future__ import annotations

import html
import ipaddress
import re
from collections import Counter
from urllib.parse import urlsplit

import nh3
from markdown_it.common.normalize_url import normalizeLink

from mojentic_nb.llm.text import printable

from .escape import escape_attribute, escape_html, hide_formulas
from .styles import inline_styles

__all__ = ["SCHEMES", "is_deep", "is_visible", "link_to_image", "sanitize_html", "sanitize_prose"]

SCHEMES = {"http", "https", "mailto"}
LINKS = tuple(f"{scheme}:" for scheme in SCHEMES)
TEXT = {"strong", "em", "b", "i", "u", "s", "del", "ins", "sub", "sup", "small", "mark", "kbd", "samp", "var", "abbr"}
TEXT |= {"a", "br", "cite", "code", "q", "span"}
BLOCKS = {"p", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "ul", "ol", "li", "dl", "dt", "dd", "div"}
BLOCKS |= {"table", "caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td"}
FOLDS = {"details", "summary"}
CELL = {"colspan", "rowspan", "scope"}
# None of these can reach outside the box of the HTML, or load anything.
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


def keep_attribute(tag: str, name: str, value: str) -> str | None:
    """Keep an attribute's value, unless it is a link to a document within the link itself."""
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
    attribute_filter=keep_attribute,
    filter_style_properties=PROPERTIES,
    url_schemes=SCHEMES | {"data"},
    url_relative="deny",
    link_rel="nofollow noopener noreferrer",
)


def sanitize_prose(text: str) -> str:
    """Remove everything that the Markdown renderer never writes."""
    return PROSE.clean(text)


def sanitize_html(text: str) -> str:
    """Remove everything from a tool's HTML that could run, load, submit, or cover or name parts of the page."""
    safe = IMAGE.sub(make_image_safe, printable(FOREIGN.clean(text), joiners=True))
    safe = EMPTY_HEADER.sub(r"<td\1></td>", safe)  # an empty header, as in the corner of pandas' tables, isn't one
    pieces = (piece if piece.startswith("<") else hide_formulas(piece) for piece in TAGS.split(safe))
    return inline_styles("".join(pieces))


def is_deep(text: str) -> bool:
    """Whether the elements of the HTML `text` are nested so deep that a parser takes very long."""
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


def is_visible(text: str) -> bool:
    """Whether anything of the sanitised `text` is visible."""
    return "<img" in text or bool(html.unescape(TAGS.sub("", text)).strip())


def make_image_safe(match: re.Match[str]) -> str:
    """Keep an image with its own data, and make a link of any other."""
    attributes = {name: html.unescape(value) for name, value in re.findall(r'([a-z]+)="([^"]*)"', match[1])}
    source, alt = attributes.get("src", ""), attributes.get("alt", "")
    if DATA_IMAGE.fullmatch(source):
        return f'<img src="{escape_attribute(source)}" alt="{escape_attribute(alt)}" class="mnb-image">'
    return link_to_image(source, alt)


def link_to_image(source: str, alt: str) -> str:
    """Make a link to an image on a server, which would learn of the reader if it were loaded."""
    source = normalizeLink(source)
    host = host_of(source)
    if not host:
        return f"[{escape_html(alt, joiners=True) or 'image'}]"
    words = f": {escape_html(alt, joiners=True)}" if alt else ""
    link = f'href="{escape_attribute(source)}" rel="nofollow noopener noreferrer" target="_blank"'
    return f'<a {link} class="mnb-link">[image at {escape_html(host)}{words}]</a>'


# A host of ASCII letters, or one in brackets. Browsers decode and map others, and take a backslash for a slash.
HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\]")
NUMBER = re.compile(r"(?:\d+|0x[0-9a-f]*)\.?")


def host_of(url: str) -> str:
    """Return the host that a browser goes to for `url`; "" if that isn't certain.

    Browsers follow https://url.spec.whatwg.org, which repairs URLs that ``urlsplit`` reads differently.
    """
    if not url.isascii() or not url.isprintable() or re.search(r"[\s\\]", url):
        return ""
    try:
        parts = urlsplit(url)
        host = parts.netloc.lower().removesuffix(f":{parts.port}") if parts.port is not None else parts.netloc.lower()
        host = host.removesuffix(":")
        if parts.scheme not in ("http", "https") or not HOST.fullmatch(host):
            return ""
        if host.startswith("["):
            return f"[{ipaddress.IPv6Address(host[1:-1])}]"
        return str(ipaddress.IPv4Address(host)) if NUMBER.fullmatch(host.rpartition(".")[2]) else host
    except ValueError:
        return ""
