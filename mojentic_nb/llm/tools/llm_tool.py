"""The base class of tools, as programs written for Mojentic know it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

__all__ = ["LLMTool"]


class LLMTool(ABC):
    """A tool: a `descriptor` that tells the model about it, and :meth:`run`. Any object that has both will do as well.

    What :meth:`run` returns goes to the model: text as it is, all else as JSON. What it raises is told to the model. A
    generator reports progress with what it yields, and its return value is the result.
    """

    @property
    @abstractmethod
    def descriptor(self) -> Mapping[str, Any]:
        """The tool for the model: ``{"type": "function", "function": {"name": …, "parameters": …}}``."""

    @abstractmethod
    def run(self, **arguments: Any) -> object:  # noqa: ANN401 (what the model sends)
        """Run the tool with the model's arguments."""

    @property
    def name(self) -> str:
        """The name by which the model calls it."""
        return str(self.descriptor["function"]["name"])

    @property
    def description(self) -> str:
        """What the model is told about it."""
        return str(self.descriptor["function"]["description"])

    def matches(self, name: str) -> bool:
        """Whether the model means this tool by `name`."""
        return name == self.name
