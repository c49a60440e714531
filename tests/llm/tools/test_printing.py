"""What a tool prints: it stays with its call, and the model is told of it after the result."""

from __future__ import annotations

import asyncio
import sys
import threading

import pytest
from driving import BOTH, events_of
from paced import asking
from toolbox import QUESTION, Gate, Tool, calling, outputs, results, step

from mojentic_nb.display import LiveView
from mojentic_nb.display.printing import keeping_prints, note_figures
from mojentic_nb.llm import AsyncRun, Run
from mojentic_nb.llm.events import StepFinish
from mojentic_nb.llm.tools.running import HALF, PRINTED, Printed


def speak() -> str:
    print("to the model")
    print("warning", file=sys.stderr)
    sys.stdout.writelines(["a", "b"])
    return "result"


async def aspeak() -> str:
    await asyncio.sleep(0)
    return speak()


def report():
    speak()
    yield 1
    return "result"


def fail() -> None:
    print("before")
    raise ValueError("no")


SPOKEN = "\n\n[printed]\nto the model\nwarning\nab"


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("count", [1, 2], ids=["alone", "together"])
@pytest.mark.parametrize(
    ("function", "told"),
    [
        (speak, "result" + SPOKEN),
        (aspeak, "result" + SPOKEN),
        (report, "result" + SPOKEN),
        (fail, "ValueError: no\n\n[printed]\nbefore"),
        (lambda: "quiet", "quiet"),
    ],
    ids=["plain", "async", "generator", "failing", "quiet"],
)
def test_the_model_is_told_after_the_result(how: str, count: int, function, told: str, capsys: pytest.CaptureFixture):
    with keeping_prints():
        events = events_of(calling(how, [Tool(function, "speak")], *["speak"] * count))

    assert outputs(events) == [told] * count
    assert capsys.readouterr() == ("", "")


DISPLAYED = [
    {"image/png": "aGVs\nbG8=\n", "text/plain": "<Figure>"},
    {"image/jpeg": b"hello"},
    {"text/html": "<b>a table</b>", "text/plain": "a table"},
]


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("error", [None, ValueError("no")], ids=["plain", "failing"])
def test_what_a_tool_displays_goes_with_its_result(how: str, error: Exception | None):
    """A person sees all of it, also of a failed call; the model gets the images, and the text of the rest."""

    def show() -> str:
        for data in [*DISPLAYED, {"text/plain": "words"}]:
            PRINTED.get().display(data)
        if error:
            raise error
        return "result"

    with keeping_prints():
        (result,) = results(events_of(calling(how, [Tool(show)])))

    said = "ValueError: no" if error else "result"
    assert result.output == f"{said}\n\n[printed]\n[displayed image]\n[displayed image]\na table\nwords"
    assert result.images == ("data:image/png;base64,aGVsbG8=", "data:image/jpeg;base64,aGVsbG8=")
    assert result.display == (error or "result")
    assert [each._repr_mimebundle_() for each in result.displayed] == DISPLAYED


def test_others_print_where_they_always_do(capsys: pytest.CaptureFixture):
    """So do other threads while a tool runs, and all once the last block has ended."""
    inside, printed = Gate(), Gate()

    def other() -> None:
        inside.pass_through()
        print("from a thread")
        printed.open()

    def wait() -> str:
        inside.open()
        printed.pass_through()
        return "waited"

    thread = threading.Thread(target=other)
    before = sys.stdout, sys.stderr
    with keeping_prints():
        thread.start()
        with keeping_prints():
            events = events_of(calling("async", [Tool(wait)]), lambda _: print("from the reader"))
        assert sys.stdout.isatty() is before[0].isatty()
    thread.join()

    assert (sys.stdout, sys.stderr) == before
    assert outputs(events) == ["waited"]
    out = capsys.readouterr().out
    assert "from a thread\n" in out
    assert out.count("from the reader\n") == len(events)


def test_what_took_the_place_of_a_stream_stays(monkeypatch: pytest.MonkeyPatch):
    with keeping_prints():
        other = sys.stderr
        monkeypatch.setattr(sys, "stdout", other)
        mine = sys.stdout = Printed()

    assert sys.stdout is mine


def test_without_a_view_prints_go_where_they_always_do(capsys: pytest.CaptureFixture):
    (result,) = results(events_of(calling("sync", [Tool(speak)])))

    assert result.output == "result"
    assert capsys.readouterr().out == "to the model\nab"


@pytest.mark.parametrize("how", BOTH)
def test_a_view_keeps_prints_in_the_card(how: str, capsys: pytest.CaptureFixture):
    view = LiveView()
    broker = asking(step("speak"), [StepFinish("stop")])
    run: Run | AsyncRun = (broker.astream if how == "async" else broker.stream)(QUESTION, [Tool(speak)])

    if isinstance(run, AsyncRun):
        asyncio.run(view.awatch(run))
    else:
        view.watch(run)

    (card,) = [block for block in view.transcript.state()["blocks"] if block["kind"] == "tool"]
    assert card["output"] == "result" + SPOKEN
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["a\n", "b"], "a\nb"),
        (["1 %\r", "50 %\r", "100 %\n", "done\r\n"], "100 %\ndone"),
        (["x" * HALF, "y" * HALF], "x" * HALF + "y" * HALF),
        (["x" * HALF, "y" * 10, "z" * HALF], "x" * HALF + "\n… (10 more characters)\n" + "z" * HALF),
    ],
)
def test_printed_text_is_bounded(pieces: list[str], text: str):
    printed = Printed()
    for piece in pieces:
        printed.write(piece)

    assert printed.text.replace("\r\n", "\n").strip() == text


@pytest.fixture
def inline():
    """Matplotlib as it is in a notebook whose tools' figures are kept."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before = pyplot.get_backend()
    pyplot.switch_backend("module://matplotlib_inline.backend_inline")
    note_figures(noted=True)
    yield pyplot
    note_figures(noted=False)
    pyplot.close("all")
    pyplot.switch_backend(before)


@pytest.mark.parametrize("how", BOTH)
def test_each_tool_is_told_of_the_figures_that_it_left_open(how: str, inline):
    """One that it returned is its result; those of others stay open."""
    others = inline.figure()
    both = threading.Barrier(2, timeout=60)

    def returned() -> object:
        axes = inline.figure().subplots()
        both.wait()
        return [axes]

    def left() -> str:
        both.wait()
        inline.subplots()
        inline.close(inline.figure())
        return "left"

    told = {result.call.name: result for result in results(events_of(calling(how, [Tool(returned), Tool(left)])))}

    assert told["returned"].output == "[image 1]"
    assert told["left"].output == "left\n\n[printed]\n[displayed image]"
    assert (len(told["returned"].images), len(told["left"].images)) == (1, 1)
    assert inline.get_fignums() == [others.number]


def test_figures_of_the_tool_that_loaded_pyplot_are_its_own(inline, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot")
    printed = Printed()
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", inline)
    inline.figure()

    printed.display_figures(None)

    assert printed.text == "[displayed image]"
    assert inline.get_fignums() == []


def test_a_figure_that_cannot_be_drawn_is_closed(inline):
    def fail() -> str:
        inline.figure().savefig = None
        return "done"

    assert outputs(events_of(calling("sync", [Tool(fail)]))) == ["done"]
    assert inline.get_fignums() == []


def test_without_a_view_figures_stay_open(inline):
    note_figures(noted=False)

    assert outputs(events_of(calling("sync", [Tool(lambda: inline.figure().number, "draw")]))) == ["1"]
    assert inline.get_fignums() == [1]
