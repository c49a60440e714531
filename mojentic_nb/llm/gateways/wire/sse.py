"""Server-sent events, and lines, out of bytes: decoders that know nothing of the network.

Lines are cut from the bytes before they are decoded, so a character split between two chunks is whole again. Follows
the parsing rules of https://html.spec.whatwg.org/multipage/server-sent-events.html, but for a last event without its
blank line: some servers end so, hence :meth:`SSEDecoder.end`.
"""

from __future__ import annotations

__all__ = ["BOM", "LineDecoder", "SSEDecoder"]

BOM = b"\xef\xbb\xbf"


class SSEDecoder:
    """Feed it chunks of a response as they come; it tells the data of each event."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []  # of a line without end, put together once
        self._half = False
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of every event that `chunk` completes."""
        self._pieces.append(chunk)
        if not (self._half or b"\n" in chunk or b"\r" in chunk):
            return []
        buffer = b"".join(self._pieces)
        # A CR at the end may be half of a CRLF, so it waits for what follows.
        cut = max(buffer.rfind(b"\n"), buffer.rfind(b"\r", 0, -1)) + 1
        self._pieces = [buffer[cut:]]
        self._half = buffer.endswith(b"\r")
        return self._read(buffer[:cut].splitlines())

    def end(self) -> list[bytes]:
        """The data of a last event that no blank line closed."""
        return self._read([b"".join(self._pieces).rstrip(b"\r"), b""])

    def _read(self, lines: list[bytes]) -> list[bytes]:
        events = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif line.startswith(BOM):
                events += self._read([line.removeprefix(BOM)])
            elif not line and self._data:
                events.append(b"\n".join(self._data))
                self._data.clear()
        return list(filter(None, events))


class LineDecoder:
    """Feed it chunks of a response as they come; it tells each line that is not empty."""

    is_silent = True  # where there was no line, for any line but an empty one is told

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Every line that `chunk` completes."""
        self._pieces.append(chunk)
        if b"\n" not in chunk:
            return []
        *lines, rest = b"".join(self._pieces).split(b"\n")
        self._pieces = [rest]
        return list(filter(bytes.strip, lines))

    def end(self) -> list[bytes]:
        """A last line that no line end closed."""
        return self.feed(b"\n")
