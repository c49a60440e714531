"""The live view in Notebook 7, which the server of JupyterLab serves as well."""

from __future__ import annotations

from pathlib import Path

from lab import write_notebook
from livelab import SETUP
from playwright.sync_api import Page, expect

ANSWER = """
run = asking([*text('Some of **it**'), gates / 'more', *text(' and more'), gates / 'never', END]).astream(QUESTION)
await LiveView('paced:one').ashow(run)
print(run.finish_reason)
"""


def test_an_answer_streams_is_stopped_and_saved(page: Page, served: str, home: Path, tmp_path: Path):
    source = f"{SETUP}\ngates = Path({str(tmp_path)!r})\n{ANSWER}"
    write_notebook(home / "notebooks" / "answer.ipynb", [source])
    page.goto(f"{served}/notebooks/answer.ipynb")
    expect(page.locator(".jp-NotebookKernelStatus-fade")).to_have_text("", timeout=60_000)  # it has nothing to say
    cell = page.locator(".jp-Notebook .jp-Cell").first
    cell.click()
    page.keyboard.press("Control+Enter")
    view = cell.locator(".mnb")
    expect(view.locator("strong").first).to_have_text("it", timeout=60_000)
    (tmp_path / "more").touch()
    expect(view).to_contain_text("Some of it and more")
    view.get_by_role("button", name="Stop").click()

    outputs = cell.locator(".jp-OutputArea-output")
    expect(outputs.last).to_have_text("cancelled\n")
    expect(view).to_have_count(0)
    expect(outputs.first).to_contain_text("Some of it and more")
    expect(outputs.first).to_contain_text("stopped after")
    expect(outputs.first.locator("strong").first).to_have_text("it")
