"""Errors as a cell shows them: one line that says what to do. ``%tb`` has the rest."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

from mojentic_nb.display import printable

__all__ = ["render_in_one_line"]


def render_in_one_line(shell: InteractiveShell, error: BaseException) -> None:
    """Have `shell` show `error` by its message the first time, and with its traceback when it is asked again.

    IPython asks an exception for `_render_traceback_` before it formats one.
    """
    kind = type(error).__name__
    line = printable(f"{kind}: {error}" if str(error) else kind)
    shown = iter([[line]])

    def render() -> list[str]:
        return next(shown, None) or shell.InteractiveTB.structured_traceback(type(error), error, error.__traceback__)

    error._render_traceback_ = render  # type: ignore[attr-defined]
