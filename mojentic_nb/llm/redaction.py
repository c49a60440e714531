"""Removing secrets from texts. No other module knows what a secret looks like.

A secret is a value that the caller names, the value of an environment variable whose name says so, text in a form that
its issuer documents, such as ``ghp_…``, or the value of a field such as ``"password"``. Each is found as it is, and
escaped in JSON, URLs and HTML: text with escapes is searched a second time without them. Every search is linear in the
length of the text.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import string
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from .arguments import nests_deeper
from .errors import ConfigurationError

__all__ = ["DEEPEST", "Redaction", "as_secrets", "forms_of", "occurrences", "replace_spans", "without_secrets"]

Span = tuple[int, int]

SECRET = "(secret)"  # noqa: S105 (its replacement)
DEEPEST = 150  # levels of JSON in a recording; arguments of calls have up to 100
SHORTEST = 8  # characters; a shorter value may be a word of the text
NAME_LENGTH = 64  # characters of a name that are searched
NAME_CHARACTERS = f"{string.ascii_letters}{string.digits}_-"
VALUE = r"[\w.~+/=@%!#^&*$:-]{8,}"

# Environment variables, in capitals. KEY, PAT, PASS and PWD are words of their own: MY_KEY_2, not MONKEY or PATH.
VARIABLES = re.compile(
    r"TOKEN(?![A-Z])|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|COOKIE|CONNECTION_STRING"
    r"|(?:(?<![A-Z])|(?<=API)|(?<=ACCESS)|(?<=AUTH))KEY(?![A-Z])|(?<![A-Z])(?:PASS|PAT|PWD|DSN)(?![A-Z])"
)
# Variables with the place or kind of a secret, and the shell's current folder.
PLACES = re.compile(r"^(?:OLD)?PWD$|_(?:FILE|PATH|DIR|FOLDER|SOCK|NAME|TYPE|HELPER|LENGTH|TTL|EXPIRY)$")
# Fields in JSON, and settings whose value is in quotes. A bare "key" or "token" is more often an ordinary word.
FIELDS = re.compile(
    r"(?:password|passwd|passphrase|secret|[_-](?:pwd|pat)"
    r"|(?:api|access|account|private|secret|signing|encryption|auth)[_-]?key"
    r"|(?:api|access|auth|bearer|refresh|session)[_-]?token)\d*$",
    re.IGNORECASE,
)
# How issuers begin their secrets, and what follows.
ISSUED = {
    "sk-": r"(?!learn)(?=[\w-]*\d)[\w-]{12,}",  # OpenAI, Anthropic, OpenRouter, DeepSeek
    "gh": r"[pousr]_[A-Za-z0-9_]{20,}",  # GitHub
    "github_pat_": r"\w{20,}",
    "gl": r"(?:pat|dt|rt|cbt|ptt|oas|ft)-[\w-]{16,}",  # GitLab
    "hf_": r"[A-Za-z0-9]{16,}",  # Hugging Face
    "gsk_": r"[A-Za-z0-9]{16,}",  # Groq
    "xai-": r"[A-Za-z0-9]{16,}",
    "r8_": r"[A-Za-z0-9]{16,}",  # Replicate
    "pplx-": r"[A-Za-z0-9]{16,}",  # Perplexity
    "nvapi-": r"[\w-]{16,}",
    "npm_": r"[A-Za-z0-9]{16,}",
    "pypi-": r"(?=[\w-]*\d)(?=[\w-]*[A-Z])[\w-]{16,}",
    "dckr_pat_": r"[\w-]{16,}",  # Docker
    "xox": r"[abeoprs]-[\w-]{10,}",  # Slack
    "xapp-": r"\d-[\w-]{10,}",
    "hooks.slack.com/": r"(?:services|workflows|triggers)/[\w/-]{16,}",
    "AIza": r"[\w-]{30,}",  # Google
    "ya29.": r"[\w-]{16,}",
    "GOCSPX-": r"[\w-]{16,}",
    "AKIA": r"[0-9A-Z]{16}\b",  # AWS
    "ASIA": r"[0-9A-Z]{16}\b",
    "SG.": r"[\w-]{16,}\.[\w-]{16,}",  # SendGrid
    "sk_": r"(?:live|test)_[A-Za-z0-9]{16,}",  # Stripe
    "rk_": r"(?:live|test)_[A-Za-z0-9]{16,}",
    "whsec_": r"[A-Za-z0-9+/=]{16,}",
    "dop_v1_": r"[0-9a-f]{32,}",  # DigitalOcean
    "shp": r"(?:at|ss|ca|pa)_[0-9a-fA-F]{32}",  # Shopify
    "glsa_": r"\w{16,}",  # Grafana
    "lin_api_": r"[A-Za-z0-9]{16,}",  # Linear
    "ATATT3": r"[\w=.-]{16,}",  # Atlassian
    "AGE-SECRET-KEY-1": r"[0-9A-Z]{16,}",
    "eyJ": r"[\w-]{8,}\.[\w-]{8,}\.[\w-]+",  # JSON web tokens
}
ESCAPES = re.compile(
    r"((?<!\\)\\++(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|[\"'/nrtbf])|%(?:25)*[0-7][0-9a-fA-F]"
    r"|&(?:amp|lt|gt|quot|apos|#39|#x27);)"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A form of secrets: `pattern` matches one, or has it as its group.

    It begins with `anchor`, and is only tried on text that contains that: Python finds a literal many times faster than
    an alternative or a lookbehind, so the pattern checks the character before the literal after it.
    """

    anchor: str
    pattern: re.Pattern[str]
    holds: Callable[[re.Match[str]], bool] = bool


