from __future__ import annotations

from pathlib import Path

import pytest
from lab import Lab, serving_notebooks


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
