"""The decoder of server-sent events: any bytes, however they were split."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mojentic_nb.llm.gateways.wire.sse import LineDecoder, SSEDecoder

CASES = {
    "plain": (b"data: a\n\ndata: b\n\n", ["a", "b"]),
    "no space after the colon": (b"data:a\n\n", ["a"]),
    "only one space is taken off": (b"data:  a\n\n", [" a"]),
    "CRLF": (b"data: a\r\n\r\ndata: b\r\n\r\n", ["a", "b"]),
    "CR alone": (b"data: a\r\rdata: b\r\r", ["a", "b"]),
    "several lines": (b"data: a\ndata: b\n\n", ["a\nb"]),
    "several lines with CRLF": (b"data: a\r\ndata: b\r\n\r\n", ["a\nb"]),
    "comments": (b": OPENROUTER PROCESSING\n\ndata: a\n\n: bye\n\n", ["a"]),
    "other fields": (b"event: x\nid: 1\nretry: 5\ndata: a\n\n", ["a"]),
    "characters of several bytes": ("data: ä🌊\n\n".encode(), ["ä🌊"]),
    "bytes that are no UTF-8": (b"data: \xff\n\n", ["\ufffd"]),
    "line separators that are not line ends": ("data: a\u2028b\x0bc\x85d\n\n".encode(), ["a\u2028b\x0bc\x85d"]),
    "no blank line in the end": (b"data: a\n\ndata: b\n", ["a", "b"]),
    "no line end in the end": (b"data: a\n\ndata: b", ["a", "b"]),
    "an event without data, to keep the connection": (b"data:\n\ndata: a\n\n", ["a"]),
    "a byte order mark": (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
    "nothing": (b"", []),
}


def decode(*chunks: bytes) -> list[str]:
    decoder = SSEDecoder()
    events = [data for chunk in chunks for data in decoder.feed(chunk)] + decoder.end()
    return [data.decode(errors="replace") for data in events]


@pytest.mark.parametrize(("body", "events"), CASES.values(), ids=CASES.keys())
def test_whole_byte_by_byte_and_at_every_split(body: bytes, events: list[str]):
    assert decode(body) == events
    assert decode(*(body[i : i + 1] for i in range(len(body)))) == events
    for cut in range(len(body) + 1):
        assert decode(body[:cut], body[cut:]) == events


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"))), st.lists(st.integers(0, 500)))
def test_what_was_sent_comes_out(events: list[str], cuts: list[int]):
    body = "".join(f"data: {event}\n\n" for event in events).encode()
    edges = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]

    assert decode(*(body[a:b] for a, b in pairwise(edges))) == list(filter(None, events))


@given(st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"))), st.lists(st.integers(0, 500)))
def test_lines_come_out_as_they_were_sent(lines: list[str], cuts: list[int]):
    body = "\n".join(lines).encode()
    edges = [0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]
    decoder = LineDecoder()

    decoded = [line for a, b in pairwise(edges) for line in decoder.feed(body[a:b])] + decoder.end()

    assert decoded == [line.encode() for line in lines if line.encode().strip()]


def test_half_a_line_end_in_the_end():
    assert decode(b"data: [DONE]\r") == ["[DONE]"]


@pytest.mark.parametrize("decoder", [SSEDecoder, LineDecoder])
def test_a_line_that_never_ends_is_put_together_once(decoder: type[SSEDecoder | LineDecoder]):
    """Four times the line takes four times the time; were it copied with each chunk, sixteen times."""

    def seconds(chunks: int) -> float:
        lines, began = decoder(), time.process_time()
        for _ in range(chunks):
            assert lines.feed(b"x" * 1_000) == []
        assert sum(map(len, lines.end())) in (0, chunks * 1_000)  # of events, it is no field
        return time.process_time() - began

    assert seconds(16_000) < 8 * max(seconds(4_000), 0.02)
