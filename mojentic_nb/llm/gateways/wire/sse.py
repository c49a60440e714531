"""Splitting the bytes of a response into documents: server-sent events, or lines.

Lines are cut from the bytes before they are decoded, so a character that was split between two chunks is whole again.
Follows https://html.spec.whatwg.org/multipage/server-sent-events.html, except that :meth:`SSEDecoder.end` accepts a
last event without its blank line, since some servers end so.
"""

from __future__ import annotations

__all__ = ["EventData", "LineDecoder", "SSEDecoder"]

WHITESPACE = b" \t\r\n"
BOM = b"\xef\xbb\xbf"


class SSEDecoder:
    """Returns the data of each event. Feed it the chunks of a response as they arrive."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []  # of a line without end, put together once
        self._half = False
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of each event that `chunk` completes."""
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
        """Return the data of a last event without its blank line."""
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


class EventData:
    """The data of server-sent events, or the one JSON document of a server that doesn't stream."""

    def __init__(self) -> None:
        self._before = b""
        self._start = b""
        self._document: list[bytes] = []
        self._events = SSEDecoder()

    @property
    def is_silent(self) -> bool:
        """Whether a response without a document has only whitespace, or comments that keep the connection open."""
        return self._start in (b"", b":")

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that `chunk` completes."""
        if not self._start:
            chunk = self._before = self._before + chunk
            self._start = chunk.lstrip(BOM + WHITESPACE)[:1]
            if not self._start:
                return []
        if self._start == b"{":
            self._document.append(chunk)
            return []
        return self._events.feed(chunk)

    def end(self) -> list[bytes]:
        """Return a document, or a last event without its blank line."""
        return [b"".join(self._document)] if self._document else self._events.end()


class LineDecoder:
    """Returns each line that isn't empty. Feed it the chunks of a response as they arrive."""

    is_silent = True  # a response without a line has only whitespace

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return each line that `chunk` completes."""
        whole, end, rest = chunk.rpartition(b"\n")
        if not end:
            self._pieces.append(chunk)
            return []
        if self._pieces:
            whole = b"".join((*self._pieces, whole))
            self._pieces.clear()
        if rest:
            self._pieces.append(rest)
        return list(filter(bytes.strip, whole.split(b"\n")))

    def end(self) -> list[bytes]:
        """Return a last line without its line end."""
        return self.feed(b"\n")
