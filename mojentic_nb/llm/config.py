"""How an answer is to be generated."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["CompletionConfig"]


class CompletionConfig(BaseModel):
    """Settings of one completion. What is None is not sent, so that the provider's own default holds.

    Raises :class:`pydantic.ValidationError` for an unknown setting or a value out of range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float | None = Field(default=None, ge=0)
    """Randomness of the choice of tokens; 0 always takes the likeliest."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Choose among the likeliest tokens that together have this probability."""
    max_tokens: int | None = Field(default=None, ge=1)
    """End the answer after this many tokens, with the finish reason *length*."""
