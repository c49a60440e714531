"""A waterfall of requests, tool calls, waits and errors, as text and as static HTML.

The first part makes rows of the tracer's events, the second shows them. The HTML is a table with inline styles and no
script. JupyterLab shows it in untrusted notebooks, too: its sanitizer removes SVG, and of styles all colours but plain
ones. So bars are boxes, in colours that are visible on light and on dark, and text has the colour of its surroundings.
GitHub removes all styles and shows the table.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from mojentic_nb.llm import Usage

from .events import (
    LLMCallTracerEvent,
    LLMResponseTracerEvent,
    RetryTracerEvent,
    RunTracerEvent,
    TimedTracerEvent,
    ToolCallTracerEvent,
    TracerEvent,
    seconds,
    short,
    tokens,
)

__all__ = ["Waterfall", "ticks"]


@dataclass(frozen=True, slots=True)
class Row:
    """Something that took its time. `start` and `end` are in seconds since the epoch, `first` is a duration.

    `ended` says in a word how, `failure` why it failed, if it did.
    """

    kind: Literal["request", "tool", "retry", "error"]
    name: str
    start: float
    end: float
    ended: str
    failure: str = ""
    first: float | None = None
    usage: Usage | None = None
    speed: float | None = None


class Timeline:
    """The rows of `events`, ordered by when they began, and a summary of all of them."""

    def __init__(self, events: Sequence[TracerEvent]) -> None:
        self.rows = sorted(clipped(rows(events)), key=lambda row: (row.start, row.kind != "request"))
        self.start = min((row.start for row in self.rows), default=0.0)
        self.end = max((row.end for row in self.rows), default=0.0)
        self.usage = sum((row.usage for row in self.rows if row.usage), Usage())
        runs = [event for event in events if isinstance(event, RunTracerEvent)]
        self.outcome = (runs[-1].finish_reason or "failed") if runs else ""

    @property
    def duration(self) -> float:
        """How many seconds passed from the first beginning to the last end."""
        return self.end - self.start

    def summary(self) -> str:
        """The summary, in one line."""
        if not self.rows:
            return "No requests."
        counted = [counts(self.rows, "request"), counts(self.rows, "tool", "tool call"), counts(self.rows, "retry")]
        used = tokens(self.usage)
        parts = [
            ", ".join(filter(None, counted)),
            seconds(self.duration),
            f"{used} tokens" if used else "",
            self.outcome,
        ]
        return " · ".join(filter(None, parts))


def rows(events: Iterable[TracerEvent]) -> list[Row]:
    """Return a row for each of `events` that took time, and one for each request without a reply."""
    found: list[Row] = []
    sent: dict[tuple[str, str], LLMCallTracerEvent] = {}
    last = 0.0
    for event in events:
        last = max(last, event.timestamp)
        run = (event.correlation_id, event.run_id)
        match event:
            case LLMCallTracerEvent():
                sent[run] = event
            case LLMResponseTracerEvent():
                sent.pop(run, None)
                found.append(request(event))
            case ToolCallTracerEvent():
                found.append(tool(event))
            case RetryTracerEvent():
                name = f"wait before retry {event.attempt}"
                end = event.timestamp + positive(event.delay)
                found.append(Row("retry", name, event.timestamp, end, "retried", event.reason or "failed"))
            case RunTracerEvent() if (failure := described(event)) and all(row.failure != failure for row in found):
                found.append(Row("error", "end of the run", event.timestamp, event.timestamp, "failed", failure))
    found += [Row("request", event.model, event.timestamp, last, "under way") for event in sent.values()]
    return found


def request(event: LLMResponseTracerEvent) -> Row:
    """Return the row of a request."""
    return Row(
        "request",
        event.model,
        began(event),
        event.timestamp,
        "failed" if event.error is not None else event.finish_reason or "",
        described(event),
        first=event.time_to_first_token,
        usage=event.usage,
        speed=event.tokens_per_second,
    )


def described(event: LLMResponseTracerEvent | RunTracerEvent) -> str:
    """Return the error of a request or a run; "" if it didn't fail."""
    return ": ".join(filter(None, [event.error_type, event.error]))


def tool(event: ToolCallTracerEvent) -> Row:
    """Return the row of a tool call, with the reason if it failed."""
    failure = (event.result or "failed") if event.is_error else ""
    return Row("tool", event.tool_name, began(event), event.timestamp, event.outcome, failure)


def began(event: TimedTracerEvent) -> float:
    """Return when the event began."""
    return event.timestamp - positive(event.duration)


def positive(time: float) -> float:
    """Return a duration that can be drawn, whatever a program recorded."""
    return time if math.isfinite(time) and time > 0 else 0.0


