"""For code that runs inside a tool: which call it runs for, and where its printed text goes."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, ClassVar

from mojentic_nb.llm.messages import LLMToolCall
from mojentic_nb.llm.pictures import draw_picture, figure_of

__all__ = ["PRINTED", "RUNNING", "Printed"]

HALF = 2000  # characters of printed text that the model reads, from its beginning and from its end
OVERWRITTEN = re.compile(r"[^\n]*\r(?!\n)")  # by a progress bar


class Displayed:
    """What a tool displays, as Jupyter knows it: data by its media types."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = dict(data)

    def _repr_mimebundle_(self) -> dict[str, Any]:
        return self.data

    @property
    def image(self) -> str | None:
        """The image in it, as a ``data:`` URI."""
        for kind in ("image/png", "image/jpeg"):
            if data := self.data.get(kind):
                text = data if isinstance(data, str) else base64.b64encode(data).decode()
                return f"data:{kind};base64,{''.join(text.split())}"
        return None


def holds(value: object, figure: object) -> bool:
    """Whether a person who sees `value` sees `figure`."""
    parts = [value, *value] if isinstance(value, list | tuple) else [value]
    return any(figure_of(part) is figure for part in parts)


class Printed:
    """What a tool prints and displays. Whoever redirects these writes it here, from any thread.

    `figures` are those of pyplot that it opens, and may leave open; noted where `keeps_figures`.
    """

    keeps_figures: ClassVar[bool] = False

    def __init__(self) -> None:
        self.displayed: list[Displayed] = []
        self.figures: list[Any] = []
        self._before_pyplot = "matplotlib.pyplot" not in sys.modules
        self._beginning = ""
        self._end = ""
        self._left_out = 0

    def write(self, text: str) -> None:
        """Take a piece of it; of a long text, its middle is not kept."""
        room = HALF - len(self._beginning)
        self._beginning += text[:room]
        end = self._end + text[room:]
        self._end = OVERWRITTEN.sub("", end)[-HALF:]
        self._left_out += len(end) - len(self._end)

    def display(self, data: Mapping[str, Any]) -> None:
        """Take something that is displayed."""
        displayed = Displayed(data)
        if data.keys() - {"text/plain"}:
            self.displayed.append(displayed)
        self.write("[displayed image]\n" if displayed.image else f"{data.get('text/plain', '')}\n")

    def display_figures(self, returned: object) -> None:
        """Display and close the figures that are still open; one that was `returned` is shown as the result."""
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is None or not self.keeps_figures or "inline" not in pyplot.get_backend():
            return
        managers = sys.modules["matplotlib._pylab_helpers"].Gcf.get_all_fig_managers()
        still_open = [manager.canvas.figure for manager in managers]
        # Nobody noted the figures of a tool that was the first to load pyplot.
        for figure in (each for each in still_open if self._before_pyplot or each in self.figures):
            pyplot.close(figure)
            with suppress(Exception):  # of code that is not ours: a figure that can't be drawn
                if not holds(returned, figure) and (picture := draw_picture(figure)):
                    self.display({"image/png": base64.b64encode(picture).decode()})

    @property
    def text(self) -> str:
        """The text, with a word on what was left out."""
        gap = f"\n… ({self._left_out:,} more characters)\n" if self._left_out else ""
        return OVERWRITTEN.sub("", f"{self._beginning}{gap}{self._end}").strip("\n")


RUNNING: ContextVar[LLMToolCall | None] = ContextVar("mojentic_nb_call", default=None)
"""The call for which the current context runs a tool; None outside of a tool."""

PRINTED: ContextVar[Printed | None] = ContextVar("mojentic_nb_printed", default=None)
"""Where text goes that this context prints; None for the usual place."""
