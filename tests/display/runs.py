"""Strategies for hypothesis: runs as the grammar in mojentic_nb/llm/events.py allows them."""

from __future__ import annotations

from hypothesis import strategies as st

from mojentic_nb.llm import (
    Event,
    Finish,
    LLMToolCall,
    ReasoningDelta,
    Retry,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolProgress,
    ToolResult,
    Usage,
)

TEXT = st.text(max_size=20)
SIGNS = (
    "a,b c, ,\n,\n\n,`,```,*,_,[,](,),<,>,|,|-|,# ,- ,1. ,$,$$,\\,\\(,\\),~~,![,&amp;,<b>,</div>,http://x.y/,> ,    ,\t"
)
MARKUP = st.lists(st.sampled_from([*SIGNS.split(","), "\x1b", "\u202e", "[x] "]), max_size=30).map("".join)
PIECES = TEXT | MARKUP
SCALARS = st.none() | st.booleans() | st.integers() | TEXT
JSONS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
OBJECTS = st.binary(max_size=9) | st.builds(object) | st.builds(ValueError, TEXT)
VALUES = JSONS | OBJECTS | st.dictionaries(TEXT, JSONS, max_size=3)
OUTCOMES = st.sampled_from(["done", "failed", "denied", "timed_out", "cancelled"])
USAGES = st.builds(Usage, *[st.integers(0, 5)] * 4)
FINISHES = ["stop", "length", "content_filter", "cancelled"]


@st.composite
def steps(draw: st.DrawFn, numbers: list[int], depth: int) -> list[Event]:
    """A request, and the calls that it makes with their results."""
    events: list[Event] = draw(st.lists(st.builds(Retry, st.integers(1, 3), st.floats(0, 60), TEXT), max_size=1))
    calls: list[LLMToolCall] = []
    for kind in draw(st.lists(st.sampled_from("ttrsd"), max_size=8)):
        if kind == "t":
            events.append(TextDelta(draw(PIECES)))
        elif kind == "r":
            events.append(ReasoningDelta(draw(PIECES)))
        elif kind == "s":
            numbers.append(len(numbers))
            arguments = draw(st.dictionaries(TEXT, JSONS, max_size=2))
            calls.append(LLMToolCall(id=str(len(numbers)), name=draw(TEXT), arguments=arguments))
            events.append(ToolCallStart(calls[-1].id, calls[-1].name))
        elif calls:
            events.append(ToolCallDelta(draw(st.sampled_from(calls)).id, draw(TEXT)))
    events += [ToolCallEnd(call) for call in calls]
    events.append(StepFinish("tool_calls" if calls else "stop", draw(USAGES)))
    early: list[ToolResult] = []
    for index, call in enumerate(calls):
        value = draw(VALUES)
        for inner in draw(st.just([]) if depth else runs(depth=1)):
            events.append(ToolProgress(call.id, inner))
        events += [ToolProgress(call.id, value)] * draw(st.integers(0, 1))
        result = next((one for one in early if one.call is call), None) or draw(results(call))
        for other in calls[index + 1 :]:
            if draw(st.booleans()) and not any(one.call is other for one in early):
                early.append(draw(results(other)))
                events.append(ToolProgress(other.id, early[-1]))
        events.append(result)
    return events


def results(call: LLMToolCall) -> st.SearchStrategy[ToolResult]:
    """A result of that call."""
    return st.builds(
        ToolResult,
        call=st.just(call),
        output=TEXT,
        is_error=st.booleans(),
        duration=st.floats(0, 100),
        display=VALUES,
        outcome=OUTCOMES,
    )


@st.composite
def runs(draw: st.DrawFn, depth: int = 0) -> list[Event]:
    """A whole run."""
    numbers: list[int] = []
    events: list[Event] = []
    for _ in range(draw(st.integers(0, 3 - 2 * depth))):
        events += draw(steps(numbers, depth))
        if not isinstance(events[-1], ToolResult):
            break
    return [*events, Finish(draw(st.sampled_from(FINISHES)))]
