"""Where an answer can be shown: a notebook with someone in front of it, one without, or a terminal."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any, Literal, cast

from IPython import get_ipython
from ipywidgets import Output  # type: ignore[import-untyped]
from ipywidgets.widgets import widget as widgets  # type: ignore[import-untyped]

from mojentic_nb.llm.errors import ConfigurationError

__all__ = [
    "SURFACES",
    "ask",
    "can_ask",
    "code_name",
    "in_output_widget",
    "kernel",
    "surface",
]

Surface = Literal["widget", "static", "text"]
"""A live view that ends as a saved answer; the saved answer alone; plain text on standard output."""

VARIABLE = "MOJENTIC_NB_DISPLAY"
SURFACES = ("auto", "widget", "static", "text")


def surface(view: str = "auto") -> Surface:
    """How to show an answer here: as `view` says, else as the environment's MOJENTIC_NB_DISPLAY does.

    There are no widgets outside of a kernel: there it is text. nbclient, nbconvert, papermill and nbval run a kernel
    without standard input: nobody is there to watch, and a widget would leave its state in the notebook. Raises
    :class:`~mojentic_nb.llm.errors.ConfigurationError`.
    """
    said = f"view={view!r}"
    chosen = view
    if view == "auto":
        chosen = os.environ.get(VARIABLE, "").strip().lower() or "auto"
        said = f"{VARIABLE}={chosen!r}"
    if chosen not in SURFACES:
        raise ConfigurationError(f"{said} is no way to show an answer: use {', '.join(SURFACES)}.")
    if chosen in ("auto", "widget") and kernel() is None:
        return "text"
    if chosen == "auto":
        return "widget" if can_ask() else "static"
    return cast(Surface, chosen)


def can_ask() -> bool:
    """Whether there is someone who can answer ``input()``."""
    if (found := kernel()) is not None:
        return bool(found._allow_stdin)  # noqa: SLF001 (there is no public way to tell)
    return sys.stdin is not None and sys.stdin.isatty()


def ask(question: str) -> str:
    """What someone answers to `question`, by ``input()``. Raises KeyboardInterrupt, also in a cell that is awaited.

    ipykernel and asyncio tell a coroutine of an interrupt through the event loop, which ``input()`` holds up. So
    Python's own handler counts meanwhile.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        return input(question)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return input(question)
    finally:
        signal.signal(signal.SIGINT, handler)


def in_output_widget() -> bool:
    """Whether what is displayed goes to an ``ipywidgets.Output``, where nothing can take the place of anything."""
    found = kernel()
    parent = found.get_parent() if hasattr(found, "get_parent") else {}
    cell = parent.get("header", {}).get("msg_id")
    known = getattr(widgets, "_instances", {})  # there is no public way to tell
    outputs = (widget for widget in list(known.values()) if isinstance(widget, Output))
    return cell is not None and any(output.msg_id == cell for output in outputs)


def code_name(filename: str) -> str:
    """How IPython calls a file of code: a notebook's cell by its number, for its file isn't there."""
    shell = get_ipython()
    return " ".join((shell and shell.compile.format_code_name(filename)) or (filename,))


def kernel() -> Any:  # noqa: ANN401 (ipykernel's own, or another that is like it)
    """The kernel that runs this code, None outside of one."""
    return getattr(get_ipython(), "kernel", None)
