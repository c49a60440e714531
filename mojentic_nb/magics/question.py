"""What a cell asks, whom and how: all of it is found before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from IPython.core.error import UsageError

from mojentic_nb.llm import AsyncRun, CompletionConfig, LLMBroker, LLMMessage, Run
from mojentic_nb.llm.gateways.base import Tool
from mojentic_nb.llm.object_stream import AsyncObjectStream, ObjectStream
from mojentic_nb.llm.tools.job import Approve

from .chats import Chat
from .options import Options
from .prompt import PromptError, compose, evaluate
from .tools import named_tools
from .values import Image, shown

__all__ = ["Asked", "Question", "asked_by"]


R = TypeVar("R", bound=Run | AsyncRun)
S = TypeVar("S", bound=ObjectStream[Any] | AsyncObjectStream[Any])


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

    def begin(self, approve: Approve) -> Asked[Run, ObjectStream[Any]]:
        """Ask."""
        if self.object_model is None:
            run = self.broker.stream(
                self.messages, self.tools, self.config, tool_choice=self.options.tool_choice, approve=approve
            )
            return Asked(run)
        stream = self.broker.stream_object(
            self.messages,
            self.object_model,
            self.config,
            tools=self.tools,
            tool_choice=self.options.tool_choice,
            approve=approve,
        )
        return Asked(stream.run, stream)

    def abegin(self, approve: Approve) -> Asked[AsyncRun, AsyncObjectStream[Any]]:
        """The same, asynchronously."""
        if self.object_model is None:
            run = self.broker.astream(
                self.messages, self.tools, self.config, tool_choice=self.options.tool_choice, approve=approve
            )
            return Asked(run)
        stream = self.broker.astream_object(
            self.messages,
            self.object_model,
            self.config,
            tools=self.tools,
            tool_choice=self.options.tool_choice,
            approve=approve,
        )
        return Asked(stream.run, stream)


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
    """The question that a cell asks with its `options` and its `text`; raises UsageError for what can't be asked."""
    if options.tool_choice and not options.tool:
        raise UsageError(f"--tool-choice {options.tool_choice} needs tools: name them with -t.")
    try:
        message = compose(text, namespace, [image(path, namespace) for path in options.image])
        object_model = evaluate(options.as_, namespace, "--as") if options.as_ else None
    except PromptError as error:
        raise UsageError(str(error)) from error
    try:
        config = CompletionConfig(**options.settings)
    except ValueError as error:
        setting, _, said = str(error).partition(" ")
        option = setting.replace("_", "-").replace("max-tool-iterations", "max-steps")
        raise UsageError(f"--{option} {said}") from error
    return Question(
        name=name,
        broker=broker,
        cell=cell,
        message=message,
        history=tuple(history),
        chat=chat,
        tools=named_tools(options.tools, namespace),
        config=config,
        object_model=object_model,
        options=options,
    )


def image(expression: str, namespace: Mapping[str, Any]) -> str:
    """The path or address of the picture that `-i` names: one of Python's values, or else a path as it stands."""
    try:
        value = evaluate(expression, namespace)
    except PromptError:
        return expression
    picture = shown(value)
    return picture.url if isinstance(picture, Image) else picture
