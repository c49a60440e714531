"""What a model can call."""

from .batch import Approve, ToolBatch
from .current_datetime import CurrentDateTimeTool
from .date_resolver import ResolveDateTool
from .function import FunctionTool, Tools, tool
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
