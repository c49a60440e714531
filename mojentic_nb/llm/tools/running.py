"""Which call a tool is running for, for code that the tool calls: a view of a model that it asks, say."""

from __future__ import annotations

from contextvars import ContextVar

from mojentic_nb.llm.messages import LLMToolCall

__all__ = ["RUNNING"]

RUNNING: ContextVar[LLMToolCall | None] = ContextVar("mojentic_nb_call", default=None)
"""The call for which the current context runs a tool; None where none does."""
