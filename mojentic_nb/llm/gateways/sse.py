"""Server-sent events, and lines, out of bytes: decoders that know nothing of the network.

Lines are cut from the bytes before they are decoded, so a character split between two chunks is whole again. Follows
the parsing rules of https://html.spec.whatwg.org/multipage/server-sent-events.html, but for a last event without its
blank line: some servers end so, hence :meth:`SSEDecoder.end`.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["LineDecoder", "SSEDecoder"]


class SSEDecoder:
    """Feed it chunks of a response as they come; it yields the data of each event."""

    def __init__(self) -> None:
        self._buffer = b""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Yield the data of every event that `chunk` completes."""
        buffer = self._buffer + chunk
        # A CR at the end may be half of a CRLF, so it waits for what follows.
        cut = max(buffer.rfind(b"\n"), buffer.rfind(b"\r", 0, -1)) + 1
        self._buffer = buffer[cut:]
        for line in buffer[:cut].splitlines():
            yield from self._line(line)

    def end(self) -> Iterator[str]:
        """Yield the data of a last event that no blank line closed."""
        yield from self._line(self._buffer.rstrip(b"\r"))
        yield from self._line(b"")

    def _line(self, line: bytes) -> Iterator[str]:
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" ").decode(errors="replace"))
        elif not line and self._data:
            yield "\n".join(self._data)
            self._data.clear()


class LineDecoder:
    """Feed it chunks of a response as they come; it yields each line that is not empty."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Yield every line that `chunk` completes."""
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line.decode(errors="replace")

    def end(self) -> Iterator[str]:
        """Yield a last line that no line end closed."""
        yield from self.feed(b"\n")
