"""Text in which every character can be seen."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mojentic_nb.llm.text import printable, printable_json, printable_prose

# Written out, for what is tested is that nobody overlooks them.
HIDDEN = [*range(0x200B, 0x2010), 0x61C, *range(0x2060, 0x2065), *range(0x2066, 0x206A), *range(0x202A, 0x202F), 0xFEFF]
HIDDEN += [
    0xAD,
    0x3164,
    0x115F,
    0x1160,
    0xFFA0,
    0x2028,
    0x2029,
    0x180E,
    *range(0xE0100, 0xE01F0),
    *range(0xE0000, 0xE0080),
]
HIDDEN += [0, 7, 8, 0x0D, 0x1B, 0x7F, 0x85, 0x9B, 0x34F, 0x17B4, 0x1D173, 0xFE00, 0xFFF9, 0xD800]
JOINED = {
    "an emoji of several": "\U0001f469\u200d\U0001f4bb",
    "an emoji with a skin": "\U0001f469\U0001f3fd\u200d\U0001f4bb",
    "an emoji with a selector": "\u2764\ufe0f\u200d\U0001f525",
    "a Persian word": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "a Hindi word": "\u0915\u094d\u200d\u0937",
    "a Sinhala word": "\u0dc1\u0dca\u200d\u0dbb\u0dd3",
}
MIXED = st.text(st.one_of(st.characters(), st.sampled_from([*map(chr, HIDDEN), *"".join(JOINED.values()), *'":,\\{}'])))


@pytest.mark.parametrize("code", HIDDEN, ids=hex)
def test_what_cannot_be_seen_is_shown(code: int):
    """Between letters, digits and signs of any kind, at both ends, and twice."""
    for before in ("", "a", "1", " ", "\u0645", "\U0001f469"):
        text = before + chr(code) * 2 + "b" + chr(code)

        for shown in (printable(text), printable(text, joiners=True)):
            assert chr(code) not in shown
            assert len(shown) == len(text)


def test_lines_and_tabs_stay():
    assert printable("a\tb\r\nc\nd\r") == "a\tb\nc\nd\u240d"
    assert printable("\x1b[2J\x7f\x9b") == "\u241b[2J\u2421\ufffd"


@pytest.mark.parametrize("text", JOINED.values(), ids=JOINED)
def test_a_joiner_stays_where_it_is_needed_but_not_in_names(text: str):
    assert printable(text, joiners=True) == text
    assert printable(text) == re.sub("[\u200c\u200d]", "\ufffd", text)


@pytest.mark.parametrize(
    "text",
    [
        "a\u200db",
        "\u200d\U0001f4bb",
        "\U0001f469\u200d",
        "\U0001f469\u200c\U0001f4bb",
        "\U0001f469\u200d\u200d\U0001f4bb",
        "\u0645\u200ca",
        "\u0645\u200c\u0937",
        "\u0661\u200c\u0662",
        "\u0645\u200c",
        "\u200c\u0645",
    ],
)
def test_a_joiner_that_joins_nothing_is_shown(text: str):
    shown = printable(text, joiners=True)

    assert not re.search("[\u200c\u200d]", shown)
    assert len(shown) == len(text)


def test_an_emoji_keeps_its_look_and_nothing_else_has_one():
    for text in ("\u26a0\ufe0f", "\u2714\ufe0e", "1\ufe0f\u20e3"):
        assert printable(text) == text
    for text in ("a\ufe0f", "1\ufe0f", "\ufe0f\u20e3", "\u26a0\ufe0f\ufe0f"):
        assert "\ufffd" in printable(text)


def test_json_shows_all_in_names_and_joins_in_values():
    word = JOINED["a Persian word"]
    shown = word.replace("\u200c", "\ufffd")

    assert printable_json(f'{{"{word}" : "{word}", "a": ["{word}\u200b", {word}]}}') == (
        f'{{"{shown}" : "{word}", "a": ["{word}\ufffd", {shown}]}}'
    )
    assert printable_json(f'{word}="{word}", b="\\"{word}') == f'{shown}="{word}", b="\\"{word}'


@pytest.mark.parametrize(
    ("block", "inside"),
    [
        ("```py\n{}\n```\n", True),
        ("~~~\r\n{}\r\n~~~\r\n", True),
        ("  ````\n```\n{}\n`````\n", True),
        ("```\nx\n```\n{}\n```\nx\n```\n", False),
        ("``\n{}\n``\n", False),
        ("``` `x`\n{}\n", False),
        ("    ```\n{}\n    ```\n", False),
        ("~~~ `x`\n{}\n~~~\n", True),
        ("```\nx\n    ```\n{}\n```\n", True),
    ],
)
def test_joiners_stay_in_prose_and_not_in_fenced_code(block: str, inside: bool):
    word = JOINED["a Persian word"]
    around = f"{word}\n{block.format(word)}{word}"

    shown = printable_prose(around)

    assert shown.count("\ufffd") == inside
    assert shown.startswith(f"{word}\n")
    assert shown.endswith(word)


@given(MIXED)
def test_no_text_hides_anything(text: str):
    """Nor is anything that was to be seen changed; and what was shown once is not changed again."""
    for shown in (printable(text), printable(text, joiners=True), printable_json(text)):
        assert printable(shown, joiners=True) == shown
        for at, character in enumerate(shown):
            if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or ord(character) in HIDDEN:
                assert character in "\n\t\u200c\u200d"
            if character in "\u200c\u200d":
                assert 0 < at < len(shown) - 1
    lines = text.replace("\r\n", "\n")
    for before, after in zip(lines, printable(text), strict=True):
        assert after == before or not before.isalnum() or ord(before) in HIDDEN
    assert not re.search("[\u200c\u200d]", printable(text))
