"""Tool calls as servers stream them in the wild: whole, byte by byte and at every split they come out as they were."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from math import nan
from typing import Any

import pytest
from events import merged
from grammar import assert_step
from hypothesis import given
from hypothesis import strategies as st
from loopback import chunk, sse

from mojentic_nb.llm import LLMToolCall, StepFinish, Usage
from mojentic_nb.llm.events import Event, TextDelta, ToolCallDelta, ToolCallEnd, ToolCallStart
from mojentic_nb.llm.gateways.wire.chat_completions import ChatDecoder
from mojentic_nb.llm.gateways.wire.decoding import decode_chunks

TURN = 3
END = chunk(finish_reason="tool_calls")


def call(call_id: str = "a", name: str = "add", error: str | None = None, **arguments: Any) -> LLMToolCall:
    return LLMToolCall(id=call_id, name=name, arguments=arguments, error=error)


def piece(**fields: Any) -> dict:
    """A piece of a call, with the fields that a server sends; `name` and `arguments` are its function's."""
    function = {field: fields.pop(field) for field in ("name", "arguments") if field in fields}
    return {**fields, "function": function} if function else fields


def pieces(*calls: dict) -> dict:
    """A chunk with pieces of calls."""
    return {"choices": [{"index": 0, "delta": {"tool_calls": list(calls)}, "finish_reason": None}]}


def stream(*calls: dict, end: dict = END, done: bool = True) -> bytes:
    """A chunk for each of the pieces."""
    return sse(*map(pieces, calls), end, done=done)


def start(call_id: str | None, name: str, arguments: Any, **fields: Any) -> dict:
    """A first piece, which may be the whole call."""
    return piece(id=call_id, name=name, arguments=arguments, **fields)


def add(arguments: Any) -> bytes:
    """One call in one piece."""
    return stream(start("a", "add", arguments, index=0))


def decode(*chunks: bytes) -> list[Event]:
    return merged(decode_chunks(ChatDecoder(TURN), chunks))


def read(body: bytes) -> list[Event]:
    """The events of `body`, which are the same however it is split."""
    events = decode(body)
    assert_step(events)
    assert decode(*(body[i : i + 1] for i in range(len(body)))) == events
    for cut in range(len(body)):
        assert decode(body[:cut], body[cut:]) == events
    return events


ONE = piece(index=0, id="a", name="add", arguments='{"n": 1}')
TWO = call("a", n=1), call("b", n=2)

