"""`LiveView` in a real kernel, by the messages that a front end gets and sends."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from clicks import needs_clicks
from paced import END, QUESTION, asking, text

from mojentic_nb.display.live import LiveView
from mojentic_nb.llm import LLMMessage
from mojentic_nb.llm.errors import ConfigurationError

from .conftest import Frontend

SHOW = "LiveView('m').show(broker.stream(QUESTION))"
ASHOW = "await LiveView('m').ashow(broker.astream(QUESTION))"


def applied(state: dict, ops: list) -> dict:
    """The state after operations, by their definition."""
    for op in ops:
        match op:
            case ["block", _, block]:
                state["blocks"].append(block)
            case ["append", index, field, delta]:
                state["blocks"][index][field] += delta
            case ["set", index, fields]:
                state["blocks"][index].update(fields)
            case ["status", fields]:
                state["status"].update(fields)
    return state


@pytest.mark.parametrize("show", [SHOW, ASHOW])
def test_a_view_gets_every_character_once_and_the_saved_answer_takes_its_place(frontend: Frontend, show: str):
    frontend.run(f"broker = asking([*text('An *answer* ' * 200), END])\n{show}")

    (displayed,) = frontend.of("display_data")
    first, *_, last = frontend.snapshots()
    deltas = frontend.deltas()
    assert "application/vnd.jupyter.widget-view+json" in displayed["data"]
    assert displayed["data"]["text/plain"] == "LiveView('m')"
    assert [delta["seq"] for delta in deltas] == list(range(first["seq"] + 1, last["seq"] + 1))
    state = applied(first["state"], [op for delta in deltas for op in delta["ops"]])
    assert state == last["state"]
    assert state["blocks"][0]["text"] == "An *answer* " * 200
    assert sum(len(str(delta)) for delta in deltas) < 2 * len(str(state)) + 200 * len(deltas)
    assert frontend.saved().keys() == {"text/html", "text/plain"}
    assert "<em>answer</em>" in frontend.saved()["text/html"]
    assert frontend.saved()["text/plain"].startswith("An *answer* An")
    assert frontend.of("update_display_data")[0]["transient"] == displayed["transient"]


def test_the_text_arrives_while_the_model_pauses(frontend: Frontend, tmp_path: Path):
    frontend.start(f"broker = asking([*text('Hello'), gates / 'go', *text(' there'), END])\n{SHOW}")
    frontend.read_until("comm_msg", "Hell")
    (tmp_path / "go").touch()
    frontend.finish()

    assert frontend.saved()["text/plain"].startswith("Hello there")


def test_where_nobody_watches_there_is_the_saved_answer_alone(frontend: Frontend):
    frontend.run(f"broker = asking([*text('An *answer*'), END])\n{ASHOW}", watched=False)

    (displayed,) = frontend.of("display_data")
    assert displayed["data"].keys() == {"text/html", "text/plain"}
    assert not frontend.of("comm_open")
    assert not frontend.of("comm_msg")
    assert not frontend.of("update_display_data")


def test_the_environment_says_how_to_show_it(frontend: Frontend):
    frontend.run(f"%env MOJENTIC_NB_DISPLAY=text\nbroker = asking([*text('An *answer*'), END])\n{SHOW}")
    assert "An *answer*\nm · 1,200 tokens in (1,024 cached), 34 out" in frontend.printed()
    assert not frontend.of("display_data")

    frontend.run(f"%env MOJENTIC_NB_DISPLAY=static\nbroker = asking([*text('An *answer*'), END])\n{SHOW}")
    assert len(frontend.of("display_data")) == 1
    assert not frontend.of("comm_open")

    frontend.run(f"%env MOJENTIC_NB_DISPLAY=magic\n{SHOW}")
    (error,) = frontend.of("error")
    assert error["evalue"] == (
        "MOJENTIC_NB_DISPLAY='magic' isn't a way to show an answer. Use one of auto, widget, static, text."
    )
    frontend.run("%env MOJENTIC_NB_DISPLAY=auto")


@needs_clicks
def test_stop_ends_the_answer(frontend: Frontend):
    frontend.start(
        "run = asking([*text('Some'), gates / 'never', END]).astream(QUESTION)\n"
        "await LiveView().ashow(run)\n"
        "print(run.finish_reason)"
    )
    frontend.read_until("comm_msg", "Some")
    frontend.click(type="stop")
    frontend.finish()

    assert frontend.printed() == "cancelled\n"
    assert "stopped after 1 token" in frontend.saved()["text/plain"]


@needs_clicks
def test_what_the_reader_opened_is_open_in_the_saved_answer(frontend: Frontend, tmp_path: Path):
    """So it is in this run's; the next one's in the same view begins anew."""
    cell = (
        "broker = asking([*reasoning('Hm.'), *call('look'), CALLS], [*text('Well.'), gates / 'end', END])\n"
        "await view.ashow(broker.astream(QUESTION, [PacedTool('look', 'sunny')]))"
    )
    frontend.start(f"view = LiveView()\n{cell}")
    frontend.read_until("comm_msg", "Well")
    frontend.click(type="fold", block=0, part="", open=True)
    frontend.click(type="fold", block=1, part="", open=True)
    frontend.click(type="fold", block=1, part="", open=False)
    frontend.click(type="snapshot")
    frontend.read_until("comm_msg", "_snapshot")
    (tmp_path / "end").touch()
    frontend.finish()
    first = frontend.saved()["text/html"]
    frontend.run(cell)

    assert re.findall("<details[^>]*?( open)?>", first) == [" open", ""]
    assert re.findall("<details[^>]*?( open)?>", frontend.saved()["text/html"]) == ["", ""]


@pytest.mark.parametrize(("said", "state"), [("y", "done"), ("", "denied")])
def test_where_clicks_do_not_arrive_input_asks(frontend: Frontend, said: str, state: str):
    frontend.start(
        "view = LiveView()\n"
        "broker = asking([*call('delete', path='/x'), CALLS], [*text('Well.'), END])\n"
        "view.show(broker.stream(QUESTION, [PacedTool('delete', 'gone')], approve=view.approve))\n"
        "print(view.transcript.state()['blocks'][0]['state'])"
    )
    asked = frontend.client.get_stdin_msg(timeout=60)
    frontend.client.input(said)
    frontend.finish()

    assert asked["content"]["prompt"] == 'Allow delete({"path": "/x"}) to run? [y/N] '
    assert frontend.printed() == f"{state}\n"


@pytest.mark.parametrize("show", ["show", "ashow"])
def test_an_interrupt_of_the_question_is_one_of_the_cell(frontend: Frontend, show: str):
    awaited, stream = ("await ", "astream") if show == "ashow" else ("", "stream")
    frontend.start(
        "view = LiveView(view='static')\n"
        "broker = asking([*text('Some'), *call('delete', path='/x'), *call('drop', path='/y'), CALLS])\n"
        "tools = [PacedTool('delete', 'gone'), PacedTool('drop', 'gone')]\n"
        f"{awaited}view.{show}(broker.{stream}(QUESTION, tools, approve=view.approve))"
    )
    frontend.client.get_stdin_msg(timeout=60)
    frontend.manager.interrupt_kernel()
    frontend.finish()

    assert frontend.of("error")[0]["ename"] == "KeyboardInterrupt"
    (saved,) = frontend.of("display_data")
    assert saved["data"]["text/plain"].count("cancelled") == 2
    assert not frontend.client.stdin_channel.msg_ready()


def test_where_nobody_can_be_asked_a_call_is_denied(frontend: Frontend):
    frontend.run(
        "view = LiveView()\n"
        "broker = asking([*call('delete', path='/x'), CALLS], [*text('Well.'), END])\n"
        "view.show(broker.stream(QUESTION, [PacedTool('delete', 'gone')], approve=view.approve))",
        watched=False,
    )

    (displayed,) = frontend.of("display_data")
    assert "it needs approval, and no one can be asked" in displayed["data"]["text/plain"]


@needs_clicks
def test_a_view_that_misses_something_gets_a_snapshot(frontend: Frontend, tmp_path: Path):
    frontend.start(f"broker = asking([*text('Hello'), gates / 'go', *text(' there'), END])\n{ASHOW}")
    frontend.read_until("comm_msg", "Hell")
    before = len(frontend.snapshots())
    frontend.click(type="snapshot")
    frontend.read_until("comm_msg", "_snapshot")
    snapshot = frontend.snapshots()[before]
    (tmp_path / "go").touch()
    frontend.finish()

    assert "Hello".startswith(snapshot["state"]["blocks"][0]["text"])
    later = [delta for delta in frontend.deltas() if delta["seq"] > snapshot["seq"]]
    assert (
        applied(snapshot["state"], [op for delta in later for op in delta["ops"]]) == frontend.snapshots()[-1]["state"]
    )


@pytest.mark.parametrize("show", [SHOW, ASHOW])
def test_an_interrupt_keeps_what_has_arrived(frontend: Frontend, show: str):
    frontend.start(f"broker = asking([*text('Some'), gates / 'never', END])\n{show}")
    frontend.read_until("comm_msg", "Some")
    frontend.manager.interrupt_kernel()
    frontend.finish()

    assert frontend.of("error")[0]["ename"] in ("KeyboardInterrupt", "CancelledError")
    assert frontend.saved()["text/plain"].startswith("Some\n")
    assert "stopped after 1 token" in frontend.saved()["text/plain"]


def test_what_a_run_raises_is_shown_and_raised(frontend: Frontend):
    frontend.run(f"broker = asking([*text('Some'), ConnectionError('the line is dead')])\n{SHOW}")

    assert frontend.of("error")[0]["ename"] == "ConnectionError"
    assert "Error: ConnectionError: the line is dead" in frontend.saved()["text/plain"]


def test_views_are_closed_once_the_next_has_ended(frontend: Frontend):
    cell = f"broker = asking([*text('Some'), END])\n{SHOW}"
    frontend.run(cell)
    (opened,) = frontend.of("comm_open", "anywidget")
    assert opened["comm_id"] not in str(frontend.of("comm_close"))

    frontend.run(cell)

    assert opened["comm_id"] in str(frontend.of("comm_close"))


def test_a_view_can_be_shown_again_after_it_was_closed(frontend: Frontend):
    cell = "broker = asking([*text('Some'), END])\n{}.show(broker.stream(QUESTION))"
    frontend.run(cell.format("view = LiveView('m')\nview"))
    frontend.run(cell.format("LiveView()"))
    assert frontend.of("comm_close")

    frontend.run(cell.format("view"))

    (displayed,) = frontend.of("display_data")
    (opened,) = frontend.of("comm_open", "anywidget")
    assert displayed["data"]["application/vnd.jupyter.widget-view+json"]["model_id"] == opened["comm_id"]
    assert frontend.deltas()
    frontend.run(cell.format("view"))
    assert not frontend.of("comm_open")
    assert not frontend.of("comm_close")


def test_in_an_output_widget_the_saved_answer_follows_the_view_which_goes_at_once(frontend: Frontend):
    """There, updates of what is displayed are not heard of, and a view that is closed later would leave nothing."""
    frontend.run(
        "from ipywidgets import Output\nout = Output()\nbroker = asking([*text('An *answer*'), END])\n"
        f"with out:\n    {SHOW}"
    )

    view, saved = frontend.of("display_data")
    assert "application/vnd.jupyter.widget-view+json" in view["data"]
    assert "<em>answer</em>" in saved["data"]["text/html"]
    assert not frontend.of("update_display_data")
    assert frontend.of("comm_close")


def test_what_a_view_opens_it_closes(frontend: Frontend):
    """Its layout is a widget of its own."""
    frontend.run("from ipywidgets.widgets.widget import _instances")
    counts = []
    for _ in range(2):
        frontend.run(f"broker = asking([*text('Some'), END])\n{SHOW}\nprint(len(_instances))")
        counts.append(frontend.printed())

    assert counts[0] == counts[1]


def test_a_view_that_nobody_displays_sends_nothing(frontend: Frontend):
    frontend.run("LiveView().watch(asking([*text('Some'), END]).stream(QUESTION))")

    assert not frontend.of("comm_open")
    assert not frontend.of("comm_msg")


def test_runs_of_other_shells_of_the_kernel_take_their_turns(frontend: Frontend, tmp_path: Path):
    """A subshell is a thread with an event loop of its own; some front ends run the callbacks of widgets there."""
    frontend.run(
        "import asyncio\nview = LiveView()\nruns, tasks = [], []\n"
        "broker = asking([*text('0'), gates / 'go', END], *([*text(f'{n}'), END] for n in range(1, 11)))\n"
        "def ask():\n"
        "    runs.append(broker.astream(QUESTION))\n"
        "    tasks.append(asyncio.get_running_loop().create_task(view.awatch(runs[-1])))"
    )
    shells = [frontend.subshell() for _ in range(2)]
    for number in range(11):
        frontend.run_in("ask()", [None, *shells][number % 3])
    (tmp_path / "go").touch()
    frontend.run(
        "while not all(task.done() for task in tasks):\n    await asyncio.sleep(0.01)\n"
        "print(len({task.get_loop() for task in tasks}), *(run.partial.content for run in runs))"
    )

    assert frontend.printed() == f"{len({None, *shells})} 0 1 2 3 4 5 6 7 8 9 10\n"


def test_a_run_that_was_iterated_before_is_told_in_one_line():
    run = asking([*text("Some"), END]).stream(QUESTION)
    list(run)

    with pytest.raises(ValueError, match="^The run was iterated before. Ask again"):
        LiveView().watch(run)


def test_what_is_no_name_of_a_model_no_way_to_show_and_no_level_is_told_in_one_line():
    with pytest.raises(TypeError, match=r"^LiveView\(model\) takes the name to show, such as 'gpt-5-mini', not 3.$"):
        LiveView(3)
    with pytest.raises(
        ConfigurationError, match=r"^view='magic' isn't a way to show an answer. Use one of auto, widget, "
    ):
        LiveView(view="magic").show(asking([END]).stream(QUESTION))
    with pytest.raises(ValueError, match=r"^The level of a notice is one of info, warning, error, not 'bad'.$"):
        LiveView().notice("bad", "news")


def test_the_wrong_kind_of_run_is_told_in_one_line():
    view, broker, question = LiveView(), asking(), [LLMMessage(content="Well?")]

    with pytest.raises(TypeError, match=r"^LiveView.show\(\) takes Run, not an AsyncRun. Use ashow\(\).$"):
        view.show(broker.astream(question))
    with pytest.raises(TypeError, match=r"^LiveView.watch\(\) takes Run, not 'text'. Pass what broker.stream\(\)"):
        view.watch("text")


def test_the_wrong_kind_of_run_is_told_in_one_line_asynchronously():
    view, broker, question = LiveView(), asking(), [LLMMessage(content="Well?")]

    with pytest.raises(TypeError, match=r"^LiveView.ashow\(\) takes AsyncRun, not a Run. Use show\(\).$"):
        asyncio.run(view.ashow(broker.stream(question)))
    with pytest.raises(TypeError, match=r"^LiveView.awatch\(\) takes AsyncRun, not a Run. Use watch\(\).$"):
        asyncio.run(view.awatch(broker.stream(question)))
