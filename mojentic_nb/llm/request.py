"""What the broker wants of a gateway.

A gateway is an encoder (messages to the provider's JSON), a pure decoder (the provider's bytes to events) and a call.

What a request says about calling tools.
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
    """What a model can call: anything with a `descriptor` and a method ``run``."""

    @property
    def descriptor(self) -> Mapping[str, Any]:
        """The tool for the model, as OpenAI spells it: ``{"type": "function", "function": {"name": …, …}}``."""
        ...

    def run(self, *args: Any, **arguments: Any) -> object:  # noqa: ANN401 (any signature is one of these)
        """Run the tool with the model's arguments, which come by name."""
        ...


def tool_name(tool: Tool) -> str:
    """The name by which the model calls it."""
    return str(tool.descriptor["function"]["name"])


@dataclass(slots=True)
class Tally:
    """What a request has used so far, for a provider that reports it before the end; the gateway keeps it up to date.

    It counts if the answer is cancelled, cut off at a limit of ours, or breaks off: then no StepFinish has its usage.
    """

    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a model.

    `object_model` is what the answer is to be an instance of, in JSON, whose root is an object. `tool_choice` is
    *auto*, *required* (call some tool), *none*, or the name of the tool to call; None leaves it to the provider. A
    gateway that blocks listens to `cancellation`, and one that learns of its usage early puts it into `tally`.
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
        """The JSON schema that the answer is to follow, if one is asked for."""
        return rooted(self.object_model.model_json_schema()) if self.object_model else self.config.json_schema


@runtime_checkable
class Gateway(Protocol):
    """The way to a provider's models."""

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Send `request` and yield the model's events, the last one a StepFinish unless the answer broke off.

        Closing the generator ends the request at once. Raises :class:`~mojentic_nb.llm.errors.LLMError`.
        """
        ...


@runtime_checkable
class AsyncGateway(Protocol):
    """A gateway that needs no thread when it is asked asynchronously."""

    def astream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The same as :meth:`Gateway.stream`, for ``async for``."""
        ...


def astream(gateway: Gateway, request: Request) -> AsyncGenerator[ModelEvent, None]:
    """The model's events, those of a gateway that is synchronous only from a thread."""
    return gateway.astream(request) if isinstance(gateway, AsyncGateway) else in_thread(gateway.stream(request))


def rooted(schema: Mapping[str, Any]) -> dict[str, Any]:
    """`schema` with its root written out, which pydantic leaves to a reference where a model holds itself."""
    root, definitions = dict(schema), schema.get("$defs", {})
    while (name := root.get("$ref", "").rpartition("/")[2]) in definitions:
        root = {**definitions[name], **{key: value for key, value in root.items() if key != "$ref"}}
    return root


def chosen(request: Request) -> str | None:
    """The request's choice: *auto*, *none*, *required* or a tool's name; None if there is none, or are no tools."""
    return request.tool_choice if request.tools else None


def is_forced(choice: str | None) -> bool:
    """Whether a call has to come of it."""
    return choice not in (None, "auto", "none")