@cache
def rules() -> tuple[Rule, ...]:
    """Return the forms; they are compiled at the first use, since importing the package must be fast."""
    issued = (
        Rule(start, re.compile(rf"{re.escape(start)}(?<![\w+/-]{re.escape(start)}){rest}"))
        for start, rest in ISSUED.items()
    )
    private_key = (
        r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
        r"(?=[ \t]*\r?\n|(?:(?!-----)[\s\S])*?[A-Za-z0-9+/=]{16})"
        r"(?:(?:(?!-----)[\s\S])*+-----END [A-Z0-9 ]{0,45}-----|\s*+(?:[A-Za-z0-9+/=]{16,}+\s*+)++)"  # whole, or cut
    )
    return (
        *issued,
        Rule("-----BEGIN ", re.compile(private_key)),
        Rule("earer ", re.compile(r"earer (?<=[Bb]earer )(?=\S*\d)([\w.~+/=-]{8,})")),
        Rule("asic ", re.compile(r"asic (?<=[Bb]asic )([A-Za-z0-9+/]{8,}={0,2})"), is_basic),
        Rule("://", re.compile(r"://([^\s/:@?#\"'<>]*:[^\s/@?#\"'<>]+)@")),
        Rule("sig=", re.compile(r"sig=(?<=[?&;]sig=)([\w%+/=-]{20,})")),  # Azure's shared access signatures
        Rule("Key=", re.compile(r"Key=([A-Za-z0-9+/]{40,}={0,2})")),  # and its connection strings
        Rule("=", re.compile(rf"=[\"']?({VALUE})"), names_variable),
        Rule("", re.compile(rf"[:=]\s{{0,4}}[\"']({VALUE})[\"']"), names_field),
    )


def is_basic(match: re.Match[str]) -> bool:
    """Return whether the match is a user and password in the encoding of HTTP's Basic authentication."""
    try:
        return b":" in base64.b64decode(match[1], validate=True)
    except ValueError:
        return False


def names_variable(match: re.Match[str]) -> bool:
    """Return whether the environment variable before the match is a secret's."""
    return names_secret(name_before(match))


def names_field(match: re.Match[str]) -> bool:
    """Return whether the field before the match is a secret's."""
    return bool(FIELDS.search(name_before(match)))


def name_before(match: re.Match[str]) -> str:
    """Return the name before the match."""
    before = match.string[max(0, match.start() - NAME_LENGTH) : match.start()].rstrip().rstrip("\"'")
    return before[len(before.rstrip(NAME_CHARACTERS)) :]


def names_secret(name: str) -> bool:
    """Return whether the value of the environment variable `name` is secret."""
    return bool(VARIABLES.search(name)) and not PLACES.search(name)


def secret_variables() -> Iterator[str]:
    """Yield the values of the environment's secret variables."""
    for name, value in os.environ.items():
        if len(value) >= SHORTEST and names_secret(name.upper()):
            yield value


