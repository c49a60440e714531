"""The live view: an answer drawn while it streams, then saved in the same place."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Awaitable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets
from IPython.display import DisplayHandle, display

from mojentic_nb.llm import AsyncRun, Event, LLMToolCall, Run, ToolProgress
from mojentic_nb.llm.concurrency import in_background, set_to
from mojentic_nb.llm.text import printable, printable_json
from mojentic_nb.llm.tools.running import RUNNING

from .channel import Channel
from .printing import keeping_prints
from .render.html import as_html
from .render.text import as_text
from .surface import (
    ask,
    can_ask,
    can_click,
    code_name,
    hears_clicks,
    in_output_widget,
    make_displayable,
    surface,
    ticking,
)
from .terminal import Terminal
from .transcript import Transcript
from .turns import Turns

__all__ = ["LiveView"]

STATIC = Path(__file__).parent / "static"
NOBODY = "it needs approval, and no one can be asked"
OVER = "the answer that it was for has ended"


class LiveView(anywidget.AnyWidget):
    """Draws an answer while it streams: text, reasoning, tool calls, tokens and time.

    ``LiveView().show(run)``, or ``await LiveView().ashow(run)`` for a run of ``astream``, displays it below the cell.
    At the end the saved answer takes its place, which needs neither a kernel nor a script. Where no one watches, as in
    nbconvert, only the saved answer is displayed; in a terminal the text streams. The environment variable
    MOJENTIC_NB_DISPLAY (*auto*, *widget*, *static*, *text*) overrides this.

    In an application of ipywidgets, put the view into a ``VBox`` like any other widget, and let it :meth:`watch` one
    run after another (:meth:`awatch`), from any thread and any event loop. It shows one run at a time. The next one
    waits for its turn, and sends nothing before. Where that wait would never end (in the thread that shows the other
    run, or in one of its tools), the methods raise RuntimeError.

    `model` is the name to show. `view` (*widget*, *static*, *text*) overrides what suits the front end. The answer's
    text is Markdown; with a `source` (*json*) it is source text in that language, and folded. Pass
    ``approve=view.approve`` to ``broker.astream`` to let the reader decide about each tool call. `transcript` is what
    was shown.
    """

    _esm = STATIC / "loader.js"
    _css = STATIC / "live.css"
    _program = traitlets.Bytes(read_only=True).tag(sync=True)
    # Never set: its value is made when it is sent.
    _snapshot = traitlets.Dict().tag(sync=True, to_json=lambda _, view: view._channel.snapshot())  # noqa: SLF001
    _clickable = traitlets.Bool(default_value=False).tag(sync=True)
    _replaced: ClassVar[list[LiveView]] = []

    def __init__(self, model: str = "", view: str = "auto", source: str = "") -> None:
        if not isinstance(model, str):
            raise TypeError(f"LiveView(model) takes the name to show, such as 'gpt-5-mini', not {model!r}.")
        self._built = False
        self._model = model
        self._view = view
        self._source = source
        self._run: Run | AsyncRun | None = None
        self._turns = Turns()
        self._approvals = Approvals()
        self._inside: Inside | None = None
        self._folds: dict[tuple[int, str], bool] = {}
        self._terminal: Terminal | None = None
        self._early: list[tuple[str, str]] = []
        self._beginning = threading.Lock()
        self.transcript = Transcript(model, source=source, code_name=code_name)
        self._channel = Channel(self.transcript, self.send)
        super().__init__()
        self._built = True
        self.on_msg(self._on_message)

    def __repr__(self) -> str:
        return f"LiveView({self._model!r})"

    @traitlets.default("_program")
    def _read_program(self) -> bytes:
        return compress(STATIC / "live.js")

    def open(self) -> None:
        """Send the view to the front end. Its first display does so, and without a front end nothing is sent."""
        if self._built:
            make_displayable(self)
            self.layout.open()
            super().open()

    def close(self) -> None:
        """Remove the view from the front end, until it is displayed again."""
        if self.comm is not None:
            super().close()
            self.layout.close()

    @property
    def model_id(self) -> str:
        """The name by which the front end knows the view."""
        self.open()
        return str(super().model_id)

    def show(self, run: Run) -> None:
        """Display `run` while it streams, until it ends.

        An interrupt ends the provider's request, keeps what has arrived, and is raised again as KeyboardInterrupt. What
        the run raises is shown and raised again. Raises TypeError unless `run` is a :class:`~mojentic_nb.llm.Run`.
        """
        check(run, Run, "show", "ashow")
        with self._turns.turn(), self._displayed():
            self._draw(run)

    async def ashow(self, run: AsyncRun) -> None:
        """Display a run of ``astream`` with a Stop button, without blocking the event loop."""
        check(run, AsyncRun, "ashow", "show")
        async with self._turns.aturn():
            with self._displayed():
                await self._adraw(run)

    def watch(self, run: Run) -> None:
        """Draw `run` in place of the last one, wherever the view is displayed."""
        check(run, Run, "watch", "awatch")
        with self._turns.turn():
            self._draw(run)

    async def awatch(self, run: AsyncRun) -> None:
        """Draw a run of ``astream``, without blocking the event loop."""
        check(run, AsyncRun, "awatch", "watch")
        async with self._turns.aturn():
            await self._adraw(run)

    def notice(self, level: str, text: str) -> None:
        """Add a notice to the answer, from any thread; `level` is *info*, *warning* or *error*.

        Before the view's first run it is kept for that run. After a run it has no effect.
        """
        with self._beginning:
            self._channel.apply(Transcript.notice, level, text)
            if self._run is None and not self.transcript.ended:
                self._early.append((level, text))

    def approve(self, call: LLMToolCall) -> bool | str | Awaitable[bool | str]:
        """Let the reader decide whether `call` may run: with a click on its card, or else through ``input()``.

        If neither is possible, the call is denied.
        """
        call, within = call.as_checked(), RUNNING.get()
        if self._inside:
            return self._inside.view.approve(call)
        if within and self.transcript.ended:
            return OVER  # a tool goes on in its thread after its time limit
        return self._approve_by_click(call, within) if self._clickable else self._approve_by_input(call, within)

    # The display below the cell, and the saved answer in its place

    @contextmanager
    def _displayed(self) -> Iterator[None]:
        """Display the view within the block, and save the answer in its place at the end."""
        self._inside = Inside.here()
        if self._inside:
            try:
                yield
            finally:
                self._inside = None
            return
        where = surface(self._view)
        if where == "text":
            self._terminal = Terminal()
        handle = None
        if where == "widget":
            self.open()
            handle = display(self, display_id=True)  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            if self._terminal:
                self._terminal.end(self.transcript)
                self._terminal = None
            else:
                self._save(handle)

    def _save(self, handle: DisplayHandle | None) -> None:
        """Display the saved answer in place of the view that `handle` displays, or below it if that is impossible."""
        saved = {"text/html": as_html(self.transcript, self._folds), "text/plain": as_text(self.transcript)}
        if handle and not in_output_widget():
            handle.update(saved, raw=True)  # type: ignore[no-untyped-call]
            self._retire()
        else:
            self.close()
            display(saved, raw=True)  # type: ignore[no-untyped-call]

    def _retire(self) -> None:
        """Close the view when the next one ends: until then a reloaded page can ask for it."""
        replaced, LiveView._replaced = LiveView._replaced, [self]
        for view in replaced:
            if view is not self:
                view.close()

    # A run, from its first event to its end

    @contextmanager
    def _following(self, run: Run | AsyncRun) -> Iterator[None]:
        """Send what `run` does within the block to the page, and how it ends."""
        self._folds = {}
        with self._beginning:
            self._run = run
            self.transcript = Transcript(self._model, source=self._source, code_name=code_name)
            self._channel = Channel(self.transcript, self.send, self._channel.seq + 1)
            while self._early:
                self._channel.apply(Transcript.notice, *self._early.pop(0))
        self._clickable = self.comm is not None and can_click(awaited=isinstance(run, AsyncRun))
        self.send_state("_snapshot")
        with self._channel.pumping(), shown_by(self), keeping_prints():
            try:
                yield
                check_ended(self.transcript)
            except Exception as error:
                self._channel.apply(Transcript.fail, error, run.usage)
                raise
            except BaseException:  # an interrupt
                self._channel.apply(Transcript.stop, run.usage)
                raise
            finally:
                self._clickable = False
                self._approvals.deny_all()
                self._run = None
        self.send_state("_snapshot")

    def _draw(self, run: Run) -> None:
        with self._following(run), run:
            for event in run:
                self._feed(event)

    async def _adraw(self, run: AsyncRun) -> None:
        with self._following(run):
            async with ticking(), run:
                async for event in run:
                    self._feed(event)

    def _feed(self, event: Event) -> None:
        ops = self._channel.apply(Transcript.feed, event)
        if self._inside:
            self._inside.report(event)
        if self._terminal:
            self._terminal.feed(event, ops, self.transcript)

    # What the reader decides

    async def _approve_by_click(self, call: LLMToolCall, within: LLMToolCall | None) -> bool | str:
        """Ask the reader on the card of `call`, which the tool of `within` made."""
        if not await hears_clicks():  # a tool that asks a model itself keeps the kernel busy
            return await asyncio.wrap_future(in_background(partial(self._approve_by_input, call, within)))
        block = self._channel.card(call, within)
        if block is None:
            return OVER
        decision = self._approvals.open(block)
        if decision is None:
            return "someone is already deciding about it"
        self._channel.apply(Transcript.approval, block, pending=True)
        approved: bool | str = False
        try:
            approved = await asyncio.wrap_future(decision)
            return approved
        finally:
            self._approvals.close(block)
            self._channel.apply(Transcript.approval, block, pending=False, denied=approved is not True)

    def _approve_by_input(self, call: LLMToolCall, within: LLMToolCall | None) -> bool | str:
        """Ask the reader with ``input()``."""
        if not can_ask():
            return NOBODY
        block = self._channel.card(call, within)
        question = f"Allow {printable(call.name)}({printable_json(call.json_arguments())}) to run? [y/N] "
        approved = ask(question).strip().lower() in ("y", "yes")
        if block is not None:
            self._channel.apply(Transcript.approval, block, pending=False, denied=not approved)
        return approved

    def _on_message(self, _: object, message: dict[str, Any], buffers: object) -> None:  # noqa: ARG002
        """Handle a message of the page, maybe in another thread than the run's."""
        match message:
            case {"type": "snapshot"}:
                self.send_state("_snapshot")
            case {"type": "fold", "block": int(block), "part": str(part), "open": bool(opened)}:
                self._folds[block, part] = opened
            case {"type": "stop"} if run := self._run:
                run.cancel()
            case {"type": "decision", "run": self._channel.run, "block": int(block), "approved": bool(approved)}:
                self._approvals.decide(block, approved=approved)


