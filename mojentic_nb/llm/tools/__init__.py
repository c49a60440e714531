"""What a model can call."""

from .current_datetime import CurrentDateTimeTool
from .date_resolver import ResolveDateTool
from .function_tool import FunctionTool, Tools, tool
from .job import Approve, ToolBatch
from .llm_tool import LLMTool
from .results import ToolOutput
from .runner import AsyncParallelToolRunner, SerialToolRunner, ToolRunner

__all__ = [
    "Approve",
    "AsyncParallelToolRunner",
    "CurrentDateTimeTool",
    "FunctionTool",
    "LLMTool",
    "ResolveDateTool",
    "SerialToolRunner",
    "ToolBatch",
    "ToolOutput",
    "ToolRunner",
    "Tools",
    "tool",
]
