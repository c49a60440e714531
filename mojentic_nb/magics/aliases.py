"""Names for models, with what it takes to reach them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from IPython.core.error import UsageError

from mojentic_nb.llm.gateways.keys import NO_KEY, Key
from mojentic_nb.llm.providers import PROVIDERS

from .line import words

__all__ = ["Model"]

FORM = "PROVIDER:MODEL [--base-url URL] [--key-variable NAME]"
FIELDS = {"--base-url": "base_url", "--key-variable": "key_variable"}
ON_THIS_MACHINE = ("local", "replay")


@dataclass(frozen=True, slots=True)
class Model:
    """A model by its full name, and the address and the environment's key where they are not its provider's."""

    name: str
    base_url: str | None = None
    key_variable: str | None = None

    @classmethod
    def read(cls, alias: str, spec: str) -> Model:
        """What `alias` stands for. Raises UsageError, which never repeats what may be a key."""
        if not alias or ":" in alias or alias in PROVIDERS:
            raise UsageError(f"{alias!r} can't be an alias: give a name with no colon, that is no provider's.")
        try:
            name, *rest = words(spec)
            fields = {FIELDS[option]: value for option, value in zip(rest[::2], rest[1::2], strict=True)}
        except (ValueError, KeyError) as error:
            raise UsageError(f"The alias {alias!r} can't be read: it has to be {FORM}.") from error
        model = cls(name, **fields)
        model._check(alias)
        return model

    def _check(self, alias: str) -> None:
        """Raise UsageError for what can be no model's."""
        provider, _, model = self.name.partition(":")
        if provider not in (*PROVIDERS, "replay") or not (model or provider == "local"):
            raise UsageError(f"The alias {alias!r} stands for no model: it has to be {FORM}.")
        if provider in ON_THIS_MACHINE and (self.base_url or self.key_variable):
            raise UsageError(f"The alias {alias!r} stands for a model on this machine: it has no address and no key.")
        variable = self.key_variable
        if variable is not None and not (variable.isidentifier() and variable.isupper()):
            raise UsageError(
                f"The alias {alias!r} takes the NAME of the environment's variable that has the key, not the key."
            )
        if self.base_url is not None:
            check_address(alias, self.base_url)

    @property
    def key(self) -> Key | None:
        """The key, None where it is the provider's own. Raises UsageError where the environment has none.

        The provider's own key is nobody else's business: another address gets none unless it is named.
        """
        if self.key_variable is None:
            return Key(NO_KEY) if self.base_url else None
        if not (key := Key.in_environment(self.key_variable)):
            raise UsageError(f"There is no key in the environment's {self.key_variable}: set it, outside the notebook.")
        return key


def check_address(alias: str, url: str) -> None:
    """Raise UsageError for an address that can't be one, or has a password in it."""
    try:
        address = urlsplit(url)
    except ValueError:
        address = urlsplit("")
    if address.scheme not in ("http", "https") or not address.hostname:
        raise UsageError(f"The address of the alias {alias!r} can't be one: it has to begin with http:// or https://.")
    if address.password or address.username:
        raise UsageError(
            f"The address of the alias {alias!r} has a name or a password in it: keys go into the environment."
        )
