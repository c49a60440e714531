"""What some of OpenAI's own models can't do. A model that is not named here is taken to be able.

https://platform.openai.com/docs/models. Never asked about another server's models, whatever they are called.
"""

from __future__ import annotations

import re

__all__ = ["can_stream", "needs_responses"]

# The name, without the date that may follow it.
NO_STREAM = re.compile(r"(o1|o3|gpt-5(\.\d+)?)-pro")
ONLY_RESPONSES = re.compile(
    rf"{NO_STREAM.pattern}|gpt-5(\.\d+)?-codex(-\w+)*|codex-mini-latest|o[34](-mini)?-deep-research"
)
DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")


def can_stream(model: str) -> bool:
    """Whether `model` can stream its answer."""
    return not NO_STREAM.fullmatch(DATE.sub("", model))


def needs_responses(model: str) -> bool:
    """Whether `model` is to be had by the Responses API alone."""
    return bool(ONLY_RESPONSES.fullmatch(DATE.sub("", model)))
