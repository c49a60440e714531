"""A transcript as text: plain, for a terminal, a search or a screen reader; or Markdown, for a file or a message.

The Markdown contains the answer as it arrived. Show it only where HTML in Markdown is escaped: JupyterLab's
``text/markdown`` lets HTML through.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from mojentic_nb.display.blocks import Block, ToolBlock
from mojentic_nb.display.transcript import Transcript
from mojentic_nb.llm.text import fence_after, printable, printable_json, printable_prose

from .labels import call_title, fence, group_by_parent, reasoning_title, result_text, status_line, status_words
from .values import indent_json, one_line

__all__ = ["as_markdown", "as_text", "block_as_text"]

SIGNS = {"info": "", "warning": "Note: ", "error": "Error: "}
INDENT = "    "


def as_text(transcript: Transcript) -> str:
    """Write the whole answer, and a line for each tool call, notice and stretch of reasoning; the status at the end.

    Every character is visible.
    """
    state = transcript.state()
    pieces = nested(state["blocks"], block_as_text, indent)
    return printable_prose("\n\n".join([*pieces, status_line(state["status"])]))


def block_as_text(block: Block) -> str:
    """Write one block."""
    match block["kind"]:
        case "text":
            return block["text"]
        case "reasoning":
            return reasoning_title(block)
        case "notice":
            return SIGNS[block["level"]] + block["text"]
        case _:
            result = one_line(result_text(block))
            return call_title(block) + (f"\n{INDENT}{result}" if result else "")


def as_markdown(transcript: Transcript) -> str:
    """Write the whole answer, tool calls with arguments and results, reasoning as a quotation, notices, the status."""
    state = transcript.state()
    pieces, status = nested(state["blocks"], block_as_markdown, quote), state["status"]
    ended = [f"**{escape_markdown(status['finish'])}**"] if status["finish"] else []
    footer = " · ".join([*map(escape_markdown, status_words(status)), *ended])
    return "\n\n".join([*pieces, "---", footer]) + "\n"


def block_as_markdown(block: Block) -> str:
    """Write one block."""
    match block["kind"]:
        case "text":
            source = block.get("source")
            return fence(block["text"], source) if source else close_fence(block["text"])
        case "reasoning":
            return quote(f"*{reasoning_title(block)}*\n\n{close_fence(block['text'])}")
        case "notice":
            return f"**{block['level'].capitalize()}:** {escape_markdown(block['text'])}"
        case _:
            return call_as_markdown(block)


def call_as_markdown(block: ToolBlock) -> str:
    """Write a call: its title, its arguments, its result."""
    pieces = [f"**{escape_markdown(call_title(block))}**"]
    pieces.append(fence(printable_json(indent_json(block["arguments"])), "json"))
    if result := result_text(block):
        pieces.append(fence(printable(result, joiners=True)))
    return "\n\n".join(pieces)


def nested(blocks: list[Block], write: Callable[[Block], str], set_off: Callable[[str], str]) -> list[str]:
    """Write all blocks in order; those within a tool call follow it, `set_off`."""
    inside = group_by_parent(blocks)

    def written(parent: int | None) -> list[str]:
        found = []
        for index in inside[parent]:
            found.append(write(blocks[index]))
            found += map(set_off, written(index))
        return found

    return written(None)


def indent(text: str) -> str:
    """Indent `text`."""
    return "\n".join(INDENT + line for line in text.split("\n"))


def quote(text: str) -> str:
    """Make `text` a quotation."""
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def escape_markdown(text: str) -> str:
    """Write `text` in one line without Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&$-])", r"\\\1", " ".join(text.split()))


def close_fence(text: str) -> str:
    """Close the code block that `text` may leave open, which would swallow what follows."""
    open_fence = ""
    for line in text.split("\n"):
        open_fence = fence_after(open_fence, line)
    return f"{text}\n{open_fence}" if open_fence else text
