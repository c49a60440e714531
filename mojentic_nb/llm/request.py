"""A request to a model, the tools in it, and the gateway that sends it.

A gateway is an encoder (messages to the provider's JSON), a pure decoder (the provider's bytes to events) and a call.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from .cancellation import Cancellation
from .concurrency import in_thread
from .config import CompletionConfig
from .events import ModelEvent, Usage
from .messages import LLMMessage

__all__ = ["Gateway", "Request", "Tally", "Tool", "astream", "chosen", "is_forced", "rooted", "tool_name"]


class Tool(Protocol):
    """A tool for a model: any object with a `descriptor` and a method ``run``."""

    @property
    def descriptor(self) -> Mapping[str, Any]:
        """The tool in OpenAI's form: ``{"type": "function", "function": {"name": …, …}}``."""
        ...

    def run(self, *args: Any, **arguments: Any) -> object:  # noqa: ANN401 (any signature is one of these)
        """Run the tool with the model's arguments, by name."""
        ...


def tool_name(tool: Tool) -> str:
    """Return the name of `tool` for the model."""
    return str(tool.descriptor["function"]["name"])


@dataclass(slots=True)
class Tally:
    """The usage of a request so far, from a provider that reports it before the end; the gateway updates it.

    It counts if the reply is cancelled, is cut at a limit of ours, or breaks off: no StepFinish has the usage then.
    """

    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a model.

    `object_model` is the model that the reply must match, as JSON whose root is an object. `tool_choice` is *auto*,
    *required* (call some tool), *none*, or the name of the tool to call; None is the provider's default. A gateway that
    blocks stops at `cancellation`, and one that knows its usage before the end sets `tally`.
    """

    model: str
    messages: tuple[LLMMessage, ...]
    config: CompletionConfig = field(default_factory=CompletionConfig)
    tools: tuple[Tool, ...] = ()
    object_model: type[BaseModel] | None = None
    tool_choice: str | None = None
    cancellation: Cancellation = field(default_factory=Cancellation, compare=False, repr=False)
    tally: Tally = field(default_factory=Tally, compare=False, repr=False)

    @property
    def schema(self) -> dict[str, Any] | None:
        """The JSON schema that the reply must match, if there is one."""
        return rooted(self.object_model.model_json_schema()) if self.object_model else self.config.json_schema


@runtime_checkable
class Gateway(Protocol):
    """The interface of a gateway to a provider's models."""

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Send `request` and yield the model's events, the last one a StepFinish unless the reply broke off.

        Closing the generator ends the request at once. Raises :class:`~mojentic_nb.llm.errors.LLMError`.
        """
        ...


@runtime_checkable
class AsyncGateway(Protocol):
    """A gateway that doesn't need a thread for asynchronous requests."""

    def astream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """Do what :meth:`Gateway.stream` does, for ``async for``."""
        ...


def astream(gateway: Gateway, request: Request) -> AsyncGenerator[ModelEvent, None]:
    """Send `request` and yield the model's events; a gateway that is only synchronous runs in a thread."""
    return gateway.astream(request) if isinstance(gateway, AsyncGateway) else in_thread(gateway.stream(request))


def rooted(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return `schema` with its root inline, which pydantic makes a reference if a model refers to itself."""
    root, definitions = dict(schema), schema.get("$defs", {})
    while (name := root.get("$ref", "").rpartition("/")[2]) in definitions:
        root = {**definitions[name], **{key: value for key, value in root.items() if key != "$ref"}}
    return root


def chosen(request: Request) -> str | None:
    """Return the request's choice: *auto*, *none*, *required* or a tool's name; None if unset, or without tools."""
    return request.tool_choice if request.tools else None


def is_forced(choice: str | None) -> bool:
    """Return whether the choice forces a tool call."""
    return choice not in (None, "auto", "none")
