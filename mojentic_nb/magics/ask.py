"""What a cell asks, whom and how: all of it is found before anything is sent.

What ``--as`` asks for, as a table that fills in while the answer streams.

What a cell was answered, as a value.

What happens in the runs of one cell: kept for its response, and told to the notebook's tracer.

The code in an answer.

Asking a question, showing the answer, and keeping what came of it, however it ended.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from os import PathLike
from types import ModuleType
from typing import Any, Generic, Self, TypeVar

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from pydantic import BaseModel

from mojentic_nb.display import LiveView, Transcript, as_html, can_ask
from mojentic_nb.display.render.results import Table
from mojentic_nb.display.render.values import said
from mojentic_nb.display.surface import kernel, surface
from mojentic_nb.llm import (
    AsyncRun,
    CompletionConfig,
    Event,
    FinishReason,
    LLMBroker,
    LLMMessage,
    LLMToolCall,
    MessageRole,
    Run,
    ToolResult,
    Usage,
)
from mojentic_nb.llm.broker import Options as Said
from mojentic_nb.llm.concurrency import in_background
from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.gateways.wire.images import load_image
from mojentic_nb.llm.object_stream import AsyncObjectStream, ObjectStream
from mojentic_nb.llm.request import Request, Tool
from mojentic_nb.llm.text import fence_after, printable
from mojentic_nb.llm.tools.batch import Approve
from mojentic_nb.llm.tools.llm_tool import find_tool
from mojentic_nb.llm.tracing import RunTracer, enter_tool
from mojentic_nb.tracer import TracerSystem, Waterfall

from .notebook import Chat, Exchange, Notebook
from .options import Options
from .prompt import Image, PromptError, compose, evaluate, named_tools, shortened, told

__all__ = ["Answer", "Question", "Response", "asked_by", "code_of"]

R = TypeVar("R", bound=Run | AsyncRun)
S = TypeVar("S", bound=ObjectStream[Any] | AsyncObjectStream[Any])


@contextmanager
def asking() -> Iterator[None]:
    """Tell in one line what a broker can't be asked, such as for an object that is none."""
    try:
        yield
    except (TypeError, ValueError, NotImplementedError) as error:
        raise UsageError(str(error)) from error


@dataclass(frozen=True)
class Asked(Generic[R, S]):
    """The run of a question, and where an object is wanted its stream over the same run."""

    run: R
    objects: S | None = None


@dataclass(frozen=True)
class Question:
    """A question of the cell `cell` to the model that is called `name`, after the `history` of `chat`."""

    name: str
    broker: LLMBroker
    cell: str
    message: LLMMessage
    history: tuple[LLMMessage, ...]
    chat: Chat | None
    tools: tuple[Tool, ...]
    config: CompletionConfig
    object_model: Any
    options: Options

    @property
    def messages(self) -> list[LLMMessage]:
        """What is sent."""
        return [*self.history, self.message]

    @asking()
    def begin(self, approve: Approve) -> Asked[Run, ObjectStream[Any]]:
        """Ask. Raises UsageError for what can't be asked."""
        if self.object_model is None:
            return Asked(self.broker.stream(self.messages, self.tools, self.config, **self._said(approve)))
        stream = self.broker.stream_object(
            self.messages, self.object_model, self.config, tools=self.tools, **self._said(approve)
        )
        return Asked(stream.run, stream)

    @asking()
    def abegin(self, approve: Approve) -> Asked[AsyncRun, AsyncObjectStream[Any]]:
        """The same, asynchronously."""
        if self.object_model is None:
            return Asked(self.broker.astream(self.messages, self.tools, self.config, **self._said(approve)))
        stream = self.broker.astream_object(
            self.messages, self.object_model, self.config, tools=self.tools, **self._said(approve)
        )
        return Asked(stream.run, stream)

    def _said(self, approve: Approve) -> Said:
        return {"tool_choice": self.options.tool_choice, "approve": approve}


