"""Asking a question, showing the answer, and keeping what came of it, however it ended."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from pydantic import BaseModel

from mojentic_nb.display import LiveView, can_ask
from mojentic_nb.llm import AsyncRun, LLMToolCall, Run
from mojentic_nb.llm.object_stream import AsyncObjectStream, ObjectStream

from .chats import Exchange
from .code import code_of
from .log import EventLog
from .notebook import Notebook
from .question import Question
from .response import Response

__all__ = ["Answer"]


class Answer:
    """The answer to `question`, shown in `view`.

    `policy` is what becomes of calls that want approval where nobody can be asked. However it ends, what was answered
    is then in the conversation, in the variable that ``--out`` names and in ``_``.
    """

    def __init__(
        self, question: Question, notebook: Notebook, view: LiveView, shell: InteractiveShell, policy: str
    ) -> None:
        self._question = question
        self._notebook = notebook
        self._view = view
        self._shell = shell
        self._policy = policy
        self._log = EventLog(notebook.tracer)
        question.broker.tracer = self._log

    def show(self) -> None:
        """Ask, and show the answer as it streams."""
        run, objects = self._question.begin(self._approve)
        with self._kept(run, objects):
            self._view.show(run)

    async def ashow(self) -> None:
        """The same, asynchronously: meanwhile the kernel hears clicks."""
        run, objects = self._question.abegin(self._approve)
        with self._kept(run, objects):
            await self._view.ashow(run)

    def _approve(self, call: LLMToolCall) -> bool | str | Awaitable[bool | str]:
        """Whether `call` may run: most may, unless ``--approve`` or their tool says that a person has to decide."""
        tool = next((tool for tool in self._question.tools if tool.descriptor["function"]["name"] == call.name), None)
        if not (self._question.options.approve or getattr(tool, "approval", False)):
            return True
        if self._policy == "allow" and not can_ask():
            return True
        return self._view.approve(call)

    @contextmanager
    def _kept(self, run: Run | AsyncRun, objects: ObjectStream[Any] | AsyncObjectStream[Any] | None) -> Iterator[None]:
        """Keep what the run has said by the end of the block, and have it end in time."""
        timer = threading.Timer(self._question.options.timeout or 0, run.cancel)
        timer.daemon = True
        if self._question.options.timeout:
            timer.start()
        try:
            yield
        except asyncio.CancelledError as error:
            raise KeyboardInterrupt from error  # which is what an interrupt of an awaited cell is
        finally:
            timer.cancel()
            self._keep(run, objects)

    def _keep(self, run: Run | AsyncRun, objects: ObjectStream[Any] | AsyncObjectStream[Any] | None) -> None:
        """Give the answer to the conversation and to the user's variables."""
        self._exchanged(run)
        response = Response.of(
            run,
            self._view.transcript,
            self._log.events,
            self._question.name,
            table(objects.object) if objects else None,
            partial(self._notebook.tracer.waterfall, self._log.correlation_id),
        )
        self._shell.displayhook.update_user_ns(response)
        if self._question.options.out:
            self._shell.push({self._question.options.out: response})
        if self._question.options.code and (code := code_of(response)):
            self._shell.set_next_input(code)

    def _exchanged(self, run: Run | AsyncRun) -> None:
        """Make the exchange a part of the conversation, if there is one and the model said anything."""
        question = self._question
        messages = tuple(run.messages[len(question.messages) - 1 :])
        if question.chat is None or not messages[1:]:
            return
        question.chat.put(
            Exchange(question.cell, messages, question.name, question.options.system, run.usage, run.finish_reason)
        )


def table(value: object) -> object:
    """`value`, but a list of models as a DataFrame where pandas is in use."""
    pandas = sys.modules.get("pandas")
    if pandas and isinstance(value, list) and value and all(isinstance(row, BaseModel) for row in value):
        return pandas.DataFrame([row.model_dump() for row in value])
    return value
