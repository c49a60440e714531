"""Why an answer could not be had, by cause.

Each message is one line that says what to do; the provider SDK's own error is the ``__cause__``.
"""

from __future__ import annotations

from .messages import LLMMessage

__all__ = [
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ContextWindowError",
    "IncompleteStreamError",
    "LLMError",
    "ModelNotFoundError",
    "ProviderUnavailableError",
    "RateLimitError",
]


class LLMError(Exception):
    """The base of all errors of :mod:`mojentic_nb.llm`."""

    partial: LLMMessage | None = None
    """The part of the answer that had arrived, if any: an error in the middle loses nothing."""


class ConfigurationError(LLMError):
    """Something on this side is missing or wrong: an API key, an extra, a file, a model's name."""


class AuthenticationError(LLMError):
    """The provider refused the API key."""


class ModelNotFoundError(LLMError):
    """The provider has no such model."""


class RateLimitError(LLMError):
    """Too many requests, or the quota is used up."""


class ContextWindowError(LLMError):
    """The messages are longer than the model can read."""


class BadRequestError(LLMError):
    """The provider refused the request for another reason, which the message quotes."""


class ProviderUnavailableError(LLMError):
    """The provider can't be reached, or failed."""


class IncompleteStreamError(LLMError):
    """The answer broke off before its end; `partial` is what came of it."""
