"""The words that every rendering of a transcript uses."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from mojentic_nb.display.blocks import Block, Failure, ReasoningBlock, Status, ToolBlock, ToolState
from mojentic_nb.llm.text import printable, printable_json

from .values import short

__all__ = [
    "AT_ONCE",
    "ICONS",
    "STATES",
    "children",
    "duration",
    "failed_with",
    "fenced",
    "result_text",
    "short_arguments",
    "status_words",
    "thought",
    "title",
]

AT_ONCE = 0.05  # seconds; what took less was there at once, as all is that no model answers

ICONS: dict[ToolState, str] = {
    "streaming": "○",
    "waiting": "○",
    "approval": "?",
    "running": "●",
    "done": "✓",
    "failed": "✗",
    "denied": "⊘",
    "timed_out": "✗",
    "cancelled": "⊘",
}
STATES: dict[ToolState, str] = {
    "streaming": "being called",
    "waiting": "waiting",
    "approval": "waiting for approval",
    "running": "running",
    "done": "",
    "failed": "failed",
    "denied": "denied",
    "timed_out": "timed out",
    "cancelled": "cancelled",
}


def children(blocks: Sequence[Block]) -> Mapping[int | None, list[int]]:
    """The indices of the blocks in each block, and of those in none, in order."""
    inside: defaultdict[int | None, list[int]] = defaultdict(list)
    for index, block in enumerate(blocks):
        inside[block["parent"]].append(index)
    return inside


def duration(seconds: float | None) -> str:
    """A time that something took: ``0.42 s``, ``7.3 s``, ``2 min 5 s``; "" for none, and for at once."""
    if seconds is None or seconds < AT_ONCE:
        return ""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes} min {left} s" if left else f"{minutes} min"


def status_words(status: Status) -> list[str]:
    """The parts of the status line, but for how the run ended."""
    first = duration(status["first_token_seconds"])
    return [
        word
        for word in (
            status["model"],
            tokens(status),
            rate(status["tokens_per_second"]),
            f"first token {first}" if first else "",
            duration(status["seconds"]),
        )
        if word
    ]


def rate(tokens_per_second: float | None) -> str:
    """How fast the answer came; "" if that can't be told."""
    if not tokens_per_second:
        return ""
    return f"{tokens_per_second:.1f} tokens/s" if tokens_per_second < 10 else f"{tokens_per_second:,.0f} tokens/s"


def tokens(status: Status) -> str:
    """What a run cost: ``1,204 tokens in (1,024 cached), 340 out``; ``340 tokens`` where only those are known."""
    asked, answered = status["input_tokens"], status["output_tokens"]
    cached = f" ({status['cached_tokens']:,} cached)" if status["cached_tokens"] else ""
    reasoned = f" ({status['reasoning_tokens']:,} reasoning)" if status["reasoning_tokens"] else ""
    if asked:
        return f"{asked:,} tokens in{cached}, {answered:,} out{reasoned}"
    return f"{answered:,} token{'s' * (answered != 1)}{reasoned}" if answered else ""


def title(block: ToolBlock) -> str:
    """A call in one line: ``✓ weather(city="Paris") · 0.42 s``."""
    called = f"{ICONS[block['state']]} {printable(short(block['name'], 80))}({short_arguments(block)})"
    return " · ".join(filter(None, (called, STATES[block["state"]], duration(block["seconds"]))))


def thought(block: ReasoningBlock) -> str:
    """What stands over reasoning: ``Reasoning · 2.5 s``."""
    return " · ".join(filter(None, ("Reasoning", duration(block["seconds"]))))


def short_arguments(block: ToolBlock) -> str:
    """The arguments of a call for one line, while they come their JSON."""
    return printable_json(short(block["arguments"], 80) if block["state"] == "streaming" else block["summary"])


def failed_with(error: Failure) -> str:
    """What went wrong, as Python says it: ``ValueError: no such city``."""
    return ": ".join(filter(None, (error["type"], error["message"])))


def result_text(block: ToolBlock) -> str:
    """The result of a call as text: what a person sees where that is text, else what the model was told."""
    if block["error"]:
        return failed_with(block["error"])
    texts = [part["text"] for part in block["display"] or () if "text" in part]
    return "\n".join(texts) or block["output"] or ""


def fenced(text: str, language: str = "") -> str:
    """`text` as a Markdown code block, whatever is in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"
