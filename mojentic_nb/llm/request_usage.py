"""What one request took, in tokens, also where its provider didn't report it.

Most providers report the tokens at the end of an answer, so one that was interrupted, or broke off, has no count; some
servers never report any. Then the tokens are estimated from what was sent and what has arrived, and from what the
provider has reported so far.
"""

from __future__ import annotations

from dataclasses import replace

from .events import ModelEvent, ReasoningDelta, StepFinish, TextDelta, ToolCallDelta, Usage
from .request import Request
from .window import BYTES_PER_TOKEN, Window

__all__ = ["RequestUsage"]


class RequestUsage:
    """Follows the events that answer `request`: :meth:`feed` it each one, in any thread."""

    def __init__(self, request: Request) -> None:
        self.begun = False
        self._request = request
        self._received = 0  # bytes
        self._reported = Usage()

    def feed(self, event: ModelEvent) -> None:
        """Take in an event of the answer."""
        self.begun = True
        if isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta):
            self._received += len(event.delta.encode(errors="replace"))
        elif isinstance(event, StepFinish):
            self._reported = event.usage

    @property
    def estimated(self) -> bool:
        """Whether the provider hasn't reported the tokens of the whole answer."""
        return self._reported == Usage()

    @property
    def usage(self) -> Usage:
        """The tokens that the provider reported, else an estimate."""
        if not self.estimated:
            return self._reported
        so_far, received = self._request.tally.usage, -(-self._received // BYTES_PER_TOKEN)
        return replace(
            so_far,
            input_tokens=so_far.input_tokens or Window(0).estimate_request(self._request),
            output_tokens=max(so_far.output_tokens, received),
        )
