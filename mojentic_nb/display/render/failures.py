"""Exceptions as a person is told of them."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import mojentic_nb.llm
from mojentic_nb.display.blocks import Failure

from .values import bounded, said

__all__ = ["failure"]

OURS = str(Path(mojentic_nb.llm.__file__).parent)


def failure(error: object, output: str, code_name: Callable[[str], str] = str) -> Failure:
    """What is told of `error`; of anything that is no exception, the `output` that the model was told.

    An exception that no code outside the broker raised (nobody approved of a call, its time was up) has no class. Its
    traceback calls files of code by their `code_name`.
    """
    if not isinstance(error, BaseException):
        return {"type": "", "message": bounded(output), "traceback": None}
    steps = theirs(error.__traceback__)
    told = traceback.TracebackException(type(error), error, steps, limit=-30, compact=True) if steps else None
    for step in told.stack if told else ():
        step.filename = code_name(step.filename)
    return {
        "type": type(error).__name__ if told else "",
        "message": bounded(said(error)),
        "traceback": bounded("".join(told.format())) if told else None,
    }


def theirs(steps: TracebackType | None) -> TracebackType | None:
    """The traceback from the first step on that is not in the broker: how a tool was called tells nobody anything."""
    while steps and steps.tb_frame.f_code.co_filename.startswith(OURS):
        steps = steps.tb_next
    return steps