def asked_by(  # noqa: PLR0917 (each is one thing that a cell brings)
    options: Options,
    text: str,
    namespace: Mapping[str, Any],
    name: str,
    broker: LLMBroker,
    history: Iterable[LLMMessage],
    chat: Chat | None,
    cell: str,
) -> Question:
    """The question that a cell asks with its `options` and its `text`.

    Raises UsageError and PromptError for what can't be asked.
    """
    if options.out and isinstance(module := namespace.get(options.out), ModuleType):
        raise UsageError(f"-o {options.out} would replace the module `{module.__name__}`. Choose another name.")
    return Question(
        name=name,
        broker=broker,
        cell=cell,
        message=compose(text, namespace, [image(expression, namespace) for expression in options.image]),
        history=tuple(history),
        chat=chat,
        tools=tools_of(options, namespace),
        config=config_of(options),
        object_model=object_model_of(options, namespace),
        options=options,
    )


def tools_of(options: Options, namespace: Mapping[str, Any]) -> tuple[Tool, ...]:
    """What the model may call."""
    if options.tool and not options.tools:
        raise UsageError("-t names no tool: %llm tools lists those there are.")
    if options.tool_choice is not None and not options.tools:
        raise UsageError(f"--tool-choice {options.tool_choice} needs tools: name them with -t.")
    return named_tools(options.tools, namespace)


def config_of(options: Options) -> CompletionConfig:
    """How the answer is to be generated."""
    try:
        return CompletionConfig(**options.settings)
    except ValueError as error:
        setting, _, said = str(error).partition(" ")
        option = setting.replace("_", "-").replace("max-tool-iterations", "max-steps")
        raise UsageError(f"--{option} {said}") from error


def object_model_of(options: Options, namespace: Mapping[str, Any]) -> object:
    """The type that the answer is to be of; None for a text."""
    if options.as_ is None:
        return None
    if (object_model := evaluate(options.as_, namespace, "--as")) is None:
        raise UsageError("--as None asks for no object: give a pydantic model, or leave it out.")
    return object_model


def image(expression: str, namespace: Mapping[str, Any]) -> str:
    """The path or address of the picture that `-i` names: one of Python's values, or else a path as it stands.

    Raises UsageError, PromptError and :class:`~mojentic_nb.llm.errors.ConfigurationError`.
    """
    try:
        value = evaluate(expression, namespace, "-i")
    except PromptError as error:
        return path(expression, error)
    picture = told(value, f"-i {expression}")
    if isinstance(picture, Image):
        return picture.url
    if not isinstance(value, str | PathLike):
        raise UsageError(
            f"-i {expression} is no picture: give a path, an address, a figure, an image or an array of one."
        )
    load_image(picture)
    return picture


def path(expression: str, failure: PromptError) -> str:
    """The expression as a path or an address, for as a value it has failed."""
    try:
        load_image(expression)
    except ConfigurationError:
        if isinstance(failure.__cause__, NameError | AttributeError | SyntaxError | ValueError):  # so a path was meant
            raise
        raise failure from None
    return expression


PERIOD = 0.25  # seconds; each table goes whole to the front end
LARGE = 20_000  # characters of a table; one that is larger comes in the end only
CELL = 500  # characters of a cell


