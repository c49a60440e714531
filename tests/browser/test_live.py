"""The live view in a real JupyterLab: it streams, it can be clicked, and it ends as the saved answer."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import nbformat
import pytest
from livelab import LiveLab, new_notebook
from PIL import Image, ImageChops, ImageFilter, ImageStat
from playwright.sync_api import Browser, Locator, expect


@pytest.mark.parametrize(
    "show",
    [
        "LiveView('paced:one').show(broker.stream(QUESTION))",
        "await LiveView('paced:one').ashow(broker.astream(QUESTION))",
    ],
)
def test_the_text_grows_while_the_cell_runs_and_is_saved_in_its_place(live: LiveLab, show: str):
    index = live.cell_running(
        f"broker = asking([*text('The **first** half'), gates / 'half', *text(' and `the` rest.'), END])\n{show}"
    )
    expect(live.view(index)).to_contain_text("The first half")
    still_running = live.running(index)
    live.open_gate("half")
    live.wait_until_done(index)

    assert still_running
    expect(live.view(index)).to_have_count(0)
    expect(live.output(index)).to_have_count(1)
    output = live.output(index)
    expect(output).to_contain_text("The first half and the rest.")
    expect(output).to_contain_text("paced:one · 1,200 tokens in (1,024 cached), 34 out")
    expect(output.locator("strong", has_text="first")).to_have_count(1)


def test_a_card_shows_its_arguments_as_they_come_turns_done_and_folds(live: LiveLab):
    index = live.cell_running(
        "tool = PacedTool('weather', {'sky': 'clear'}, gates / 'result')\n"
        "broker = asking([*call('weather', gates / 'arguments', city='Paris', units='metric'), CALLS],"
        " [gates / 'answer', *text('Clear.'), END])\n"
        "await LiveView().ashow(broker.astream(QUESTION, [tool]))"
    )
    card = live.view(index).locator(".mnb-card")
    arguments = card.locator(".mnb-code").first

    expect(card).to_have_attribute("data-state", "streaming")
    expect(arguments).to_contain_text('"city": "Par')
    assert "metric" not in arguments.inner_text()
    live.open_gate("arguments")
    expect(card).to_have_attribute("data-state", "running")
    expect(arguments).to_contain_text('"units": "metric"')
    expect(card).to_contain_text("half way")
    expect(card.locator(".mnb-time")).to_have_text(re.compile(r"\d\.\d s"))
    assert card.get_attribute("open") is not None
    live.open_gate("result")
    expect(card).to_have_attribute("data-state", "done")
    assert card.get_attribute("open") is None
    live.open_gate("answer")
    live.wait_until_done(index)
    expect(live.output(index)).to_contain_text("Clear.")


def test_the_readers_choice_wins_and_a_failed_call_stays_open(live: LiveLab):
    index = live.cell_running(
        "go = gates / 'go'\n"
        "tools = [PacedTool('good', 'all right', go), PacedTool('bad', ValueError('no such thing'), go),\n"
        "         PacedTool('closed', ValueError('x'), go)]\n"
        "broker = asking([*call('good'), *call('bad'), *call('closed'), CALLS], [gates / 'end', *text('So.'), END])\n"
        "await LiveView().ashow(broker.astream(QUESTION, tools))"
    )
    good, bad, closed = (live.view(index).locator(".mnb-card").nth(at) for at in range(3))
    expect(closed).to_have_attribute("data-state", "running")
    good.locator("summary").first.click()
    good.locator("summary").first.click()
    closed.locator("summary").first.click()
    live.open_gate("go")

    expect(good).to_have_attribute("data-state", "done")
    expect(bad).to_have_attribute("data-state", "failed")
    expect(closed).to_have_attribute("data-state", "failed")
    assert good.get_attribute("open") is not None
    expect(good).to_contain_text("all right")
    assert bad.get_attribute("open") is not None
    expect(bad).to_contain_text("ValueError: no such thing")
    assert closed.get_attribute("open") is None
    bad.locator("summary", has_text="Traceback").click()
    live.open_gate("end")
    live.wait_until_done(index)
    folds = live.output(index).locator("details")
    expect(live.view(index)).to_have_count(0)
    expect(folds).to_have_count(5)  # and so it is saved
    assert [fold.get_attribute("open") is not None for fold in folds.all()] == [True, True, True, False, False]


@pytest.mark.parametrize(("button", "outcome"), [("Approve", "done"), ("Deny", "denied")])
def test_a_click_decides_whether_a_call_runs(live: LiveLab, button: str, outcome: str):
    index = live.cell_running(
        "view = LiveView()\n"
        "broker = asking([*call('delete', path='/x'), CALLS], [gates / 'end', *text('Well.'), END])\n"
        "await view.ashow(broker.astream(QUESTION, [PacedTool('delete', 'gone')], approve=view.approve))\n"
        "print(view.transcript.state()['blocks'][0]['state'])"
    )
    card = live.view(index).locator(".mnb-card")
    expect(card).to_have_attribute("data-state", "approval")
    expect(card).to_contain_text('"path": "/x"')
    card.get_by_role("button", name=button).click()

    expect(card).to_have_attribute("data-state", outcome)
    live.open_gate("end")
    live.wait_until_done(index)
    expect(live.output(index).last).to_have_text(f"{outcome}\n")


def test_stop_ends_the_answer_and_the_cell_goes_on(live: LiveLab):
    index = live.cell_running(
        "run = asking([*text('Some of it'), gates / 'never', *text('never seen'), END]).astream(QUESTION)\n"
        "await LiveView().ashow(run)\n"
        "print(run.finish_reason)"
    )
    expect(live.view(index)).to_contain_text("Some of it")
    live.view(index).get_by_role("button", name="Stop").click()
    live.wait_until_done(index, timeout=5_000)

    expect(live.output(index).first).to_contain_text("Some of it")
    expect(live.output(index).first).to_contain_text("stopped after 3 tokens")
    expect(live.output(index).last).to_have_text("cancelled\n")


@pytest.mark.parametrize(
    "show", ["LiveView().show(broker.stream(QUESTION))", "await LiveView().ashow(broker.astream(QUESTION))"]
)
def test_an_interrupt_keeps_what_has_arrived(live: LiveLab, show: str):
    index = live.cell_running(f"broker = asking([*text('Some of it'), gates / 'never', END])\n{show}")
    expect(live.view(index)).to_contain_text("Some of it")
    live.page.locator("[data-command='notebook:interrupt-kernel']").first.click()
    live.wait_until_done(index, timeout=10_000)

    expect(live.output(index).first).to_contain_text("Some of it")
    expect(live.output(index).first).to_contain_text("stopped after 3 tokens")
    expect(live.view(index)).to_have_count(0)


def test_an_error_is_shown_below_what_has_arrived_and_raised(live: LiveLab):
    index = live.cell_running(
        "broker = asking([*text('Some of it'), ConnectionError('the line is dead')])\n"
        "await LiveView().ashow(broker.astream(QUESTION))"
    )
    live.wait_until_done(index)

    expect(live.output(index).first).to_contain_text("Some of it")
    expect(live.output(index).first).to_contain_text("ConnectionError: the line is dead")
    expect(live.output(index).last).to_contain_text("Traceback")


def test_reasoning_is_open_while_it_comes_and_then_folds(live: LiveLab):
    index = live.cell_running(
        "thought = reasoning('I think *hard*. ' + 'And so on. ' * 400 + 'At last.', 99)\n"
        "broker = asking([*thought, gates / 'thought', *text('So.'), gates / 'end', END])\n"
        "await LiveView().ashow(broker.astream(QUESTION))"
    )
    thought = live.view(index).locator(".mnb-reasoning")
    expect(thought).to_contain_text("I think hard.")
    expect(thought.get_by_text("At last.")).to_be_in_viewport()
    body = thought.locator(".mnb-body")
    assert body.evaluate("node => node.scrollTop + node.clientHeight > node.scrollHeight - 2 && node.scrollTop > 0")
    assert thought.get_attribute("open") is not None
    live.open_gate("thought")

    expect(thought).not_to_have_attribute("open", "")
    expect(thought.locator("summary")).to_have_text(re.compile(r"Reasoning · \d+\.\d+ s"))
    live.open_gate("end")
    live.wait_until_done(index)


def test_a_view_that_opens_late_shows_the_same_and_goes_on(live: LiveLab):
    first = live.cell_running(
        "import ipywidgets\n"
        "view = LiveView()\n"
        "broker = asking([*text('# Early'), gates / 'more', *text('\\n\\nand late.'), END])\n"
        "watching = asyncio.create_task(view.awatch(broker.astream(QUESTION)))\n"
        "ipywidgets.VBox([view])"
    )
    expect(live.view(first)).to_contain_text("Early")
    second = live.cell_running("display(view)")
    expect(live.view(second).locator("h1")).to_have_text("Early")
    live.open_gate("more")

    for index in (first, second):
        expect(live.view(index)).to_contain_text("and late.")
        expect(live.view(index)).to_contain_text("34 out")
        expect(live.view(index).get_by_role("button", name="Stop")).to_be_hidden()


def test_a_view_draws_one_run_after_the_other(live: LiveLab):
    index = live.cell_running(
        "view = LiveView()\n"
        "display(view)\n"
        "await view.awatch(asking([*text('The first'), END]).astream(QUESTION))\n"
        "await view.awatch(asking([*text('The second'), END]).astream(QUESTION))"
    )
    live.wait_until_done(index)

    expect(live.view(index)).to_contain_text("The second")
    expect(live.view(index)).not_to_contain_text("The first")


def test_a_burst_ends_complete(live: LiveLab):
    index = live.cell_running(
        "said = [f'{number} ' for number in range(20_000)]\n"
        "view = LiveView()\n"
        "display(view)\n"
        "await view.awatch(asking([*map(TextDelta, said), END]).astream(QUESTION))"
    )
    live.wait_until_done(index)

    expect(live.view(index)).to_contain_text("19998 19999")
    shown = live.view(index).locator(".mnb-md").inner_text()
    assert shown.split() == [str(number) for number in range(20_000)]


def test_a_long_answer_keeps_the_page_where_it_is_and_offers_its_end(live: LiveLab):
    index = live.cell_running(
        "lines = text('\\n\\n'.join(f'Line {number}' for number in range(80)), 200)\n"
        "more = text(''.join(f'\\n\\nMore {number}' for number in range(80)), 200)\n"
        "await LiveView().ashow(asking([*lines, gates / 'more', *more, gates / 'end', END]).astream(QUESTION))"
    )
    view = live.view(index)
    expect(view).to_contain_text("Line 79")
    hint = view.get_by_role("button", name="Jump to the end")
    expect(hint).to_be_visible()
    line = view.get_by_text("Line 3", exact=True)
    line.scroll_into_view_if_needed()
    before = line.bounding_box()
    live.open_gate("more")
    expect(view).to_contain_text("More 79")

    assert line.bounding_box() == before
    hint.click()
    expect(view.get_by_role("button", name="Stop")).to_be_in_viewport()
    expect(hint).to_be_hidden()
    live.open_gate("end")
    live.wait_until_done(index)


def test_what_is_saved_needs_no_widget(live: LiveLab, home: Path):
    index = live.cell_running("await LiveView().ashow(asking([*text('Kept *well*.'), END]).astream(QUESTION))")
    live.wait_until_done(index)
    live.page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.context.save() }")

    saved = nbformat.read(home / "notebooks" / "live.ipynb", as_version=4)
    (output,) = saved.cells[index].outputs
    assert "widgets" not in saved.metadata
    assert set(output.data) == {"text/html", "text/plain"}
    assert "<em>well</em>" in output.data["text/html"]
    assert output.data["text/plain"].startswith("Kept *well*.")


def test_a_page_that_is_loaded_anew_in_the_middle_ends_readable(
    browser: Browser, served: str, home: Path, tmp_path: Path
):
    with browser.new_context() as context:
        lab = LiveLab(context.new_page(), served)
        lab.gates = tmp_path
        lab.open(new_notebook(home / "notebooks", "again.ipynb"))
        lab.run(0)
        lab.wait_until_done(0)
        index = lab.cell_running(
            "broker = asking([*text('Before'), gates / 'more', *text(' and after.'), END])\n"
            "await LiveView().ashow(broker.astream(QUESTION))"
        )
        expect(lab.view(index)).to_contain_text("Before")
        lab.page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.context.save() }")
        lab.page.reload()
        expect(lab.view(index)).to_contain_text("Before", timeout=60_000)
        lab.open_gate("more")

        expect(lab.output(index)).to_contain_text("Before and after.")
        expect(lab.output(index)).to_contain_text("34 out")
        lab.shut_down()


def test_hostile_answers_do_nothing(browser: Browser, served: str, home: Path, tmp_path: Path):
    with browser.new_context() as context:
        lab = LiveLab(context.new_page(), served)
        lab.gates = tmp_path
        lab.open(new_notebook(home / "notebooks", "hostile.ipynb"))
        lab.run(0)
        lab.wait_until_done(0)
        lab.page.evaluate("() => { window.pwned = () => { window.wasPwned = true } }")
        asked: list[str] = []
        context.on("request", lambda request: asked.append(request.url))
        title, body = lab.page.title(), lab.page.locator("body > *").count()
        index = lab.cell_running(
            "from display.attacks import ATTACKS, said_everywhere\n"
            "view = LiveView()\n"
            "display(view)\n"
            "for attack in ATTACKS.values():\n"
            "    with view._following(None):\n"
            "        for event in said_everywhere(attack):\n"
            "            view._feed(event)\n"
            "    await asyncio.sleep(0.06)  # the page's to draw it\n"
            "await view.awatch(asking([*text('All is well.'), END]).astream(QUESTION))"
        )
        lab.wait_until_done(index)
        expect(lab.view(index)).to_contain_text("All is well.", timeout=60_000)

        assert not lab.page.evaluate("'wasPwned' in window")
        assert [url for url in asked if not url.startswith((served, "blob:", "data:"))] == []
        assert lab.page.title() == title
        assert lab.page.locator("body > *").count() == body
        assert lab.page.locator(".mnb :is(script, iframe, object, embed, form, style, link, svg, math)").count() == 0
        lab.shut_down()


def test_the_saved_answer_looks_as_the_view_did(live: LiveLab):
    said = (
        "# Title\\n\\nSome *text*, `code`, a [link](https://example.org).\\n\\n- apples\\n- pears\\n\\n"
        "| a | b | a wide column |\\n|:--|--:|---|\\n| 1 | 2 | third |\\n\\n```python\\nprint(1)\\n```\\n\\n"
        "> Quoted.\\n\\nאמת\\n\\n- אבגד\\n\\nEnd."
    )
    run = (
        "tools = [PacedTool('good', {'a': 1}), PacedTool('bad', ValueError('no'))]\n"
        f"broker = asking([*reasoning('Hm.'), *call('good', x=1), *call('bad', y=2), CALLS], [*text('{said}'), END])\n"
    )
    index = live.cell_running(
        f"{run}view = LiveView('m')\ndisplay(view)\nawait view.awatch(broker.astream(QUESTION, tools))"
    )
    live.wait_until_done(index)
    expect(live.view(index)).to_contain_text("End.")
    saved = live.cell_running(f"{run}await LiveView('m').ashow(broker.astream(QUESTION, tools))")
    live.wait_until_done(saved)
    expect(live.output(saved)).to_contain_text("End.")

    for text in ("Title", "Some", "apples", "third", "Quoted.", "אמת", "אבגד", "good", "ValueError: no", "End."):
        live.show(index)
        drawn = live.view(index).get_by_text(text).first.evaluate(PLACE)
        live.show(saved)
        kept = live.output(saved).get_by_text(text).first.evaluate(PLACE)
        assert drawn["x"] == pytest.approx(kept["x"], abs=2), text
        assert drawn["y"] == pytest.approx(kept["y"], abs=8), text
        assert drawn["height"] == pytest.approx(kept["height"], abs=2), text

    drawn, kept = picture(live.view(index)), picture(live.output(saved).locator("> div"))
    assert drawn.height == pytest.approx(kept.height, abs=8)
    assert difference(drawn, kept) < 0.005
    assert difference(drawn, ImageChops.offset(kept, 0, 30)) > 0.02


PLACE = """node => {
    const range = document.createRange();
    range.selectNodeContents(node); // the text itself: its element may be wider
    const { x, y, height } = range.getBoundingClientRect();
    // Within its output, told at once: the page may scroll in between.
    return { x, y: y - node.closest('.jp-OutputArea-output').getBoundingClientRect().y, height };
}"""


def picture(element: Locator) -> Image.Image:
    """A screenshot, in shades of grey."""
    element.evaluate("element => element.scrollIntoView()")
    return Image.open(BytesIO(element.screenshot(animations="disabled"))).convert("L")


def difference(one: Image.Image, other: Image.Image) -> float:
    """By how much of what there is from black to white two pictures differ, at a glance: text may move by pixels."""
    size = (min(one.width, other.width), min(one.height, other.height))
    glances = (image.crop((0, 0, *size)).filter(ImageFilter.BoxBlur(4)) for image in (one, other))
    return ImageStat.Stat(ImageChops.difference(*glances)).mean[0] / 255
