from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest
from chromium import ARGUMENTS, executable
from fuzzing import FACTOR
from hypothesis import is_hypothesis_test, settings
from loopback import Loopback

# A busy machine is not a failure. The examples are the same in each run, except where `make fuzz` looks for new ones.
settings.register_profile("patient", deadline=None, derandomize=FACTOR == 1, max_examples=100 * FACTOR)
settings.load_profile("patient")

TESTS = Path(__file__).parent
# What `make quick` leaves out: these start kernels, browsers, models and other programs, or wait for time limits.
SLOW = [
    *(
        "browser",
        "fresh",
        "llm/gateways/local",
        "test_docs.py",
        "test_fuzzing.py",
        "test_imports.py",
        "test_readme.py",
        "test_site.py",
    ),
    *(f"display/test_{name}.py" for name in ("approvals", "displaying", "live", "turns")),
    *(f"llm/gateways/test_{name}.py" for name in ("closing", "faults", "retries")),
    *(f"llm/tools/test_{name}.py" for name in ("stopping", "timeouts")),
    *(f"magics/test_{name}.py" for name in ("kernel", "nbval", "terminal")),
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each Hypothesis test for ``make fuzz``, and what takes long for ``make quick``.

    What takes long begins first, so that no core is left with it at the end.
    """
    for item in items:
        fuzz = is_hypothesis_test(getattr(item, "obj", None)) or item.get_closest_marker("fuzz")
        if fuzz:
            item.add_marker("fuzz")
        if fuzz or is_slow(item.path):
            item.add_marker("slow")
    items.sort(key=lambda item: not is_slow(item.path))


@cache
def is_slow(path: Path) -> bool:
    """Return whether SLOW names the file or a folder that it is in."""
    return any(path.is_relative_to(TESTS / name) for name in SLOW)


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
    return TESTS.parent


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict) -> dict:
    """What pytest-playwright starts: see chromium.py."""
    return {**browser_type_launch_args, "executable_path": executable(), "args": ARGUMENTS}
