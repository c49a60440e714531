"""The example notebooks: where they are, how they are run, and how nbval compares them with their saved outputs.

Everything that runs them uses this: the tests, `make test`, `make notebooks` and `make recordings`. As a program it
runs nbval over all of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
PATTERNS = Path(__file__).with_name("nbval.cfg")
OURS = ("OPENAI_", "ANTHROPIC_", "OLLAMA_", "MOJENTIC_NB_")


def paths() -> list[Path]:
    """The notebooks, in their order."""
    return sorted(NOTEBOOKS.glob("*.ipynb"))


def chosen(names: Collection[str]) -> list[Path]:
    """The notebooks with these names, without ``.ipynb``; all of them where none is given.

    Raises:
        SystemExit: there is no such notebook.
    """
    known = {path.stem: path for path in paths()}
    unknown = sorted(set(names) - set(known))
    if unknown:
        sys.exit(f"There is no notebook {', '.join(unknown)}; there are {', '.join(known)}.")
    return [path for name, path in known.items() if name in names or not names]


def environment() -> dict[str, str]:
    """An environment in which they do the same everywhere: no key, no chosen model, no Ollama of whoever runs them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    # Nothing listens at the port of "discard".
    return {**kept, "OLLAMA_HOST": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1", "PYTHONPATH": str(ROOT)}


def nbval(notebooks: Iterable[Path], *options: str) -> subprocess.CompletedProcess[str]:
    """Run `notebooks`, and compare all outputs with the saved ones; only durations and rates may differ."""
    strict = ["--nbval", "--nbval-current-env", f"--nbval-sanitize-with={PATTERNS}", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *strict, *options, *map(str, notebooks)]
    return subprocess.run(command, cwd=ROOT, env=environment(), text=True, check=False, capture_output=bool(options))


if __name__ == "__main__":
    sys.exit(nbval(paths()).returncode)
