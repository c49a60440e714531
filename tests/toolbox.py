"""Tools made of functions, and runs in which a model calls them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from driving import begin
from loopback import PATIENCE

from mojentic_nb.llm import (
    AsyncRun,
    Event,
    LLMBroker,
    LLMMessage,
    LLMToolCall,
    Run,
    StepFinish,
    ToolCallEnd,
    ToolCallStart,
    ToolProgress,
    ToolResult,
)
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.llm.tools.runner import ToolRunner

QUESTION = [LLMMessage(content="What is it?")]
STOPPED = "The call was stopped before it had a result."


class Tool:
    """A tool that calls `function`; `attributes` are what it says of itself."""

    def __init__(self, function: Callable, name: str = "", **attributes: object) -> None:
        name = name or function.__name__
        self.descriptor = {"type": "function", "function": {"name": name, "description": name, "parameters": {}}}
        self.run = function
        self.__dict__.update(attributes)


def step(*names: str, first: int = 0) -> list[Event]:
    """What a model says that calls the tools of these names; the calls are numbered from the `first`."""
    calls = [LLMToolCall(id=f"call_{first + n}", name=name, arguments={}) for n, name in enumerate(names)]
    return [*(ToolCallStart(call.id, call.name) for call in calls), *map(ToolCallEnd, calls), StepFinish("tool_calls")]


def disguised(function: Callable) -> Callable:
    """A function that doesn't look like the asynchronous one that it calls."""

    def looks_plain() -> object:
        return function()

    return looks_plain


def calling(
    how: str, tools: Iterable[Tool], *names: str, runner: ToolRunner | None = None, **options
) -> Run | AsyncRun:
    """A run whose model calls the tools of these names (by default each), and then says Done."""
    tools = list(tools)
    names = names or tuple(tool.descriptor["function"]["name"] for tool in tools)
    broker = LLMBroker("a-model", ScriptedGateway([step(*names), "Done."]), tool_runner=runner)
    return begin(broker, how, QUESTION, tools, **options)


def results(events: Iterable[Event]) -> list[ToolResult]:
    return [event for event in events if isinstance(event, ToolResult)]


def outputs(events: Iterable[Event]) -> list[str]:
    return [result.output for result in results(events)]


def reports(events: Iterable[Event]) -> list[object]:
    """What the tools reported on their way."""
    return [event.value for event in events if isinstance(event, ToolProgress)]


def kept(run: Run | AsyncRun) -> list[str]:
    """The results in the run's messages."""
    return [message.content for message in run.messages if message.role.name == "Tool"]


class Gate(threading.Event):
    """Opened by a test, or by a tool; passing it fails the test rather than to wait for ever."""

    def pass_through(self) -> None:
        assert self.wait(PATIENCE)

    def open(self) -> None:
        self.set()
