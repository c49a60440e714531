"""The warning about an incomplete answer, for callers that get only the text."""

from __future__ import annotations

import warnings

from .conversation import Conversation
from .errors import IncompleteAnswerWarning

__all__ = ["warn_if_incomplete"]


def warn_if_incomplete(conversation: Conversation, stacklevel: int = 3) -> None:
    """Warn the caller of the function that calls this one, if the answer was cut off or filtered."""
    match conversation.finish_reason:
        case "length":
            why = f"it reached {reached_limit(conversation)}. Raise the limit, or ask for less."
        case "content_filter":
            why = "the provider's content filter ended it. Rephrase the question, or try another model."
        case _:
            return
    warnings.warn(f"The answer is incomplete: {why}", IncompleteAnswerWarning, stacklevel=stacklevel)


def reached_limit(conversation: Conversation) -> str:
    """Return the setting of ours that ended the answer, else the token limits that may have."""
    config, limit = conversation.config, conversation.limit
    if limit:
        return f"the limit {limit}={getattr(config, limit, None)}"
    names = ("max_tokens", "num_predict", "num_ctx")
    limits = [f"{name}={value}" for name in names if (value := getattr(config, name) or 0) > 0]  # -1 sets none
    own = "the model's or the provider's own, as `max_tokens` isn't set"
    return f"a token limit ({', '.join(limits) or own})"
