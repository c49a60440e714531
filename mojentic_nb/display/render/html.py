"""A transcript as safe HTML, without a script, a style sheet or the network.

A notebook saves this as the answer. It looks as the live view did at its end. Tool calls and reasoning fold with
``<details>``. Without the extra ``html``, Markdown is shown as plain text.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mojentic_nb.display.blocks import Block, NoticeBlock, Part, State, Status, ToolBlock, ToolState
from mojentic_nb.display.transcript import Transcript

from .escape import escape_attribute, escape_code, escape_html
from .highlight import highlight
from .labels import (
    ICONS,
    STATES,
    failure_text,
    fence,
    format_duration,
    group_by_parent,
    reasoning_title,
    short_arguments,
    status_words,
)
from .styles import inline_styles
from .tex import Allowance
from .values import indent_json, one_line

__all__ = ["as_html"]

TONES: dict[ToolState, str] = {"done": "good", "failed": "bad", "timed_out": "bad", "denied": "wary"}
TONES |= {"cancelled": "wary", "approval": "wary"}
SIGNS = {"info": "", "warning": "⚠ ", "error": "✗ "}
MOST = 400_000  # characters of an answer to render as Markdown; each of the marks counts as twenty more
MARKS = "[*_~`|$&<\\\n"
CLOSED = {"done", "cancelled"}  # a card in any other state is open

Folds = Mapping[tuple[int, str], bool]
"""What the reader opened or closed: a block by its index and "", a fold within its card by *traceback* or *told*."""


def as_html(transcript: Transcript, folds: Folds = MappingProxyType({})) -> str:
    """Render a transcript in any state, open or closed as the reader left it (`folds`)."""
    state = transcript.state()
    page = Page(state, folds)
    return inline_styles(f'<div class="mnb-root">{page.inside(None)}{status_html(state["status"])}</div>')


class Page:
    """Renders blocks, those within a tool call in its card."""

    def __init__(self, state: State, folds: Folds) -> None:
        self._blocks = state["blocks"]
        self._failed = state["status"]["state"] == "failed"
        self._folds = folds
        self._children = group_by_parent(state["blocks"])
        self._formulas = Allowance()
        self._left = MOST

    def inside(self, parent: int | None) -> str:
        """Render the blocks within that tool block, or at the top."""
        return "".join(self.block(index, self._blocks[index]) for index in self._children.get(parent, ()))

    def block(self, index: int, block: Block) -> str:
        """Render one block."""
        match block["kind"]:
            case "text" if source := block.get("source"):
                shown = self.prose(fence(block["text"], source))
                return self.details(index, "", "fold", "What the model wrote", shown, opened=self._failed)
            case "text":
                return self.prose(block["text"])
            case "reasoning":
                label = reasoning_title(block) if block["seconds"] is not None else "Reasoning …"
                body = f'<div class="mnb-reasoning-body">{self.prose(block["text"])}</div>'
                return self.details(index, "", "reasoning", label, body, opened=block["seconds"] is None)
            case "notice":
                return notice_html(block)
            case _:
                return self.card(index, block)

    def card(self, index: int, block: ToolBlock) -> str:
        """Render a tool call."""
        arguments = "" if block["arguments"] == "{}" else highlight(indent_json(block["arguments"]), "json")
        pieces = (
            section("Arguments", pre("code", arguments)) if arguments else "",
            progress_html(block),
            f'<div class="mnb-children">{inside}</div>' if (inside := self.inside(index)) else "",
            self.result(index, block),
        )
        body = f'<div class="mnb-body">{"".join(pieces)}</div>' if any(pieces) else ""
        return self.details(index, "", "card", header_html(block), body, opened=block["state"] not in CLOSED)

    def result(self, index: int, block: ToolBlock) -> str:
        """Render a call's result, and what the model read if that differs."""
        pieces = []
        if error := block["error"]:
            pieces.append(section("Error", pre("error", escape_code(failure_text(error), joiners=True))))
            if error["traceback"]:
                trace = pre("code", escape_code(error["traceback"]))
                pieces.append(self.details(index, "traceback", "fold", "Traceback", trace))
        if block["display"]:
            pieces.append(section("Result", '<div class="mnb-gap"></div>'.join(map(self.part, block["display"]))))
        if block["output"] is not None:
            output = pre("wrapped", escape_code(block["output"], joiners=True))
            pieces.append(self.details(index, "told", "fold", "What the model was told", output))
        return "".join(pieces)

    def part(self, part: Part) -> str:
        """Render a part of a result."""
        match part["type"]:
            case "json":
                return pre("code", highlight(part["text"], "json"))
            case "text":
                return pre("wrapped", escape_code(part["text"], joiners=True))
            case "markdown":
                return f'<div class="mnb-result">{self.prose(part["text"])}</div>'
            case "image":
                source, alt = escape_attribute(part["src"]), escape_attribute(part["alt"])
                return f'<img src="{source}" alt="{alt}" class="mnb-image">'
            case _:
                return f'<div class="mnb-result">{part["html"]}</div>'

    def prose(self, text: str) -> str:
        """Render Markdown."""
        self._left -= len(text) + 20 * sum(map(text.count, MARKS))
        if self._left < 0:
            return plain_html(text)
        try:
            from .markdown import render_markdown
        except ImportError:
            return plain_html(text)
        return f'<div class="mnb-prose">{render_markdown(text, self._formulas)}</div>'

    def details(self, index: int, part: str, style: str, label: str, content: str, *, opened: bool = False) -> str:
        """Render a fold as the reader left it, or else `opened` or closed."""
        state = " open" if self._folds.get((index, part), opened) else ""
        summarize_arguments = f'<summary class="mnb-{style}-summary">{label}</summary>'
        return f'<details class="mnb-{style}"{state}>{summarize_arguments}{content}</details>'


