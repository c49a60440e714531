"""Names for models, with what it takes to reach them."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass

from IPython.core.error import UsageError

from mojentic_nb.llm.gateways.sdk import NO_KEY

__all__ = ["Model"]

FORM = "PROVIDER:MODEL [--base-url URL] [--key-variable NAME]"


@dataclass(frozen=True, slots=True)
class Model:
    """A model by its full name, and the address and the environment's key where they are not its provider's."""

    name: str
    base_url: str | None = None
    key_variable: str | None = None

    @classmethod
    def read(cls, alias: str, spec: str) -> Model:
        """What `alias` stands for. Raises UsageError, which never repeats what may be a key."""
        options: dict[str, str | None] = {"--base-url": None, "--key-variable": None}
        try:
            name, *words = shlex.split(spec)
            pairs = dict(zip(words[::2], words[1::2], strict=True))
        except ValueError as error:
            raise UsageError(f"The alias {alias!r} can't be read: it has to be {FORM}.") from error
        if unknown := pairs.keys() - options.keys():
            raise UsageError(f"The alias {alias!r} has no option {min(unknown)}: it has to be {FORM}.")
        options |= pairs
        variable = options["--key-variable"]
        if variable is not None and not (variable.isidentifier() and variable.isupper()):
            raise UsageError(
                f"The alias {alias!r} takes the NAME of the environment's variable that has the key, not the key."
            )
        return cls(name, options["--base-url"], variable)

    @property
    def key(self) -> str | None:
        """The key, None where it is the provider's own. Raises UsageError where the environment has none.

        The provider's own key is nobody else's business: another address gets none unless it is named.
        """
        if self.key_variable is None:
            return NO_KEY if self.base_url else None
        if not (key := os.environ.get(self.key_variable, "").strip()):
            raise UsageError(f"There is no key in the environment's {self.key_variable}: set it, outside the notebook.")
        return key
