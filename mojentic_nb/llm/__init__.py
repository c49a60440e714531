"""A streaming broker for language models that any Python program can use; it knows nothing of notebooks."""

from .broker import LLMBroker
from .config import CompletionConfig
from .errors import LLMError
from .events import Event, Finish, FinishReason, StepFinish, TextDelta, Usage
from .messages import LLMMessage, MessageRole
from .run import Run

__all__ = [
    "CompletionConfig",
    "Event",
    "Finish",
    "FinishReason",
    "LLMBroker",
    "LLMError",
    "LLMMessage",
    "MessageRole",
    "Run",
    "StepFinish",
    "TextDelta",
    "Usage",
]
