"""The live view in Notebook 7."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import free_port, own_folders, serving, write_notebook
from livelab import SETUP
from playwright.sync_api import Page, expect

OPTIONS = "--no-browser --allow-root --ServerApp.port_retries=0 --IdentityProvider.token="
ANSWER = """
run = asking([*text('Some of **it**'), gates / 'more', *text(' and more'), gates / 'never', END]).astream(QUESTION)
await LiveView('paced:one').ashow(run)
print(run.finish_reason)
"""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """A Notebook that serves one with an answer, whose gates are in its folder: its address."""
    source = f"{SETUP}\ngates = Path({str(tmp_path)!r})\n{ANSWER}"
    write_notebook(tmp_path / "answer.ipynb", [source])
    port = free_port()
    command = [sys.executable, "-m", "notebook", f"--ServerApp.port={port}", *OPTIONS.split()]
    with serving(command, port, cwd=tmp_path, log=tmp_path / "server.log", env=own_folders(tmp_path)) as url:
        yield url


def test_an_answer_streams_is_stopped_and_saved(page: Page, url: str, tmp_path: Path):
    page.goto(f"{url}/notebooks/answer.ipynb")
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
