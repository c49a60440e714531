"""What a model can call."""

from .current_datetime import CurrentDateTimeTool
from .date_resolver import ResolveDateTool
from .llm_tool import LLMTool

__all__ = ["CurrentDateTimeTool", "LLMTool", "ResolveDateTool"]
