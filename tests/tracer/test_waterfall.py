"""The waterfall: what it shows of a run, as text and as HTML, and that nothing breaks it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from fuzzing import examples
from grammar import RUN
from hypothesis import example, given
from hypothesis import strategies as st

from mojentic_nb.llm import (
    Event,
    Finish,
    LLMMessage,
    LLMToolCall,
    Notice,
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
from mojentic_nb.llm.errors import ProviderUnavailableError
from mojentic_nb.llm.request import Request
from mojentic_nb.tracer import (
    LLMCallTracerEvent,
    LLMResponseTracerEvent,
    RetryTracerEvent,
    RunTracerEvent,
    ToolCallTracerEvent,
    TracerEvent,
    TracerSystem,
    Waterfall,
)
from mojentic_nb.tracer.waterfall import ticks

HOSTILE = "<script>alert(1)</script>\x1b[31m\u202e'\""


def hex_of(letter: str) -> str:
    return hex(ord(letter))


def answer(start: float, end: float, first: float | None = None, **fields) -> LLMResponseTracerEvent:
    """A request from `start` to `end`, its first token after `first` seconds."""
    return LLMResponseTracerEvent(end, model="a-model", duration=end - start, time_to_first_token=first, **fields)


def tool(start: float, end: float, name: str = "look_up", **fields) -> ToolCallTracerEvent:
    """A call from `start` to `end`."""
    return ToolCallTracerEvent(end, tool_name=name, arguments={}, duration=end - start, **{"result": "", **fields})


def failed(start: float, end: float, name: str = "look_up", why: str = "OSError: no disk") -> ToolCallTracerEvent:
    return tool(start, end, name, result=why, is_error=True, outcome="failed")


RAN = [
    answer(0, 1, 0.75, finish_reason="tool_calls", usage=Usage(1200, 41, 1024)),
    failed(1, 1.25, "quick"),
    tool(1, 2, "slow"),
    RetryTracerEvent(2.0, model="a-model", attempt=1, delay=0.5, reason="Too many requests."),
    answer(2, 4, 1.5, finish_reason="stop", usage=Usage(1300, 21, 1024)),
    RunTracerEvent(4.0, model="a-model", finish_reason="stop", duration=4),
]

TEXT = """\
2 requests, 2 tool calls, 1 retry · 4.00 s · 2,500 (2,048 cached) → 62 tokens · stop
Step                   0                         4.00 s    Took  First token  Tokens/s  In (cached) → out   Ended
a-model                ░░░░░░██                          1.00 s       750 ms       160  1,200 (1,024) → 41  tool_calls
  quick                        ▓▓                        250 ms                                             ✕ failed: OSError: no disk
  slow                         ▓▓▓▓▓▓▓▓                  1.00 s                                             done
a-model                                ░░░░░░░░░░░░████  2.00 s       1.50 s        40  1,300 (1,024) → 21  stop
  wait before retry 1                  ┄┄┄┄              500 ms                                             ✕ retried: Too many requests.
