"""A saved answer where there is no kernel: as a web page, and in a JupyterLab that does not trust the notebook."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from display.attacks import ATTACKS, LARGE, LATEX, said_everywhere
from display.render.test_html import CALLED, Outline, result
from display.views import transcript_of
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook, new_output
from playwright.sync_api import Page, Route

from mojentic_nb.display.render.html import as_html
from mojentic_nb.display.render.text import as_text
from mojentic_nb.llm import ReasoningDelta, TextDelta

ANSWER = [
    ReasoningDelta("Let me *see*."),
    TextDelta(
        "# Sun\n\n| a | b |\n|---|--:|\n| 1 | `2` |\n\n```python\nx = 'y'  # z\n```\n\n- [x] done\n\n> quoted\n\n"
    ),
    *CALLED,
    result('{"high": 21}', display={"high": 21}),
    TextDelta("[a link](https://x.y) and ![a picture](https://leak.invalid/z.png), $\\alpha_1$, costs $5 to $6."),
]
SMALL = [name for name in ATTACKS if name not in LARGE]


def cell_of(*answers: list) -> nbformat.NotebookNode:
    """A cell with answers as its saved outputs."""
    transcripts = map(transcript_of, answers)
    shown = [{"text/html": as_html(transcript), "text/plain": as_text(transcript)} for transcript in transcripts]
    return new_code_cell("%%llm", execution_count=1, outputs=[new_output("display_data", data) for data in shown])


@pytest.fixture(scope="module")
def notebook() -> nbformat.NotebookNode:
    """A notebook with a peaceful answer and one for each attack, those on the typesetter where it is sure to look."""
    first = cell_of(ANSWER, *(said_everywhere(text) for text in LATEX.values()), ANSWER)
    return new_notebook(
        cells=[first, *(cell_of(said_everywhere(ATTACKS[name])) for name in SMALL if name not in LATEX)]
    )


def words(text: str) -> list[str]:
    """The words of `text`, wherever its lines end."""
    return text.split()


def test_a_web_page_made_of_the_notebook_is_harmless_and_whole(
    page: Page, notebook: nbformat.NotebookNode, tmp_path: Path
):
    """With the network off, so that what nbconvert itself would load is not there."""
    made = tmp_path / "notebook.html"
    made.write_text(HTMLExporter().from_notebook_node(notebook)[0])
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route("**/*", lambda route: route.continue_() if route.request.url.startswith("file:") else refuse(route))
    page.add_init_script("window.hits = 0; window.pwned = () => { window.hits += 1 }")

    page.goto(made.as_uri())

    assert page.evaluate("window.hits") == 0
    assert not [url for url in asked if ".invalid" in url]
    outputs = page.locator(".jp-OutputArea-output")
    assert outputs.count() == len(SMALL) + 2
    assert page.get_by_text("The end is here.").count() == len(SMALL)
    assert words(outputs.first.evaluate("node => node.textContent")) == words(
        Outline(as_html(transcript_of(ANSWER))).text
    )


def test_an_untrusted_notebook_keeps_every_word_and_folds(
    page: Page, notebook: nbformat.NotebookNode, served: str, home: Path
):
    """JupyterLab's sanitizer takes what it does not know; of an answer it takes no word and no fold."""
    page.add_init_script("window.hits = 0; window.pwned = () => { window.hits += 1 }")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    nbformat.write(notebook, home / "notebooks" / "untrusted.ipynb")
    page.goto(f"{served}/doc/tree/untrusted.ipynb?reset")
    output = page.locator(".jp-OutputArea-output").first
    output.wait_for(timeout=60_000)

    # Formulas are typeset in the meantime.
    [before, after] = [part.split() for part in Outline(as_html(transcript_of(ANSWER))).text.split("$\\alpha_1$")]
    last = page.locator(".jp-OutputArea-output").nth(len(LATEX) + 1)
    last.locator("mjx-container").wait_for(state="attached", timeout=60_000)
    text = words(output.evaluate("node => node.textContent"))
    assert text[: len(before)] == before
    assert text[1 - len(after) :] == after[1:]  # its comma is one word with what the formula says
    assert output.locator("details").count() == 2
    assert output.locator("mjx-container").count() == 1
    assert last.locator("mjx-container").inner_html() == output.locator("mjx-container").inner_html()
    harmful = "mjx-container :is([href], .jp-Dialog, [id=jupyterapp], [style*=fixed], [style*=url])"
    assert page.locator(harmful).count() == 0
    assert page.evaluate("window.hits") == 0
    assert not [one for one in asked if ".invalid" in one]
