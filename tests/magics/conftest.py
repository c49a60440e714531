"""Real IPython shells, and the models that they ask."""

from __future__ import annotations

import atexit

import pytest
from IPython.core.interactiveshell import InteractiveShell
from loopback import Loopback


@pytest.fixture
def bare_shell(monkeypatch: pytest.MonkeyPatch, tmp_path):
    """A fresh shell."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("NO_COLOR", "1")
    shell = InteractiveShell.instance()
    yield shell
    shell.history_manager.end_session()
    atexit.unregister(shell.atexit_operations)  # which holds it, and collects garbage for each shell that there was
    InteractiveShell.clear_instance()


@pytest.fixture
def shell(bare_shell: InteractiveShell):
    """A fresh shell with the extension loaded."""
    bare_shell.run_line_magic("load_ext", "mojentic_nb")
    yield bare_shell
    bare_shell.run_line_magic("unload_ext", "mojentic_nb")


@pytest.fixture
def model(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    """The server that answers to `-m openai:…`."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    return server
