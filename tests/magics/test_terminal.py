"""`%%llm` without a browser: in a terminal, and in a notebook that a program runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pexpect
import psutil
import pytest
from loopback import Loopback, Reply, completion, tool_call

BRIEF = "%%llm -m local --max-tokens 8\nHello"


@pytest.fixture
def environment_of_ipython(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, and no one's own IPython profile."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("NO_COLOR", "1")
    return tmp_path


@pytest.mark.usefixtures("environment_of_ipython")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--ext", "mojentic_nb", "-c", BRIEF],
        ["-c", "%load_ext mojentic_nb\nget_ipython().run_cell_magic('llm', '-m local --max-tokens 8', 'Hello')"],
    ],
)
def test_ipython_runs_a_cell_from_the_command_line(arguments: list[str]):
    result = subprocess.run([sys.executable, "-m", "IPython", *arguments], capture_output=True, text=True, check=True)

    *answer, footer = result.stdout.strip().splitlines()
    assert "".join(answer).strip()
    assert re.fullmatch(r"local:SmolLM2-135M-Instruct · \d+ tokens in, 8 out · .* s · cut off at max_tokens", footer)


def test_ctrl_c_in_a_terminal_stops_the_answer_and_keeps_it(environment_of_ipython: Path):
    command = ["-m", "IPython", "--simple-prompt", "--no-banner", "--ext", "mojentic_nb"]
    terminal = pexpect.spawn(sys.executable, command, encoding="utf-8", timeout=30, env={**os.environ, "TERM": "dumb"})
    terminal.str_last_chars = 10_000  # that a failure shows
    terminal.expect(r"In \[1\]: ")
    terminal.send("%%llm -m local\nTell me a very long story about the sea.\n\n\n")
    terminal.expect(r"\w+ \w+ \w+ \w+ \w+ \w+ \w+ \w+")  # the echo of the question
    terminal.expect(r"\w+ \w+ \w+")  # the answer has begun

    terminal.sendintr()

    terminal.expect(r"local:SmolLM2-135M-Instruct · .* · stopped after ≈?\d+ tokens\s+KeyboardInterrupt\s")
    terminal.expect(r"In \[2\]: ")
    assert "Traceback" not in terminal.before
    models = psutil.Process(terminal.pid).children()
    terminal.send("print(6 * 7)\n")
    terminal.expect("42")
    terminal.send(BRIEF + "\n\n\n")
    terminal.expect(r"local:SmolLM2-135M-Instruct · \d+ tokens in")
    assert psutil.Process(terminal.pid).children() == models  # the model that was interrupted is still there
    terminal.close(force=True)


def calling(then: str) -> list[Reply]:
    """Replies that call the tool, and say what came of it."""
    return [Reply([tool_call()]), Reply([completion(then)])]


def test_in_a_terminal_input_asks_whether_a_tool_may_run(environment_of_ipython: Path, server: Loopback):
    environment = {**os.environ, "TERM": "dumb", "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "none"}
    command = ["-m", "IPython", "--simple-prompt", "--no-banner", "--ext", "mojentic_nb"]
    terminal = pexpect.spawn(sys.executable, command, encoding="utf-8", timeout=60, env=environment)
    terminal.expect(r"In \[1\]: ")
    terminal.send("def sky(city: str) -> str: return 'clear in ' + city\n\n")

    for number, (answer, told) in enumerate([("y", "clear in Oslo"), ("", "The call was denied.")], start=2):
        server.play(*calling(f"So {number}."))
        terminal.expect(rf"In \[{number}\]: ")
        terminal.send("%%llm -m openai:m -t sky --approve\nWell?\n\n\n")
        terminal.expect(r'Allow sky\(\{"city": "Oslo"\}\) to run\? \[y/N\] ')
        terminal.send(f"{answer}\n")
        terminal.expect(rf"So {number}\.")
        assert server.requests[-1].body["messages"][-1]["content"] == told
    terminal.close(force=True)


def test_jupyter_execute_saves_the_answer(project: Path, environment_of_ipython: Path):
    """Of the quickstart, as far as its first question."""
    notebook = nbformat.read(project / "notebooks" / "01_quickstart.ipynb", as_version=4)
    ids = [cell.id for cell in notebook.cells]
    notebook.cells = notebook.cells[: ids.index("ask") + 1]
    notebook.cells[-1].source = notebook.cells[-1].source.replace("%%llm", "%%llm --max-tokens 40")
    nbformat.write(notebook, environment_of_ipython / "asking.ipynb")

    subprocess.run(
        [sys.executable, "-m", "jupyter", "execute", "asking.ipynb", "--output=done"],
        cwd=environment_of_ipython,
        check=True,
        capture_output=True,
    )

    (answer,) = nbformat.read(environment_of_ipython / "done.ipynb", as_version=4).cells[-1].outputs
    assert answer.output_type == "display_data"
    assert "local:SmolLM2-135M-Instruct" in answer.data["text/html"]
    assert len(answer.data["text/plain"]) > 100
