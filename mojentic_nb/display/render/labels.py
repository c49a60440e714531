"""The words that all renderings of a transcript share."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from mojentic_nb.display.blocks import Block, Failure, ReasoningBlock, Status, ToolBlock, ToolState
from mojentic_nb.llm.text import printable, printable_json

from .values import one_line

__all__ = [
    "AT_ONCE",
    "ICONS",
    "STATES",
    "call_title",
    "failure_text",
    "fence",
    "format_duration",
    "group_by_parent",
    "reasoning_title",
    "result_text",
    "short_arguments",
    "status_line",
    "status_words",
]

AT_ONCE = 0.05  # seconds; anything shorter doesn't count as a duration

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


def group_by_parent(blocks: Sequence[Block]) -> Mapping[int | None, list[int]]:
    """Group the indices of blocks by the block that contains them, None at the top."""
    inside: defaultdict[int | None, list[int]] = defaultdict(list)
    for index, block in enumerate(blocks):
        inside[block["parent"]].append(index)
    return inside


def format_duration(seconds: float | None) -> str:
    """Write a duration: ``0.42 s``, ``7.3 s``, ``2 min 5 s``; "" for None and for less than :data:`AT_ONCE`."""
    if seconds is None or seconds < AT_ONCE:
        return ""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes} min {left} s" if left else f"{minutes} min"


def status_words(status: Status) -> list[str]:
    """Return the parts of the status line, except how the run ended."""
    first = format_duration(status["first_token_seconds"])
    words = (
        status["model"],
        token_counts(status),
        token_rate(status["tokens_per_second"]),
        f"first token {first}" if first else "",
        format_duration(status["seconds"]),
    )
    return list(filter(None, words))


def status_line(status: Status) -> str:
    """Write the whole status line as plain text."""
    return " · ".join(filter(None, (*status_words(status), status["finish"])))


def token_counts(status: Status) -> str:
    """Write the tokens used: ``1,204 tokens in (1,024 cached), 340 out``; ``340 tokens`` if only these are known."""
    asked, answered = status["input_tokens"], status["output_tokens"]
    cached = f" ({status['cached_tokens']:,} cached)" if status["cached_tokens"] else ""
    reasoned = f" ({status['reasoning_tokens']:,} reasoning)" if status["reasoning_tokens"] else ""
    about = "≈" * status["estimated"]
    if asked:
        return f"{about}{asked:,} tokens in{cached}, {about}{answered:,} out{reasoned}"
    return f"{about}{answered:,} token{'s' * (answered != 1)}{reasoned}" if answered else ""


def token_rate(tokens_per_second: float | None) -> str:
    """Write how fast the answer arrived; "" if unknown."""
    if not tokens_per_second:
        return ""
    return f"{tokens_per_second:.1f} tokens/s" if tokens_per_second < 10 else f"{tokens_per_second:,.0f} tokens/s"


def call_title(block: ToolBlock) -> str:
    """Write a tool call in one line: ``✓ weather(city="Paris") · 0.42 s``."""
    call = f"{ICONS[block['state']]} {printable(one_line(block['name'], 80))}({short_arguments(block)})"
    return " · ".join(filter(None, (call, STATES[block["state"]], format_duration(block["seconds"]))))


def reasoning_title(block: ReasoningBlock) -> str:
    """Write the title of reasoning: ``Reasoning · 2.5 s``."""
    return " · ".join(filter(None, ("Reasoning", format_duration(block["seconds"]))))


def short_arguments(block: ToolBlock) -> str:
    """Write a call's arguments in one line; while they stream, the beginning of their JSON."""
    return printable_json(one_line(block["arguments"], 80) if block["state"] == "streaming" else block["summary"])


def failure_text(error: Failure) -> str:
    """Write an error as Python does: ``ValueError: no such city``."""
    return ": ".join(filter(None, (error["type"], error["message"])))


def result_text(block: ToolBlock) -> str:
    """Return a call's result as text: what a person sees if that is text, else what the model read."""
    if block["error"]:
        return failure_text(block["error"])
    texts = [part["text"] for part in block["display"] or () if "text" in part]
    return "\n".join(texts) or block["output"] or ""


def fence(text: str, language: str = "") -> str:
    """Make a Markdown code block of `text`, whatever it contains."""
    marks = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{marks}{language}\n{text}\n{marks}"
