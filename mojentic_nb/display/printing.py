"""What a tool prints stays with its call, and all else goes where it always does: to the cell, or to the terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from IPython import get_ipython

from mojentic_nb.llm.tools.running import PRINTED, Printed

from .surface import kernel

__all__ = ["keeping_prints"]

WIDGET = "application/vnd.jupyter.widget-view+json"


class Redirect:
    """Stands before the text stream `stream`: text of a tool goes to its call."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 (a kernel's is no file)
        self.stream = stream

    def write(self, text: str) -> int:
        """Write `text`."""
        printed = PRINTED.get()
        (self.stream if printed is None else printed).write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write the lines."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (the stream's)
        return getattr(self.stream, name)


def keeping_publish(publish: Callable[..., object]) -> Callable[..., object]:
    """What IPython's ``display`` calls in place of `publish`: what a tool displays goes to its call, except widgets."""

    def keep(data: Mapping[str, Any], *args: Any, **options: Any) -> object:  # noqa: ANN401 (IPython's)
        printed = PRINTED.get()
        if printed is None or WIDGET in data:
            return publish(data, *args, **options)
        if not options.get("update"):
            printed.display(data)
        return None

    return keep


HOOKS = "figure.hooks"
HOOK = f"{__name__}:note_figure"


def note_figure(figure: object) -> None:
    """Note a figure that a tool opens: the inline backend would show it below the cell.

    Matplotlib calls this for each figure that pyplot makes, as its setting ``figure.hooks`` says.
    """
    if (printed := PRINTED.get()) is not None:
        printed.figures.append(figure)


def note_figures(*, noted: bool) -> None:
    """Have tools' figures noted, or no longer."""
    Printed.keeps_figures = noted
    if "matplotlib.pyplot" in sys.modules:
        settings = sys.modules["matplotlib"].rcParams
        settings[HOOKS] = [*(hook for hook in settings[HOOKS] if hook != HOOK), *([HOOK] if noted else [])]


lock = threading.Lock()
blocks = 0


@contextmanager
def keeping_prints() -> Iterator[None]:
    """Keep what tools print in the block; of several blocks at once, the last one to end restores the streams."""
    global blocks  # noqa: PLW0603 (as global as the streams)
    with lock:
        blocks += 1
        if blocks == 1:
            sys.stdout, sys.stderr = Redirect(sys.stdout), Redirect(sys.stderr)
            if kernel():
                publisher = get_ipython().display_pub
                publisher.publish = keeping_publish(publisher.publish)
                note_figures(noted=True)
    try:
        yield
    finally:
        with lock:
            blocks -= 1
            if not blocks:
                if kernel():
                    vars(get_ipython().display_pub).pop("publish", None)
                    note_figures(noted=False)
                for name in ("stdout", "stderr"):
                    if isinstance(found := getattr(sys, name), Redirect):  # else something else has replaced it
                        setattr(sys, name, found.stream)
