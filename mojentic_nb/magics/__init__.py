"""The IPython magics, and their coming and going."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

from .llm import LLMMagics

__all__ = ["LLMMagics", "register", "unregister"]


def register(shell: InteractiveShell) -> None:
    """Give `shell` the magics."""
    shell.register_magics(LLMMagics)


def unregister(shell: InteractiveShell) -> None:
    """Take the magics back, with everything that IPython noted of them, and end the models they had started."""
    manager = shell.magics_manager
    magics = manager.registry.pop(LLMMagics.__name__)
    magics.close()
    shell.configurables.remove(magics)
    for kind, functions in magics.magics.items():
        for name in functions:
            manager.magics[kind].pop(name, None)
