"""What the tab key offers, through the completer of a real shell."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell
from loopback import Loopback, Reply, completion


def offered(shell: InteractiveShell, text: str) -> list[str]:
    """The completions at the end of `text`."""
    lines = text.split("\n")
    return list(shell.Completer.complete(None, lines[-1], len(lines[-1]))[1])


@pytest.fixture
def filled(shell: InteractiveShell, model: Loopback) -> InteractiveShell:
    """A shell with a model, a tool, an alias and two conversations."""
    shell.run_cell("import pydantic\nclass Trip(pydantic.BaseModel):\n    city: str\ndef sky(city: str): pass")
    shell.run_cell("%llm alias fast openai:gpt-x")
    model.play(Reply([completion("a")]), Reply([completion("a")]))
    shell.run_cell("%%llm -m openai:asked\nWell?")
    shell.run_cell("%%llm -m openai:asked -c trips\nWell?")
    return shell


OFFERED = {
    "%%llm --t": {"--temperature", "--timeout", "--tool", "--tool-choice"},
    "%%llm -m ": {"fast", "local", "openai:asked", "openai:", "ollama:", "anthropic:"},
    "%%llm --fresh -m fa": {"fast"},
    "%%llm -m openai:a": {"openai:asked"},
    "%%llm -t ": {"sky", "current_datetime", "resolve_date"},
    "%%llm -t sky,cur": {"sky,current_datetime"},
    "%%llm -c ": {"main", "trips"},
    "%%llm --tool-choice r": {"required"},
    "%%llm --reasoning-effort m": {"minimal", "medium", "max"},
    "%%llm --view s": {"static"},
    "%%llm --as T": {"Trip"},
    "%llm hi": {"history"},
    "%llm models o": {"ollama", "openai"},
    "%llm forget ": {"main", "trips"},
    "%llm alias ": set(),
}


@pytest.mark.parametrize(("text", "names"), OFFERED.items(), ids=OFFERED)
def test_what_is_offered(filled: InteractiveShell, text: str, names: set[str]):
    found = set(offered(filled, text))

    assert names <= found
    if names:
        assert found == names


@pytest.mark.parametrize("text", ["%%time --t", "llm --t", "x = '%%llm -m '"])
def test_elsewhere_nothing_is_offered(filled: InteractiveShell, text: str):
    assert not {"--temperature", "fast"} & set(offered(filled, text))
