"""Asking a question, showing the answer, and keeping what came of it, however it ended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from mojentic_nb.display import LiveView, can_ask
from mojentic_nb.display.surface import kernel, surface
from mojentic_nb.llm import AsyncRun, LLMMessage, LLMToolCall, MessageRole, Run
from mojentic_nb.llm.object_stream import AsyncObjectStream, ObjectStream
from mojentic_nb.llm.tools.llm_tool import find_tool

from .ask import Asked, Question
from .chats import Exchange
from .code import code_of
from .log import EventLog
from .notebook import Notebook
from .objects import ObjectTable
from .response import Response

__all__ = ["Answer"]


class Answer:
    """The answer to `question`, shown as `view` says.

    `policy` is what becomes of calls that want approval where nobody can be asked. However it ends, what was answered
    is then in the conversation, in the variable that ``--out`` names and in ``_``.
    """

    def __init__(self, question: Question, notebook: Notebook, view: str, shell: InteractiveShell, policy: str) -> None:
        self._question = question
        self._notebook = notebook
        self._where = surface(view)
        self._view = LiveView(question.name, view, "json" if question.object_model else "")
        self._shell = shell
        self._policy = policy
        self._log = EventLog(notebook.tracer)
        question.broker.tracer = self._log

    def show(self) -> None:
        """Ask, and show the answer as it streams."""
        asked = self._question.begin(self._approve)
        with self._kept(asked):
            self._view.show(asked.run)

    async def ashow(self) -> None:
        """The same, asynchronously: meanwhile the kernel hears clicks."""
        asked = self._question.abegin(self._approve)
        with self._kept(asked):
            await self._view.ashow(asked.run)

    def _approve(self, call: LLMToolCall) -> bool | str | Awaitable[bool | str]:
        """Whether `call` may run: most may, unless ``--approve`` or their tool says that a person has to decide."""
        tool = find_tool(call.name, self._question.tools)
        if not (self._question.options.approve or getattr(tool, "approval", False)):
            return True
        if self._policy == "allow" and not can_ask():
            return True
        return self._view.approve(call)

    @contextmanager
    def _kept(self, asked: Asked[Any, Any]) -> Iterator[None]:
        """Keep what was answered by the end of the block, and have it end in time."""
        table = nullcontext() if asked.objects is None or self._where == "text" else self._table(asked.objects)
        try:
            with self._timed(asked.run), table:
                yield
        except asyncio.CancelledError as error:
            raise KeyboardInterrupt from error  # which is what an interrupt of an awaited cell is
        finally:
            self._keep(asked.run, asked.objects)

    def _table(self, objects: ObjectStream[Any] | AsyncObjectStream[Any]) -> AbstractContextManager[None]:
        """Show them as a table, too."""
        return ObjectTable(objects, live=self._where == "widget").filling()

    @contextmanager
    def _timed(self, run: Run | AsyncRun) -> Iterator[None]:
        """Stop `run` when its time is up."""
        seconds = self._question.options.timeout
        if seconds is None:
            yield
            return

        def stop() -> None:
            self._view.notice("warning", f"Stopped: the {seconds:g} s of --timeout were over.")
            run.cancel()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _keep(self, run: Run | AsyncRun, objects: ObjectStream[Any] | AsyncObjectStream[Any] | None) -> None:
        """Give the answer to the conversation and to the user's variables; nothing, if none has begun."""
        messages = run.messages[len(self._question.history) :]
        if len(messages) == 1:
            return
        self._exchange(run, messages)
        response = Response.of(
            run,
            self._view.transcript,
            self._log.events,
            self._question.name,
            objects.object if objects else None,
            self._notebook.tracer.waterfall(self._log.correlation_id),
        )
        self._shell.displayhook.update_user_ns(response)
        if self._question.options.out:
            self._shell.push({self._question.options.out: response})
        if self._question.options.code:
            self._insert(code_of(response))

    def _insert(self, code: str) -> None:
        """Put `code` into a new cell, unless this cell did so when it was run before.

        A kernel can add a cell below the one that it runs. It can't change or delete another, nor see that one is gone.
        """
        if not code:
            print("The answer has no Python code to insert.")
            return
        inserted, cell = self._notebook.inserted, self._question.cell
        before = inserted.pop(cell, None) if kernel() is not None else None
        if before == code:
            print("The code is in the cell that was inserted before. If you deleted that, run this cell again.")
            return
        inserted[cell] = code
        self._shell.set_next_input(code)
        if before is not None:
            print("The new code is in a new cell. Delete the cell below it, which has the code of the answer before.")

    def _exchange(self, run: Run | AsyncRun, messages: list[LLMMessage]) -> None:
        """Make the exchange a part of the conversation, if there is one; it ends with a word of the model's."""
        question = self._question
        if messages[-1].role is not MessageRole.Assistant:
            messages.append(LLMMessage(role=MessageRole.Assistant, content=""))
        if question.chat is not None:
            question.chat.put(
                Exchange(
                    question.cell,
                    tuple(messages),
                    question.name,
                    question.options.system,
                    run.usage,
                    run.finish_reason,
                )
            )
