"""The path at which programs written for Mojentic find the broker; it lives in :mod:`mojentic_nb.llm.broker`."""

from .broker import LLMBroker
from .errors import MaxToolIterationsExceededError

__all__ = ["LLMBroker", "MaxToolIterationsExceededError"]
