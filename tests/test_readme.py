"""The README and CONTRIBUTING name things that exist and run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

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
    text = (project / "README.md").read_text("utf-8")
    links = [link.partition("#") for link in re.findall(r"\]\((?!http)([^)]+)\)", text)]
    headings = [heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", text, re.MULTILINE)]

    assert "docs/pictures/run.webp" in [path for path, _, _ in links]
    assert [path for path, _, _ in links if path and not (project / path).exists()] == []
    assert [anchor for path, _, anchor in links if not path and anchor not in headings] == []


def test_it_names_every_notebook(project: Path):
    text = (project / "README.md").read_text("utf-8")

    assert [
        path.name for path in (project / "notebooks").glob("*.ipynb") if f"](notebooks/{path.name})" not in text
    ] == []


def test_its_badge_opens_the_quickstart_in_binder(project: Path):
    """The repository's owner and name stand in for themselves: no file here knows them."""
    text = (project / "README.md").read_text("utf-8")
    badge = re.search(r"\[!\[[^]]+\]\(https://mybinder\.org/badge_logo\.svg\)\]\(([^)]+)\)", text)

    address = urlsplit(badge[1])
    assert re.fullmatch(r"https://mybinder\.org/v2/gh/[\w.-]+/[\w.-]+/HEAD", address._replace(query="").geturl())
    opened = parse_qs(address.query)["urlpath"][0].removeprefix("lab/tree/")
    assert (project / opened).exists()
    assert "OWNER/REPOSITORY" not in address.path or "replace `OWNER/REPOSITORY`" in text


def test_its_commands_are_those_of_the_makefile(project: Path):
    makefile = (project / "Makefile").read_text("utf-8")

    for command in re.findall(r"^\$ make (\w+)", (project / "README.md").read_text("utf-8"), re.MULTILINE):
        assert f"\n{command}:" in makefile


def test_the_models_size_is_what_is_fetched(project: Path):
    assert f"({SMOLLM2.wheel_bytes / 1e6:.0f} MB)" in (project / "README.md").read_text("utf-8")


def test_the_files_that_contributing_names_exist(project: Path):
    text = (project / "CONTRIBUTING.md").read_text("utf-8")
    named = re.findall(r"`([\w./]+/[\w./]*)`", text) + re.findall(r"\]\((?!http)([^)#]+)\)", text)
    places = [project, project / "mojentic_nb", project / "mojentic_nb" / "llm", project / "mojentic_nb/llm/gateways"]

    assert named
    assert [name for name in named if not any((place / name).exists() for place in places)] == []