class Approvals:
    """The tool calls that wait for the reader's decision. All methods may be called from any thread.

    Each call is known by its block. Neither its id nor its name would do: a model may give two calls one id, and so may
    two models if a tool of one asks the other.
    """

    def __init__(self) -> None:
        self._open: dict[int, Future[bool]] = {}

    def open(self, block: int) -> Future[bool] | None:
        """Return the decision about the call of that block, to wait for; None if it is awaited already."""
        decision: Future[bool] = Future()
        return decision if self._open.setdefault(block, decision) is decision else None

    def close(self, block: int) -> None:
        """Remove the decision on the card of that block."""
        del self._open[block]

    def decide(self, block: int, *, approved: bool) -> None:
        """Decide about the call of that block if its decision is awaited."""
        if decision := self._open.get(block):
            with suppress(InvalidStateError):  # it was decided or cancelled before
                decision.set_result(approved)

    def deny_all(self) -> None:
        """Deny all calls that wait."""
        for block in list(self._open):
            self.decide(block, approved=False)


SHOWING: ContextVar[LiveView | None] = ContextVar("mojentic_nb_view", default=None)


@contextmanager
def shown_by(view: LiveView) -> Iterator[None]:
    """Tell code within the block that `view` shows it."""
    with set_to(SHOWING, view):
        yield


