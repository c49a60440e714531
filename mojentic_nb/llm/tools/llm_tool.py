"""The base class of tools that aren't functions, and Mojentic's interface to them."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from mojentic_nb.llm.messages import LLMToolCall
from mojentic_nb.llm.request import Tool, tool_name
from mojentic_nb.llm.tracing import report

from .results import done, drain

__all__ = ["LLMTool", "ToolTracer", "find_tool"]


class ToolTracer(Protocol):
    """Keeps record of tool calls, as :class:`mojentic_nb.tracer.TracerSystem` does."""

    def record_tool_call(
        self, tool_name: str, arguments: Mapping[str, Any], result: object, *, correlation_id: str | None = None
    ) -> None:
        """Take note that a tool was called."""
        ...


class LLMTool(ABC):
    """A tool: a `descriptor` for the model, and :meth:`run`. Any object that has both is a tool as well.

    The model gets what :meth:`run` returns: text as it is, anything else as JSON. It also gets the error that it
    raises. A generator reports progress with the values that it yields; its result is what it returns, or else the last
    value. `tracer` records calls of :meth:`call_tool`; the broker's tracer records those of a run.
    """

    tracer: ToolTracer | None = None

    def __init__(self, tracer: ToolTracer | None = None) -> None:
        self.tracer = tracer

    @property
    @abstractmethod
    def descriptor(self) -> Mapping[str, Any]:
        """The tool for the model: ``{"type": "function", "function": {"name": …, "parameters": …}}``."""

    @abstractmethod
    def run(self, *args: Any, **arguments: Any) -> object:  # noqa: ANN401 (any signature is one of these)
        """Run the tool with the model's arguments, which come by name."""

    def call_tool(self, correlation_id: str | None = None, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401
        """Run the tool without a model, and return what the model would get, in Mojentic's form."""
        value: Any = self.run(**arguments)
        if inspect.isgenerator(value):
            value = drain(value)
        output = done(LLMToolCall(name=self.name, arguments=arguments), value).output
        if self.tracer is not None:
            try:
                self.tracer.record_tool_call(self.name, arguments, output, correlation_id=correlation_id)
            except Exception as error:  # noqa: BLE001 (whatever it is, the result is worth more than its trace)
                report(error)
        return {"content": [{"type": "text", "text": output, "annotations": None}]}

    @property
    def name(self) -> str:
        """The name by which the model calls it."""
        return str(self.descriptor["function"]["name"])

    @property
    def description(self) -> str:
        """The description that the model reads."""
        return str(self.descriptor["function"]["description"])

    def matches(self, name: str) -> bool:
        """Whether the model means this tool by `name`; override it for a tool that answers to several names."""
        return name == self.name


def find_tool(name: str, tools: Iterable[Tool]) -> Tool | None:
    """Find the tool that a model means by `name`: the first that matches, None if none does."""
    for tool in tools:
        if tool.matches(name) if isinstance(tool, LLMTool) else tool_name(tool) == name:
            return tool
    return None
