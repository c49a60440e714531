"""A tool that tells the model what time it is, which models don't know."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .llm_tool import LLMTool

__all__ = ["CurrentDateTimeTool"]


class CurrentDateTimeTool(LLMTool):
    """Tells the current date and time, in this machine's time zone."""

    @property
    def descriptor(self) -> Mapping[str, Any]:
        """The tool for the model."""
        return {
            "type": "function",
            "function": {
                "name": "get_current_datetime",
                "description": "Get the current date and time.",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "format_string": {
                            "type": "string",
                            "description": "As in Python's strftime; '%Y-%m-%d %H:%M:%S' if not given.",
                        }
                    },
                    "required": [],
                    "additionalProperties": False,
                },
            },
        }

    def run(self, format_string: str = "%Y-%m-%d %H:%M:%S") -> dict[str, object]:
        """The time now: as text in that format, as seconds since the epoch, and the time zone's name."""
        now = datetime.now().astimezone()
        return {
            "current_datetime": now.strftime(format_string),
            "timestamp": now.timestamp(),
            "timezone": now.tzname(),
        }
