"""Reasoning that a server leaves in the text, between ``<think>`` and ``</think>``, as events of its own."""

from __future__ import annotations

from collections.abc import Iterator

from .events import ReasoningDelta, TextDelta

__all__ = ["ThinkTags"]

OPEN, CLOSE = "<think>", "</think>"


class ThinkTags:
    """Feed it a step's text as it comes; a tag may be split anywhere.

    Only a tag before the first word counts: further down it is something the answer talks about.
    """

    def __init__(self) -> None:
        self._kept = ""
        self._read = self._before

    def feed(self, text: str) -> Iterator[TextDelta | ReasoningDelta]:
        """Yield what `text` tells, keeping back what may be part of a tag."""
        self._kept += text
        yield from self._read()

    def end(self) -> Iterator[TextDelta | ReasoningDelta]:
        """Yield what was kept back and turned out to be no tag."""
        kept, self._kept = self._kept, ""
        if kept:
            yield ReasoningDelta(kept) if self._read == self._inside else TextDelta(kept)

    def _before(self) -> Iterator[TextDelta | ReasoningDelta]:
        start = self._kept.lstrip()
        if start.startswith(OPEN):
            self._kept = start.removeprefix(OPEN)
            self._read = self._inside
            yield from self._read()
        elif not OPEN.startswith(start):
            self._read = self._answer
            yield from self._read()

    def _inside(self) -> Iterator[TextDelta | ReasoningDelta]:
        reasoning, tag, answer = self._kept.partition(CLOSE)
        if tag:
            self._kept = answer
            self._read = self._gap
        else:
            held = next((n for n in range(len(CLOSE) - 1, 0, -1) if reasoning.endswith(CLOSE[:n])), 0)
            reasoning = reasoning[: len(reasoning) - held]
            self._kept = CLOSE[:held]
        if reasoning:
            yield ReasoningDelta(reasoning)
        if tag:
            yield from self._read()

    def _gap(self) -> Iterator[TextDelta | ReasoningDelta]:
        self._kept = self._kept.lstrip()
        if self._kept:
            self._read = self._answer
            yield from self._read()

    def _answer(self) -> Iterator[TextDelta | ReasoningDelta]:
        text, self._kept = self._kept, ""
        if text:
            yield TextDelta(text)
