"""What a tool prints or displays stays with its call. All other output goes where it always does."""

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
    """Replaces the text stream `stream`, and gives a tool's text to its call."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 (a kernel's isn't a file)
        self.stream = stream

    def write(self, text: str) -> int:
        """Write `text`, and return its length."""
        printed = PRINTED.get()
        (self.stream if printed is None else printed).write(text)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write the lines."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (the stream's)
        return getattr(self.stream, name)


def wrap_publish(publish: Callable[..., object]) -> Callable[..., object]:
    """Wrap `publish` of IPython's ``display``: what a tool displays goes to its call, except widgets."""

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
    """Note a figure that a tool opens, which the inline backend would show below the cell.

    Matplotlib calls this for each figure that pyplot makes, by its setting ``figure.hooks``.
    """
    if (printed := PRINTED.get()) is not None:
        printed.figures.append(figure)


def note_figures(*, noted: bool) -> None:
    """Begin or stop noting tools' figures."""
    Printed.keeps_figures = noted
    if "matplotlib.pyplot" in sys.modules:
        settings = sys.modules["matplotlib"].rcParams
        settings[HOOKS] = [*(hook for hook in settings[HOOKS] if hook != HOOK), *([HOOK] if noted else [])]


lock = threading.Lock()
blocks = 0


@contextmanager
def keeping_prints() -> Iterator[None]:
    """Keep what tools print within the block. Of several blocks at once, the last one to end restores the streams."""
    global blocks  # noqa: PLW0603 (the streams are global as well)
    with lock:
        blocks += 1
        if blocks == 1:
            sys.stdout, sys.stderr = Redirect(sys.stdout), Redirect(sys.stderr)
            if kernel():
                publisher = get_ipython().display_pub
                publisher.publish = wrap_publish(publisher.publish)
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
                    if isinstance(found := getattr(sys, name), Redirect):  # else someone else has replaced it
                        setattr(sys, name, found.stream)
