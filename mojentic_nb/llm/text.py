"""Text that shows all that is in it, and changes nothing around it.

What a model, a tool or a server writes may hold characters that recolour, overwrite, retitle or reorder what the reader
sees, and others that have no shape: words that only the model reads, or two names that look alike. Each of them becomes
a visible one. An emoji keeps what selects its look.
"""

from __future__ import annotations

import re
import unicodedata
from functools import partial

__all__ = ["JOINERS", "SURROGATE", "fence_after", "join_surrogates", "printable", "printable_json", "printable_prose"]

SURROGATE = re.compile("[\ud800-\udfff]")
# Controls except tabs and line ends, directions, Unicode's separators of lines, what it calls default ignorable, and
# halves of characters.
# https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff\ud800-\udfff]"
)
EMOJI = re.compile(
    "[\xa9\xae\u203c\u2049\u2122\u2139\u2190-\u27bf\u2900-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff]"
)
KEYS = set("#*0123456789")  # which a selector and what follows it draw as ones of a telephone
SELECTORS = "\ufe0e\ufe0f"  # of text or picture
JOINERS = "\u200c\u200d"
# Scripts in which a joiner within a word changes how its letters look, by the first word of their letters' names.
JOINED = {"ARABIC", "SYRIAC", "NKO", "MONGOLIAN", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL"}
JOINED |= {"TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "TIBETAN", "MYANMAR", "KHMER", "BALINESE", "JAVANESE"}
FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,}).*")  # https://spec.commonmark.org/0.31.2/#fenced-code-blocks
STRING = re.compile(r'("(?:[^"\\]|\\.)*+"?+(?:\s*:)?)', re.DOTALL)


def printable(text: str, *, joiners: bool = False) -> str:
    """Return `text` with every character in it visible, except line ends and tabs.

    With `joiners`, for prose and the values of strings, those stay that hold an emoji together or that stand between
    two letters of a script that needs them (Persian, say). Names and code are to be written without.
    """
    return HIDDEN.sub(partial(seen, joiners=joiners), text.replace("\r\n", "\n"))


def printable_prose(text: str) -> str:
    """Return Markdown with every character visible; joiners stay outside fenced blocks, which are code."""
    fence, made = "", []
    for line in text.replace("\r\n", "\n").split("\n"):
        made.append(printable(line, joiners=not fence))
        fence = fence_after(fence, line)
    return "\n".join(made)


def fence_after(fence: str, line: str) -> str:
    """Return the fence of the Markdown code block that is open after `line`, before which `fence` is; "" for none."""
    if not fence:
        return opened[1] if (opened := FENCE.match(line)) else ""
    return "" if re.match(rf" {{0,3}}{fence}{fence[0]}*[ \t\r]*$", line) else fence


def printable_json(text: str) -> str:
    """Return JSON `text`, maybe cut off, with every character visible; joiners stay in the values of strings."""
    pieces = STRING.split(text)
    return "".join(printable(piece, joiners=piece[:1] == '"' and piece[-1:] != ":") for piece in pieces)


def seen(found: re.Match[str], *, joiners: bool) -> str:
    """What to show of a character that could not be seen."""
    character, text = found[0], found.string
    before, after = text[max(0, found.start() - 2) : found.start()], text[found.end() : found.end() + 1]
    if character in SELECTORS and (EMOJI.match(before[-1:]) or (before[-1:] in KEYS and after == "\u20e3")):
        return character
    if joiners and character in JOINERS and (joins_letters(before, after) or joins_emoji(character, before, after)):
        return character
    if character < " ":
        return chr(0x2400 + ord(character))
    return "\u2421" if character == "\x7f" else "\ufffd"


def joins_emoji(joiner: str, before: str, after: str) -> bool:
    """Whether `joiner` stands between two emoji."""
    first = before[-1:] if before[-1:] not in SELECTORS else before[:1]
    return joiner == "\u200d" and bool(EMOJI.match(first) and EMOJI.match(after))


def joins_letters(before: str, after: str) -> bool:
    """Whether a joiner stands between two letters, or marks of letters, of one script that has joiners."""
    scripts = {script(before[-1:]), script(after)}
    return len(scripts) == 1 and scripts <= JOINED


def script(character: str) -> str:
    """The script of a letter, or of a mark on one; "" for anything else."""
    is_letter = character and unicodedata.category(character)[0] in "LM" and not HIDDEN.match(character)
    return unicodedata.name(character, "").partition(" ")[0] if is_letter else ""


def join_surrogates(text: str) -> str:
    """Return `text` with pairs of surrogates joined, and those that are alone replaced."""
    if text.isascii() or not SURROGATE.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
