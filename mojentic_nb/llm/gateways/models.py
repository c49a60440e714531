"""The path at which programs written for Mojentic find the messages; they live in :mod:`mojentic_nb.llm.messages`."""

from mojentic_nb.llm.compat import LLMGatewayResponse
from mojentic_nb.llm.messages import LLMMessage, LLMToolCall, MessageRole

__all__ = ["LLMGatewayResponse", "LLMMessage", "LLMToolCall", "MessageRole"]
