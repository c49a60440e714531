"""What Binder does with this repository: its configuration is accepted, and its steps end in an answered quickstart.

repo2docker would build a container image; here its steps run in a fresh virtual environment and an empty home.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from .test_make_lab import OFFLINE

pytestmark = pytest.mark.timeout(1200)


def test_repo2docker_accepts_the_configuration(clone: Path):
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(clone)]

    result = subprocess.run(command, capture_output=True, text=True, check=False)

    dockerfile = result.stdout + result.stderr
    assert result.returncode == 0, dockerfile
    steps = ["COPY --chown=0:0 src/ ${REPO_DIR}/", '-r "binder/requirements.txt"', "RUN ./binder/postBuild"]
    places = [dockerfile.index(step) for step in steps]
    assert places == sorted(places)  # the requirements name the repository itself, so it has to be there
    assert 'ENV R2D_ENTRYPOINT="${REPO_DIR}/binder/start"' in dockerfile
    assert "Building conda environment for python=3.12" in dockerfile


def test_its_steps_end_in_an_answered_quickstart(clone: Path, tmp_path: Path):
    venv = tmp_path / "venv"
    subprocess.run([sys._base_executable, "-m", "venv", str(venv)], check=True)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env |= {"PATH": f"{venv / 'bin'}:{env['PATH']}", "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    pip = {"PIP_CACHE_DIR": subprocess.check_output([sys.executable, "-m", "pip", "cache", "dir"], text=True).strip()}

    def run(*command: str, **more: str) -> str:
        result = subprocess.run(
            command,
            cwd=clone,
            env={**env, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout
        return result.stdout

    run("python", "-m", "pip", "install", "--quiet", "-r", "binder/requirements.txt", **pip)
    said = run("binder/postBuild")
    run("binder/start", "jupyter", "execute", "--inplace", "notebooks/01_quickstart.ipynb", **OFFLINE)

    assert "SmolLM2-135M-Instruct" in said
    notebook = nbformat.read(clone / "notebooks" / "01_quickstart.ipynb", as_version=4)
    outputs = {cell.id: cell.outputs[0] for cell in notebook.cells if cell.id in ("ask", "check")}
    assert "local:SmolLM2-135M-Instruct · " in outputs["ask"].data["text/plain"]
    assert outputs["check"].text == "All is there.\n"
