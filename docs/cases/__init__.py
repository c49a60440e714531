"""The cases that provoke the messages of `docs/messages.md`; see `docs/messages.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loopback import Reply

__all__ = ["Case", "Group"]


@dataclass(frozen=True)
class Case:
    """A cell that meets one message, why it does, and what to do about it.

    `when` replaces the code on the page. `given` runs before it and isn't shown, `replies` makes what the
    server sends. `pick` is a regular expression: only lines that match are the message.
    """

    code: str
    why: str
    do: str
    when: str = ""
    given: str = ""
    replies: Callable[[], Sequence[Reply]] = tuple
    pick: str = ""


@dataclass(frozen=True)
class Group:
    """Messages that a reader looks for in one place."""

    title: str
    cases: Sequence[Case]
    text: str = ""