def clipped(found: list[Row]) -> list[Row]:
    """Return the rows; a wait that was cut short ends with the last of the other rows."""
    end = max((row.end for row in found if row.kind != "retry"), default=math.inf)
    return [replace(row, end=max(row.start, min(row.end, end))) if row.kind == "retry" else row for row in found]


def counts(found: Iterable[Row], kind: str, name: str = "") -> str:
    """Return the number of rows of a kind in words; nothing if there are none."""
    count = sum(row.kind == kind for row in found)
    plural = "retries" if kind == "retry" else f"{name or kind}s"
    return f"{count:,} {plural if count > 1 else name or kind}" if count else ""


def ticks(duration: float, most: int = 6) -> list[tuple[float, str]]:
    """Return round times from 0 to `duration`, at most `most` after the first, with their labels."""
    if duration <= 0:
        return [(0.0, "0")]
    unit, name = next((unit, name) for limit, unit, name in UNITS if duration < limit)
    least = duration / unit / most
    size = 10.0 ** math.floor(math.log10(least))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= least * (1 - 1e-9))
    times = [number * step for number in range(int(duration / unit / step + 1e-9) + 1)]
    return [(time * unit, f"{round(time, 9):g} {name}" if time else "0") for time in times]


UNITS = [(1.0, 0.001, "ms"), (120.0, 1.0, "s"), (math.inf, 60.0, "min")]  # for durations below the first number


MOST_ROWS = 200
COLOURS = {"request": "#3b82c4", "tool": "#2f9e6e", "retry": "#d08a1d", "error": "#d64545"}
NAMES = {"request": "request, pale until its first token", "tool": "tool call", "retry": "wait", "error": "failed"}
HEADINGS = ["Took", "First token", "Tokens/s", "In (cached) → out", "Ended"]
TABLE = "width:100%;min-width:640px;table-layout:auto;border:none;border-collapse:collapse;font-size:12px"
CELL = "border:none;padding:0 12px 0 0;line-height:22px;vertical-align:top;text-align:left;white-space:nowrap"
NUMBER = CELL.replace("text-align:left", "text-align:right")
HEAD = CELL.replace("22px", "1.3").replace("top", "bottom") + ";font-weight:bold"
TICK = "font-weight:normal;white-space:nowrap;opacity:0.7"
INSIDE = 88  # percent of the scale; what is written further on would stick out
WRAPPED = CELL.replace("nowrap", "normal").replace("22px", "1.4")
FAILED = f";color:{COLOURS['error']}"
INDENT = "&nbsp;" * 4  # of rows below a request; padding would be lost where styles are removed
BARS = 32  # characters of the text's bars
FORMULA = re.compile(r"\$|\\(?=[\\()\[\]{}]|begin|end)")  # where one begins


class Place(NamedTuple):
    """Where a row's bar is, in hundredths of the whole: its left edge, its width, and its part before the token."""

    left: float
    width: float
    waiting: float


