"""What a notebook keeps of an answer."""

from __future__ import annotations

import html
import re
import sys
from html.parser import HTMLParser

import pytest
from display.runs import runs
from display.views import Clock, transcript_of
from fuzzing import examples
from hypothesis import given

from mojentic_nb.display.render.html import as_html
from mojentic_nb.display.render.labels import format_duration
from mojentic_nb.display.render.styles import STYLES, inline_styles
from mojentic_nb.display.render.text import as_markdown, as_text
from mojentic_nb.display.transcript import Transcript
from mojentic_nb.llm import (
    Event,
    Finish,
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
from mojentic_nb.llm.text import printable

CALL = LLMToolCall(id="1", name="weather", arguments={"city": "Paris"})
try:
    1 / 0  # noqa: B018
except ZeroDivisionError as error:
    TRACE = error.__traceback__
CALLED = [ToolCallStart("1", "weather"), ToolCallEnd(CALL), StepFinish("tool_calls", Usage(1204, 86, 1024, 40))]
VOID = {"br", "hr", "img", "col"}


class Outline(HTMLParser):
    """Checks that elements nest, and keeps their names, attributes and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.path: list[str] = []
        self.seen: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.path == []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.path.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.path.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.seen if name == tag]


def outline(*events: Event, model: str = "model") -> Outline:
    return Outline(as_html(transcript_of(events, model)))


def result(output: str = "sunny", **fields: object) -> ToolResult:
    return ToolResult(CALL, output, duration=0.42, **fields)


def test_markdown_that_is_too_long_to_be_set_is_shown_as_it_came():
    made = as_html(transcript_of([TextDelta("*a*"), *CALLED, TextDelta("*b* " * 50_000), *CALLED, TextDelta("*c*")]))

    assert "<em>a</em>" in made
    assert "*b* *b*" in made
    assert "<em>b" not in made


def test_a_call_that_went_well_is_closed_and_says_what_and_how_long():
    made = outline(*CALLED, result())

    assert made.text.startswith('✓ weather city="Paris" 0.42 sArguments{\n  "city": "Paris"\n}Resultsunny')
    assert made.all("details") == [{"style": STYLES["card"]}]


@pytest.mark.parametrize(
    ("events", "words"),
    [
        (CALLED[:1], "○ weather  being called"),
        ([CALLED[0], ToolCallDelta("1", '{"ci')], '○ weather {"ci being calledArguments{"ci'),
        (CALLED[:2], '○ weather city="Paris" waiting'),
        (CALLED, '● weather city="Paris" running'),
        ([*CALLED, ToolProgress("1", "half of it")], "half of it"),
        ([*CALLED, result("E: no", is_error=True, display=ValueError("no"))], 'weather city="Paris" failed 0.42 s'),
        ([*CALLED, result("no", is_error=True, outcome="denied")], '⊘ weather city="Paris" denied'),
        ([*CALLED, result("no", is_error=True, outcome="timed_out")], '✗ weather city="Paris" timed out'),
    ],
)
def test_a_call_that_goes_on_or_went_wrong_is_open(events: list[Event], words: str):
    made = outline(*events)

    assert words in made.text
    assert made.all("details")[0]["open"] is None


def test_a_call_that_was_cancelled_is_closed():
    made = outline(*CALLED, Finish("cancelled"))

    assert '⊘ weather city="Paris" cancelled' in made.text
    assert "open" not in made.all("details")[0]


def test_nothing_that_is_said_becomes_an_element():
    bad = "<b>x</b>"
    call = LLMToolCall(id="1", name=bad, arguments={bad: bad})
    begun = [ReasoningDelta(bad), TextDelta(bad), ToolCallStart("1", bad), ToolCallEnd(call), StepFinish("tool_calls")]
    failed_call = ToolResult(call, bad, is_error=True, display=ValueError(f"{bad}!").with_traceback(TRACE))

    for after in (ToolProgress("1", bad), failed_call, ToolResult(call, f"{bad}!", display=bad)):
        transcript = transcript_of([*begun, after], bad)
        transcript.notice("info", bad)
        page = as_html(transcript)
        assert "<b>" not in page
        assert page.count("&lt;b&gt;x&lt;/b&gt;") >= 7


def test_a_call_that_waits_for_approval_says_so():
    transcript = transcript_of([*CALLED, ToolProgress("1", "half")])
    block, _ = transcript.card(CALL)
    transcript.approval(block, pending=True)

    made = Outline(as_html(transcript))

    assert "waiting for approval" in made.text
    assert "half" in made.text


def test_an_error_has_its_traceback_folded():
    def tool():
        raise KeyError("Orly")

    with pytest.raises(KeyError) as caught:
        tool()

    made = outline(*CALLED, result("KeyError: 'Orly'", is_error=True, display=caught.value))

    assert "ErrorKeyError: 'Orly'TracebackTraceback (most recent call last):" in made.text
    assert ["open" in fold for fold in made.all("details")] == [True, False]
    assert "What the model was told" not in made.text


def test_what_the_model_was_told_is_folded_where_it_is_something_else():
    made = outline(*CALLED, result("told", display={"a": 1}))

    assert 'Result{\n  "a": 1\n}What the model was toldtold' in made.text


def test_a_call_without_arguments_and_result_has_no_body():
    call = LLMToolCall(id="1", name="f", arguments={})

    made = outline(ToolCallStart("1", "f"), ToolCallEnd(call))

    assert made.text.startswith("○ f  waitingmodel")


class Shown:
    """Has the representations that it is given."""

    def __init__(self, **representations: str) -> None:
        for name, text in representations.items():
            setattr(self, f"_repr_{name}_", lambda text=text: text)

    def __repr__(self) -> str:
        return "Shown()"


def test_each_kind_of_result_is_shown():
    svg = Shown(svg="<svg/>")
    html_result = Shown(html="<table><tr><td onclick='x'>a $b$ c</td></tr></table><img src='https://x.y/z' alt='q'>")

    made = outline(*CALLED, result("told", display=[svg, html_result, Shown(markdown="*m*"), "text", 1]))

    [image] = made.all("img")
    assert image["src"].startswith("data:image/svg+xml;base64,")
    assert made.all("td") == [{"style": STYLES["cell"]}]
    assert made.all("a")[0]["href"] == "https://x.y/z"
    assert "a $b$ c[image at x.y: q]mtext1What the model was toldtold" in "".join(made.text.split("\n"))


def test_control_characters_of_a_tools_html_can_be_seen():
    made = outline(*CALLED, result(display=Shown(html="<b title='\x9b'>a\x1b[31mb\u202ec&#x202e;d</b>")))

    assert "a␛[31mb\ufffdc\ufffdd" in made.text
    assert made.all("b") == [{"title": "\ufffd"}]


def test_a_data_image_of_a_tools_html_is_shown_and_no_other_data():
    images = {"ok": "data:image/png;base64,AAAA", "bad": "data:text/html,x", "odd": "https://℀@x.y/z"}
    tags = "".join(f"<img alt='{alt}' src='{source}'>" for alt, source in images.items())
    shown = Shown(html=f"<b>x</b><a href='data:text/html,x'>no link</a><a href='HTTPS://x.y'>link</a>{tags}")

    made = outline(*CALLED, result(display=shown))

    assert [image["alt"] for image in made.all("img")] == ["ok"]
    assert "xno linklink[bad][odd]" in made.text
    assert [link.get("href") for link in made.all("a")] == [None, "HTTPS://x.y"]


def test_an_inner_run_is_in_the_card():
    made = as_html(transcript_of([*CALLED, ToolProgress("1", TextDelta("inside")), TextDelta("outside")]))

    assert made.index("padding:0 0 0 12px") < made.index("inside") < made.index("</details>") < made.index("outside")


def test_reasoning_is_open_while_it_goes_on():
    assert outline(ReasoningDelta("*hm*")).all("details")[0]["open"] is None

    made = outline(ReasoningDelta("*hm*"), TextDelta("Hi"))
    assert "open" not in made.all("details")[0]
    assert made.text.startswith("Reasoninghm")


def test_what_the_reader_opened_or_closed_stays_so():
    broken = ToolResult(CALL, "told", is_error=True, display=ZeroDivisionError("no").with_traceback(TRACE))
    transcript = transcript_of([ReasoningDelta("hm"), *CALLED, result(), *CALLED, broken])

    def opened(**folds: bool) -> list[bool]:
        keys = {
            "reasoning": (0, ""),
            "done": (1, ""),
            "failed": (2, ""),
            "trace": (2, "traceback"),
            "told": (2, "told"),
        }
        page = as_html(transcript, {keys[name]: open_ for name, open_ in folds.items()})
        return ["open" in fold for fold in Outline(page).all("details")]

    assert opened() == [False, False, True, False, False]
    assert opened(reasoning=True, done=True, failed=False) == [True, True, False, False, False]
    assert opened(trace=True) == [False, False, True, True, False]
    assert opened(told=True) == [False, False, True, False, True]


def test_a_source_is_folded_and_whole():
    """It is open where it failed, and in a code block that nothing in it can end."""
    transcript = Transcript("m", Clock(), source="json")
    for piece in ('{"a": "', '```\n# no"}'):
        transcript.feed(TextDelta(piece))

    made = Outline(as_html(transcript))
    assert "open" not in made.all("details")[0]
    assert made.text.startswith('What the model wrotejson{"a": "```\n# no"}')
    assert as_text(transcript) == '{"a": "```\n# no"}\n\nm · 1 token'
    assert as_markdown(transcript).startswith('````json\n{"a": "```\n# no"}\n````\n\n---')
    transcript.fail(ValueError("no"))
    assert "open" in Outline(as_html(transcript)).all("details")[0]


def test_notices_say_what_they_are():
    transcript = transcript_of([Notice("An image was left out."), Retry(1, 2, "Busy.")])
    transcript.fail(ValueError("no <b>"))

    made = Outline(as_html(transcript))

    assert (
        made.text
        == "⚠ An image was left out.⚠ Busy. Trying again in 2.0 s (retry 1).✗ ValueError: no <b>model · failed"
    )


@pytest.mark.parametrize(
    ("events", "line"),
    [
        ([], "m"),
        ([TextDelta("a"), Finish("stop")], "m · 1 token"),
        (
            [TextDelta("a"), StepFinish("stop", Usage(1204, 1086, 1024, 40)), Finish("length")],
            "m · 1,204 tokens in (1,024 cached), 1,086 out (40 reasoning) · cut off at max_tokens",
        ),
        (
            [TextDelta("a"), StepFinish("stop", Usage(5, 2)), Finish("cancelled")],
            "m · 5 tokens in, 2 out · stopped after 2 tokens",
        ),
        (
            [
                *[TextDelta("a")] * 3,
                StepFinish("cancelled", Usage(5, 1)),
                Finish("cancelled"),
            ],  # what Claude says first
            "m · 5 tokens in, 3 out · stopped after 3 tokens",
        ),
        (
            [
                TextDelta("a"),
                StepFinish("length", limit="max_answer_chars"),
                Finish("length", limit="max_answer_chars"),
            ],
            "m · 1 token · cut off at max_answer_chars",
        ),
    ],
)
def test_the_status_line_is_below(events: list[Event], line: str):
    made = outline(*events, model="m")

    assert made.text.endswith(line)
    assert as_text(transcript_of(events, "m")).endswith(line)


def test_times_and_rates_are_in_the_status_line():
    now = [0.0]
    transcript = Transcript("m", lambda: now[0])
    for seconds, piece in ((0.4, "a"), (0.5, "b"), (0.9, "c")):
        now[0] = seconds
        transcript.feed(TextDelta(piece))
    now[0] = 131.0
    transcript.feed(Finish("stop"))

    assert as_text(transcript).endswith("m · 3 tokens · 6.0 tokens/s · first token 0.40 s · 2 min 11 s")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, ""),
        (0.0, ""),
        (0.0499, ""),
        (0.05, "0.05 s"),
        (0.4249, "0.42 s"),
        (7.34, "7.3 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (120, "2 min"),
        (125, "2 min 5 s"),
    ],
)
def test_a_time_is_told_in_words(seconds: float | None, words: str):
    assert format_duration(seconds) == words


def test_what_was_there_at_once_has_no_time():
    """It is so wherever no model answers, as from a recording."""
    now = [0.0]
    transcript = Transcript("m", lambda: now[0])
    for event in (ReasoningDelta("hm"), *CALLED, ToolResult(CALL, "sunny", duration=0.04), Finish("stop")):
        now[0] += 0.007
        transcript.feed(event)

    assert " s" not in as_text(transcript).replace(" sunny", "")
    assert not re.search(r"\d s\b", Outline(as_html(transcript)).text)
    assert not re.search(r"\d s\b", as_markdown(transcript))


def test_styles_are_put_for_names_in_tags_only():
    assert inline_styles('<p dir="auto" class="mnb-status">class="mnb-status"</p>') == (
        f'<p dir="auto" style="{STYLES["status"]}">class="mnb-status"</p>'
    )
    assert inline_styles('<p>a class="mnb-status"</p>') == '<p>a class="mnb-status"</p>'
    assert inline_styles('<p class="mnb-none">') == '<p style="">'


def test_without_the_extra_markdown_is_shown_as_text(monkeypatch: pytest.MonkeyPatch):
    events = [TextDelta("*a* <b>\n$x$"), *CALLED, result(display=Shown(html="<b>x</b>"))]
    with_it = outline(*events)
    for name in ("markdown", "sanitize"):
        monkeypatch.delitem(sys.modules, f"mojentic_nb.display.render.{name}")
    monkeypatch.setitem(sys.modules, "nh3", None)
    monkeypatch.setitem(sys.modules, "markdown_it", None)

    made = outline(*events)

    assert made.text.startswith("*a* <b>\n$x$✓ weather")
    assert 'Result"Shown()"What the model was told' in made.text
    assert with_it.text.startswith("a <b>\n$x$\n✓ weather")


@given(runs())
@examples(100)
def test_every_rendering_of_every_run_is_whole(run: list[Event]):
    """HTML nests, nothing raises, no letter of the answer is lost, no control character is left."""
    for end in (len(run) // 2, len(run)):
        transcript = transcript_of(run[:end])

        made = as_html(transcript)
        text = as_text(transcript)
        markdown = as_markdown(transcript)

        assert printable(made) == made
        assert printable(text) == text
        Outline(made)
        assert not re.search(
            r"<(script|style|iframe|form|input)|\bon\w+=|\bclass=|\bid=", re.sub(r'="[^"]*"', "", tags(made))
        )
        for block in transcript.state()["blocks"]:
            if block["kind"] == "text" and block["parent"] is None:
                assert block["text"] in markdown
                assert printable(block["text"]) in text
        made.encode()
        text.encode()


def tags(text: str) -> str:
    """Only the tags of HTML, with no values of attributes."""
    return re.sub('="[^"]*"', "=", "".join(re.findall("<[^>]*>", text)))


# the other renderings


def test_text_has_the_answer_and_a_line_for_each_call():
    events = [
        Retry(1, 2, "Busy."),
        ReasoningDelta("hm"),
        TextDelta("Let me *look*.\x1b[31m"),
        *CALLED,
        ToolProgress("1", TextDelta("in\nside")),
        result('{"high": 21}', display={"high": 21}),
        TextDelta("Sunny."),
        ReasoningDelta("more"),
    ]

    assert as_text(transcript_of(events)).split("\n") == [
        "Note: Busy. Trying again in 2.0 s (retry 1).",
        "",
        "Reasoning",
        "",
        "Let me *look*.␛[31m",
        "",
        '✓ weather(city="Paris") · 0.42 s',
        '    { "high": 21 }',
        "",
        "    in",
        "    side",
        "",
        "Sunny.",
        "",
        "Reasoning",
        "",
        "model · 1,204 tokens in (1,024 cached), 87 out (40 reasoning)",
    ]


def test_markdown_has_the_answer_as_it_came_and_fences_what_did_not():
    events = [
        ReasoningDelta("hm"),
        TextDelta("Look: *x*\n```python\nopen"),
        *CALLED,
        ToolProgress("1", TextDelta("inside")),
        result("sun```ny"),
        ReasoningDelta("more"),
        Finish("length"),
    ]

    made = as_markdown(transcript_of(events, "m_1"))

    assert made == (
        "> *Reasoning*\n>\n> hm\n\nLook: *x*\n```python\nopen\n```\n\n"
        '**✓ weather\\(city="Paris"\\) · 0.42 s**\n\n```json\n{\n  "city": "Paris"\n}\n```\n\n````\nsun```ny\n````\n\n'
        "> inside\n\n> *Reasoning*\n>\n> more\n\n"
        "**Warning:** The answer was cut off at max\\_tokens. Raise it for the rest.\n\n---\n\n"
        "m\\_1 · 1,204 tokens in \\(1,024 cached\\), 87 out \\(40 reasoning\\) · **cut off at max\\_tokens**\n"
    )


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        ("```\na\n```", ""),
        ("~~~\na\n```", "\n~~~"),
        ("````\na\n```", "\n````"),
        ("```a`b\nc", ""),
        ("```\na\n``` x", "\n```"),
    ],
)
def test_markdown_closes_the_code_that_the_answer_left_open(text: str, ending: str):
    assert as_markdown(transcript_of([TextDelta(text)])).startswith(f"{text}{ending}\n\n---\n")


def test_a_result_that_is_no_text_is_told_as_the_model_was_told():
    made = as_text(transcript_of([*CALLED, result("a chart", display=Shown(svg="<svg/>"))]))

    assert "\n    a chart\n" in made
    assert html.escape(made) == made.replace('"', "&quot;")
