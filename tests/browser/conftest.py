from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab, serving_notebooks
from livelab import LiveLab, new_notebook
from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder below which JupyterLab keeps everything."""
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="session")
def served(home: Path):
    """A JupyterLab that serves copies of the notebooks: its address."""
    with serving_notebooks(home) as url:
        yield url


@pytest.fixture
def lab(page, served: str):
    """JupyterLab in a page of its own."""
    lab = Lab(page, served)
    yield lab
    lab.shut_down()


@pytest.fixture(scope="module")
def notebook(browser: Browser, served: str, home: Path) -> Iterator[LiveLab]:
    """An open notebook whose kernel is set up."""
    with browser.new_context(viewport={"width": 1100, "height": 900}) as context:
        lab = LiveLab(context.new_page(), served)
        lab.open(new_notebook(home / "notebooks", "live.ipynb"))
        lab.run(0)
        lab.wait_until_done(0)
        yield lab
        lab.shut_down()


@pytest.fixture
def live(notebook: LiveLab, tmp_path: Path) -> LiveLab:
    """The notebook, with gates for this test."""
    notebook.gates = tmp_path
    return notebook
