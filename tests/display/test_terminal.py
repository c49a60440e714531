"""An answer on standard output, and where answers are shown."""

from __future__ import annotations

import io
import signal
import sys

import pytest
from paced import CALLS, END, QUESTION, PacedTool, asking, call, text

from mojentic_nb.display.live import LiveView
from mojentic_nb.display.surface import can_ask, can_click, surface
from mojentic_nb.llm import Notice, Retry, TextDelta


def test_text_streams_and_calls_and_notices_are_lines(capsys: pytest.CaptureFixture):
    tools = [PacedTool("good", {"sky": "clear"}), PacedTool("bad", ValueError("no such thing"))]
    broker = asking(
        [*text("Let me\x07 look."), *call("good", city="Paris"), *call("bad"), CALLS], [*text("Clear."), END]
    )

    LiveView("m").show(broker.stream(QUESTION, tools))

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Let me␇ look."
    assert any(line.startswith('✓ good(city="Paris")') for line in lines)
    assert any(line.startswith("✗ bad() · failed") for line in lines)
    assert "    ValueError: no such thing" in lines
    assert lines[-2] == "Clear."
    assert lines[-1].startswith("m · 2,100 tokens in (1,024 cached), 55 out")


def test_what_cannot_be_seen_is_shown_and_an_emoji_in_pieces_stays_whole(capsys: pytest.CaptureFixture):
    """A joiner shows only in what it joins, which comes piece by piece; in names it never stays."""
    worker, word = "\U0001f469\u200d\U0001f4bb", "\u0645\u06cc\u200c\u062e"
    said = f"{worker} a\u200bb {word}\r\n\u200d"
    broker = asking([*text(said, 1), *call(f"go{worker}", city=word), CALLS], [*text("So.\r"), END])

    LiveView("m").show(broker.stream(QUESTION, [PacedTool("go", "x")]))

    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [f"{worker} a\ufffdb {word}", "\ufffd"]
    assert any(line.startswith(f'✗ go\U0001f469\ufffd\U0001f4bb(city="{word}")') for line in lines)
    assert lines[-2] == "So.\u240d"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_joiners_do_not_stay_in_fenced_code(size: int, capsys: pytest.CaptureFixture):
    """Whichever way the answer comes in pieces."""
    word = "\u0645\u06cc\u200c\u062e"
    said = f"{word}\n```python\n{word}\n```\n{word}\n"
    broker = asking([*text(said, size), END])

    LiveView("m").show(broker.stream(QUESTION))

    code = word.replace("\u200c", "\ufffd")
    assert capsys.readouterr().out.startswith(f"{word}\n```python\n{code}\n```\n{word}\n")


def test_a_run_that_is_watched_is_not_written(capsys: pytest.CaptureFixture):
    view = LiveView("m")
    view.show(asking([*text("Shown"), END]).stream(QUESTION))
    view.watch(asking([*text("Watched"), END]).stream(QUESTION))

    assert capsys.readouterr().out.startswith("Shown\nm · ")
    assert view.transcript.state()["blocks"][0]["text"] == "Watched"
    view.watch(asking([*text("Watched"), END]).stream(QUESTION))
    assert not capsys.readouterr().out


def test_an_error_is_raised_and_not_told_twice(capsys: pytest.CaptureFixture):
    with pytest.raises(ConnectionError):
        LiveView("m").show(asking([*text("Some"), ConnectionError("dead")]).stream(QUESTION))

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Some"
    assert lines[1].startswith("m · ")
    assert lines[1].endswith("failed")


def test_retries_and_notices_are_lines_at_once(capsys: pytest.CaptureFixture):
    from mojentic_nb.display.terminal import Terminal
    from mojentic_nb.display.transcript import Transcript

    transcript, terminal = Transcript("m"), Terminal()
    for event in (Notice("An image was left out."), Retry(1, 0.5, "Busy."), TextDelta("Now.")):
        terminal.feed(event, transcript.feed(event), transcript)
    terminal.end(transcript)

    assert capsys.readouterr().out.startswith(
        "Note: An image was left out.\nNote: Busy. Trying again in 0.5 s (retry 1).\nNow.\n"
    )


def test_a_view_outside_of_a_kernel_does_no_harm(capsys: pytest.CaptureFixture):
    view = LiveView("m", view="widget")
    view.show(asking([*text("Some"), END]).stream(QUESTION))

    assert view.transcript.state()["status"]["state"] == "done"
    assert capsys.readouterr().out.startswith("Some\nm · ")


def test_outside_of_a_kernel_answers_are_text(monkeypatch: pytest.MonkeyPatch):
    assert surface() == surface("widget") == "text"
    monkeypatch.setenv("MOJENTIC_NB_DISPLAY", " Static ")
    assert surface() == "static"
    assert not can_click(awaited=False)


@pytest.mark.parametrize(("said", "ran"), [("yes\n", True), ("n\n", False), ("\n", False)])
def test_a_terminal_is_asked_for_approval(monkeypatch: pytest.MonkeyPatch, said: str, ran: bool):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def interrupted(*_: object) -> None: ...

    monkeypatch.setattr(sys, "stdin", Terminal(said))
    before = signal.signal(signal.SIGINT, interrupted)
    view = LiveView()
    broker = asking([*call("delete"), CALLS], [*text("Well."), END])
    view.show(broker.stream(QUESTION, [PacedTool("delete", "gone")], approve=view.approve))

    assert signal.signal(signal.SIGINT, before) is interrupted
    assert can_ask()
    assert (view.transcript.state()["blocks"][0]["state"] == "done") == ran
