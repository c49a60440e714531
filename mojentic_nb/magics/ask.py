"""What a cell asks, whom and how: all of it is found before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from typing import Any, Generic, TypeVar

from IPython.core.error import UsageError

from mojentic_nb.llm import AsyncRun, CompletionConfig, LLMBroker, LLMMessage, Run
from mojentic_nb.llm.broker import Options as Said
from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.gateways.wire.images import load_image
from mojentic_nb.llm.object_stream import AsyncObjectStream, ObjectStream
from mojentic_nb.llm.request import Tool
from mojentic_nb.llm.tools.batch import Approve

from .chats import Chat
from .options import Options
from .prompt import PromptError, compose, evaluate, told
from .tools import named_tools
from .values import Image

__all__ = ["Asked", "Question", "asked_by"]


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
