"""A question on its way down to the model, and its answer on the way up to the cell.

A :class:`Question` is a value: everything that a cell asks, found before anything is sent, so that a mistake costs
nothing. A :class:`CellRun` sends it, shows the answer as it streams, and keeps it however it ends: in the conversation,
in ``_``, in the variable that ``--out`` names, and with ``--code`` as a new cell.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from mojentic_nb.display import LiveView, can_ask
from mojentic_nb.display.surface import surface
from mojentic_nb.llm import AsyncRun, Event, LLMBroker, LLMMessage, LLMToolCall, MessageRole, Run
from mojentic_nb.llm.object_stream import AsyncObjectStream, ObjectStream
from mojentic_nb.llm.request import Gateway, Request, Tool
from mojentic_nb.llm.tools.batch import Approve
from mojentic_nb.llm.tools.llm_tool import find_tool
from mojentic_nb.llm.tracing import RunTracer, Tracer, enter_tool
from mojentic_nb.tracer import TracerSystem

from .code_cells import find_code, insert_code
from .notebook import CellExchange, Chat, Notebook
from .options import CellOptions
from .response import Response
from .tables import ObjectTable

__all__ = ["CellRun", "Question"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the cell `cell` asks the model called `model`, at `gateway`, after the `history` of `chat`.

    `object_model` is the type of the answer, None for text. `view` says how to show the answer. `policy` says what to
    do with tool calls that need approval when no one can be asked: *deny* or *allow*.
    """

    cell: str
    model: str
    gateway: Gateway
    history: tuple[LLMMessage, ...]
    message: LLMMessage
    chat: Chat | None
    tools: tuple[Tool, ...]
    object_model: Any
    options: CellOptions
    view: str
    policy: str

    def stream(self, approve: Approve, tracer: Tracer | None = None) -> Run | ObjectStream[Any]:
        """Make the run that asks. Nothing is sent until it is iterated. Raises UsageError for a wrong argument."""
        with as_usage_error():
            if self.object_model is None:
                return self._broker(tracer).stream(**self._arguments(approve))
            return self._broker(tracer).stream_object(object_model=self.object_model, **self._arguments(approve))

    def astream(self, approve: Approve, tracer: Tracer | None = None) -> AsyncRun | AsyncObjectStream[Any]:
        """Make the asynchronous run that asks."""
        with as_usage_error():
            if self.object_model is None:
                return self._broker(tracer).astream(**self._arguments(approve))
            return self._broker(tracer).astream_object(object_model=self.object_model, **self._arguments(approve))

    def _broker(self, tracer: Tracer | None) -> LLMBroker:
        return LLMBroker(self.model.partition(":")[2], self.gateway, tracer=tracer)

    def _arguments(self, approve: Approve) -> dict[str, Any]:
        return {
            "messages": [*self.history, self.message],
            "tools": self.tools,
            "config": self.options.config,
            "tool_choice": self.options.tool_choice,
            "approve": approve,
        }


@contextmanager
def as_usage_error() -> Iterator[None]:
    """Raise UsageError, which IPython shows in one line, for an argument that the broker refuses."""
    try:
        yield
    except (TypeError, ValueError, NotImplementedError) as error:
        raise UsageError(str(error)) from error


class CellRun:
    """One run of a cell: asks `question`, shows the answer, and keeps it for `notebook` and the user of `shell`."""

    def __init__(self, question: Question, notebook: Notebook, shell: InteractiveShell) -> None:
        self._question = question
        self._notebook = notebook
        self._shell = shell
        self._surface = surface(question.view)
        self._view = LiveView(question.model, question.view, "json" if question.object_model else "")
        self._log = EventLog(notebook.tracer)

    def show(self) -> None:
        """Ask, and show the answer as it streams."""
        stream = self._question.stream(self._approve, self._log)
        run = stream.run if isinstance(stream, ObjectStream) else stream
        with self._kept(run, stream):
            self._view.show(run)

    async def ashow(self) -> None:
        """Ask asynchronously: while the answer streams, the kernel receives clicks."""
        stream = self._question.astream(self._approve, self._log)
        run = stream.run if isinstance(stream, AsyncObjectStream) else stream
        with self._kept(run, stream):
            await self._view.ashow(run)

    def _approve(self, call: LLMToolCall) -> bool | str | Awaitable[bool | str]:
        """Approve `call`, or ask the reader if ``--approve`` or its tool demands it."""
        tool = find_tool(call.name, self._question.tools)
        if not (self._question.options.approve or getattr(tool, "approval", False)):
            return True
        if self._question.policy == "allow" and not can_ask():
            return True
        return self._view.approve(call)

    @contextmanager
    def _kept(self, run: Run | AsyncRun, stream: object) -> Iterator[None]:
        """Show the object as a table within the block, stop the run when its time is up, and keep the answer."""
        objects = stream if isinstance(stream, ObjectStream | AsyncObjectStream) else None
        table: AbstractContextManager[None] = nullcontext()
        if objects is not None and self._surface != "text":
            table = ObjectTable(objects, live=self._surface == "widget").filling()
        try:
            with self._timed(run), table:
                yield
        except asyncio.CancelledError as error:
            raise KeyboardInterrupt from error  # an interrupt cancels a cell that is awaited
        finally:
            self._keep(run, None if objects is None else objects.object)

    @contextmanager
    def _timed(self, run: Run | AsyncRun) -> Iterator[None]:
        """Stop `run` when its time is up."""
        seconds = self._question.options.timeout
        if seconds is None:
            yield
            return

        def stop() -> None:
            self._view.notice("warning", f"Stopped: `--timeout` of {seconds:g} s reached.")
            run.cancel()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _keep(self, run: Run | AsyncRun, made: object) -> None:
        """Keep the answer, and the object `made` of it, unless the answer never began."""
        question = self._question
        messages = run.messages[len(question.history) :]
        if len(messages) == 1:
            return
        self._add_exchange(run, messages)
        trace = self._notebook.tracer.waterfall(self._log.correlation_id)
        response = Response.of(run, self._view.transcript, self._log.events, question.model, made, trace)
        self._shell.displayhook.update_user_ns(response)
        if question.options.out:
            self._shell.push({question.options.out: response})
        if question.options.code:
            insert_code(find_code(response), question.cell, self._notebook.inserted, self._shell)

    def _add_exchange(self, run: Run | AsyncRun, messages: list[LLMMessage]) -> None:
        """Add the exchange to the conversation, if there is one; its last message must be the model's."""
        question = self._question
        if question.chat is None:
            return
        if messages[-1].role is not MessageRole.Assistant:
            messages.append(LLMMessage(role=MessageRole.Assistant, content=""))
        exchange = CellExchange(
            question.cell, tuple(messages), question.model, question.options.system, run.usage, run.finish_reason
        )
        question.chat.put(exchange)


class EventLog:
    """Listens to one run: passes everything on to `tracer`, and keeps the `events`."""

    def __init__(self, tracer: TracerSystem) -> None:
        self.correlation_id = ""
        self.events: list[Event] = []
        self._tracer = tracer
        self._recorder: RunTracer

    def begin(self, correlation_id: str) -> EventLog:
        """Listen to a run that begins."""
        self.correlation_id = correlation_id
        self._recorder = self._tracer.begin(correlation_id)
        return self

    def record(self, happening: Request | Event | Exception) -> None:
        """Record what happened."""
        if not isinstance(happening, Request | Exception):
            self.events.append(happening)
        self._recorder.record(happening)

    def enter(self, call: LLMToolCall) -> None:
        """Let the tracer prepare the context of a tool."""
        enter_tool(self._recorder, call)
