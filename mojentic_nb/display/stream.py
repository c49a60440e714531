"""A streamed answer as plain text on standard output, and a line below it that says who answered.

The same in a notebook and in a terminal: each character is written once, and the saved notebook has the text.
"""

from __future__ import annotations

import html
import sys
import time
from typing import TextIO

from IPython import get_ipython
from IPython.display import display

from mojentic_nb.llm import Run, TextDelta

from .plain import printable

__all__ = ["show"]

FLUSH_PERIOD = 0.05  # seconds; a message per token would meet Jupyter's limit of 1,000 a second and lose text
REASONS = {
    "stop": "",
    "length": "cut off at the token limit",
    "content_filter": "ended by the provider's content filter",
}


def show(run: Run, name: str) -> None:
    """Write `run` to standard output as it streams, then a line with the model's `name`, the tokens and the time.

    An interrupt ends the provider's request, keeps what has arrived, says so and goes on as KeyboardInterrupt; an
    error of the run is raised after the text that had come.
    """
    started = time.monotonic()
    pieces = 0
    out = Writer(sys.stdout, live=not headless())
    try:
        with run:
            for event in run:
                if isinstance(event, TextDelta):
                    out.write(event.delta)
                    pieces += 1
    except KeyboardInterrupt:
        out.end()
        footer(name, f"stopped after {pieces} tokens", f"{time.monotonic() - started:.1f} s")
        raise
    finally:
        out.end()
    tokens = run.usage.output_tokens or pieces
    footer(name, f"{tokens} tokens", f"{time.monotonic() - started:.1f} s", REASONS.get(str(run.finish_reason), ""))


def headless() -> bool:
    """Whether nobody watches: nbclient, nbconvert, papermill and nbval run a kernel without standard input."""
    kernel = getattr(get_ipython(), "kernel", None)
    return kernel is not None and not kernel._allow_stdin  # noqa: SLF001 (there is no public way to tell)


class Writer:
    """Writes text that comes in pieces, free of control characters.

    When `live`, at a rate that a notebook bears; else all at once in the end, since a program that runs a notebook
    saves every flush as an output of its own, which tears the text apart.
    """

    def __init__(self, out: TextIO, *, live: bool) -> None:
        self._out = out
        self._live = live
        self._period = 0 if out.isatty() else FLUSH_PERIOD
        self._flushed = 0.0
        self._kept: list[str] = []
        self._last = "\n"

    def write(self, text: str) -> None:
        """Write `text`; a kernel flushes what is left over by itself, within 0.2 s."""
        text = printable(text)
        self._last = text[-1:] or self._last
        if not self._live:
            self._kept.append(text)
            return
        self._out.write(text)
        if time.monotonic() - self._flushed >= self._period:
            self._out.flush()
            self._flushed = time.monotonic()

    def end(self) -> None:
        """Show all, with the last line ended. Does nothing the second time."""
        if self._last != "\n":
            self._kept.append("\n")
            self._last = "\n"
        self._out.write("".join(self._kept))
        self._out.flush()
        self._kept.clear()


def footer(*parts: str) -> None:
    """Show `parts` as one quiet line."""
    line = printable(" · ".join(filter(None, parts)))
    quiet = f'<small style="opacity: 0.65">{html.escape(line)}</small>'
    display({"text/html": quiet, "text/plain": line}, raw=True)  # type: ignore[no-untyped-call]
