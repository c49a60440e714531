"""A streaming broker for language models that any Python program can use; it knows nothing of notebooks."""

from .broker import LLMBroker
from .chat_session import ChatSession
from .config import CompletionConfig
from .errors import LLMError, OmissionWarning
from .events import (
    Event,
    Finish,
    FinishReason,
    ModelEvent,
    Notice,
    ReasoningDelta,
    Retry,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolProgress,
    ToolResult,
    Usage,
)
from .message_composers import MessageBuilder
from .messages import LLMMessage, LLMToolCall, MessageRole
from .object_stream import AsyncObjectStream, ObjectStream
from .run import AsyncRun, Run
from .tools import tool

__all__ = [
    "AsyncObjectStream",
    "AsyncRun",
    "ChatSession",
    "CompletionConfig",
    "Event",
    "Finish",
    "FinishReason",
    "LLMBroker",
    "LLMError",
    "LLMMessage",
    "LLMToolCall",
    "MessageBuilder",
    "MessageRole",
    "ModelEvent",
    "Notice",
    "ObjectStream",
    "OmissionWarning",
    "ReasoningDelta",
    "Retry",
    "Run",
    "StepFinish",
    "TextDelta",
    "ToolCallDelta",
    "ToolCallEnd",
    "ToolCallStart",
    "ToolProgress",
    "ToolResult",
    "Usage",
    "tool",
]