@dataclass(frozen=True, slots=True)
class Redaction:
    """What to remove, and its replacements."""

    known: tuple[str, ...] = field(repr=False)
    places: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, secrets: Iterable[str]) -> Redaction:
        """Return one that removes these `secrets`, the environment's current ones, and what looks like one."""
        places = [(Path.cwd(), "."), (Path.home(), "~")]
        return cls(
            forms_of(*filter(None, secrets), *secret_variables()),
            tuple((str(place), short) for place, short in places if place != place.parent),
        )

    @classmethod
    def of_secrets(cls) -> Redaction:
        """Return one that keeps the names of folders."""
        return cls(forms_of(*secret_variables()), ())

    def text(self, text: str) -> str:
        """Return `text` without secrets; a second time changes nothing."""
        text = replace_spans(text, self._secrets, SECRET)
        for place, short in self.places:
            if place in text:
                text = re.sub(rf"(?<![\w.~-]){re.escape(place)}(?![\w-]|\.\w)", short, text)
        return text

    def value(self, value: Any) -> Any:  # noqa: ANN401 (JSON)
        """Return a JSON value without secrets in its texts; raise ConfigurationError if it is nested too deeply."""
        if nests_deeper(value, DEEPEST):
            raise ConfigurationError("The request or its reply is nested too deeply to be recorded.")
        return self._value(value)

    def _value(self, value: Any) -> Any:  # noqa: ANN401
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(name): self._field(name, item) for name, item in value.items()}
            case list() | tuple():
                return [self._value(item) for item in value]
        return value

    def _field(self, name: str, item: Any) -> Any:  # noqa: ANN401
        secret = isinstance(item, str) and FIELDS.search(name) and re.fullmatch(VALUE, item)
        return SECRET if secret else self._value(item)

    def _secrets(self, text: str) -> Iterator[Span]:
        yield from occurrences(text, self.known)
        for rule in rules():
            if rule.anchor in text:
                for match in rule.pattern.finditer(text):
                    if rule.holds(match):
                        yield match.span(rule.pattern.groups)


def without_secrets(text: str) -> str:
    """Return `text` without the environment's secrets and what looks like one."""
    return Redaction.of_secrets().text(text)


def as_secrets(given: str | Iterable[str]) -> tuple[str, ...]:
    """Return the `given` secrets, which may be a single one."""
    return (given,) if isinstance(given, str) else tuple(given)


def forms_of(*secrets: str) -> tuple[str, ...]:
    """Return the `secrets` and their escaped forms, the longest first."""
    forms = {form for secret in secrets for form in (secret, *escaped_forms(secret))}
    return tuple(sorted(forms, key=len, reverse=True))


def escaped_forms(secret: str) -> Iterator[str]:
    """Yield the forms that :func:`unescape` can't read: spaces and non-ASCII characters in URLs, backslashes."""
    for safe in ("", string.printable):
        yield quote(secret, safe, errors="replace")
    yield quote_plus(secret, errors="replace")
    yield repr(secret)[1:-1]
    for ascii_only in (False, True):
        yield (once := json.dumps(secret, ensure_ascii=ascii_only)[1:-1])
        yield json.dumps(once, ensure_ascii=ascii_only)[1:-1]


def occurrences(text: str, secrets: Iterable[str]) -> Iterator[Span]:
    """Yield where the `secrets` are in `text`."""
    for secret in secrets:
        start = text.find(secret)
        while start >= 0:
            end = start + len(secret)
            yield start, end
            start = text.find(secret, end)


def replace_spans(text: str, find: Callable[[str], Iterable[Span]], stand_in: str) -> str:
    """Return `text` with `stand_in` for what `find` finds in it, or in it without escapes."""
    text = splice(text, find(text), stand_in)
    if "\\" in text or "%" in text or "&" in text:
        plain, position = unescape(text)
        text = splice(text, [(position(start), position(end)) for start, end in find(plain)], stand_in)
    return text


def splice(text: str, spans: Iterable[Span], stand_in: str) -> str:
    """Return `text` with `stand_in` for each of the `spans`; overlapping ones are one."""
    parts: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start >= done:
            parts += text[done:start], stand_in
        done = max(done, end)
    return "".join([*parts, text[done:]])


def unescape(text: str) -> tuple[str, Callable[[int], int]]:
    """Return `text` without escapes, and a function from a position in that to one in `text`."""
    parts = ESCAPES.split(text)  # literal, escape, literal, …
    ends = [0, *accumulate(map(len, parts))]
    parts[1::2] = map(character, parts[1::2])
    plain_ends = [0, *accumulate(map(len, parts))]

    def position(at: int) -> int:
        part = bisect_right(plain_ends, at) - 1
        return ends[part] + at - plain_ends[part]

    return "".join(parts), position


@lru_cache(maxsize=4096)
def character(escape: str) -> str:
    """Return the character of an escape."""
    if escape.startswith("&"):
        return html.unescape(escape)
    letter = escape.lstrip("\\")[:1]
    if escape.startswith("%") or letter in "ux":
        return chr(int(escape[-4 if letter == "u" else -2 :], 16))
    return {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}.get(letter, letter)
