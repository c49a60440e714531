from __future__ import annotations

import os
from pathlib import Path

import pytest
from chromium import ARGUMENTS, executable
from hypothesis import settings
from loopback import Loopback

# A busy machine is no failure; CI tries the same examples each time, so that it fails for what has changed alone.
settings.register_profile("patient", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("patient")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks of these tests."""
    config.addinivalue_line("markers", "fuzz: tries many odd inputs, and more of them with MOJENTIC_NB_FUZZ=10")


@pytest.fixture
def server():
    """A loopback server that plays what the test gives it."""
    loopback = Loopback()
    yield loopback
    loopback.close()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch):
    """No key, no model and no Ollama of whoever runs the tests; the loopback interface is reached without a proxy."""
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "ANTHROPIC_", "OLLAMA_", "MOJENTIC_NB_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OLLAMA_HOST", "http://127.0.0.1:9")  # the port of "discard": nothing listens
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's root folder."""
    return Path(__file__).parents[1]


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict) -> dict:
    """What pytest-playwright starts: see chromium.py."""
    return {**browser_type_launch_args, "executable_path": executable(), "args": ARGUMENTS}
