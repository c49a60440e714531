"""What happened in the broker's runs, when and at what cost."""

from .events import LLMCallTracerEvent, LLMResponseTracerEvent, ToolCallTracerEvent, TracerEvent
from .system import TracerSystem

__all__ = ["LLMCallTracerEvent", "LLMResponseTracerEvent", "ToolCallTracerEvent", "TracerEvent", "TracerSystem"]
