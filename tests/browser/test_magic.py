"""`%%llm` in a real JupyterLab: stopped, interrupted, asked for approval, run again; the model is a loopback server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab, write_notebook
from loopback import Hold, Loopback, Reply, chunk, completion, sse, tool_call
from playwright.sync_api import Browser, expect

SETUP = '''\
%load_ext mojentic_nb
%env OPENAI_API_KEY=sk-test
%env NO_PROXY=127.0.0.1
%llm alias m openai:m --base-url {url}
%config LLMMagics.model = "m"
from pydantic import BaseModel
from mojentic_nb.llm.tools import tool

@tool(approval=True)
def book(city: str) -> str:
    """Book a trip."""
    return f"Booked: {{city}}."

def sky(city: str) -> str:
    """Look at the sky."""
    return "clear"

class Trip(BaseModel):
    city: str
    days: int
'''


class MagicLab(Lab):
    """A notebook whose kernel stays, and the server that its cells ask."""

    server: Loopback

    def add(self, *sources: str) -> int:
        """Add cells at the end; the index of the first."""
        return self.page.evaluate(
            """sources => {
                const cells = window.jupyterapp.shell.currentWidget.content.model.sharedModel;
                const count = cells.cells.length;
                sources.forEach(source => cells.insertCell(cells.cells.length, { cell_type: 'code', source }));
                return count;
            }""",
            sources,
        )

    def started(self, source: str) -> int:
        """Begin to run a new cell."""
        index = self.add(source)
        self.run(index)
        return index

    def done(self, source: str) -> str:
        """The outputs of a new cell, run to its end."""
        index = self.started(source)
        self.wait_until_done(index)
        return self.text(index)

    def asked(self) -> list[str]:
        """What the last request told the model."""
        return [message["content"] for message in self.server.requests[-1].body["messages"]]


def paused(text: str) -> Reply:
    """An answer that begins with `text` and then never comes to an end."""
    return Reply([sse(chunk(text), done=False), Hold()])


@pytest.fixture(scope="module")
def notebook(browser: Browser, served: str, home: Path) -> Iterator[MagicLab]:
    server = Loopback()
    write_notebook(home / "notebooks" / "magic.ipynb", [SETUP.format(url=server.url)])
    with browser.new_context(viewport={"width": 1100, "height": 900}) as context:
        lab = MagicLab(context.new_page(), served)
        lab.server = server
        lab.open("magic.ipynb")
        lab.run(0)
        lab.wait_until_done(0)
        yield lab
        lab.shut_down()
    server.close()


@pytest.fixture
def lab(notebook: MagicLab) -> MagicLab:
    """The notebook, whose server has nothing left to play."""
    notebook.server.replies.clear()
    return notebook


def test_the_views_stop_ends_the_answer_and_the_cell_ends_normally(lab: MagicLab):
    lab.server.play(paused("Once **upon**"))
    index = lab.started("%%llm --fresh\nTell me a story.")
    lab.cell(index).locator(".mnb strong", has_text="upon").wait_for()
    assert lab.running(index)

    lab.cell(index).get_by_role("button", name="Stop").click()
    lab.wait_until_done(index)

    assert lab.server.hung_up.wait(5)
    expect(lab.output(index)).to_contain_text(re.compile("stopped after ≈?\\d+ token"))
    expect(lab.output(index)).to_have_count(1)  # no error beside it
    assert lab.done("str(_), _.finish_reason").endswith("('Once **upon**', 'cancelled')")


def test_an_interrupt_is_one_line_keeps_the_answer_and_holds_back_the_rest(lab: MagicLab):
    lab.server.play(paused("Twice"), Reply([completion("again")]))
    index = lab.add("%%llm --fresh\nTell me a story.", "print('ran')", "%%llm --fresh\nAgain?")
    lab.page.evaluate("index => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = index }", index)
    lab.command("notebook:run-all-below")
    expect(lab.cell(index).locator(".mnb")).to_contain_text("Twice")

    lab.page.locator("[data-command='notebook:interrupt-kernel']").first.click()
    lab.wait_until_done(index)

    expect(lab.output(index).nth(1)).to_have_text("KeyboardInterrupt")
    assert "Twice" in lab.text(index)
    assert re.search("stopped after ≈?\\d+ token", lab.text(index))
    expect(lab.cell(index + 1).locator(".jp-InputPrompt")).to_have_text("[ ]:")
    assert lab.text(index + 1) == ""
    lab.run(index + 2)
    lab.wait_until_done(index + 2)
    assert "again" in lab.text(index + 2)


@pytest.mark.parametrize(
    ("options", "name", "click", "told"),
    [
        ("-t book", "book", "Approve", "Booked: Oslo."),
        ("-t sky --approve", "sky", "Approve", "clear"),
        ("-t book", "book", "Deny", "denied"),
    ],
)
def test_a_call_waits_for_the_click(lab: MagicLab, options: str, name: str, click: str, told: str):
    lab.server.play(Reply([tool_call(name)]), Reply([completion("So.")]))
    index = lab.started(f"%%llm --fresh {options}\nOslo, please.")
    card = lab.cell(index).locator(".mnb-card")
    expect(card).to_have_attribute("data-state", "approval")
    assert lab.running(index)

    card.get_by_role("button", name=click).click()
    lab.wait_until_done(index)

    assert told in lab.asked()[-1].lower() or told in lab.asked()[-1]
    assert "So." in lab.text(index)


def test_a_card_of_a_tool_that_may_run_comes_and_is_saved(lab: MagicLab):
    lab.server.play(Reply([tool_call()]), Reply([completion("Clear.")]))

    index = lab.started("%%llm --fresh -t sky\nHow is Oslo?")
    lab.wait_until_done(index)

    expect(lab.output(index).locator("details summary").first).to_contain_text("sky")
    expect(lab.output(index)).to_contain_text("Clear.")


def test_running_a_cell_again_replaces_its_exchange(lab: MagicLab):
    lab.server.play(*(Reply([completion(said)]) for said in ("one", "two", "three")))
    first = lab.started("%%llm -c counted\nFirst?")
    lab.wait_until_done(first)
    lab.done("%%llm -c counted\nSecond?")
    assert lab.asked() == ["First?", "one", "Second?"]

    lab.page.evaluate(
        """index => {
            const cell = window.jupyterapp.shell.currentWidget.content.model.cells.get(index);
            cell.sharedModel.setSource('%%llm -c counted\\nFirst, in other words?');
        }""",
        first,
    )
    lab.run(first)
    expect(lab.output(first)).to_contain_text("three")

    assert lab.asked() == ["First, in other words?"]
    history = lab.done("%llm history counted")
    assert "one" not in history
    assert "stale: an earlier cell was run again" in history


def test_an_object_fills_its_table_in(lab: MagicLab):
    rows, rest = '{"value": [{"city": "Oslo", "days": 3}, {"city"', ': "Rome", "days": 2}]}'
    hold = Hold()
    lab.server.play(Reply([sse(*map(chunk, rows), done=False), hold, sse(chunk(rest), chunk(finish_reason="stop"))]))
    index = lab.started("%%llm --fresh --as list[Trip]\nTwo trips.")
    table = lab.output(index).locator("table")
    expect(table).to_contain_text("Oslo")
    assert lab.running(index)

    hold.release()
    lab.wait_until_done(index)

    expect(table.locator("tbody tr")).to_have_text(["Oslo3", "Rome2"])
    expect(lab.output(index)).to_have_count(2)
    assert lab.done("_.object[1].city").endswith("'Rome'")


def test_a_page_that_is_loaded_anew_sees_the_answer_to_its_end(lab: MagicLab):
    hold = Hold()
    lab.server.play(
        Reply([sse(chunk("Before"), done=False), hold, sse(chunk(" and after."), chunk(finish_reason="stop"))])
    )
    index = lab.started("%%llm --fresh\nWait.")
    expect(lab.cell(index).locator(".mnb")).to_contain_text("Before")
    lab.page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.context.save() }")

    lab.page.reload()
    expect(lab.cell(index).locator(".mnb")).to_contain_text("Before", timeout=60_000)
    hold.release()

    expect(lab.output(index)).to_contain_text("Before and after.")
