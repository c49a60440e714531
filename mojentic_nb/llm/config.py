"""How an answer is to be generated."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .validation import complaint

__all__ = ["SETTINGS", "CompletionConfig", "ReasoningEffort", "config_of"]

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class CompletionConfig(BaseModel):
    """Settings of one completion. What is None is not sent, so that the provider's own default holds.

    Raises ValueError, in one line, for an unknown setting or a value out of range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Randomness of the choice of tokens; 0 always takes the likeliest."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Choose among the likeliest tokens that together have this probability."""
    top_k: int | None = Field(default=None, ge=1)
    """Choose among this many of the likeliest tokens (Ollama, Anthropic and many local servers; not OpenAI)."""
    max_tokens: int | None = Field(default=None, ge=1)
    """End the answer after this many tokens, with the finish reason *length*."""
    num_predict: int | None = Field(default=None, ge=-2)
    """Ollama's own name for the limit, which there comes before `max_tokens`; elsewhere it counts if that is None."""
    num_ctx: int | None = Field(default=None, ge=1)
    """The context, in tokens, that Ollama is to make room for; other providers decide that themselves."""
    reasoning_effort: ReasoningEffort | None = None
    """How much to reason before the answer, for models that can; *none* not at all."""
    response_format: dict[str, Any] | None = None
    """The form of the answer, as OpenAI spells it: ``{"type": "json_object"}``, or a JSON schema."""
    think_tags: bool = False
    """Take what a model writes between ``<think>`` and ``</think>`` before its answer as reasoning, for servers that
    leave these tags in the text."""
    max_answer_chars: int | None = Field(default=2_000_000, ge=1)
    """End the answer to a request after this many characters of text, reasoning and arguments, with the finish reason
    *length*, whatever the server goes on to send; None sets no limit."""
    max_stream_bytes: int | None = Field(default=50_000_000, ge=1)
    """The same for the bytes of the response, of which one token takes some 300; None sets no limit."""
    max_tool_iterations: int | None = Field(default=10, ge=0)
    """Rounds of tool calls before the run ends with an error; 0 offers the model no tools, None sets no limit."""

    if not TYPE_CHECKING:  # pragma: no branch (the type checker is to know the settings by name)

        def __init__(self, **settings: object) -> None:
            try:
                super().__init__(**settings)
            except ValidationError as error:
                known = ", ".join(type(self).model_fields)
                raise ValueError(complaint(error, f"The settings are: {known}.")) from error

    @property
    def token_limit(self) -> int | None:
        """The limit of tokens for providers that know one name for it."""
        if self.max_tokens is None and self.num_predict is not None and self.num_predict > 0:
            return self.num_predict
        return self.max_tokens

    @property
    def json_schema(self) -> dict[str, Any] | None:
        """The schema in `response_format`, if there is one."""
        schema = ((self.response_format or {}).get("json_schema") or {}).get("schema")
        return schema if isinstance(schema, dict) else None


SETTINGS = ("temperature", "num_ctx", "num_predict", "max_tokens")


def config_of(config: CompletionConfig | None, *values: float | None) -> CompletionConfig:
    """Return the `config`, or else the one that the `values` of single settings make."""
    settings: dict[str, Any] = {name: value for name, value in zip(SETTINGS, values, strict=True) if value is not None}
    if config is None:
        return CompletionConfig(**settings)
    if not isinstance(config, CompletionConfig):
        raise TypeError(
            f"`config` must be a CompletionConfig, such as CompletionConfig(temperature=0), not {config!r}."
        )
    if settings:
        warnings.warn(
            f"`config` replaces single settings, so these have no effect: {', '.join(settings)}. Put them into it.",
            DeprecationWarning,
            stacklevel=4,
        )
    return config
