"""Where an answer is shown: in a notebook that someone watches, in one that a program runs, or in a terminal.

What the kernel can do is here as well, and the private parts of ipykernel and ipywidgets that this package needs, each
with the versions it was seen in.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from typing import Any, Literal, cast

from IPython import get_ipython
from ipywidgets import Output, Widget  # type: ignore[import-untyped]
from ipywidgets.widgets import widget as widgets  # type: ignore[import-untyped]

from mojentic_nb.llm.concurrency import in_background
from mojentic_nb.llm.errors import ConfigurationError

__all__ = [
    "SURFACES",
    "TICK",
    "ask",
    "can_ask",
    "can_click",
    "code_name",
    "hears_clicks",
    "in_output_widget",
    "kernel",
    "make_displayable",
    "surface",
    "ticking",
]

Surface = Literal["widget", "static", "text"]
"""A live view that ends as a saved answer; the saved answer alone; plain text on standard output."""

VARIABLE = "MOJENTIC_NB_DISPLAY"
SURFACES = ("auto", "widget", "static", "text")
BUSY = 1.0  # seconds after which a kernel that doesn't answer counts as busy
TICK = 0.1  # seconds; an idle event loop doesn't notice that the cell was interrupted


def surface(view: str = "auto") -> Surface:
    """Choose how to show an answer: as `view` says, or else the environment variable MOJENTIC_NB_DISPLAY.

    Widgets need a kernel, so elsewhere the answer is text. nbclient, nbconvert, papermill and nbval run a kernel
    without standard input: no one watches, and a widget would leave its state in the notebook. Raises
    :class:`~mojentic_nb.llm.errors.ConfigurationError`.
    """
    setting, chosen = f"view={view!r}", view
    if view == "auto":
        chosen = os.environ.get(VARIABLE, "").strip().lower() or "auto"
        setting = f"{VARIABLE}={chosen!r}"
    if chosen not in SURFACES:
        raise ConfigurationError(f"{setting} isn't a way to show an answer. Use one of {', '.join(SURFACES)}.")
    if chosen in ("auto", "widget") and kernel() is None:
        return "text"
    if chosen == "auto":
        return "widget" if can_ask() else "static"
    return cast(Surface, chosen)


def kernel() -> Any:  # noqa: ANN401 (ipykernel's own, or another one like it)
    """Return the kernel that runs this code; None outside a kernel."""
    return getattr(get_ipython(), "kernel", None)


def can_ask() -> bool:
    """Whether someone can answer ``input()``."""
    if (found := kernel()) is not None:
        return bool(found._allow_stdin)  # noqa: SLF001 (private; ipykernel 6.29 to 7.4)
    return sys.stdin is not None and sys.stdin.isatty()


def ask(question: str) -> str:
    """Ask with ``input()``. Raises KeyboardInterrupt, also in a cell that is awaited.

    ipykernel and asyncio report an interrupt to a coroutine through the event loop, which ``input()`` blocks. So
    Python's own handler is used meanwhile.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        return input(question)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return input(question)
    finally:
        signal.signal(signal.SIGINT, handler)


def can_click(*, awaited: bool) -> bool:
    """Whether clicks can reach the kernel while this code runs: from ipykernel 7 on, in an awaited cell or a thread."""
    if kernel() is None or int(version("ipykernel").partition(".")[0]) < 7:
        return False
    return awaited or threading.current_thread() is not threading.main_thread()


async def hears_clicks() -> bool:
    """Whether the kernel's event loop is free to receive a click now."""
    loop = kernel().io_loop
    if loop.asyncio_loop is asyncio.get_running_loop():
        return True
    heard = threading.Event()
    loop.add_callback(heard.set)
    return await asyncio.wrap_future(in_background(partial(heard.wait, BUSY)))


@asynccontextmanager
async def ticking() -> AsyncIterator[None]:
    """Wake the event loop every :data:`TICK` within the block."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(TICK)

    task = asyncio.create_task(tick())
    try:
        yield
    finally:
        with suppress(RuntimeError):  # the event loop was closed meanwhile
            task.cancel()


def in_output_widget() -> bool:
    """Whether output goes to an ``ipywidgets.Output``, where a display can't be replaced."""
    found = kernel()
    parent = found.get_parent() if hasattr(found, "get_parent") else {}
    cell = parent.get("header", {}).get("msg_id")
    known = getattr(widgets, "_instances", {})  # private; ipywidgets 8.1
    outputs = (widget for widget in list(known.values()) if isinstance(widget, Output))
    return cell is not None and any(output.msg_id == cell for output in outputs)


def make_displayable(widget: Widget) -> None:
    """Let a closed widget be displayed again: closing sets its ``_repr_mimebundle_`` to None (ipywidgets 8.1)."""
    vars(widget).pop("_repr_mimebundle_", None)


def code_name(filename: str) -> str:
    """Name a file of code as IPython does: a notebook's cell by its number, since it has no file."""
    shell = get_ipython()
    return " ".join((shell and shell.compile.format_code_name(filename)) or (filename,))