CALLS = {
    "ended by stop": (stream(ONE, end=chunk(finish_reason="stop")), [call(n=1)]),
    "ended by [DONE] alone": (sse(pieces(ONE)), [call(n=1)]),
    "ended by a finish reason without [DONE]": (stream(ONE, done=False), [call(n=1)]),
    "ended by the old finish reason": (stream(ONE, end=chunk(finish_reason="function_call")), [call(n=1)]),
    "by the book": (
        stream(
            piece(index=0, id="a", type="function", name="add", arguments=""),
            piece(index=0, arguments='{"n"'),
            piece(index=0, arguments=": 1}"),
            piece(index=1, id="b", type="function", name="add", arguments=""),
            piece(index=1, arguments='{"n": 2}'),
        ),
        TWO,
    ),
    "index 0 for each": (stream(start("a", "add", '{"n": 1}', index=0), start("b", "add", '{"n": 2}', index=0)), TWO),
    "index 0 for each, in fragments": (
        stream(
            start("a", "add", '{"n"', index=0),
            piece(index=0, arguments=": 1}"),
            start("b", "add", '{"n"', index=0),
            piece(index=0, arguments=": 2}"),
        ),
        TWO,
    ),
    "index 0 for each, without ids": (
        stream(start("", "add", '{"n": 1}', index=0), start("", "add", '{"n": 2}', index=0)),
        [call("call_3_0", n=1), call("call_3_1", n=2)],
    ),
    "no index": (
        stream(start("a", "add", '{"n"'), piece(arguments=": 1}"), start("b", "add", '{"n": 2}')),
        TWO,
    ),
    "null index": (
        stream(start("a", "add", '{"n": 1}', index=None), start("b", "add", '{"n": 2}', index=None)),
        TWO,
    ),
    "null index at first": (
        stream(
            start("a", "add", '{"n"', index=None),
            piece(index=0, arguments=": 1}"),
            start("b", "add", '{"n"', index=None),
            piece(index=1, arguments=": 2}"),
        ),
        TWO,
    ),
    "the id repeated (vLLM)": (
        stream(start("a", "add", "", index=0), piece(index=0, id="a", arguments='{"n": 1}')),
        [call(n=1)],
    ),
    "the id and the name repeated": (
        stream(start("a", "add", '{"n"', index=0), start("a", "add", ": 1}", index=0)),
        [call(n=1)],
    ),
    "the name repeated without an id": (
        stream(piece(index=0, name="add", arguments=" "), piece(index=0, name="add", arguments='{"n": 1}')),
        [call("call_3_0", n=1)],
    ),
    "the name repeated at the end": (
        stream(piece(index=0, name="add", arguments='{"n": 1}'), piece(index=0, name="add", arguments="")),
        [call("call_3_0", n=1)],
    ),
    "another id on each chunk (OCI)": (
        stream(start("a", "add", '{"n"', index=0), piece(index=0, id="x", arguments=": 1}")),
        [call(n=1)],
    ),
    "another id on each chunk, the name late": (
        stream(piece(index=0, id="a"), start("x", "add", '{"n": 1}', index=0)),
        [call(n=1)],
    ),
    "the id after the name": (
        stream(piece(index=0, name="add"), piece(index=0, id="a", arguments='{"n": 1}')),
        [call("call_3_0", n=1)],
    ),
    "the id before the name": (
        stream(piece(index=0, id="a"), piece(index=0, name="add", arguments='{"n": 1}')),
        [call(n=1)],
    ),
    "no ids": (
        stream(
            piece(index=0, name="add", arguments='{"n": 1}'),
            piece(index=1, name="add", arguments='{"n"'),
            piece(index=1, arguments=": 2}"),
        ),
        [call("call_3_0", n=1), call("call_3_1", n=2)],
    ),
    "empty and null ids": (
        stream(start("", "add", '{"n": 1}', index=0), start(None, "add", '{"n": 2}', index=1)),
        [call("call_3_0", n=1), call("call_3_1", n=2)],
    ),
    "one id for two calls": (
        stream(start("a", "add", '{"n": 1}', index=0), start("a", "add", '{"n": 2}', index=1)),
        [call("a", n=1), call("call_3_1", n=2)],
    ),
    "no arguments": (stream(piece(index=0, id="a", name="add")), [call()]),
    "null arguments": (add(None), [call()]),
    "empty arguments": (add(""), [call()]),
    "blank arguments": (add(" \n"), [call()]),
    "arguments that are null in JSON": (add("null"), [call()]),
    "an object for arguments": (add({"n": [1, None]}), [call(n=[1, None])]),
    "an empty object for arguments": (add({}), [call()]),
    "no function": (stream(ONE, piece(index=0), {"index": 0, "function": None}), [call(n=1)]),
    "no choices at first": (sse({"choices": []}, {"choices": None}, pieces(ONE), END), [call(n=1)]),
    "two at once": (
        sse(pieces(start("a", "add", '{"n": 1}', index=0), start("b", "add", '{"n": 2}', index=1)), END),
        TWO,
    ),
    "interleave": (
        stream(
            start("a", "add", "", index=0),
            start("b", "add", '{"n"', index=1),
            piece(index=0, arguments='{"n": '),
            piece(index=1, arguments=": 2}"),
            piece(index=0, arguments="1}"),
        ),
        TWO,
    ),
    "the name after the arguments": (
        stream(piece(index=0, id="a", arguments='{"n"'), piece(index=0, name="add", arguments=": 1}")),
        [call(n=1)],
    ),
    "the id and the name after the arguments": (
        stream(piece(index=0, arguments='{"n"'), start("a", "add", ": 1}", index=0)),
        [call(n=1)],
    ),
    "no name": (stream(piece(index=0, id="a", arguments='{"n": 1}')), [call("a", "unnamed", n=1)]),
    "JSON within JSON": (add(json.dumps('{"n": 1}')), [call(n=1)]),
    "an emoji in the arguments": (add('{"text": "😀"}'), [call(text="😀")]),
    "an emoji in two halves": (
        stream(start("a", "add", '{"text": "\ud83d', index=0), piece(index=0, arguments='\ude00"}')),
        [call(text="😀")],
    ),
    "an emoji in escapes": (
        stream(start("a", "add", r'{"text": "\ud83d', index=0), piece(index=0, arguments=r'\ude00"}')),
        [call(text="😀")],
    ),
    "half an emoji": (add('{"text": "a\ud83d!"}'), [call(text="a\ufffd!")]),
    "half an emoji at the end of a piece": (
        stream(start("a", "add", '{"text": "a\ud83d', index=0), piece(index=0, arguments='!"}')),
        [call(text="a\ufffd!")],
    ),
    "the escape of half an emoji": (add(r'{"\uDE00": ["\uD83D!"]}'), [call(**{"\ufffd": ["\ufffd!"]})]),
    "a text about escapes": (add(r'{"text": "\\ud83d"}'), [call(text=r"\ud83d")]),
    "comments, CRLF, and no space": (
        b": OPENROUTER PROCESSING\r\n\r\n" + stream(ONE).replace(b"data: ", b"data:").replace(b"\n", b"\r\n"),
        [call(n=1)],
    ),
    "not streamed": (
        json.dumps(
            {
                "choices": [
                    {
                        "message": {
                            "content": None,
                            "tool_calls": [start("a", "add", '{"n": 1}'), start("b", "add", '{"n": 2}')],
                        },
                        "finish_reason": "tool_calls",
                    }
                ]
            }
        ).encode(),
        TWO,
    ),
}


