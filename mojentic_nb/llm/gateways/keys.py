"""A provider's API key: sent with each request, and hidden everywhere else.

The SDKs keep the key that they are given in attributes, headers and local variables, all of which a traceback may show.
So they get a stand-in, and :meth:`Key.sign` puts the key into each request when the HTTP library sends it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.redaction import forms_of, occurrences, replaced

__all__ = ["NO_KEY", "STAND_IN", "Key", "ambient_headers"]

NO_KEY = "none"  # for servers that need no key; the SDKs want one for every server
STAND_IN = "(key of mojentic_nb)"
SIGNED = {"authorization": f"Bearer {STAND_IN}", "x-api-key": STAND_IN}
HIDDEN = "(the key)"
SHORT = 8  # characters; a key as short as "none" or "ollama" is hidden only as a word of its own


class Key:
    """An API key that no `repr` shows; a false value where there is none."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        self._secret = secret.strip()  # a line end is often copied with it

    @classmethod
    def of(cls, given: str | Key | None) -> Key | None:
        """`given` as a key; None if there is none, or "" is given."""
        return cls(given) if isinstance(given, str) and given else given or None

    @classmethod
    def in_environment(cls, name: str) -> Key | None:
        """The key in the environment variable `name`; None if it isn't set or is empty."""
        return cls.of(os.environ.get(name, "").strip())

    def __bool__(self) -> bool:
        return bool(self._secret)

    def __repr__(self) -> str:
        return "Key(…)" if self else "Key('')"

    def checked(self) -> Key:
        """Return the key; raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for characters no key has."""
        if not (self._secret.isascii() and self._secret.isprintable()):
            raise ConfigurationError(
                "The API key has a character that no key has: copy it again, without what is around it."
            )
        return self

    def sign(self, request: Any) -> Any:  # noqa: ANN401 (httpx's or httpx2's)
        """Put the key in place of the stand-in in the headers of `request`, or remove the header if there is no key."""
        for name, value in list(request.headers.items()):
            if STAND_IN in value and self:
                request.headers[name] = value.replace(STAND_IN, self._secret)
            elif STAND_IN in value:
                del request.headers[name]
        return request

    def hide(self, text: str) -> str:
        """`text` without the key, as it is or behind escapes."""
        return replaced(text, self._found, HIDDEN)

    def hide_in(self, value: Any) -> Any:  # noqa: ANN401 (any value)
        """`value` without the key in any of its texts."""
        match value:
            case str():
                return self.hide(value)
            case bytes():
                return self.hide(value.decode("latin-1")).encode("latin-1")
            case dict():
                return {self.hide_in(name): self.hide_in(item) for name, item in value.items()}
            case list():
                return list(map(self.hide_in, value))
            case tuple():
                return tuple(map(self.hide_in, value))
        return value

    def clean(self, error: BaseException) -> BaseException:
        """Take the key out of `error` and of its causes, and the frames, whose variables may hold it; return it."""
        error.__traceback__ = None
        error.args = self.hide_in(error.args)
        for name, value in getattr(error, "__dict__", {}).items():
            setattr(error, name, self.hide_in(value))
        if cause := error.__cause__:
            cause.__context__ = None
            error.__cause__ = self.clean(cause)
        words = str(error)
        if (hidden := self.hide(words)) == words:
            return error
        return Exception(f"{type(error).__name__}: {hidden}")  # its words are none of its arguments, as pydantic's

    def secrets(self) -> tuple[str, ...]:
        """What is to be hidden: the key, unless there is none."""
        return () if self._secret in ("", NO_KEY) else (self._secret,)

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        for start, end in occurrences(text, forms_of(*self.secrets())):
            if len(self._secret) > SHORT or not re.search(r"\w", text[max(0, start - 1) : start] + text[end : end + 1]):
                yield start, end


def ambient_headers(sdk: ModuleType, variable: str, *names: str) -> dict[str, Any]:
    """What keeps `sdk` from sending the headers `names`, and those in the environment's `variable`, one a line."""
    lines = os.environ.get(variable, "").splitlines()
    names += tuple(line.partition(":")[0].strip() for line in lines if ":" in line)
    return {name: SIGNED.get(name.lower(), sdk.Omit()) for name in names}
