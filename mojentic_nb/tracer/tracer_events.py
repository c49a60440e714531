"""The path at which programs written for Mojentic find the events; they live in :mod:`mojentic_nb.tracer.events`."""

from .events import LLMCallTracerEvent, LLMResponseTracerEvent, ToolBatchTracerEvent, ToolCallTracerEvent, TracerEvent

__all__ = [
    "LLMCallTracerEvent",
    "LLMResponseTracerEvent",
    "ToolBatchTracerEvent",
    "ToolCallTracerEvent",
    "TracerEvent",
]