@pytest.mark.parametrize(("body", "calls"), CALLS.values(), ids=CALLS.keys())
def test_calls_as_servers_stream_them(body: bytes, calls: list[LLMToolCall]):
    events = read(body)

    assert [event.call for event in events if isinstance(event, ToolCallEnd)] == list(calls)
    assert events[-1] == StepFinish("tool_calls")


def test_the_pieces_of_calls_are_told_as_they_come():
    late_name = piece(index=0, id="a", arguments='{"n": 1}'), piece(index=0, name="add")
    begun = sse(chunk("I add."), *map(pieces, [*late_name, start("b", "add", '{"n":', index=1)]), done=False)
    rest = sse(pieces(piece(index=1, arguments=" 2}")), END, {"choices": [], "usage": {"prompt_tokens": 5}})
    decoder = ChatDecoder()

    assert list(decoder.feed(begun)) == [
        TextDelta("I add."),
        ToolCallStart("a", "add"),
        ToolCallDelta("a", '{"n": 1}'),
        ToolCallStart("b", "add"),
        ToolCallDelta("b", '{"n":'),
    ]
    assert list(decoder.feed(rest)) == [
        ToolCallDelta("b", " 2}"),
        ToolCallEnd(call("a", n=1)),
        ToolCallEnd(call("b", n=2)),
        StepFinish("tool_calls", Usage(5)),
    ]


def refusal(value: float) -> str:
    """What Python says of a number that JSON hasn't; since 3.12 it names the number."""
    with pytest.raises(ValueError, match="not JSON compliant") as caught:
        json.dumps(value, allow_nan=False)
    return str(caught.value)


UNREADABLE = {
    "cut off": ('{"n": 1', "aren't JSON (Expecting ',' delimiter: line 1 column 8 (char 7)): {\"n\": 1"),
    "no JSON": ("n=1", "aren't JSON (Expecting value: line 1 column 1 (char 0)): n=1"),
    "no JSON within JSON": ('"n=1"', 'aren\'t JSON (Expecting value: line 1 column 1 (char 0)): "n=1"'),
    "two objects": ('{"n": 1}{}', 'aren\'t JSON (Extra data: line 1 column 9 (char 8)): {"n": 1}{}'),
    "a list": ("[1]", "aren't an object: [1]"),
    "a number": ("7", "aren't an object: 7"),
    "a long list": (f"[{'1, ' * 99}1]", f"aren't an object: [{'1, ' * 66}1…"),
    "not a number": ('{"n": NaN}', f'aren\'t JSON ({refusal(nan)}): {{"n": NaN}}'),
    "half an emoji": ("\ud83d", "aren't JSON (Expecting value: line 1 column 1 (char 0)): \ufffd"),
}


