"""`make lab` as a new user calls it: in a fresh clone, in an empty home, with nothing but Python and pip.

Apart from the other tests, since it needs the network and some minutes: `make fresh`. It tests what is committed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from lab import ASK, OPEN, Lab, free_port, own_folders, serving

SET_UP = 900.0  # seconds for pip, the model and JupyterLab's start
# As on a machine without a network: whoever tries to reach it is refused.
OFFLINE = {
    "PIP_NO_INDEX": "1",
    **dict.fromkeys(["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"], "http://127.0.0.1:9"),
    **dict.fromkeys(["no_proxy", "NO_PROXY"], "127.0.0.1,localhost"),
}

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with an empty home."""
    home = tmp_path_factory.mktemp("home")
    return {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), **own_folders(home)}


@pytest.mark.parametrize("online", [True, False], ids=["first, online", "second, offline"])
def test_make_lab_ends_with_an_answer_in_the_quickstart(page, clone: Path, home: dict, tmp_path: Path, online: bool):
    port, log = free_port(), tmp_path / "make.log"
    command = ["make", "lab", f"PYTHON={sys._base_executable}", f"LAB_ARGS=--ServerApp.port={port} {OPEN}"]

    env = home if online else {**home, **OFFLINE}
    with serving(command, port, cwd=clone, log=log, env=env, patience=SET_UP) as url:
        lab = Lab(page, url)
        lab.open("01_quickstart.ipynb")
        lab.run_all()
        lab.wait_until_done(ASK)
        answer = lab.text(ASK)
        lab.shut_down()

    assert re.search(r"local:SmolLM2-135M-Instruct · \d+ tokens in", answer)
    said = log.read_text()
    assert "==> Starting JupyterLab on the quickstart notebook" in said
    assert ("==> Installing JupyterLab" in said) == online
    assert ("Downloading SmolLM2-135M-Instruct" in said) == online


def test_an_old_python_is_told_which_it_takes(clone: Path, tmp_path: Path):
    old = tmp_path / "python3.10"
    old.write_text(
        '#!/bin/sh\nexec "$REAL" -c "import sys; sys.version_info = (3, 10); sys.version = \'3.10.4 x\'; $2"\n'
    )
    old.chmod(0o755)

    result = subprocess.run(
        ["make", "lab", f"PYTHON={old}", "VENV=.none"],
        cwd=clone,
        env={**os.environ, "REAL": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode != 0
    assert f"mojentic_nb needs Python 3.11 or newer, {old} is 3.10.4" in result.stderr
    assert not (clone / ".none").exists()
