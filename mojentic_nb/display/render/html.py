"""A transcript as HTML that is safe and needs nothing: no script, no style sheet, no network.

It is what a notebook keeps of an answer, and looks as the live view did at its end. Calls and reasoning fold by
``<details>``. Where the extra ``html`` is not installed, Markdown is shown as the text that it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mojentic_nb.display.blocks import Block, NoticeBlock, Part, State, Status, ToolBlock, ToolState
from mojentic_nb.display.transcript import Transcript

from .escape import attribute, code, escaped
from .highlight import highlighted
from .labels import ICONS, STATES, children, duration, failed_with, fenced, short_arguments, status_words, thought
from .styles import inlined
from .tex import Allowance
from .values import pretty, short

__all__ = ["as_html"]

TONES: dict[ToolState, str] = {"done": "good", "failed": "bad", "timed_out": "bad", "denied": "wary"}
TONES |= {"cancelled": "wary", "approval": "wary"}
SIGNS = {"info": "", "warning": "⚠ ", "error": "✗ "}
MOST = 400_000  # of Markdown in an answer that is set, where a mark counts as much as twenty letters
MARKS = "[*_~`|$&<\\\n"
CLOSED = {"done", "cancelled"}  # what went wrong or goes on is open

Folds = Mapping[tuple[int, str], bool]
"""Whether the reader opened or closed what folds: a block by its index and "", *traceback* and *told* within a card."""


def as_html(transcript: Transcript, folds: Folds = MappingProxyType({})) -> str:
    """The whole transcript, whatever state it is in, with what the reader opened or closed (`folds`) as it was left."""
    state = transcript.state()
    page = Page(state, folds)
    return inlined(f'<div class="mnb-root">{page.inside(None)}{status_html(state["status"])}</div>')


class Page:
    """Writes blocks, those in a tool's card inside it."""

    def __init__(self, state: State, folds: Folds) -> None:
        self._blocks = state["blocks"]
        self._failed = state["status"]["state"] == "failed"
        self._folds = folds
        self._children = children(state["blocks"])
        self._formulas = Allowance()
        self._left = MOST

    def inside(self, parent: int | None) -> str:
        """The blocks in that tool block, or in none."""
        return "".join(self.block(index, self._blocks[index]) for index in self._children.get(parent, ()))

    def block(self, index: int, block: Block) -> str:
        """One block."""
        match block["kind"]:
            case "text" if source := block.get("source"):
                shown = self.prose(fenced(block["text"], source))
                return self.details(index, "", "fold", "What the model wrote", shown, opened=self._failed)
            case "text":
                return self.prose(block["text"])
            case "reasoning":
                label = thought(block) if block["seconds"] is not None else "Reasoning …"
                body = f'<div class="mnb-reasoning-body">{self.prose(block["text"])}</div>'
                return self.details(index, "", "reasoning", label, body, opened=block["seconds"] is None)
            case "notice":
                return notice(block)
            case _:
                return self.card(index, block)

    def card(self, index: int, block: ToolBlock) -> str:
        """A tool call."""
        arguments = highlighted_json(block["arguments"]) if block["arguments"] not in ("", "{}") else ""
        pieces = (
            section("Arguments", arguments) if arguments else "",
            progress(block),
            f'<div class="mnb-children">{inside}</div>' if (inside := self.inside(index)) else "",
            self.result(index, block),
        )
        body = f'<div class="mnb-body">{"".join(pieces)}</div>' if any(pieces) else ""
        return self.details(index, "", "card", header(block), body, opened=block["state"] not in CLOSED)

    def result(self, index: int, block: ToolBlock) -> str:
        """What came of a call, and what the model was told where that is something else."""
        pieces = []
        if error := block["error"]:
            pieces.append(section("Error", f'<pre class="mnb-error">{code(failed_with(error), joiners=True)}</pre>'))
            if error["traceback"]:
                trace = f'<pre class="mnb-code">{code(error["traceback"])}</pre>'
                pieces.append(self.details(index, "traceback", "fold", "Traceback", trace))
        if block["display"]:
            pieces.append(section("Result", "".join(map(self.part, block["display"]))))
        if block["output"] is not None:
            told = f'<pre class="mnb-wrapped">{code(block["output"], joiners=True)}</pre>'
            pieces.append(self.details(index, "told", "fold", "What the model was told", told))
        return "".join(pieces)

    def part(self, part: Part) -> str:
        """A piece of a result."""
        match part["type"]:
            case "json":
                return f'<pre class="mnb-code">{highlighted(part["text"], "json")}</pre>'
            case "text":
                return f'<pre class="mnb-wrapped">{code(part["text"], joiners=True)}</pre>'
            case "markdown":
                return f'<div class="mnb-result">{self.prose(part["text"])}</div>'
            case "image":
                return f'<img src="{attribute(part["src"])}" alt="{attribute(part["alt"])}" class="mnb-image">'
            case _:
                return f'<div class="mnb-result">{part["html"]}</div>'

    def prose(self, text: str) -> str:
        """Markdown."""
        self._left -= len(text) + 20 * sum(map(text.count, MARKS))
        if self._left < 0:
            return plain(text)
        try:
            from .markdown import rendered
        except ImportError:
            return plain(text)
        return f'<div class="mnb-prose">{rendered(text, self._formulas)}</div>'

    def details(self, index: int, part: str, style: str, label: str, content: str, *, opened: bool = False) -> str:
        """What folds, as the reader left it, else `opened` or not."""
        state = " open" if self._folds.get((index, part), opened) else ""
        summary = f'<summary class="mnb-{style}-summary">{label}</summary>'
        return f'<details class="mnb-{style}"{state}>{summary}{content}</details>'


