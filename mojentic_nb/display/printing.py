"""What a tool prints stays with its call, and all else goes where it always does: to the cell, or to the terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from mojentic_nb.llm.tools.running import PRINTED

__all__ = ["keeping_prints"]


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
    try:
        yield
    finally:
        with lock:
            blocks -= 1
            if not blocks:
                for name in ("stdout", "stderr"):
                    if isinstance(found := getattr(sys, name), Redirect):  # else something else has replaced it
                        setattr(sys, name, found.stream)