class Waterfall:
    """The waterfall of `events`: ``print`` it, or have a notebook show it. It shows the first 200 rows."""

    def __init__(self, events: Sequence[TracerEvent]) -> None:
        self._timeline = Timeline(events)
        self._rows = self._timeline.rows[:MOST_ROWS]
        left_out = len(self._timeline.rows) - len(self._rows)
        self._rest = f"… and {left_out:,} more" if left_out else ""

    def __repr__(self) -> str:
        return "<Waterfall>"

    def __str__(self) -> str:
        table = [
            ["Step", f"0{seconds(self._timeline.duration):>{BARS - 1}}", *HEADINGS],
            *([name(row), self._bar(row), *values(row)[:-1], ended(row)] for row in self._rows),
        ]
        widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
        lines = [
            "  ".join(
                cell.rjust(width) if 2 <= column <= 4 else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in table
        ]
        return "\n".join([self._timeline.summary(), *(lines if self._rows else []), *filter(None, [self._rest])])

    def _repr_html_(self) -> str:
        caption = f"<caption style='{WRAPPED};caption-side:top'>{self._caption()}</caption>"
        if not self._rows:
            return f"<table style='border:none'>{caption}</table>"
        body = "".join(map(self._html_row, self._rows))
        rest = f"<tr><td style='{CELL}'>{self._rest}</td></tr>" if self._rest else ""
        return (
            f"<div style='overflow-x:auto'><table style='{TABLE}'>{caption}<thead>{self._head()}</thead>"
            f"<tbody>{body}{rest}</tbody></table></div>"
        )

    def _caption(self) -> str:
        kinds = [kind for kind in NAMES if any(kind == colour(row) for row in self._rows)]
        legend = " ".join(
            f"<span style='white-space:nowrap;padding-right:14px'><span style='display:inline-block;width:10px;"
            f"height:10px;border-radius:2px;background-color:{COLOURS[kind]}'></span> {NAMES[kind]}</span>"
            for kind in kinds
        )
        return f"<strong>{escaped(self._timeline.summary())}</strong><div>{legend}</div>"

    def _head(self) -> str:
        marks = " ".join(
            f"<span style='position:absolute;bottom:0;left:{self._percent(time):.2f}%;{TICK}'>{text}</span>"
            for time, text in ticks(self._timeline.duration)
            if self._percent(time) < INSIDE
        )
        scale = f"<div style='position:relative;height:22px;min-width:240px'>{marks}</div>"
        cells = [
            f"<th scope='col' style='{HEAD}'>Step</th>",
            f"<th scope='col' style='{HEAD};width:55%' title='When'>{scale}</th>",
            *(f"<th scope='col' style='{HEAD}'>{text}</th>" for text in HEADINGS),
        ]
        return f"<tr style='border:none'>{''.join(cells)}</tr>"

    def _html_row(self, row: Row) -> str:
        *numbers, ended = map(escaped, values(row))
        cells = [
            f"<th scope='row' style='{CELL};font-weight:normal'>{escaped(name(row)).replace('  ', INDENT)}</th>",
            f"<td style='{CELL}'>{self._html_bar(row)}</td>",
            *(f"<td style='{NUMBER}'>{text}</td>" for text in numbers),
            f"<td style='{CELL}{FAILED if row.failure else ''}'>{ended}</td>",
        ]
        line = f"<tr style='border:none' title='{html.escape(short(row.name, 200))}'>{''.join(cells)}</tr>"
        if not row.failure:
            return line
        why = f"<td colspan='6' style='{WRAPPED}'>{escaped(short(row.failure, 300))}</td>"
        return f"{line}<tr style='border:none'><td style='{CELL}'></td>{why}</tr>"

    def _html_bar(self, row: Row) -> str:
        place = self._place(row)
        lines = "".join(
            f"<div style='position:absolute;left:{self._percent(time):.2f}%;top:0;height:22px;width:0;"
            "border-left:1px solid;opacity:0.12'></div>"
            for time, _ in ticks(self._timeline.duration)
        )
        fill = f"background-color:{COLOURS[colour(row)]}"
        waiting = f"<div style='width:{place.waiting:.2f}%;{fill};opacity:0.4'></div>" if place.waiting else ""
        marker = ";border-left:2px solid" if row.first is not None else ""
        bar = (
            f"<div style='position:absolute;left:{place.left:.2f}%;width:{place.width:.2f}%;min-width:3px;top:6px;"
            f"height:10px;display:flex'>{waiting}<div style='flex:1;{fill}{marker}'></div></div>"
        )
        return f"<div style='position:relative;height:22px;min-width:240px'>{lines}{bar}</div>"

    def _percent(self, time: float) -> float:
        return 100 * (time / self._timeline.duration) if self._timeline.duration else 0.0

    def _place(self, row: Row) -> Place:
        first = min(row.first or 0.0, row.end - row.start)
        left, width = self._percent(row.start - self._timeline.start), self._percent(row.end - row.start)
        return Place(left, width, 100 * (first / (row.end - row.start)) if first else 0.0)

    def _bar(self, row: Row) -> str:
        """Return the row's bar as text."""
        place = self._place(row)
        left = min(int(place.left * BARS / 100), BARS - 1)
        width = max(1, min(round(place.width * BARS / 100), BARS - left))
        waiting = min(math.ceil(width * place.waiting / 100), width - 1)
        mark = {"request": "█", "tool": "▓", "retry": "┄", "error": "✕"}[row.kind]
        return " " * left + "░" * waiting + mark * (width - waiting)


def escaped(text: str) -> str:
    """Return `text` for HTML as it is: without markup, and without formulas, which JupyterLab would typeset."""
    return FORMULA.sub(r"<span>\g<0></span>", html.escape(text))


def name(row: Row) -> str:
    """Return the row's name; all but requests are indented."""
    return short(row.name.strip(), 32) if row.kind == "request" else f"  {short(row.name.strip(), 30)}"


def colour(row: Row) -> str:
    """Return the kind that decides the row's colour."""
    return "error" if row.failure and row.kind != "retry" else row.kind


def values(row: Row) -> list[str]:
    """Return the columns after the bar."""
    return [
        seconds(row.end - row.start) if row.kind != "error" else "",
        "" if row.first is None else seconds(row.first),
        "" if row.speed is None else f"{row.speed:,.0f}",
        tokens(row.usage).replace(" cached", "") if row.usage else "",
        f"✕ {short(row.ended, 40)}" if row.failure else short(row.ended, 40),
    ]


def ended(row: Row) -> str:
    """Return how the row ended, and why if it failed, in one line."""
    return ": ".join(filter(None, [values(row)[-1], short(row.failure, 80)]))
