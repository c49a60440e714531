"""The tools that a cell names: from the notebook's own variables, or built in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from IPython.core.error import UsageError

from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.request import Tool
from mojentic_nb.llm.tools import CurrentDateTimeTool, ResolveDateTool
from mojentic_nb.llm.tools.function import as_tools, is_tool

from .prompt import evaluate

__all__ = ["BUILT_IN", "named_tools", "tools_in"]

BUILT_IN: dict[str, Callable[[], Tool]] = {
    "current_datetime": CurrentDateTimeTool,
    "resolve_date": ResolveDateTool,
}


def named_tools(names: Iterable[str], namespace: Mapping[str, Any]) -> tuple[Tool, ...]:
    """The tools of these names; a name may stand for a list of them. Raises UsageError and PromptError."""
    found: list[Any] = []
    for name in names:
        value = named(name, namespace)
        found += value if isinstance(value, list | tuple) else [value]
    try:
        return as_tools(found)
    except (TypeError, ValueError) as error:
        raise UsageError(f"-t {', '.join(names)}: {error}") from error


def named(name: str, namespace: Mapping[str, Any]) -> object:
    """What `name` stands for."""
    if name.partition(".")[0] in namespace:
        return evaluate(name, namespace, "-t")
    if name in BUILT_IN:
        try:
            return BUILT_IN[name]()
        except ConfigurationError as error:
            raise UsageError(str(error)) from error
    known = [*BUILT_IN, *tools_in(namespace)]
    close = get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}?" if close else "define it first; %llm tools lists those there are."
    raise UsageError(f"-t {name}: there is no tool or function of that name: {hint}")


def tools_in(namespace: Mapping[str, Any]) -> dict[str, object]:
    """The user's own functions and tools, by name."""
    return {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and (is_tool(value) or is_own_function(value))
    }


def is_own_function(value: object) -> bool:
    """Whether `value` is a function that was defined in the notebook."""
    return callable(value) and getattr(value, "__module__", "") == "__main__" and hasattr(value, "__code__")
