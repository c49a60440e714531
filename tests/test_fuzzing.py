"""Property tests: `make test` tries the same examples each time, `make fuzz` more of them and new ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from hypothesis import settings

PROPERTY = "tests/llm/gateways/wire/test_sse.py"  # each of its tests tries Hypothesis' default of 100 examples


def test_make_fuzz_tries_as_many_times_more_as_it_is_told(project: Path):
    command = [sys.executable, "-m", "pytest", PROPERTY, "-m", "fuzz", "-p", "no:cacheprovider"]
    result = subprocess.run(
        [*command, "--hypothesis-show-statistics"],
        cwd=project,
        env={**os.environ, "MOJENTIC_NB_FUZZ": "3"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert set(re.findall(r"(\d+) passing", result.stdout)) == {"300"}


def test_make_test_tries_the_same_examples_each_time():
    assert settings.get_current_profile_name() == "patient"
    assert settings().derandomize