def header(block: ToolBlock) -> str:
    """A card's first line: icon, name, short arguments, how it went, how long it took."""
    tone = TONES.get(block["state"], "busy")
    state = STATES[block["state"]]
    pieces = (
        f'<span class="mnb-icon mnb-{tone}">{ICONS[block["state"]]}</span>',
        f'<span class="mnb-name">{escaped(short(block["name"], 80))}</span>',
        f'<code class="mnb-arguments">{code(short_arguments(block), joiners=True)}</code>',
        f'<span class="mnb-state mnb-{tone}">{state}</span>' if state else "",
        f'<span class="mnb-aside">{took}</span>' if (took := duration(block["seconds"])) else "",
    )
    return f'<span class="mnb-header">{" ".join(filter(None, pieces))}</span>'


def section(label: str, content: str) -> str:
    """A part of a card's body."""
    return f'<div class="mnb-label">{label}</div>{content}'


def highlighted_json(text: str) -> str:
    """JSON, maybe not whole."""
    return f'<pre class="mnb-code">{highlighted(pretty(text), "json")}</pre>'


def progress(block: ToolBlock) -> str:
    """The last that a running tool reported."""
    if block["progress"] is None or block["state"] not in ("running", "approval"):
        return ""
    return f'<div class="mnb-aside">{escaped(block["progress"], joiners=True)}</div>'


def notice(block: NoticeBlock) -> str:
    """A sentence that is not the model's."""
    return (
        f'<div class="mnb-notice-{block["level"]}">{SIGNS[block["level"]]}{escaped(block["text"], joiners=True)}</div>'
    )


def status_html(status: Status) -> str:
    """The line below, with how the run ended where that is something to know."""
    words = " · ".join(map(escaped, status_words(status)))
    tone = "bad" if status["state"] == "failed" else "wary"
    finish = f' · <strong class="mnb-{tone}">{escaped(status["finish"])}</strong>' if status["finish"] else ""
    return f'<div class="mnb-status"><span class="mnb-aside">{words}</span>{finish}</div>'


def plain(text: str) -> str:
    """Text as it came."""
    return f'<div class="mnb-plain" dir="auto">{escaped(text, joiners=True)}</div>'
