from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from lab import OPEN, Lab, free_port, own_folders, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory):
    """A JupyterLab that serves copies of the notebooks: its address."""
    home = tmp_path_factory.mktemp("lab")
    notebooks = shutil.copytree(Path(__file__).parents[2] / "notebooks", home / "notebooks")
    port = free_port()
    command = [sys.executable, "-m", "jupyterlab", "--allow-root", f"--ServerApp.port={port}", *OPEN.split()]
    with serving(command, port, cwd=notebooks, log=home / "lab.log", env=own_folders(home)) as url:
        yield url


@pytest.fixture
def lab(page, served: str):
    """JupyterLab in a page of its own."""
    lab = Lab(page, served)
    yield lab
    lab.shut_down()