@pytest.mark.parametrize(("arguments", "error"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_arguments_that_cannot_be_read_are_the_calls_error(arguments: str, error: str):
    *_, end, finish = read(add(arguments))

    assert end == ToolCallEnd(call(error=f"The arguments {error}"))
    assert finish == StepFinish("tool_calls")


@pytest.mark.parametrize("depth", [101, 300, 50_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"n":', "}")], ids=["lists", "objects"])
def test_arguments_that_are_nested_too_deep(opening: str, closing: str, depth: int):
    """The limit does not depend on the version of Python, and what has passed it can be sent and saved."""
    nested = f"{opening * depth}1{closing * depth}"
    *_, end, _ = decode(add(nested))

    assert end.call.error == f"The arguments are nested more than 100 levels deep: {nested[:200]}…"


@pytest.mark.parametrize("nested", ["[" * 50_000, '{"n":' * 50_000], ids=["lists", "objects"])
def test_arguments_that_open_and_never_close(nested: str):
    *_, end, _ = decode(add(nested))

    assert re.match("The arguments are nested more than 100 levels deep|The arguments aren't JSON", end.call.error)


def test_arguments_that_are_nested_as_deep_as_may_be():
    *_, end, _ = decode(add(f'{{"n":{"[" * 99}1{"]" * 99}}}'))

    assert not end.call.error
    assert LLMToolCall.model_validate_json(end.call.model_dump_json()) == end.call


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_call_that_was_cut_off_is_none(reason: str):
    events = read(stream(ONE, start("b", "add", '{"n"', index=1), end=chunk(finish_reason=reason)))

    assert not [event for event in events if isinstance(event, ToolCallEnd)]
    assert events[-1] == StepFinish(reason)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
calls = st.lists(st.tuples(st.text(min_size=1), st.dictionaries(st.text(), json_values, max_size=4)), max_size=4)


def cut(draw: st.DrawFn, whole: Any) -> list:
    """`whole` in pieces."""
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    return [whole[start:end] for start, end in pairwise([0, *cuts, len(whole)])]


@st.composite
def servers(draw: st.DrawFn) -> tuple[list[bytes], list[LLMToolCall]]:
    """The chunks in which some server sends some calls, and those calls."""
    ids = draw(st.sampled_from(["first", "each", "none"]))
    index = draw(st.sampled_from(["numbers", "numbers, interleaved"] + ["missing", "null", "zero"] * (ids != "none")))
    made, queues = [], []
    for number, (name, arguments) in enumerate(draw(calls)):
        text = json.dumps(arguments, ensure_ascii=draw(st.booleans()))
        fields = {} if index == "missing" else {"index": {"null": None, "zero": 0}.get(index, number)}
        parts = draw(st.sampled_from([[arguments], [text], cut(draw, utf16(text))]))
        queue = [{**fields, "arguments": part} for part in parts]
        queue[0]["name"] = name
        for part in {"first": queue[:1], "each": queue, "none": []}[ids]:
            part["id"] = f"id{number}"
        queues.append([piece(**part) for part in queue])
        call_id = f"call_{TURN}_{number}" if ids == "none" else f"id{number}"
        made.append(LLMToolCall(id=call_id, name=name, arguments=arguments))
    body = stream(*draw(in_turn(queues, interleaved=index.endswith("interleave"))))
    return cut(draw, body), made


def utf16(text: str) -> str:
    """`text` as JavaScript has it, where an emoji is two characters and may be cut in half."""
    return "".join(map(chr, memoryview(text.encode("utf-16-le")).cast("H")))


@st.composite
def in_turn(draw: st.DrawFn, queues: list[list[dict]], *, interleaved: bool) -> list[dict]:
    """The pieces of all calls, each call's in their order; the calls begin in theirs."""
    if not interleaved:
        return [part for queue in queues for part in queue]
    rest = [number for number, queue in enumerate(queues) for _ in queue[1:]]
    left = [iter(queue[1:]) for queue in queues]
    return [queue[0] for queue in queues] + [next(left[number]) for number in draw(st.permutations(rest))]


@given(servers())
def test_whatever_calls_a_server_sends_come_out_as_they_were(sent: tuple[list[bytes], list[LLMToolCall]]):
    chunks, made = sent

    events = decode(*chunks)

    assert_step(events)
    assert [event.call for event in events if isinstance(event, ToolCallEnd)] == made
    assert events[-1] == StepFinish("tool_calls" if made else "stop")