class ObjectTable:
    """Displays the object of `stream` below what is displayed already: as it comes if `live`, else in the end."""

    def __init__(self, stream: ObjectStream[Any] | AsyncObjectStream[Any], *, live: bool) -> None:
        self._live = live
        self._stream = stream
        self._handle: Any = None
        self._shown = ""
        self._ended = threading.Event()

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Show within the ``with`` block what comes, and at its end what has come."""
        growing = in_background(self._grow)
        try:
            yield
        finally:
            self._ended.set()
            growing.result()
            self._show()

    def _grow(self) -> None:
        while self._live and not self._ended.wait(PERIOD) and len(self._shown) < LARGE:
            self._show()

    def _show(self) -> None:
        value = self._stream.snapshot
        if value is None or (value == [] and self._stream.object is None):  # whether there will be rows is not known
            return
        table = as_table(value)
        bundle = {"text/plain": repr(table), "text/html": table._repr_html_()}
        if bundle["text/html"] == self._shown:
            return
        self._shown = bundle["text/html"]
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def as_table(value: object) -> Table:
    """A model as its fields, a list of models as rows, all else as one cell."""
    if isinstance(value, BaseModel):
        return Table(("field", "value"), [(name, cell(each)) for name, each in value])
    if isinstance(value, list):
        rows = [dict(row) if isinstance(row, BaseModel) else {"value": row} for row in value]
        header = list(dict.fromkeys(name for row in rows for name in row))
        return Table(header, [[cell(row.get(name)) for name in header] for row in rows], "There are no rows.")
    return Table(("value",), [(cell(value),)])


def cell(value: object) -> str:
    """A value within a table; what has not come yet is empty."""
    return "" if value is None else shortened(said(value), CELL)


def as_value(value: object) -> object:
    """`value`, but a list of models as a DataFrame where pandas is in use."""
    pandas = sys.modules.get("pandas")
    if pandas and isinstance(value, list) and value and all(isinstance(row, BaseModel) for row in value):
        return pandas.DataFrame([row.model_dump() for row in value])
    return value


class Response(str):
    """An answer's text, and all that is known of it.

    `messages` are the conversation with it, `tool_calls` what the model called on the way, `events` what happened,
    `usage` the tokens that it took, `model` who gave it, `finish_reason` why it ended (None after an error), `object`
    what ``--as`` asked for, `trace` when its requests and calls began and ended.
    """

    messages: list[LLMMessage]
    tool_calls: list[LLMToolCall]
    events: list[Event]
    usage: Usage
    model: str
    finish_reason: FinishReason | None
    object: Any
    trace: Waterfall
    _transcript: Transcript
    _table: Table | None

    @classmethod
    def of(
        cls,
        run: Run | AsyncRun,
        transcript: Transcript,
        events: list[Event],
        model: str,
        object: Any,  # noqa: A002, ANN401 (what the user asked for, None if that is text)
        trace: Waterfall,
    ) -> Self:
        """The response that `run` is, as it was shown in `transcript`."""
        last = run.partial
        response = cls((last.content or "") if last else "")
        response.messages = run.messages
        response.tool_calls = [event.call for event in events if isinstance(event, ToolResult)]
        response.events = events
        response.usage = run.usage
        response.model = model
        response.finish_reason = run.finish_reason
        response.object = as_value(object)
        response.trace = trace
        response._transcript = transcript
        response._table = None if object is None else as_table(object)
        return response

    def _repr_html_(self) -> str:
        return as_html(self._transcript) + (self._table._repr_html_() if self._table else "")


class EventLog:
    """Stands between a broker and `tracer`, for one run. `events` are those of the run, so far."""

    def __init__(self, tracer: TracerSystem) -> None:
        self.correlation_id = ""
        self.events: list[Event] = []
        self._tracer = tracer
        self._recorder: RunTracer | None = None

    def begin(self, correlation_id: str) -> EventLog:
        """Listen to a run that begins."""
        self.correlation_id = correlation_id
        self._recorder = self._tracer.begin(correlation_id)
        return self

    def record(self, happening: Request | Event | Exception) -> None:
        """Take note of what the run tells, and pass it on."""
        if not isinstance(happening, Request | Exception):
            self.events.append(happening)
        if self._recorder is not None:
            self._recorder.record(happening)

    def enter(self, call: LLMToolCall) -> None:
        """Have the tracer prepare the context of a tool."""
        enter_tool(self._recorder, call)


PYTHON = {"", "py", "python", "python3", "ipython", "ipython3", "jupyter"}


def code_of(answer: str) -> str:
    """The Python code in the fenced blocks of `answer`, one after the other; "" if there is none.

    Every character of it is visible: what is read is what runs.
    """
    found = (code for info, code in blocks(answer) if language(info) in PYTHON)
    return "\n\n".join(printable(code).strip("\n") for code in found)


def blocks(answer: str) -> Iterator[tuple[str, str]]:
    """What the fence says of each fenced block that is closed, and its code."""
    fence = ""
    lines: list[str] = []
    for line in answer.replace("\r\n", "\n").split("\n"):
        before, fence = fence, fence_after(fence, line)
        if fence:
            lines.append(line)
        elif before:
            info, *code = lines
            indent = info[: info.index(before)]
            yield info.strip().lstrip(before[0]), "\n".join(line.removeprefix(indent) for line in code)
            lines.clear()


def language(info: str) -> str:
    """The language that a fence names."""
    return (info.split() or [""])[0].strip("{}.").lower()


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
