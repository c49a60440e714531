"""What happened in the broker's runs, when and at what cost."""

from .events import (
    LLMCallTracerEvent,
    LLMResponseTracerEvent,
    RetryTracerEvent,
    RunTracerEvent,
    TimedTracerEvent,
    ToolBatchTracerEvent,
    ToolCallTracerEvent,
    TracerEvent,
)
from .recorder import TracerSystem
from .store import EventStore
from .waterfall import Waterfall

__all__ = [
    "EventStore",
    "LLMCallTracerEvent",
    "LLMResponseTracerEvent",
    "RetryTracerEvent",
    "RunTracerEvent",
    "TimedTracerEvent",
    "ToolBatchTracerEvent",
    "ToolCallTracerEvent",
    "TracerEvent",
    "TracerSystem",
    "Waterfall",
]
