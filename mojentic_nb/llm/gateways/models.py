"""Mojentic's path of the messages, which are in :mod:`mojentic_nb.llm.messages`."""

from mojentic_nb.llm.compat import LLMGatewayResponse
from mojentic_nb.llm.messages import LLMMessage, LLMToolCall, MessageRole

__all__ = ["LLMGatewayResponse", "LLMMessage", "LLMToolCall", "MessageRole"]
