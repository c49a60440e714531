"""The saved notebooks can be read anywhere: without a kernel, without scripts, in light and dark, also on GitHub.

They hold nothing of the machine on which they were run.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbconvert import HTMLExporter, MarkdownExporter
from playwright.sync_api import Browser, Page

from mojentic_nb.llm.redaction import Redaction
from notebooks import NOTEBOOKS, paths

FOLDERS = "data|etc|home|Library|mnt|opt|private|root|srv|tmp|usr|Users|var|Volumes|work"
MACHINE = re.compile(rf"(?<![\w.])/(?:{FOLDERS})/|[A-Z]:\\\\|site-packages|ipykernel_\d|\bat 0x[0-9a-f]{{6}}")
ACTIVE = re.compile(r"<script|<iframe|<object|<embed|<link|javascript:|\son\w+\s*=|https?://", re.IGNORECASE)
LINK = re.compile(r"\]\((?!http)([^)#]+)")
LARGEST = 1_000_000  # bytes; GitHub shows larger notebooks late, or not at all
KINDS = {"text/plain", "text/html", "image/png"}  # which every reader of notebooks shows
# The least contrast of text that can be read, https://www.w3.org/TR/WCAG21/#contrast-minimum
CONTRAST = 4.5
CONTRASTS = """elements => {
    const canvas = document.createElement('canvas').getContext('2d')
    const pixel = colours => {
        for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1) }
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map(value => value / 255)
            .map(value => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    }
    const light = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b
    const contrast = element => {
        const below = []
        for (let at = element; at; at = at.parentElement) below.unshift(getComputedStyle(at).backgroundColor)
        const [text, ground] = [light(pixel([...below, getComputedStyle(element).color])), light(pixel(below))]
        return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05)
    }
    const visible = element => element.checkVisibility({ visibilityProperty: true }) && element.innerText.trim()
    return elements.filter(visible).map(element => [element.innerText, contrast(element)])
}"""
GROUND = """body => getComputedStyle(body).backgroundColor === 'rgb(255, 255, 255)'"""

pytestmark = pytest.mark.parametrize("path", paths(), ids=lambda path: path.stem)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    """The code cells of a notebook."""
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def answers(path: Path) -> list[nbformat.NotebookNode]:
    """The saved answers of its %%llm cells."""
    return [
        output
        for cell in code_cells(path)
        if cell.source.startswith("%%llm") and "--dry-run" not in cell.source
        for output in cell.outputs[:1]
    ]


def test_it_is_whole_and_every_cell_was_run_once_in_order(path: Path):
    notebook = nbformat.read(path, as_version=4)

    nbformat.validate(notebook)
    assert [cell.execution_count for cell in code_cells(path)] == list(range(1, len(code_cells(path)) + 1))
    assert set(notebook.metadata) == {"kernelspec", "language_info"}  # GitHub refuses incomplete metadata.widgets
    assert path.stat().st_size < LARGEST
    assert all(cell.source.strip() for cell in notebook.cells)


def test_it_leads_on(path: Path):
    """Its links lead to what is there, and the last cell to another notebook."""
    prose = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    links = [link for text in prose for link in LINK.findall(text)]

    assert [link for link in links if not (path.parent / link).exists()] == []
    assert any(link.endswith(".ipynb") for link in LINK.findall(prose[-1]))


def test_its_outputs_are_what_every_reader_shows(path: Path):
    for cell in code_cells(path):
        teaches_an_error = "raises-exception" in cell.metadata.get("tags", ())
        for output in cell.outputs:
            assert output.output_type != "error" or teaches_an_error
            assert output.get("name") != "stderr", output.text
            assert set(output.get("data", ())) <= KINDS
            assert not ACTIVE.search(output.get("data", {}).get("text/html", ""))
    for output in answers(path):
        assert output.output_type == "display_data"
        assert set(output.data) == {"text/plain", "text/html"}


def test_it_holds_no_paths_and_no_secrets(path: Path):
    for file in (path, *(NOTEBOOKS / "recordings").glob(f"{path.stem[:2]}_*.json")):
        text = file.read_text("utf-8")
        assert not MACHINE.search(text), MACHINE.search(text)
        assert Redaction.of(()).text(text) == text


def test_it_becomes_markdown(path: Path):
    text, _ = MarkdownExporter().from_filename(path)

    for cell in code_cells(path):
        assert cell.source.splitlines()[-1] in text
    for output in answers(path):
        assert output.data["text/html"].splitlines()[0] in text


@pytest.fixture
def reader(browser: Browser):
    """A page that runs no script and reaches no network."""
    context = browser.new_context(java_script_enabled=False, offline=True)
    yield context.new_page()
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_page_without_scripts_and_network_shows_its_answers(reader: Page, path: Path, theme: str):
    html, _ = HTMLExporter(theme=theme).from_filename(path)
    reader.set_content(html, wait_until="domcontentloaded")
    shown = reader.locator(".jp-OutputArea-output").all_inner_texts()

    for output in answers(path):
        status = output.data["text/plain"].strip().splitlines()[-1].partition(" · ")[0]
        assert any(status in text for text in shown)
    contrasts = reader.locator(".jp-RenderedHTMLCommon :is(p, summary, td)").evaluate_all(CONTRASTS)
    assert contrasts
    assert [text for text, contrast in contrasts if contrast < CONTRAST] == []
    assert reader.locator("body").evaluate(GROUND) == (theme == "light")
    cards = reader.locator(".jp-OutputArea-output details > summary").all()
    assert len(cards) == sum(output.data["text/html"].count("<details") for output in answers(path))
    for card in cards:
        if card.is_visible():
            body = card.locator("xpath=following-sibling::*[1]")
            was_open = body.is_visible()
            card.click()
            assert body.is_visible() != was_open
