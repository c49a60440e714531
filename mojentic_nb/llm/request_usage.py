"""The tokens that one request used, also if its provider didn't report them.

Most providers report tokens at the end of a reply, so an interrupted or broken one has no count, and some servers never
report any. Then the tokens are estimated from the request, the part of the reply that arrived, and the provider's
report so far.
"""

from __future__ import annotations

from dataclasses import replace

from .events import ModelEvent, ReasoningDelta, StepFinish, TextDelta, ToolCallDelta, Usage
from .request import Request
from .window import BYTES_PER_TOKEN, Window

__all__ = ["RequestUsage"]


class RequestUsage:
    """The usage of `request`. Feed it each event of the reply, in any thread."""

    def __init__(self, request: Request) -> None:
        self.begun = False
        self._request = request
        self._received = 0  # bytes
        self._reported = Usage()

    def feed(self, event: ModelEvent) -> None:
        """Read an event of the reply."""
        self.begun = True
        if isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta):
            self._received += len(event.delta.encode(errors="replace"))
        elif isinstance(event, StepFinish):
            self._reported = event.usage

    @property
    def usage(self) -> Usage:
        """The tokens that the provider reported, with estimates for the others."""
        if self._reported != Usage():
            return self._reported
        early = self._request.tally.usage  # of an incomplete reply, so there may be more
        output = max(early.output_tokens, -(-self._received // BYTES_PER_TOKEN))
        if early != Usage():
            return replace(early, output_tokens=output, estimated=output > early.output_tokens)
        return Usage(Window(0).estimate_request(self._request), output, estimated=True)
