"""A warning for whoever gets the text of an answer alone: without a run, nothing else says that it isn't whole."""

from __future__ import annotations

import warnings

from .config import CompletionConfig
from .conversation import Conversation
from .errors import IncompleteAnswerWarning

__all__ = ["warn_if_incomplete"]

UNSET = "the model's or the provider's own, as `max_tokens` isn't set"


def warn_if_incomplete(conversation: Conversation) -> None:
    """Warn the caller of the function that calls this one, if the answer was cut off or filtered."""
    match conversation.finish_reason:
        case "length":
            said = f"it reached {limits(conversation.config, conversation.limit)}. Raise the limit, or ask for less."
        case "content_filter":
            said = "the provider's content filter ended it. Rephrase the question, or try another model."
        case _:
            return
    warnings.warn(f"The answer is incomplete: {said}", IncompleteAnswerWarning, stacklevel=3)


def limits(config: CompletionConfig, ceiling: str) -> str:
    """The `ceiling` of ours that ended the answer, else the limits of tokens; without one the provider has its own."""
    if ceiling:
        return f"the limit {ceiling}={getattr(config, ceiling, None)}"
    names = ("max_tokens", "num_predict", "num_ctx")
    said = [f"{name}={value}" for name in names if (value := getattr(config, name) or 0) > 0]  # -1 sets none
    return f"a token limit ({', '.join(said) or UNSET})"
