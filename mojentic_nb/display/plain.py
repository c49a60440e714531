"""Text that is safe to write to a terminal or a notebook's stream."""

from __future__ import annotations

__all__ = ["printable"]

C0 = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\n\t"}
C1 = dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
BIDI = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], 0xFFFD)
# Control characters could recolour, overwrite, retitle or reorder what the reader sees.
CONTROLS = {**C0, 0x7F: 0x2421, **C1, **BIDI}


def printable(text: str) -> str:
    """`text` with its control characters made visible, but for line ends and tabs: no model's text is to be trusted."""
    return text.replace("\r\n", "\n").translate(CONTROLS)
