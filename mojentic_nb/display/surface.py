"""Where an answer can be shown: a notebook with someone in front of it, one without, or a terminal."""

from __future__ import annotations

import os
import signal
import sys
import threading
from importlib.metadata import version
from typing import Literal, cast, get_args

from IPython import get_ipython

from mojentic_nb.llm.errors import ConfigurationError

__all__ = ["VARIABLE", "Surface", "ask", "can_ask", "clicks_arrive", "kernel", "surface"]

Surface = Literal["widget", "static", "text"]
"""A live view that ends as a saved answer; the saved answer alone; plain text on standard output."""

VARIABLE = "MOJENTIC_NB_DISPLAY"
SURFACES = ("auto", "widget", "static", "text")


def surface(view: str = "auto") -> Surface:
    """How to show an answer here: as `view` says, else as the environment's MOJENTIC_NB_DISPLAY does.

    nbclient, nbconvert, papermill and nbval run a kernel without standard input: nobody is there to watch, and a widget
    would leave its state in the notebook. Raises :class:`~mojentic_nb.llm.errors.ConfigurationError`.
    """
    if view in get_args(Surface):
        return cast(Surface, view)
    chosen = os.environ.get(VARIABLE, "").strip().lower() or "auto"
    if chosen not in SURFACES:
        raise ConfigurationError(f"{VARIABLE}={chosen!r} is no way to show an answer: use {', '.join(SURFACES)}.")
    if chosen != "auto":
        return cast(Surface, chosen)
    if kernel() is None:
        return "text"
    return "widget" if can_ask() else "static"


def can_ask() -> bool:
    """Whether there is someone who can answer ``input()``."""
    if (found := kernel()) is not None:
        return bool(found._allow_stdin)  # type: ignore[attr-defined]  # noqa: SLF001 (there is no public way to tell)
    return sys.stdin is not None and sys.stdin.isatty()


def ask(question: str) -> str:
    """What a person answers. Raises KeyboardInterrupt for an interrupt.

    In an awaited cell ipykernel makes of an interrupt a cancellation, which could not be before there is an answer.
    """
    if threading.current_thread() is not threading.main_thread():
        return input(question)
    handler = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return input(question)
    finally:
        signal.signal(signal.SIGINT, handler)


def clicks_arrive() -> bool:
    """Whether a click in a view reaches an asynchronous cell while it runs: not before ipykernel 7."""
    return kernel() is not None and int(version("ipykernel").partition(".")[0]) >= 7


def kernel() -> object | None:
    """The kernel that runs this code, None outside of one."""
    return getattr(get_ipython(), "kernel", None)
