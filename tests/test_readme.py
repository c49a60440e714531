"""What the README says is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from mojentic_nb.llm.gateways.local.model_file import SMOLLM2


def test_its_python_runs_and_streams(project: Path):
    programs = re.findall(r"```python\n(.*?)```", (project / "README.md").read_text("utf-8"), re.DOTALL)

    result = subprocess.run([sys.executable, "-c", "\n".join(programs)], capture_output=True, text=True, check=True)

    answer, object_ = result.stdout.splitlines()[-2:]
    assert len(programs) == 3
    assert "12 times 17 is 204." in answer
    assert object_ == "city='Lisbon' days=4"
    assert len(result.stdout) > 80
    assert result.stderr == ""


def test_its_links_lead_somewhere(project: Path):
    links = re.findall(r"\]\((?!http)([^)]+)\)", (project / "README.md").read_text("utf-8"))

    assert "docs/pictures/quickstart.png" in links
    assert [link for link in links if not (project / link).exists()] == []


def test_its_commands_are_those_of_the_makefile(project: Path):
    makefile = (project / "Makefile").read_text("utf-8")

    for command in re.findall(r"^\$ make (\w+)", (project / "README.md").read_text("utf-8"), re.MULTILINE):
        assert f"\n{command}:" in makefile


def test_the_models_size_is_what_is_fetched(project: Path):
    assert f"({SMOLLM2.wheel_bytes / 1e6:.0f} MB)" in (project / "README.md").read_text("utf-8")
