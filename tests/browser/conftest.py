from __future__ import annotations

import pytest
from lab import Lab, serving_notebooks


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory):
    """A JupyterLab that serves copies of the notebooks: its address."""
    with serving_notebooks(tmp_path_factory.mktemp("lab")) as url:
        yield url


@pytest.fixture
def lab(page, served: str):
    """JupyterLab in a page of its own."""
    lab = Lab(page, served)
    yield lab
    lab.shut_down()
