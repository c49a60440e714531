"""Which cell is being run, and having one that begins with ``%%llm`` awaited, so that clicks arrive while it runs.

IPython does not await what a magic returns. So the call that it makes of such a cell is turned into an awaited one of a
coroutine function. Where a cell can't be awaited it stays the plain call: inside of another (``%%capture``), without
IPython's autoawait, and in a terminal, where an interrupt reaches a plain call better.

Errors as a cell shows them: one line that says what to do. ``%tb`` has the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from IPython.core.interactiveshell import ExecutionInfo, InteractiveShell

from mojentic_nb.display import printable

__all__ = ["Cells", "render_in_one_line"]


class Cells:
    """An input transformer: rewrites calls of the cell magic `name` to awaited ones of `target`, an expression."""

    def __init__(self, shell: InteractiveShell, name: str, target: str) -> None:
        self._cell_id: str | None = None  # where the front end tells it
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
        """The lines of a cell as IPython is to run them."""
        if lines and lines[0].startswith(self._call) and self._can_await():
            return [self._awaited + lines[0].removeprefix(self._call), *lines[1:]]
        return lines

    def _can_await(self) -> bool:
        return hasattr(self._shell, "kernel") and self._shell.autoawait and self._depth == 0

    def key(self, question: str) -> str:
        """By what a conversation knows the cell that is being run: the id that the front end gave it, else its text.

        What one cell asks one after the other, in a loop or by a tool, are several questions; a number tells them
        apart.
        """
        self._asked += 1
        key = self._cell_id or hashlib.sha256(question.encode(errors="replace")).hexdigest()
        return key if self._asked == 1 else f"{key}/{self._asked}"

    def register(self) -> None:
        """Begin to watch and to rewrite cells."""
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
    """Have `shell` show `error` by its message the first time, and with its traceback when it is asked again.

    IPython asks an exception for `_render_traceback_` before it formats one.
    """
    kind = type(error).__name__
    line = printable(f"{kind}: {error}" if str(error) else kind)
    shown = iter([[line]])

    def render() -> list[str]:
        return next(shown, None) or shell.InteractiveTB.structured_traceback(type(error), error, error.__traceback__)

    error._render_traceback_ = render  # type: ignore[attr-defined]
