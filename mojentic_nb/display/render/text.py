"""A transcript as plain text: what a terminal, a search and a screen reader get."""

from __future__ import annotations

from mojentic_nb.display.blocks import Block
from mojentic_nb.display.transcript import Transcript
from mojentic_nb.llm.text import printable_prose

from .labels import children, result_text, status_words, thought, title
from .values import short

__all__ = ["as_text", "told"]

SIGNS = {"info": "", "warning": "Note: ", "error": "Error: "}
INDENT = "    "


def as_text(transcript: Transcript) -> str:
    """The answer whole, and a line for each tool call, notice and stretch of reasoning; last the status.

    Every character of it is visible.
    """
    state = transcript.state()
    inside = children(state["blocks"])
    status = state["status"]

    def lines(parent: int | None) -> list[str]:
        found = []
        for index in inside[parent]:
            found.append(told(state["blocks"][index]))
            found += [indented(text) for text in lines(index)]
        return found

    ended = [status["finish"]] if status["finish"] else []
    return printable_prose("\n\n".join([*lines(None), " · ".join([*status_words(status), *ended])]))


def told(block: Block) -> str:
    """One block."""
    match block["kind"]:
        case "text":
            return block["text"]
        case "reasoning":
            return thought(block)
        case "notice":
            return SIGNS[block["level"]] + block["text"]
        case _:
            result = short(result_text(block))
            return title(block) + (f"\n{INDENT}{result}" if result else "")


def indented(text: str) -> str:
    """`text` further to the right."""
    return "\n".join(INDENT + line for line in text.split("\n"))
