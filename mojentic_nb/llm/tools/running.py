"""Running the tool that a model called. Whatever goes wrong is told to the model, which can mend it or do without."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Sequence
from copy import deepcopy

from pydantic import BaseModel

from mojentic_nb.llm.events import ToolProgress, ToolResult
from mojentic_nb.llm.gateways.assembly import mended
from mojentic_nb.llm.gateways.base import Tool
from mojentic_nb.llm.messages import LLMToolCall

__all__ = ["run_call"]


def run_call(tools: Sequence[Tool], call: LLMToolCall) -> Generator[ToolProgress | ToolResult, None, None]:
    """Run the tool that `call` names, among `tools`; yield its progress and, last, its result."""
    started = time.perf_counter()
    is_error = False
    try:
        output = yield from answer(tools, call)
    except Exception as error:  # noqa: BLE001 (a tool may raise anything; an interrupt is none of these)
        output, is_error = f"{type(error).__name__}: {error}", True
    yield ToolResult(call, mended(output), is_error, time.perf_counter() - started)


def answer(tools: Sequence[Tool], call: LLMToolCall) -> Generator[ToolProgress, None, str]:
    """What the model is told; raises whatever is wrong."""
    if call.error:
        raise ValueError(call.error)
    by_name = {str(tool.descriptor["function"]["name"]): tool for tool in tools}
    if call.name not in by_name:
        raise LookupError(f"There is no tool {call.name!r}; there are: {', '.join(by_name) or 'none'}.")
    value = by_name[call.name].run(**deepcopy(call.arguments))
    if isinstance(value, Generator):
        value = yield from progress(call, value)
    return as_text(value)


def progress(call: LLMToolCall, steps: Generator[object, None, object]) -> Generator[ToolProgress, None, object]:
    """The progress that a tool's generator reports; returns its result."""
    try:
        while True:
            yield ToolProgress(call.id or "", next(steps))
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


def as_text(value: object) -> str:
    """A tool's result for the model."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=plain)


def plain(value: object) -> object:
    """What stands for `value`, which JSON has no word for."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
