"""Errors, by cause.

Each message is one line that says what to do. The provider SDK's own error is the ``__cause__``.
"""

from __future__ import annotations

from typing import Protocol

from .events import FinishReason, OmissionWarning, Usage
from .messages import LLMMessage

__all__ = [
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ContextWindowError",
    "IncompleteAnswerWarning",
    "IncompleteStreamError",
    "LLMError",
    "MaxToolIterationsExceededError",
    "ModelNotFoundError",
    "OmissionWarning",
    "ProviderUnavailableError",
    "RateLimitError",
]


class FailedRun(Protocol):
    """What an error knows of its run, which is a :class:`~mojentic_nb.llm.Run` or an AsyncRun."""

    @property
    def messages(self) -> list[LLMMessage]:
        """The conversation with the answer as far as it has come."""
        ...

    @property
    def usage(self) -> Usage:
        """Tokens used so far, as the provider reports them."""
        ...

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the run ended; None after an error."""
        ...


class LLMError(Exception):
    """The base of all errors of :mod:`mojentic_nb.llm`."""

    partial: LLMMessage | None = None
    """The part of the answer that had arrived, if any: an error in the middle loses nothing."""
    run: FailedRun | None = None
    """The run that failed: its messages, usage and finish reason are right as far as it came."""
    transient: bool = False
    """Whether the same request may succeed a little later."""
    retry_after: float | None = None
    """How long the provider asks to wait before that, in seconds."""
    advice: str = ""
    """The sentence of the message that advises sending the request again, if it has one."""

    @property
    def reason(self) -> str:
        """The message without the `advice`, for when the request is sent again anyway."""
        return str(self).replace(f" {self.advice}", "", 1) if self.advice else str(self)

    def __reduce__(self) -> tuple[type[LLMError], tuple[object, ...], dict[str, object]]:
        """What is pickled, on the way to another process: all but the run."""
        return type(self), self.args, {name: value for name, value in vars(self).items() if name != "run"}


class ConfigurationError(LLMError):
    """Something on this side is missing or wrong: an API key, an address, an extra, a file, a model's name."""


class AuthenticationError(LLMError):
    """The provider refused the API key."""


class ModelNotFoundError(LLMError):
    """The provider has no such model."""


class RateLimitError(LLMError):
    """Too many requests, or the quota is used up."""

    transient = True


class ContextWindowError(LLMError):
    """The messages are longer than the model can read."""


class BadRequestError(LLMError):
    """The provider refused the request for another reason, which the message quotes."""


class ProviderUnavailableError(LLMError):
    """The provider can't be reached, or failed."""

    transient = True


class IncompleteStreamError(LLMError):
    """The answer broke off before its end; `partial` is the part that had arrived."""


class IncompleteAnswerWarning(UserWarning):
    """An answer isn't whole: a limit or the provider's filter ended it.

    Methods that return or iterate text alone issue it once a call. A run doesn't, because it has a `finish_reason`.
    """


class MaxToolIterationsExceededError(LLMError):
    """The model still called tools after the allowed rounds; `run` has everything that happened until then."""