@dataclass(frozen=True, slots=True)
class Inside:
    """The card of `call` in `view`, for a run that the call's tool shows."""

    view: LiveView
    call: LLMToolCall

    @classmethod
    def here(cls) -> Inside | None:
        """Return the card of the tool that runs this code; None outside a tool, or if no page shows it."""
        view, call = SHOWING.get(), RUNNING.get()
        return cls(view, call) if view and call and not view._terminal else None  # noqa: SLF001 (of this module)

    def report(self, event: Event) -> None:
        """Show the run's next event in the card."""
        progress = ToolProgress(self.call.id or "", event, self.call)
        self.view._channel.apply(Transcript.feed, progress)  # noqa: SLF001


def check(run: object, kind: type, method: str, other: str) -> None:
    """Raise TypeError unless `run` is of that kind."""
    if not isinstance(run, kind):
        what = "an AsyncRun" if isinstance(run, AsyncRun) else "a Run" if isinstance(run, Run) else repr(run)
        advice = f"Use {other}()" if isinstance(run, Run | AsyncRun) else "Pass what broker.stream() returns"
        raise TypeError(f"LiveView.{method}() takes {kind.__name__}, not {what}. {advice}.")


def check_ended(transcript: Transcript) -> None:
    """Raise ValueError if the run had no events left, not even its end."""
    if not transcript.ended:
        raise ValueError("The run was iterated before. Ask again, and show what broker.stream() returns.")


@cache
def compress(program: Path) -> bytes:
    """Compress a program for the browser, once; each view's first message contains it."""
    return gzip.compress(program.read_bytes(), mtime=0)
