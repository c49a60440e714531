"""Makes tools of functions. The model reads a function's name, docstring and type hints."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import (
    Any,
    Generic,
    ParamSpec,
    TypeVar,
    cast,
    overload,
)

from mojentic_nb.llm.request import Tool, tool_name

from .docstrings import read_docstring
from .parameters import Bound, Parameters, innermost, underlying

__all__ = ["FunctionTool", "ToolChoice", "Tools", "as_tools", "checked_choice", "is_tool", "tool"]

P = ParamSpec("P")
R = TypeVar("R")

Tools = Sequence[Tool | Callable[..., object]]
"""What a model may call: plain functions, and objects with a `descriptor` and ``run``."""

ToolChoice = str | Mapping[str, Any]
"""*auto*, *none*, *required*, or the tool that has to be called: its name, alone or as OpenAI's APIs spell it."""

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # what OpenAI and Anthropic take


class FunctionTool(Generic[P, R]):
    """A tool that calls `function`, with arguments that were checked against its type hints.

    `name` and `description` are the function's own unless given. A `sequential` tool runs alone, one with `approval`
    only if the run's ``approve`` lets it, and `timeout` is how many seconds it may take. Calling the tool itself calls
    the function, so that a decorated function stays one; a decorated method is a tool of each object.

    Raises TypeError for a function whose arguments a model can't give, and ValueError for a name that providers refuse.
    """

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        sequential: bool = False,
        approval: bool = False,
        timeout: float | None = None,
    ) -> None:
        if isinstance(function, type) or not callable(function):
            raise TypeError(f"{function!r} isn't a function, so it can't be a tool.")
        if timeout is not None and not timeout > 0:  # nor is NaN
            raise ValueError(f"`timeout` must be more than 0 seconds, or None for no limit, not {timeout!r}.")
        documentation = read_docstring(docstring(function))
        self.function = function
        self.name = name_of(function) if name is None else name
        if not NAME.fullmatch(self.name):
            raise ValueError(
                f"{self.name!r} isn't a valid tool name. Rename it with tool(function, name=…), using up to 64 ASCII "
                "letters, digits, `_` and `-`."
            )
        self.description = documentation.description if description is None else description
        self.sequential = sequential
        self.approval = approval
        self.timeout = timeout
        self.is_async = is_async(function)
        self._parameters = Parameters(function, documentation.parameters)
        functools.update_wrapper(self, function, updated=())

    @property
    def descriptor(self) -> Mapping[str, Any]:
        """The tool for the model: ``{"type": "function", "function": {"name": …, "parameters": …}}``."""
        parameters = self._parameters.schema
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.description, "parameters": parameters},
        }

    def run(self, /, **arguments: Any) -> object:  # noqa: ANN401 (what the model sends)
        """Call the function with a model's arguments, and return what it does, a coroutine or a generator as it is.

        Raises ValueError, in one line that the model can act on, for arguments that are wrong, missing or unknown.
        """
        return self.call(self.bind(arguments))

    def bind(self, arguments: Mapping[str, object]) -> Bound:
        """Check a model's arguments. Raises ValueError as :meth:`run` does."""
        return self._parameters.bind(arguments)

    def call(self, bound: Bound) -> object:
        """Call the function with arguments that were checked."""
        return cast(Callable[..., R], self.function)(*bound.positional, **bound.by_name)

    def matches(self, name: str) -> bool:
        """Whether the model means this tool by `name`."""
        return name == self.name

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function."""
        return self.function(*args, **kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> FunctionTool[..., R]:
        if instance is None or not inspect.isfunction(self.function):
            return self
        return FunctionTool(
            self.function.__get__(instance, owner),
            name=self.name,
            description=self.description,
            sequential=self.sequential,
            approval=self.approval,
            timeout=self.timeout,
        )

    def __repr__(self) -> str:
        return f"FunctionTool({getattr(self, 'name', None)})"  # None if the constructor raised an error


@overload
def tool(
    function: Callable[P, R],
    *,
    name: str | None = None,
    description: str | None = None,
    sequential: bool = False,
    approval: bool = False,
    timeout: float | None = None,
) -> FunctionTool[P, R]: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    sequential: bool = False,
    approval: bool = False,
    timeout: float | None = None,
) -> Callable[[Callable[P, R]], FunctionTool[P, R]]: ...
def tool(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    sequential: bool = False,
    approval: bool = False,
    timeout: float | None = None,
) -> object:
    """Make a tool of a function: ``@tool``, ``@tool(timeout=5)`` or ``tool(function, name="…")``.

    See :class:`FunctionTool` for the settings, and for what is raised.
    """

    def make(function: Callable[..., Any]) -> FunctionTool[..., Any]:
        return FunctionTool(
            function,
            name=name,
            description=description,
            sequential=sequential,
            approval=approval,
            timeout=timeout,
        )

    return make if function is None else make(function)


def as_tools(tools: Tools | None) -> tuple[Tool, ...]:
    """Return the tools, with one made of each function among them.

    Raises TypeError for what is neither a tool nor a function, and ValueError for two of the same name.
    """
    if is_tool(tools) or callable(tools):
        raise TypeError(f"`tools` must be a list. Pass [{shown(tools)}].")
    if isinstance(tools, str | bytes | Mapping) or not isinstance(tools, Iterable | None):
        raise TypeError(f"`tools` must be a list of functions or tool objects, not {tools!r}.")
    made = tuple(map(as_tool, tools or ()))
    names = list(map(checked_name, made))
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"Two tools have the name {name!r}. Rename one with tool(function, name=…).")
    return made


def checked_choice(choice: ToolChoice | None, tools: Sequence[Tool]) -> str | None:
    """The choice by a tool's name or in a word; raises ValueError where it can't be met with `tools`."""
    match choice:
        case {"function": {"name": str(choice)}} | {"name": str(choice)}:  # as OpenAI's two APIs spell it
            pass
        case None | "auto" | "none":
            return choice
    if not tools:
        raise ValueError(f"tool_choice={choice!r} needs tools. Pass tools=[…].")
    names = list(map(tool_name, tools))
    if choice not in ("required", *names):
        known = ", ".join(map(repr, ("auto", "none", "required", *names)))
        raise ValueError(f"tool_choice={choice!r} isn't one of {known}.")
    return choice


def as_tool(value: object) -> Tool:
    """Return a tool as it is, or make one of a function."""
    if isinstance(value, type):
        raise TypeError(f"{value.__name__} is a class. Pass an instance of it, or a function.")
    if is_tool(value):
        return cast(Tool, value)
    if callable(value):
        return FunctionTool(value)
    raise TypeError(f"{value!r} isn't a tool. Pass a function, or an object with `descriptor` and `run`.")


def is_tool(value: object) -> bool:
    """Return whether it is an object with a `descriptor` and ``run``, and not a class."""
    return not isinstance(value, type) and hasattr(value, "descriptor") and callable(getattr(value, "run", None))


def checked_name(tool: Tool) -> str:
    """The name by which the model calls it; raises TypeError where its descriptor has none."""
    try:
        return tool_name(tool)
    except (KeyError, TypeError) as error:
        raise TypeError(
            f"The descriptor of {tool!r} has no name: it has to be like "
            '{"type": "function", "function": {"name": …, "description": …, "parameters": …}}.'
        ) from error


def shown(value: object) -> str:
    """Return a function or tool as you would write it."""
    return str(getattr(value, "__name__", repr(value)))


def name_of(function: object) -> str:
    """A function's own name, that of its class for an object that can be called; raises TypeError for a lambda."""
    target: object = underlying(function)
    name = getattr(target, "__name__", "")
    if name == "__call__":
        name = type(innermost(function)).__name__
    if name == "<lambda>":
        raise TypeError("A lambda has no name: give one, as in tool(lambda city: …, name=…).")
    return str(name)


def docstring(function: object) -> str | None:
    """A function's documentation; for an object that can be called, that of its class if ``__call__`` has none."""
    inner = innermost(function)
    own: str | None = underlying(function).__doc__
    return own or (None if inspect.isroutine(inner) else inner.__doc__)


def is_async(function: object) -> bool:
    """Whether calling it gives what has to be awaited."""
    target = underlying(function)
    return inspect.iscoroutinefunction(target) or inspect.isasyncgenfunction(target)
