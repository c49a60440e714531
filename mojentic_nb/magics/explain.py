"""``%llm explain``: the question about the error that came last."""

from __future__ import annotations

import linecache
import sys
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from IPython.core.error import UsageError

from mojentic_nb.llm import LLMError

from .prompt import PromptError

__all__ = ["about", "last_error"]

LONGEST_TRACEBACK = 6000  # characters; what matters stands at its end


def last_error(unexplained: BaseException | None) -> BaseException:
    """The last error that a cell raised; `unexplained` where that is only why its explanation failed.

    Raises UsageError if there was none.
    """
    error = getattr(sys, "last_value", None)
    if isinstance(error, UsageError | PromptError | LLMError):
        error = unexplained or error
    if error is None:
        raise UsageError("There was no error to explain.")
    return error


def about(error: BaseException, namespace: Mapping[str, Any]) -> str:
    """The question about an error that a cell raised, whose variables are in the `namespace`.

    Of its traceback that is told which begins in the cell: what ran the cell is not of interest.
    """
    frames = within(error.__traceback__, namespace)
    told = "".join(traceback.format_exception(type(error), public(error), frames))[-LONGEST_TRACEBACK:]
    text = f"Explain this error, and how to mend it.\n\n{told}"
    if cell := source(error, frames):
        text += f"\nIt came from this cell:\n\n{cell}"
    return text.replace("{{", r"\{{")


def public(error: BaseException) -> BaseException:
    """Return `error`, or a SyntaxError instead of the private class that Python 3.13 has for a cell that ends early."""
    return SyntaxError(*error.args) if type(error).__name__ == "_IncompleteInputError" else error


def within(frames: TracebackType | None, namespace: Mapping[str, Any]) -> TracebackType | None:
    """The frames from the cell's own on; None if it did not begin to run."""
    while frames and frames.tb_frame.f_globals is not namespace:
        frames = frames.tb_next
    return frames


def source(error: BaseException, frames: TracebackType | None) -> str:
    """The cell that raised the error; "" if it is not known."""
    if frames:
        return "".join(linecache.getlines(frames.tb_frame.f_code.co_filename))
    return "".join(linecache.getlines(error.filename or "")) if isinstance(error, SyntaxError) else ""
