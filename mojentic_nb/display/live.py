"""An answer that is drawn while it streams, and then saved in its place."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets
from IPython.display import DisplayHandle, display

from mojentic_nb.llm import AsyncRun, Event, LLMToolCall, Run
from mojentic_nb.llm.plain import printable, printable_json

from .html import as_html
from .surface import ask, can_ask, clicks_arrive, code_name, in_output_widget, surface
from .terminal import Terminal
from .text import as_text
from .transcript import Transcript
from .watching import check, check_ended, waking
from .wire import Wire

__all__ = ["LiveView"]

STATIC = Path(__file__).parent / "static"
NOBODY = "it needs approval, and nobody is there to give it"


class LiveView(anywidget.AnyWidget):
    """Draws an answer while it streams: text, reasoning, tool calls, what it costs.

    ``LiveView().show(run)``, or ``await LiveView().ashow(run)`` for one of ``astream``, displays it below the cell. In
    the end the saved answer takes its place, which needs neither a kernel nor a script. Where nobody watches, as in
    nbconvert, there is the saved answer alone; in a terminal the text streams. The environment's MOJENTIC_NB_DISPLAY
    (*auto*, *widget*, *static*, *text*) overrides that.

    In an application of ipywidgets the view is a widget like any other: put it into a ``VBox``, and have it
    :meth:`watch` one run after the other (:meth:`awatch`). It draws one at a time: an asynchronous one that begins
    cancels the one before it.

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
        self._awaited: list[AsyncRun] = []
        self._turns = asyncio.Lock()
        self._asked: dict[str, asyncio.Future[bool]] = {}
        self._folds: dict[tuple[int, str], bool] = {}
        self._terminal: Terminal | None = None
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
        self._check_free()
        with self._displayed():
            self.watch(run)

    async def ashow(self, run: AsyncRun) -> None:
        """The same for a run of ``astream``, with a button that stops it, while the event loop goes on."""
        check(run, AsyncRun, "ashow", "show")
        async with self._turn(run):
            with self._displayed():
                await self._draw(run)

    def watch(self, run: Run) -> None:
        """Draw `run`, in place of the one before, wherever the view is displayed."""
        check(run, Run, "watch", "awatch")
        self._check_free()
        with self._following(run), run:
            for event in run:
                self._feed(event)

    async def awatch(self, run: AsyncRun) -> None:
        """The same for a run of ``astream``."""
        check(run, AsyncRun, "awatch", "watch")
        async with self._turn(run):
            await self._draw(run)

    def notice(self, level: str, text: str) -> None:
        """Tell the reader, from any thread, what no event of the run says; `level` is *info*, *warning* or *error*."""
        self._wire.notice(level, text)

    def approve(self, call: LLMToolCall) -> bool | str | Awaitable[bool | str]:
        """Let the reader decide whether `call` may run: by a click on its card, else by ``input()``.

        Where there is neither, the call is denied.
        """
        if self._clickable:
            return self._clicked(call.id or "")
        if not can_ask():
            return NOBODY
        question = f"Let {printable(call.name)}({printable_json(call.json_arguments())}) run? [y/N] "
        return ask(question).strip().lower() in ("y", "yes")

    def _check_free(self) -> None:
        """Raise RuntimeError while another run goes on, for whose end nobody can wait here."""
        if self._run:
            raise RuntimeError("The LiveView shows another run: wait for its end, or make another LiveView().")

    @asynccontextmanager
    async def _turn(self, run: AsyncRun) -> AsyncIterator[None]:
        """Cancel the runs before this one, and be alone with it in the block."""
        for earlier in self._awaited:
            earlier.cancel()
        self._awaited.append(run)
        try:
            async with self._turns:
                self._check_free()
                yield
        finally:
            self._awaited.remove(run)

    @contextmanager
    def _displayed(self) -> Iterator[None]:
        """Display the view, and what is to be saved in its place in the end."""
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
        self._run = run
        self._folds = {}
        self.transcript = Transcript(self._model, source=self._source, code_name=code_name)
        self._wire = Wire(self.transcript, self.send, self._wire.seq + 1)
        self._clickable = self.comm is not None and isinstance(run, AsyncRun) and clicks_arrive()
        self.send_state("_snapshot")
        with self._wire.pumping():
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
                self._run = None
        self.send_state("_snapshot")

    async def _draw(self, run: AsyncRun) -> None:
        with self._following(run):
            async with waking(), run:
                async for event in run:
                    self._feed(event)

    def _feed(self, event: Event) -> None:
        ops = self._wire.feed(event)
        if self._terminal:
            self._terminal.feed(event, ops, self.transcript)

    async def _clicked(self, call_id: str) -> bool | str:
        """What the reader decides about that call, by a click on its card."""
        if call_id in self._asked:  # one card for two calls: a click would decide about one that nobody saw
            settle(self._asked[call_id], approved=False)
            return "another call has the same id"
        decision: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked[call_id] = decision
        self._wire.approval(call_id, pending=True)
        try:
            return await decision
        finally:
            del self._asked[call_id]
            self._wire.approval(call_id, pending=False)

    def _on_message(self, _: object, message: dict[str, Any], buffers: object) -> None:  # noqa: ARG002
        """What the reader clicked, and what a view misses; may come in another thread than the run's."""
        match message:
            case {"type": "snapshot"}:
                self.send_state("_snapshot")
            case {"type": "fold", "block": int(block), "part": str(part), "open": bool(opened)}:
                self._folds[block, part] = opened
            case {"type": "stop"} if run := self._run:
                run.cancel()
            case {"type": "decision", "id": str(call), "approved": bool(approved)} if decision := self._asked.get(call):
                decision.get_loop().call_soon_threadsafe(settle, decision, approved)

    def _retire(self) -> None:
        """Close the view when the next one ends: until then a page that was loaded anew can ask for it."""
        replaced, LiveView._replaced = LiveView._replaced, [self]
        for view in replaced:
            if view is not self:
                view.close()


@cache
def packed(program: Path) -> bytes:
    """A program of the browser's, gzipped: each view's first message has it."""
    return gzip.compress(program.read_bytes(), mtime=0)


def settle(decision: asyncio.Future[bool], approved: bool) -> None:
    """Give the decision, unless it is there or nobody waits for it any more."""
    if not decision.done():
        decision.set_result(approved)
