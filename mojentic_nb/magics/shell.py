"""How cells run in IPython: which cell is running, awaiting those that begin with ``%%llm``, and errors in one line.

IPython doesn't await what a magic returns, and a kernel that is busy with a plain call receives no clicks. So the call
of the cell magic is rewritten to an awaited call of a coroutine function. It stays a plain call where a cell can't be
awaited (within another magic such as ``%%capture``, or without IPython's autoawait), and in a terminal, where an
interrupt reaches a plain call better.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from IPython.core.interactiveshell import ExecutionInfo, InteractiveShell

from mojentic_nb.display import printable

__all__ = ["Cells", "render_in_one_line"]


class Cells:
    """An input transformer that rewrites calls of the cell magic `name` to awaited calls of `target`, an expression.

    It rewrites source text because IPython decides by the text whether to await a cell (``should_run_async``), before
    it applies its AST transformers.
    """

    def __init__(self, shell: InteractiveShell, name: str, target: str) -> None:
        self._cell_id: str | None = None  # if the front end sends it
        self._asked = 0
        self._shell = shell
        self._call = f"get_ipython().run_cell_magic({name!r}, "
        self._awaited = f"await {target}("
        self._depth = 0
        self._callbacks: dict[str, Callable[..., None]] = {
            "pre_execute": self._enter,
            "pre_run_cell": self._note,
            "post_execute": self._leave,
        }

    def __call__(self, lines: list[str]) -> list[str]:
        """Return the lines of a cell as IPython should run them."""
        if lines and lines[0].startswith(self._call) and self._can_await():
            return [self._awaited + lines[0].removeprefix(self._call), *lines[1:]]
        return lines

    def _can_await(self) -> bool:
        return hasattr(self._shell, "kernel") and self._shell.autoawait and self._depth == 0

    def key(self, question: str) -> str:
        """Return what identifies the running cell in a conversation: the front end's id, else its text.

        A cell may ask several questions, in a loop or through a tool; a number distinguishes them.
        """
        self._asked += 1
        key = self._cell_id or hashlib.sha256(question.encode(errors="replace")).hexdigest()
        return key if self._asked == 1 else f"{key}/{self._asked}"

    @property
    def label(self) -> str:
        """The running cell as a person knows it: ``In [3]``."""
        return f"In [{len(self._shell.history_manager.input_hist_parsed) - 1}]"  # type: ignore[union-attr]

    def register(self) -> None:
        """Watch and rewrite cells."""
        self._shell.input_transformers_post.append(self)
        for event, callback in self._callbacks.items():
            self._shell.events.register(event, callback)

    def unregister(self) -> None:
        """Leave cells alone again."""
        self._shell.input_transformers_post.remove(self)
        for event, callback in self._callbacks.items():
            self._shell.events.unregister(event, callback)

    def _enter(self) -> None:
        self._depth += 1
        if self._depth == 1:
            self._cell_id = None
            self._asked = 0

    def _note(self, info: ExecutionInfo) -> None:
        if self._depth == 1:
            self._cell_id = getattr(info, "cell_id", None)

    def _leave(self) -> None:
        self._depth = max(0, self._depth - 1)  # the cell that loads the extension began before this listened


def render_in_one_line(shell: InteractiveShell, error: BaseException) -> None:
    """Let `shell` show `error` as one line the first time, and with its traceback after that, for ``%tb``.

    IPython asks an exception for `_render_traceback_` before it formats one (undocumented; seen in IPython 8.37 to
    9.18).
    """
    kind = type(error).__name__
    line = printable(f"{kind}: {error}" if str(error) else kind)
    shown = iter([[line]])

    def render() -> list[str]:
        return next(shown, None) or shell.InteractiveTB.structured_traceback(type(error), error, error.__traceback__)

    error._render_traceback_ = render  # type: ignore[attr-defined]
