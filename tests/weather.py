"""A tool for tests: the weather of a city, and the call of it."""

from __future__ import annotations

from mojentic_nb.llm import LLMToolCall
from mojentic_nb.llm.tools import LLMTool


class Weather(LLMTool):
    """The weather of a city, which is always the same."""

    descriptor = {  # noqa: RUF012 (never changed)
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Tell the weather.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }

    def run(self, city: str) -> str:
        return f"Sunny in {city}."


def call(call_id: str, city: str) -> LLMToolCall:
    """A call of it."""
    return LLMToolCall(id=call_id, name="weather", arguments={"city": city})
