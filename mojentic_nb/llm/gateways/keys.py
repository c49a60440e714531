"""A provider's API key: sent with each request, and hidden everywhere else.

An SDK keeps its key in attributes, headers and local variables, all of which a traceback may show. So it gets a
stand-in, and :meth:`Key.sign` puts the key into each request when the HTTP library sends it. It also stops a request
that is redirected to another server, which must see neither the key nor the conversation.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.redaction import forms_of, occurrences, replace_spans

__all__ = ["NO_KEY", "STAND_IN", "Key", "RedirectedError", "ambient_headers"]

NO_KEY = "none"  # for servers that need no key, since the SDKs require one
STAND_IN = "(key of mojentic_nb)"
SIGNED = {"authorization": f"Bearer {STAND_IN}", "x-api-key": STAND_IN}
HIDDEN = "(the key)"
SHORT = 8  # characters; a key as short as "none" or "ollama" is hidden only as a whole word


class RedirectedError(Exception):
    """A server redirects a request to another one. The message is that one's address."""


class Key:
    """An API key that no `repr` shows; false if it is empty."""

    __slots__ = ("_secret",)

    def __init__(self, secret: str) -> None:
        self._secret = secret.strip()  # often copied with a line end

    @classmethod
    def of(cls, given: str | Key | None) -> Key | None:
        """Return `given` as a key; None for None or ""."""
        return cls(given) if isinstance(given, str) and given else given or None

    @classmethod
    def in_environment(cls, name: str) -> Key | None:
        """Return the key in the environment variable `name`; None if that is unset or empty."""
        return cls.of(os.environ.get(name, "").strip())

    def __bool__(self) -> bool:
        return bool(self._secret)

    def __repr__(self) -> str:
        return "Key(…)" if self else "Key('')"

    def checked(self) -> Key:
        """Return the key; raise ConfigurationError if it has characters that no key has."""
        if not (self._secret.isascii() and self._secret.isprintable()):
            raise ConfigurationError(
                "The API key has a character that no key has. Copy it again, without the text around it."
            )
        return self

    def sign(self, request: Any, server: Any) -> None:  # noqa: ANN401 (httpx's or httpx2's)
        """Replace the stand-in in the headers of `request` by the key, or remove the header if there is no key.

        Raises RedirectedError if the request goes to another server than that with the URL `server`.
        """
        if not is_at(request.url, server):
            raise RedirectedError(f"{request.url.scheme}://{request.url.netloc.decode()}")
        for name, value in list(request.headers.items()):
            if STAND_IN in value and self:
                request.headers[name] = value.replace(STAND_IN, self._secret)
            elif STAND_IN in value:
                del request.headers[name]

    def hide(self, text: str) -> str:
        """Return `text` without the key, also where it is escaped."""
        return replace_spans(text, self._found, HIDDEN)

    def hide_in(self, value: Any) -> Any:  # noqa: ANN401 (any value)
        """Return `value` without the key in any of its texts."""
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
        """Return `error` without the key in it and its causes, and without its frames, whose variables may hold it."""
        error.__traceback__ = None
        error.args = self.hide_in(error.args)
        for name, value in getattr(error, "__dict__", {}).items():
            setattr(error, name, self.hide_in(value))
        if cause := error.__cause__:
            cause.__context__ = None
            error.__cause__ = self.clean(cause)
        message = str(error)
        if (hidden := self.hide(message)) == message:
            return error
        return Exception(f"{type(error).__name__}: {hidden}")  # its message isn't one of its arguments, as in pydantic

    def secrets(self) -> tuple[str, ...]:
        """Return what to hide: the key, if there is one."""
        return () if self._secret in ("", NO_KEY) else (self._secret,)

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        for start, end in occurrences(text, forms_of(*self.secrets())):
            if len(self._secret) > SHORT or not re.search(r"\w", text[max(0, start - 1) : start] + text[end : end + 1]):
                yield start, end


def is_at(url: Any, server: Any) -> bool:  # noqa: ANN401 (httpx's or httpx2's)
    """Return whether `url` is at the `server`, maybe with a safer scheme."""
    return (url.host, url.port) == (server.host, server.port) and url.scheme in (server.scheme, "https")


def ambient_headers(sdk: ModuleType, variable: str, *names: str) -> dict[str, Any]:
    """Return headers that stop `sdk` from sending `names`, and those in the environment's `variable`, one per line."""
    lines = os.environ.get(variable, "").splitlines()
    names += tuple(line.partition(":")[0].strip() for line in lines if ":" in line)
    return {name: SIGNED.get(name.lower(), sdk.Omit()) for name in names}
