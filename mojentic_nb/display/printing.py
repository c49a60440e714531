"""What a tool prints stays with its call, and all else goes where it always does: to the cell, or to the terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from IPython import get_ipython

from mojentic_nb.llm.pictures import figure_of
from mojentic_nb.llm.tools.running import PRINTED

from .surface import kernel

__all__ = ["keeping_prints", "release"]

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


def release(value: object) -> None:
    """Keep Matplotlib's inline backend from showing at the cell's end a figure that a tool has returned."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot and "inline" in pyplot.get_backend():
        for part in value if isinstance(value, list | tuple) else [value]:
            if (figure := figure_of(part)) is not None:
                pyplot.close(figure)


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
    try:
        yield
    finally:
        with lock:
            blocks -= 1
            if not blocks:
                if kernel():
                    vars(get_ipython().display_pub).pop("publish", None)
                for name in ("stdout", "stderr"):
                    if isinstance(found := getattr(sys, name), Redirect):  # else something else has replaced it
                        setattr(sys, name, found.stream)
