"""The IPython magics, and their coming and going."""

from __future__ import annotations

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets import TraitError

from .ask import Response
from .completion import Matcher, matcher_for
from .magic import LLMMagics

__all__ = ["LLMMagics", "Response", "register", "unregister"]


def register(shell: InteractiveShell) -> None:
    """Give `shell` the magics, and what they need of it.

    Raises UsageError where another extension has magics of their name, and for a setting that can't be.
    """
    try:
        magics = LLMMagics(shell)
    except TraitError as error:
        shell.configurables.pop()
        raise UsageError(
            f"{str(error).rstrip('.')}: change it in get_ipython().config.LLMMagics, and load this again."
        ) from error
    if owner := owner_of(shell, magics.magic_name):
        shell.configurables.remove(magics)  # type: ignore[arg-type]
        raise UsageError(
            f"%%{magics.magic_name} belongs to {owner} already. Choose another name for this one, "
            'get_ipython().config.LLMMagics.magic_name = "ask", and load it again.'
        )
    shell.register_magics(magics)
    magics.cells.register()
    if completer := shell.Completer:
        completer.custom_matchers.append(matcher_for(magics))


def unregister(shell: InteractiveShell) -> None:
    """Take the magics back, with everything that IPython noted of them, and end the models they had started."""
    manager = shell.magics_manager
    magics = manager.registry.pop(LLMMagics.__name__)
    magics.close()
    magics.cells.unregister()
    shell.configurables.remove(magics)
    for kind, functions in magics.magics.items():
        for name in functions:
            manager.magics[kind].pop(name, None)
    if completer := shell.Completer:
        completer.custom_matchers[:] = [matcher for matcher in completer.custom_matchers if not is_ours(matcher)]


def owner_of(shell: InteractiveShell, name: str) -> str:
    """The module whose magic has that name; "" if none has."""
    tables = shell.magics_manager.magics
    found = tables["cell"].get(name) or tables["line"].get(name)
    return "" if found is None else getattr(found, "__module__", None) or "another extension"


def is_ours(matcher: Matcher) -> bool:
    """Whether the completer got that matcher of here."""
    return getattr(matcher, "__module__", "") == matcher_for.__module__
