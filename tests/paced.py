"""Answers and tools that a test paces from another process: they go on past a gate when the gate's file is there."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

from mojentic_nb.llm import (
    LLMBroker,
    LLMMessage,
    LLMToolCall,
    ReasoningDelta,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
)
from mojentic_nb.llm.events import ModelEvent
from mojentic_nb.llm.request import Request

QUESTION = [LLMMessage(content="Well?")]
END = StepFinish("stop", Usage(input_tokens=1200, output_tokens=34, cached_tokens=1024))
CALLS = StepFinish("tool_calls", Usage(input_tokens=900, output_tokens=21))

Step = Iterable[ModelEvent | Path | Exception]


class PacedGateway:
    """Answers each request with the next step; a path among its events is a gate, an exception is raised."""

    def __init__(self, *steps: Step) -> None:
        self._steps = iter(steps)

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Yield the next step's events."""
        for event in next(self._steps):
            if isinstance(event, Exception):
                raise event
            if isinstance(event, Path):
                while not event.exists():
                    if request.cancellation.wait(0.01):
                        return
            else:
                yield event


class PacedTool:
    """A tool that reports progress, waits at a gate, and returns or raises `outcome`."""

    def __init__(self, name: str, outcome: object, gate: Path | None = None) -> None:
        parameters = {"type": "object", "properties": {}}
        self.descriptor = {"type": "function", "function": {"name": name, "description": "", "parameters": parameters}}
        self._outcome = outcome
        self._gate = gate

    def run(self, **_: Any) -> Iterator[object]:
        """Run it."""
        yield "half way"
        while self._gate and not self._gate.exists():
            time.sleep(0.01)
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


def asking(*steps: Step) -> LLMBroker:
    """A broker whose model answers with these steps."""
    return LLMBroker("paced", PacedGateway(*steps))


def text(said: str, size: int = 4) -> list[TextDelta]:
    """A text in pieces."""
    return [TextDelta(said[at : at + size]) for at in range(0, len(said), size)]


def reasoning(said: str, size: int = 4) -> list[ReasoningDelta]:
    """Reasoning in pieces."""
    return [ReasoningDelta(said[at : at + size]) for at in range(0, len(said), size)]


def call(name: str, gate: Path | None = None, **arguments: object) -> list[ModelEvent | Path]:
    """A call whose arguments come in pieces, the second half of them behind the gate."""
    pieces = [ToolCallDelta(name, piece.delta) for piece in text(json.dumps(arguments))]
    half = len(pieces) // 2
    return [
        ToolCallStart(name, name),
        *pieces[:half],
        *([gate] if gate else []),
        *pieces[half:],
        ToolCallEnd(LLMToolCall(id=name, name=name, arguments=arguments)),
    ]
