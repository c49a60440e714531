"""A transcript as plain text: what a terminal, a search and a screen reader get.

A transcript as Markdown: for a file, an issue, a message.

The answer stands in it as it came. Whatever renders Markdown has to be one that takes no HTML from it: JupyterLab's
``text/markdown`` is not.
"""

from __future__ import annotations

import re

from mojentic_nb.display.blocks import Block, ToolBlock
from mojentic_nb.display.transcript import Transcript
from mojentic_nb.llm.text import printable, printable_json, printable_prose

from .labels import children, fenced, result_text, status_words, thought, title
from .values import pretty, short

__all__ = ["as_markdown", "as_text", "told"]

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


def as_markdown(transcript: Transcript) -> str:
    """The answer whole, tool calls with their arguments and results, reasoning as a quotation, notices, the status."""
    state = transcript.state()
    inside = children(state["blocks"])
    status = state["status"]

    def written(parent: int | None) -> list[str]:
        found = []
        for index in inside[parent]:
            found.append(block_markdown(state["blocks"][index]))
            found += [quoted(text) for text in written(index)]
        return found

    ended = [f"**{escaped(status['finish'])}**"] if status["finish"] else []
    footer = " · ".join([*map(escaped, status_words(status)), *ended])
    return "\n\n".join([*written(None), "---", footer]) + "\n"


def block_markdown(block: Block) -> str:
    """One block."""
    match block["kind"]:
        case "text":
            source = block.get("source")
            return fenced(block["text"], source) if source else closed(block["text"])
        case "reasoning":
            return quoted(f"*{thought(block)}*\n\n{closed(block['text'])}")
        case "notice":
            return f"**{block['level'].capitalize()}:** {escaped(block['text'])}"
        case _:
            return call_markdown(block)


def call_markdown(block: ToolBlock) -> str:
    """A call: its line, its arguments, what came of it."""
    pieces = [f"**{escaped(title(block))}**", fenced(printable_json(pretty(block["arguments"])), "json")]
    if result := result_text(block):
        pieces.append(fenced(printable(result, joiners=True)))
    return "\n\n".join(pieces)


def escaped(text: str) -> str:
    """`text` in one line, none of it Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&$-])", r"\\\1", " ".join(text.split()))


def quoted(text: str) -> str:
    """`text` as a quotation."""
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def closed(text: str) -> str:
    """`text` with the code block ended that it may have left open, which would swallow what follows."""
    fence = ""
    for line in text.split("\n"):
        found = re.match(r" {0,3}(`{3,}|~{3,})(.*)", line)
        if not found:
            continue
        run, rest = found.groups()
        if not fence:
            fence = "" if run[0] == "`" and "`" in rest else run
        elif run.startswith(fence) and not rest.strip():
            fence = ""
    return f"{text}\n{fence}" if fence else text
