"""Taking out of a text what is nobody else's business, before it is written to a file that others will read.

These are API keys and passwords by their looks, the values of environment variables whose names say that they are some,
and where on this machine the program runs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Redaction"]

SECRET = "(secret)"  # noqa: S105 (what stands for one)
LOOKS = (
    r"(?<![\w-])sk-[\w-]{16,}",  # OpenAI, Anthropic, OpenRouter, DeepSeek
    r"\b(?:gh[pousr]_|github_pat_|glpat-|hf_|gsk_|xai-|r8_)[\w-]{16,}",
    r"\bxox[abeprs]-[\w-]{10,}",
    r"\bAIza[\w-]{30,}",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]+",  # a JSON web token
    r"(?<=Bearer )(?=\S*\d)[\w.~+/=-]{8,}",
    r"(?<=://)[^\s/:@]+:[^\s/@]+(?=@)",  # a URL's user and password
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----",
)
NAMES = re.compile("(KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
SHORTEST = 8  # characters; a shorter value may be a word of the text


@dataclass(frozen=True, slots=True)
class Redaction:
    """What is taken out, and what stands for it."""

    secrets: re.Pattern[str]
    places: tuple[tuple[re.Pattern[str], str], ...]

    @classmethod
    def of(cls, secrets: Iterable[str]) -> Redaction:
        """One that takes out these `secrets`, those of the environment as it is now, and what looks like one."""
        named = [value for name, value in os.environ.items() if NAMES.search(name) and len(value) >= SHORTEST]
        known = sorted({*filter(None, secrets), *named}, key=len, reverse=True)
        places = [(Path.cwd(), "."), (Path.home(), "~")]
        return cls(
            re.compile("|".join([*map(re.escape, known), *LOOKS]), re.DOTALL),
            tuple(
                (re.compile(rf"(?<![\w.~-]){re.escape(str(place))}(?![\w-]|\.\w)"), short)
                for place, short in places
                if place != place.parent
            ),
        )

    def text(self, text: str) -> str:
        """`text` without them; doing it twice changes nothing."""
        text = self.secrets.sub(SECRET, text)
        for place, short in self.places:
            text = place.sub(short, text)
        return text

    def value(self, value: Any) -> Any:  # noqa: ANN401 (JSON)
        """The same for every text in a value of JSON."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {name: self.value(item) for name, item in value.items()}
            case list() | tuple():
                return [self.value(item) for item in value]
        return value
