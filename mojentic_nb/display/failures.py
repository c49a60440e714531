"""Exceptions as a person is told of them."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import TracebackType

from IPython import get_ipython

import mojentic_nb.llm

from .blocks import Failure
from .values import bounded, said

__all__ = ["failure"]

OURS = str(Path(mojentic_nb.llm.__file__).parent)


def failure(error: object, output: str) -> Failure:
    """What is told of `error`; of anything that is no exception, the `output` that the model was told.

    An exception that no code outside the broker raised (nobody approved of a call, its time was up) has no class.
    """
    if not isinstance(error, BaseException):
        return {"type": "", "message": bounded(output), "traceback": None}
    steps = theirs(error.__traceback__)
    told = traceback.TracebackException(type(error), error, steps, limit=-30, compact=True) if steps else None
    for step in told.stack if told else ():
        step.filename = readable(step.filename)
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


def readable(filename: str) -> str:
    """The name of a file of code; a notebook's cell by its number, as IPython does, not by a file that isn't there."""
    shell = get_ipython()
    return " ".join((shell and shell.compile.format_code_name(filename)) or (filename,))