"""  # noqa: E501 (as wide as a terminal may be)


def test_a_run_as_text():
    assert f"{Waterfall(RAN)}\n" == TEXT


class Shown(HTMLParser):
    """What a browser makes of HTML: its text by table cells, and each tag with its attributes."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.lines: list[list[str]] = []
        self.text = ""
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.tags.append((tag, dict(attributes)))
        self.open.append(tag)
        if tag == "tr":
            self.lines.append([])
        if tag in {"td", "th"}:
            self.lines[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        self.text += text
        if {"td", "th"} & set(self.open):
            self.lines[-1][-1] += text


def test_a_run_as_html():
    shown = Shown(Waterfall(RAN)._repr_html_())

    indent = "\xa0" * 4
    assert shown.lines == [
        ["Step", "0 1 s 2 s 3 s", "Took", "First token", "Tokens/s", "In (cached) → out", "Ended"],
        ["a-model", "", "1.00 s", "750 ms", "160", "1,200 (1,024) → 41", "tool_calls"],
        [f"{indent}quick", "", "250 ms", "", "", "", "✕ failed"],
        ["", "OSError: no disk"],
        [f"{indent}slow", "", "1.00 s", "", "", "", "done"],
        ["a-model", "", "2.00 s", "1.50 s", "40", "1,300 (1,024) → 21", "stop"],
        [f"{indent}wait before retry 1", "", "500 ms", "", "", "", "✕ retried"],
        ["", "Too many requests."],
    ]
    assert shown.text.startswith("2 requests, 2 tool calls, 1 retry · 4.00 s")
    assert {"caption", "thead", "tbody"} <= {tag for tag, _ in shown.tags}
    assert [attributes["scope"] for tag, attributes in shown.tags if tag == "th"] == ["col"] * 7 + ["row"] * 5


def test_bars_are_where_and_as_wide_as_their_time():
    bars = re.findall(r"left:([\d.]+)%;width:([\d.]+)%;min-width", Waterfall(RAN)._repr_html_())

    assert [(float(left), float(width)) for left, width in bars] == [
        (0, 25),
        (25, 6.25),
        (25, 25),
        (50, 50),
        (50, 12.5),
    ]


# What JupyterLab leaves of a notebook that nobody trusts (packages/apputils/src/sanitizer.ts, of 4.6): values that it
# does not know, such as var() and currentColor, are taken away, and so are SVG, ARIA and data attributes.
TAGS = {"div", "table", "caption", "thead", "tbody", "tr", "th", "td", "span", "strong"}
ATTRIBUTES = {"style", "title", "scope", "colspan"}
LENGTH = r"-?\d+(\.\d+)?(px|%)?"
STYLES = {
    **dict.fromkeys(["left", "width", "min-width", "height", "top", "bottom", "border-radius"], LENGTH),
    **dict.fromkeys(["line-height", "font-size", "flex", "opacity"], LENGTH),
    **dict.fromkeys(["color", "background-color"], r"#[0-9a-f]{6}"),
    "padding": rf"({LENGTH} ?){{1,4}}",
    "padding-right": LENGTH,
    "border": "none",
    "border-left": r"\dpx solid",
    "border-collapse": "collapse",
    "caption-side": "top",
    "display": "flex|inline-block",
    "font-weight": "normal|bold",
    "overflow-x": "auto",
    "table-layout": "auto",
    "position": "relative|absolute",
    "text-align": "left|right",
    "vertical-align": "top|bottom",
    "white-space": "nowrap|normal",
}


def test_all_of_the_html_is_what_jupyterlab_leaves_of_it():
    shown = Shown(Waterfall([*RAN, failed(5, 6, HOSTILE, HOSTILE)])._repr_html_())

    for tag, attributes in shown.tags:
        assert tag in TAGS
        assert set(attributes) <= ATTRIBUTES
        for style in filter(None, attributes.get("style", "").split(";")):
            key, value = style.split(":")
            assert re.fullmatch(STYLES[key], value), style
    assert "&lt;script&gt;alert(1)" in Waterfall([failed(5, 6, HOSTILE, HOSTILE)])._repr_html_()


def test_no_formula_is_seen_in_what_comes_from_elsewhere():
    shown = Waterfall([failed(5, 6, r"\(x\)", r"It takes $5, \[you\] have $2.")])._repr_html_()

    text = re.sub(r" title='[^']*'", "", shown).replace("<span>$</span>", "").replace("<span>\\</span>", "")
    assert "It takes 5, [you] have 2." in text
    assert not re.search(r"[$\\]", text)


@pytest.mark.parametrize("render", [str, Waterfall._repr_html_], ids=["text", "html"])
def test_what_comes_from_elsewhere_is_text_on_one_line(render):
    events = [
        LLMResponseTracerEvent(1.0, model=HOSTILE, error=HOSTILE, error_type=HOSTILE),
        failed(0, 1, f"a\nb{HOSTILE}", f"c\nd{HOSTILE}"),
        RetryTracerEvent(1.0, model="m", attempt=1, delay=1, reason=HOSTILE),
    ]

    shown = render(Waterfall(events))

    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", shown)
    assert "a b" in shown
    assert "c d" in shown
    assert len(shown.splitlines()) in {1, 5}


@pytest.mark.parametrize("render", [str, Waterfall._repr_html_], ids=["text", "html"])
@pytest.mark.parametrize("hidden", "\u200b\u200d\u3164\xad\U000e0041\u2028\ufeff", ids=hex_of)
def test_what_cannot_be_seen_is_shown(render, hidden: str):
    events = [failed(0, 1, f"delete{hidden}_all", f"no{hidden} such"), answer(1, 2, finish_reason="stop")]

    shown = render(Waterfall(events))

    assert hidden not in shown
    assert "delete\ufffd_all" in shown
    assert "no\ufffd such" in shown
    assert hidden not in failed(0, 1, f"delete{hidden}").printable_summary()


def test_an_error_after_the_last_answer_has_a_row_of_its_own():
    ended = RunTracerEvent(2.0, model="a-model", error="Too many rounds.", error_type="MaxToolIterationsExceededError")

    shown = str(Waterfall([answer(0, 1, finish_reason="tool_calls"), ended]))

    assert "· failed" in shown.splitlines()[0]
    assert re.fullmatch(
        r"  end of the run +✕ +✕ failed: MaxToolIterationsExceededError: Too many rounds\.", shown.splitlines()[-1]
    )


def test_the_error_of_a_request_is_told_once():
    error = {"error": "gone", "error_type": "ProviderUnavailableError"}

    shown = str(Waterfall([answer(0, 1, **error), RunTracerEvent(1.0, model="a-model", **error)]))

    assert shown.count("gone") == 1


def test_of_several_runs_the_last_says_how_it_ended():
    ends = [
        RunTracerEvent(float(number), model="a-model", finish_reason=reason)
        for number, reason in ((1, "stop"), (2, "length"))
    ]

    assert str(Waterfall([answer(0, 1), *ends])).splitlines()[0].endswith(" · length")


def test_what_a_program_recorded_is_drawn_whatever_it_is():
    odd = [
        answer(0, 1, finish_reason="<b>"),
        ToolCallTracerEvent(1.0, tool_name="endless", arguments={}, result="", is_error=True, duration=float("inf")),
        ToolCallTracerEvent(1.0, tool_name="backwards", arguments={}, result="", duration=-1),
        RetryTracerEvent(0.5, model="a-model", attempt=1, delay=0.1, reason=""),
        RunTracerEvent(1.0, model="a-model", finish_reason="<b>"),
    ]

    shown, page = str(Waterfall(odd)), Waterfall(odd)._repr_html_()

    assert "1 request, 2 tool calls, 1 retry · 1.00 s · <b>" in shown
    assert shown.count("▓") == 2
    assert shown.count("done: failed") == 1
    assert "<b>" not in page
    assert "#d08a1d" in page  # a wait is no error


def test_a_request_that_is_not_answered_yet():
    events = [answer(0, 1), LLMCallTracerEvent(1.0, model="a-model"), tool(1, 2)]

    assert "under way" in str(Waterfall(events)).splitlines()[-2]


def test_a_wait_that_was_ended_early_does_not_stretch_the_run():
    wait = RetryTracerEvent(1.0, model="a-model", attempt=1, delay=60, reason="Busy.")

    assert "· 2.00 s" in str(Waterfall([wait, answer(0, 2, finish_reason="cancelled")]))
    assert "· 1 min 00 s" in str(Waterfall([wait]))


def test_nothing_to_show():
    assert str(Waterfall([])) == "No requests."
    assert Shown(Waterfall([])._repr_html_()).text == "No requests."
    assert str(TracerSystem().waterfall()) == "No requests."


def test_of_very_many_rows_the_first_are_shown():
    waterfall = Waterfall([tool(number, number + 1) for number in range(250)])

    assert str(waterfall).splitlines()[-1] == "… and 50 more"
    assert Shown(waterfall._repr_html_()).lines[-1] == ["… and 50 more"]
    assert len(str(waterfall).splitlines()) == 203


@pytest.mark.parametrize(
    ("duration", "texts"),
    [
        (0, ["0"]),
        (0.003, ["0", "0.5 ms", "1 ms", "1.5 ms", "2 ms", "2.5 ms", "3 ms"]),
        (0.9, ["0", "200 ms", "400 ms", "600 ms", "800 ms"]),
        (2.4, ["0", "0.5 s", "1 s", "1.5 s", "2 s"]),
        (61, ["0", "20 s", "40 s", "60 s"]),
        (180, ["0", "0.5 min", "1 min", "1.5 min", "2 min", "2.5 min", "3 min"]),
        (86400, ["0", "500 min", "1000 min"]),
    ],
)
def test_the_scale_from_milliseconds_to_hours(duration: float, texts: list[str]):
    assert [text for _, text in ticks(duration)] == texts
    assert [time <= duration * (1 + 1e-9) for time, _ in ticks(duration)] == [True] * len(texts)


@pytest.mark.parametrize(
    ("duration", "text"),
    [(0.003, "3.0 ms"), (0.9, "900 ms"), (2.4, "2.40 s"), (9.997, "10.0 s"), (45, "45.0 s"), (179.6, "3 min 00 s")],
)
def test_times_have_the_digits_that_matter(duration: float, text: str):
    assert f"· {text}" in str(Waterfall([answer(0, duration)])).splitlines()[0]


def test_what_goes_to_notebooks_is_the_same_each_time():
    """A notebook's saved outputs are compared with new ones: as text they are what ``repr`` gives."""
    assert (repr(TracerSystem()), repr(Waterfall(RAN))) == ("<TracerSystem>", "<Waterfall>")


def test_the_last_run_or_all_of_an_id():
    tracer = TracerSystem()
    for run, correlation_id in [("1", "a"), ("2", "b"), ("3", "b")]:
        tracer.record_event(LLMResponseTracerEvent(1.0, correlation_id, run, model=f"model-{run}"))

    assert "model-3" in str(tracer.waterfall())
    assert "1 request" in str(tracer.waterfall())
    assert tracer._repr_html_() == tracer.waterfall()._repr_html_()
    assert "2 requests" in str(tracer.waterfall("b"))
    assert "model-1" in str(tracer.waterfall("a"))
    with pytest.raises(LookupError, match=r"No event has the correlation id 'c'. `get_events\(\)` lists"):
        tracer.waterfall("c")


CALL = LLMToolCall(id="a", name=HOSTILE, arguments={})
KINDS = {
    "n": Notice("An image was left out."),
    "y": Retry(1, 0.5, "Busy."),
    "t": TextDelta("a"),
    "r": ReasoningDelta("a"),
    "s": ToolCallStart("a", HOSTILE),
    "d": ToolCallDelta("a", "{}"),
    "e": ToolCallEnd(CALL),
    "f": StepFinish("stop", Usage(1, 2)),
    "p": ToolProgress("a", ToolResult(CALL, "")),
    "o": ToolResult(CALL, "", is_error=True, duration=3),
    "F": Finish("stop"),
}


def assert_shown(tracer: TracerSystem) -> None:
    str(tracer.waterfall())
    Shown(tracer._repr_html_())
    tracer.to_jsonl()
    for event in tracer.get_events():
        event.printable_summary()


@given(st.from_regex(RUN, fullmatch=True), st.integers(0, 20), st.booleans())
@examples(50)
@example("tefof" + "F", 20, False)
def test_no_run_breaks_it_wherever_it_is_and_however_it_ends(spelled: str, count: int, fails: bool):
    """The events of any run that the grammar allows, seen after each; a step begins with its request."""
    happenings: list[Request | Event | Exception] = [Request("a-model", (LLMMessage(content="x"),))]
    for letter in spelled[:count]:
        happenings += [KINDS[letter], *([happenings[0]] if letter == "f" else [])]
    if fails:
        happenings.append(ProviderUnavailableError("gone"))
    tracer = TracerSystem()
    recorder = tracer.begin("")

    for happening in happenings:
        recorder.record(happening)
        assert_shown(tracer)


TIMES = st.floats(allow_nan=False, allow_infinity=False, min_value=0, max_value=1e12)
RECORDED = st.one_of(
    st.builds(answer, TIMES, TIMES, st.none() | TIMES),
    st.builds(tool, TIMES, TIMES),
    st.builds(RetryTracerEvent, TIMES, model=st.just("m"), attempt=st.just(1), delay=st.floats(), reason=st.text()),
    st.builds(LLMCallTracerEvent, TIMES, model=st.text()),
    st.builds(RunTracerEvent, TIMES, model=st.just("m"), error=st.none() | st.text()),
    st.builds(TracerEvent, TIMES),
)


@given(st.lists(RECORDED, max_size=5))
@example([RetryTracerEvent(0.0, model="m", attempt=1, delay=1e308, reason="")])
@examples(50)
def test_no_events_break_it_whatever_their_times(events: list[TracerEvent]):
    waterfall = Waterfall(events)

    assert str(waterfall)
    Shown(waterfall._repr_html_())
