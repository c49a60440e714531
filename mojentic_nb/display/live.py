"""An answer that is drawn while it streams, and then saved in its place."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets
from IPython.display import DisplayHandle, display

from mojentic_nb.llm import AsyncRun, Event, LLMToolCall, Run, ToolProgress, ToolResult
from mojentic_nb.llm.concurrency import in_background
from mojentic_nb.llm.text import printable, printable_json
from mojentic_nb.llm.tools.running import RUNNING

from .channel import Wire
from .printing import keeping_prints, release
from .questions import Questions
from .render.html import as_html
from .render.text import as_text
from .surface import ask, can_ask, code_name, in_output_widget, surface
from .terminal import Terminal
from .transcript import Transcript
from .turns import Turns
from .watching import check, check_ended, clicks_arrive, hears_clicks, waking

__all__ = ["LiveView"]

STATIC = Path(__file__).parent / "static"
NOBODY = "it needs approval, and nobody is there to give it"
OVER = "the answer that it was for has ended"


class LiveView(anywidget.AnyWidget):
    """Draws an answer while it streams: text, reasoning, tool calls, what it costs.

    ``LiveView().show(run)``, or ``await LiveView().ashow(run)`` for one of ``astream``, displays it below the cell. In
    the end the saved answer takes its place, which needs neither a kernel nor a script. Where nobody watches, as in
    nbconvert, there is the saved answer alone; in a terminal the text streams. The environment's MOJENTIC_NB_DISPLAY
    (*auto*, *widget*, *static*, *text*) overrides that.

    In an application of ipywidgets the view is a widget like any other: put it into a ``VBox``, and have it
    :meth:`watch` one run after the other (:meth:`awatch`), from any thread and any event loop. It shows one at a time:
    the next one waits for its turn, and sends nothing before. Where waiting would never end (in the thread that shows
    the other run, or in one of its tools), the methods raise RuntimeError.

    `model` is the name to show. `view` (*widget*, *static*, *text*) says how, where the front end is not to decide. The
    answer's text is Markdown; with a `source` (*json*) it is in that language, for something else to be made of it, and
    is folded. ``broker.astream(..., approve=view.approve)`` has the reader decide on each call. `transcript` is what
    was shown.
    """

    _esm = STATIC / "loader.js"
    _css = STATIC / "live.css"
    _program = traitlets.Bytes(read_only=True).tag(sync=True)
    # The value is never set: what is sent is what there is when it is sent.
    _snapshot = traitlets.Dict().tag(sync=True, to_json=lambda _, view: view._wire.snapshot())  # noqa: SLF001
    _clickable = traitlets.Bool(default_value=False).tag(sync=True)
    _replaced: ClassVar[list[LiveView]] = []

    def __init__(self, model: str = "", view: str = "auto", source: str = "") -> None:
        if not isinstance(model, str):
            raise TypeError(f"LiveView(model) is the name to show, such as 'gpt-5-mini', not {model!r}.")
        self._built = False
        self._model = model
        self._view = view
        self._source = source
        self._run: Run | AsyncRun | None = None
        self._turns = Turns()
        self._questions = Questions()
        self._inside: Inside | None = None
        self._folds: dict[tuple[int, str], bool] = {}
        self._terminal: Terminal | None = None
        self._early: list[tuple[str, str]] = []
        self._beginning = threading.Lock()
        self.transcript = Transcript(model, source=source, code_name=code_name)
        self._wire = Wire(self.transcript, self.send)
        super().__init__()
        self._built = True
        self.on_msg(self._on_message)

    def __repr__(self) -> str:
        return f"LiveView({self._model!r})"

    @traitlets.default("_program")
    def _packed(self) -> bytes:
        return packed(STATIC / "live.js")

    def open(self) -> None:
        """Make the view known to the front end. Its first display does so: where there is none, nothing is sent."""
        if self._built:
            self.__dict__.pop("_repr_mimebundle_", None)  # else it could not be displayed again after its closing
            self.layout.open()
            super().open()

    def close(self) -> None:
        """Have the front end forget the view; displayed again, it is known again."""
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

        An interrupt ends the provider's request, keeps what has arrived, and goes on as KeyboardInterrupt; what the run
        raises is shown and raised. Raises TypeError for what is no :class:`~mojentic_nb.llm.Run`.
        """
        check(run, Run, "show", "ashow")
        with self._turns.turn(), self._displayed():
            self._draw(run)

    async def ashow(self, run: AsyncRun) -> None:
        """The same for a run of ``astream``, with a button that stops it, while the event loop goes on."""
        check(run, AsyncRun, "ashow", "show")
        async with self._turns.aturn():
            with self._displayed():
                await self._adraw(run)

    def watch(self, run: Run) -> None:
        """Draw `run`, in place of the one before, wherever the view is displayed."""
        check(run, Run, "watch", "awatch")
        with self._turns.turn():
            self._draw(run)

    async def awatch(self, run: AsyncRun) -> None:
        """The same for a run of ``astream``."""
        check(run, AsyncRun, "awatch", "watch")
        async with self._turns.aturn():
            await self._adraw(run)

    def notice(self, level: str, text: str) -> None:
        """Tell the reader, from any thread, what no event of the run says; `level` is *info*, *warning* or *error*.

        Before the view's first run it is kept for that; after a run it has no effect.
        """
        with self._beginning:
            self._wire.notice(level, text)
            if self._run is None and not self.transcript.ended:
                self._early.append((level, text))

    def approve(self, call: LLMToolCall) -> bool | str | Awaitable[bool | str]:
        """Let the reader decide whether `call` may run: by a click on its card, else by ``input()``.

        Where there is neither, the call is denied.
        """
        call, within = call.as_checked(), RUNNING.get()
        if self._inside:
            return self._inside.view.approve(call)
        if within and self.transcript.ended:
            return OVER  # a tool that was given up goes on in its thread
        return self._clicked(call, within) if self._clickable else self._typed(call, within)

    @contextmanager
    def _displayed(self) -> Iterator[None]:
        """Display the view, and what is to be saved in its place in the end."""
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
        """Put the saved answer in the place of the view that `handle` displays, or below it where that can't be."""
        saved = {"text/html": as_html(self.transcript, self._folds), "text/plain": as_text(self.transcript)}
        if handle and not in_output_widget():
            handle.update(saved, raw=True)  # type: ignore[no-untyped-call]
            self._retire()
        else:
            self.close()
            display(saved, raw=True)  # type: ignore[no-untyped-call]

    @contextmanager
    def _following(self, run: Run | AsyncRun) -> Iterator[None]:
        """Draw within the ``with`` block what `run` does, and how it ends."""
        self._folds = {}
        with self._beginning:
            self._run = run
            self.transcript = Transcript(self._model, source=self._source, code_name=code_name)
            self._wire = Wire(self.transcript, self.send, self._wire.seq + 1)
            while self._early:
                self._wire.notice(*self._early.pop(0))
        self._clickable = self.comm is not None and clicks_arrive(run)
        self.send_state("_snapshot")
        with self._wire.pumping(), shown_by(self), keeping_prints():
            try:
                yield
                check_ended(self.transcript)
            except Exception as error:
                self._wire.fail(error)
                raise
            except BaseException:  # an interrupt
                self._wire.stop()
                raise
            finally:
                self._clickable = False
                self._questions.end()
                self._run = None
        self.send_state("_snapshot")

    def _draw(self, run: Run) -> None:
        with self._following(run), run:
            for event in run:
                self._feed(event)

    async def _adraw(self, run: AsyncRun) -> None:
        with self._following(run):
            async with waking(), run:
                async for event in run:
                    self._feed(event)

    def _feed(self, event: Event) -> None:
        ops = self._wire.feed(event)
        if isinstance(event, ToolResult):
            release(event.display)
        if self._inside:
            self._inside.report(event)
        if self._terminal:
            self._terminal.feed(event, ops, self.transcript)

    async def _clicked(self, call: LLMToolCall, within: LLMToolCall | None) -> bool | str:
        """What the reader decides about `call`, which the tool of `within` made, by a click on its card."""
        if not await hears_clicks():  # a tool keeps the kernel busy, and asks a model itself
            return await asyncio.wrap_future(in_background(partial(self._typed, call, within)))
        block = self._wire.card(call, within)
        if block is None:
            return OVER
        decision = self._questions.open(block)
        if decision is None:
            return "somebody is asked about it already"
        self._wire.approval(block, pending=True)
        try:
            return await asyncio.wrap_future(decision)
        finally:
            self._questions.close(block)
            self._wire.approval(block, pending=False)

    def _typed(self, call: LLMToolCall, within: LLMToolCall | None) -> bool | str:
        """The same by ``input()``."""
        if not can_ask():
            return NOBODY
        self._wire.card(call, within)
        question = f"Let {printable(call.name)}({printable_json(call.json_arguments())}) run? [y/N] "
        return ask(question).strip().lower() in ("y", "yes")

    def _on_message(self, _: object, message: dict[str, Any], buffers: object) -> None:  # noqa: ARG002
        """What the reader clicked, and what a view misses; may come in another thread than the run's."""
        match message:
            case {"type": "snapshot"}:
                self.send_state("_snapshot")
            case {"type": "fold", "block": int(block), "part": str(part), "open": bool(opened)}:
                self._folds[block, part] = opened
            case {"type": "stop"} if run := self._run:
                run.cancel()
            case {"type": "decision", "run": self._wire.run, "block": int(block), "approved": bool(approved)}:
                self._questions.answer(block, approved=approved)

    def _retire(self) -> None:
        """Close the view when the next one ends: until then a page that was loaded anew can ask for it."""
        replaced, LiveView._replaced = LiveView._replaced, [self]
        for view in replaced:
            if view is not self:
                view.close()


SHOWING: ContextVar[LiveView | None] = ContextVar("mojentic_nb_view", default=None)


@contextmanager
def shown_by(view: LiveView) -> Iterator[None]:
    """Have what runs in the block know that `view` shows it."""
    around = SHOWING.get()
    SHOWING.set(view)
    try:
        yield
    finally:
        SHOWING.set(around)


@dataclass(frozen=True, slots=True)
class Inside:
    """The card of `call` in `view`, where a run belongs that the call's tool shows."""

    view: LiveView
    call: LLMToolCall

    @classmethod
    def here(cls) -> Inside | None:
        """The card of the tool that runs here; None where none does, or no page shows it."""
        view, call = SHOWING.get(), RUNNING.get()
        return cls(view, call) if view and call and not view._terminal else None  # noqa: SLF001 (of this module)

    def report(self, event: Event) -> None:
        """Show the run's next event there."""
        self.view._wire.feed(ToolProgress(self.call.id or "", event, self.call))  # noqa: SLF001


@cache
def packed(program: Path) -> bytes:
    """A program of the browser's, gzipped: each view's first message has it."""
    return gzip.compress(program.read_bytes(), mtime=0)
