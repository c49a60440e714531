"""Mojentic's path of the broker, which is in :mod:`mojentic_nb.llm.broker`."""

from .broker import LLMBroker
from .errors import MaxToolIterationsExceededError

__all__ = ["LLMBroker", "MaxToolIterationsExceededError"]
