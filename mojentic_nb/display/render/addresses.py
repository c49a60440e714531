"""URLs: a Markdown rule that turns those in the text into links, and the host that a browser would go to."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

__all__ = ["add_addresses", "host_of"]

LONGEST = 2_000  # characters; servers take no more, and a longer one would be scanned again from each part
SCHEME = re.compile(r"(?<![A-Za-z0-9.+-])https?$", re.IGNORECASE)
# The characters that end a URL; the last ones are East Asian.
END = r"\s<>\"`|\\\u2018-\u201f\u2026\u3001\u3002\u300a-\u3011\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f"
REST = re.compile(f"://[^/?#{END}][^{END}]*")
PAIRS = {")": "(", "]": "[", "}": "{"}
TRAILING = set("?!.,:;*_~'") | set(PAIRS)
# A host of ASCII letters, or one in brackets. Browsers decode and map others, and take a backslash for a slash.
HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\]")
NUMBER = re.compile(r"(?:\d+|0x[0-9a-f]*)\.?")


def add_addresses(parser: MarkdownIt) -> None:
    """Add the rule to `parser`, for URLs that begin with http:// or https://."""
    parser.inline.ruler.after("text", "address", read_address)


def read_address(state: StateInline, silent: bool) -> bool:
    """Read the URL at a colon, whose scheme comes before it."""
    if silent or state.linkLevel or state.src[state.pos] != ":":
        return False
    scheme = SCHEME.search(state.pending[-6:])
    rest = scheme and REST.match(state.src, state.pos, min(state.posMax, state.pos + LONGEST))
    if not scheme or not rest or rest.end() == state.pos + LONGEST:
        return False
    url = scheme[0] + trim(rest[0])
    link = state.md.normalizeLink(url)
    if len(url) <= len(scheme[0]) + len("://") or not state.md.validateLink(link):
        return False
    state.pending = state.pending[: -len(scheme[0])]
    state.push("link_open", "a", 1).attrs = {"href": link}
    state.push("text", "", 0).content = state.md.normalizeLinkText(url)
    state.push("link_close", "a", -1)
    state.pos += len(url) - len(scheme[0])
    return True


def trim(text: str) -> str:
    """Remove the sentence's marks at the end of a URL, except a bracket that the URL opens."""
    end = len(text)
    while end and text[end - 1] in TRAILING:
        last = text[end - 1]
        if last in PAIRS and text.count(PAIRS[last], 0, end) >= text.count(last, 0, end):
            break
        end -= 1
    return text[:end]


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