def header_html(block: ToolBlock) -> str:
    """Render a card's first line: icon, name, short arguments, state, duration."""
    tone = TONES.get(block["state"], "busy")
    state = STATES[block["state"]]
    pieces = (
        f'<span class="mnb-icon mnb-{tone}">{ICONS[block["state"]]}</span>',
        f'<span class="mnb-name">{escape_html(one_line(block["name"], 80))}</span>',
        f'<code class="mnb-arguments">{escape_code(short_arguments(block), joiners=True)}</code>',
        f'<span class="mnb-state mnb-{tone}">{state}</span>' if state else "",
        f'<span class="mnb-aside">{took}</span>' if (took := format_duration(block["seconds"])) else "",
    )
    return f'<span class="mnb-header">{" ".join(filter(None, pieces))}</span>'


def section(label: str, content: str) -> str:
    """Render a labelled part of a card's body."""
    return f'<div class="mnb-label">{label}</div>{content}'


def pre(style: str, content: str) -> str:
    """Render preformatted text in that style."""
    return f'<pre class="mnb-{style}">{content}</pre>'


def progress_html(block: ToolBlock) -> str:
    """Render the last progress that a running tool reported."""
    if block["progress"] is None or block["state"] not in ("running", "approval"):
        return ""
    return f'<div class="mnb-aside">{escape_html(block["progress"], joiners=True)}</div>'


def notice_html(block: NoticeBlock) -> str:
    """Render a notice."""
    text = SIGNS[block["level"]] + escape_html(block["text"], joiners=True)
    return f'<div class="mnb-notice-{block["level"]}">{text}</div>'


def status_html(status: Status) -> str:
    """Render the status line, with how the run ended unless it ended normally."""
    words = " · ".join(map(escape_html, status_words(status)))
    tone = "bad" if status["state"] == "failed" else "wary"
    finish = f' · <strong class="mnb-{tone}">{escape_html(status["finish"])}</strong>' if status["finish"] else ""
    return f'<div class="mnb-status"><span class="mnb-aside">{words}</span>{finish}</div>'


def plain_html(text: str) -> str:
    """Render plain text."""
    return f'<div class="mnb-plain" dir="auto">{escape_html(text, joiners=True)}</div>'
