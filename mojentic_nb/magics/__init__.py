"""The IPython magics, and how the extension adds them to a shell and removes them."""

from __future__ import annotations

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets import TraitError

from .completion import Matcher, matcher_for
from .magic import LLMMagics
from .response import Response

__all__ = ["LLMMagics", "Response", "register", "unregister"]


def register(shell: InteractiveShell) -> None:
    """Add the magics to `shell`.

    Raises UsageError if another extension has a magic of the same name, or if a setting is invalid.
    """
    try:
        magics = LLMMagics(shell)
    except TraitError as error:
        shell.configurables.pop()
        raise UsageError(
            f"{str(error).rstrip('.')}. Change it in get_ipython().config.LLMMagics, and load the extension again."
        ) from error
    if owner := owner_of(shell, magics.magic_name):
        shell.configurables.remove(magics)  # type: ignore[arg-type]
        raise UsageError(
            f"%%{magics.magic_name} already belongs to {owner}. Choose another name with "
            'get_ipython().config.LLMMagics.magic_name = "ask", and load the extension again.'
        )
    shell.register_magics(magics)
    magics.cells.register()
    shell.Completer.custom_matchers.append(matcher_for(magics))


def unregister(shell: InteractiveShell) -> None:
    """Remove the magics and every trace of them from `shell`, and stop the models they started."""
    manager = shell.magics_manager
    magics = manager.registry.pop(LLMMagics.__name__)
    magics.notebook.close()
    magics.cells.unregister()
    shell.configurables.remove(magics)
    for kind, functions in magics.magics.items():
        for name in functions:
            manager.magics[kind].pop(name, None)
    matchers = shell.Completer.custom_matchers
    matchers[:] = [matcher for matcher in matchers if not is_ours(matcher)]


def owner_of(shell: InteractiveShell, name: str) -> str:
    """Return the module whose magic has this name; "" if none has."""
    tables = shell.magics_manager.magics
    found = tables["cell"].get(name) or tables["line"].get(name)
    return "" if found is None else getattr(found, "__module__", None) or "another extension"


def is_ours(matcher: Matcher) -> bool:
    """Whether this extension added that matcher to the completer."""
    return getattr(matcher, "__module__", "") == matcher_for.__module__
