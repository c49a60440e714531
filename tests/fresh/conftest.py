"""Where the tests of a first use take place."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone of this repository."""
    folder = tmp_path_factory.mktemp("fresh") / "mojentic_nb"
    subprocess.run(["git", "clone", "--quiet", str(Path(__file__).parents[2]), str(folder)], check=True)
    return folder
