"""Talk to a language model from a notebook: ``%load_ext mojentic_nb``, then a ``%%llm`` cell.

This module stays light, so that ``import mojentic_nb`` costs nothing: the magics are imported when the extension is
loaded, the broker (:mod:`mojentic_nb.llm`) when it is first needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"
__all__ = ["__version__", "load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add the ``%%llm`` magic to `shell`; ``%load_ext mojentic_nb`` calls this."""
    from .magics import register

    register(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Remove everything that loading added to `shell`; ``%unload_ext mojentic_nb`` calls this."""
    from .magics import unregister

    unregister(shell)
