"""nbval, as `make test` runs it, sees a changed answer and a changed tool result, and nothing in changed durations."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path

import nbformat
import pytest

from notebooks import NOTEBOOKS, PATTERNS, nbval, paths

# What is changed in the saved outputs of a copy: the cell, the rendering, what was saved and what is put there.
CHANGES = {
    "answer_text": ("first-call", "text/plain", "12 times 17 is 204.", "12 times 17 is 205."),
    "answer_html": ("first-call", "text/html", "12 times 17 is 204.", "12 times 17 is 205."),
    "result_text": ("several", "text/plain", '"temperature": 29', '"temperature": 28'),
    "result_html": ("several", "text/html", ">29\n</span>", ">28\n</span>"),
    "arguments": ("several", "text/plain", 'weather(city="Rome")', 'weather(city="Oslo")'),
    "outcome": ("failing", "text/plain", "failed", "denied"),
    "tokens": ("several", "text/html", "112 tokens in", "113 tokens in"),
}
# The cells whose outputs are not compared: what a live model says, and pictures of how long things took.
FREE = {
    "01_quickstart": {"ask", "ask-again", "value", "python"},
    "06_tracing": {"waterfall", "together-waterfall", "trace"},
    "07_gateways": {"local"},
}
WORD = re.compile(r"\w+(?![^<>]*>)")  # not within a tag
DURATION = re.compile(r"\d+\.\d\d s\b")
SLOW = " out · 9.5 tokens/s · first token 0.40 s"  # as the status of a slower run would begin to tell


def copy() -> nbformat.NotebookNode:
    """The notebook on tools as far as the last cell that is changed."""
    notebook = nbformat.read(NOTEBOOKS / "02_tools.ipynb", as_version=4)
    changed = {cell_id for cell_id, *_ in CHANGES.values()}
    end = max(index for index, cell in enumerate(notebook.cells) if cell.id in changed) + 1
    notebook.cells = notebook.cells[:end]
    return notebook


def output(notebook: nbformat.NotebookNode, cell_id: str) -> dict[str, str]:
    """The saved output of that cell, by its kinds."""
    return next(cell for cell in notebook.cells if cell.id == cell_id).outputs[0].data


def number(cell_id: str) -> int:
    """The number that nbval gives to that cell."""
    return [cell.id for cell in copy().cells if cell.cell_type == "code"].index(cell_id)


def copies() -> list[dict[str, str]]:
    """The changes as few copies can hold them, each at most one of a cell: of each copy, the cells and the changes."""
    found: list[dict[str, str]] = []
    for name, (cell_id, *_) in CHANGES.items():
        free = next((changes for changes in found if cell_id not in changes), None)
        if free is None:
            found.append(free := {})
        free[cell_id] = name
    return found


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[int]]:
    """The code cells that nbval finds changed, by the copy's name: all copies are compared in one go."""
    folder = tmp_path_factory.mktemp("copies")
    shutil.copytree(NOTEBOOKS / "recordings", folder / "recordings")
    for index, changes in enumerate(copies()):
        notebook = copy()
        for name in changes.values():
            cell_id, kind, saved, put = CHANGES[name]
            data = output(notebook, cell_id)
            assert saved in data[kind]
            data[kind] = data[kind].replace(saved, put)
        nbformat.write(notebook, folder / f"copy{index}.ipynb")
    notebook = copy()
    data = output(notebook, "several")
    for kind, text in data.items():
        assert DURATION.search(text)
        slow, changes = re.subn(r" out(?=[ <\n])", SLOW, DURATION.sub("2 min 5 s", text))
        assert changes
        data[kind] = slow
    nbformat.write(notebook, folder / "durations.ipynb")

    said = nbval(sorted(folder.glob("*.ipynb")), "--color=no").stdout

    results: dict[str, list[int]] = {path.stem: [] for path in folder.glob("*.ipynb")}
    for name, cell in re.findall(r"^FAILED \S*?(\w+)\.ipynb::Cell (\d+)", said, re.MULTILINE):
        results[name].append(int(cell))
    assert re.search(r"\d+ passed", said), said
    return results


@pytest.mark.parametrize("index", range(len(copies())))
def test_each_changed_output_is_seen_in_its_cell(failed: dict[str, list[int]], index: int):
    assert failed[f"copy{index}"] == sorted(map(number, copies()[index]))


def test_durations_may_change(failed: dict[str, list[int]]):
    assert failed["durations"] == []


def compared(path: Path) -> Iterator[str]:
    """The outputs of a notebook that nbval compares."""
    for cell in nbformat.read(path, as_version=4).cells:
        for output in cell.get("outputs", ()):
            if "nbval-ignore-output" not in cell.metadata.get("tags", ()):
                yield from (text for kind, text in output.get("data", {}).items() if kind.startswith("text/"))
                yield from [output.text] if "text" in output else []


def test_only_what_differs_each_time_is_left_out():
    for path in paths():
        cells = nbformat.read(path, as_version=4).cells
        free = {cell.id for cell in cells if "nbval-ignore-output" in cell.metadata.get("tags", ())}

        assert free == FREE.get(path.stem, set())


@pytest.mark.parametrize("path", paths(), ids=lambda path: path.stem)
def test_no_changed_word_escapes_the_comparison(path: Path):
    """Whatever word of an output is changed, it is seen; but numbers of seconds, characters and cells are not."""
    config = RawConfigParser()
    config.read(PATTERNS)
    patterns = [(config[name]["regex"], config[name]["replace"]) for name in config.sections()]

    def sanitized(text: str) -> str:
        for pattern, replacement in patterns:
            text = re.sub(pattern, replacement, text)
        return text

    texts = list(compared(path))
    assert texts
    for text in texts:
        saved = sanitized(text)
        for word in WORD.finditer(text):
            start, end = word.span()
            changed = text[:start] + ("7" * len(word[0]) if word[0].isdigit() else "x" * len(word[0])) + text[end:]
            if changed != text and sanitized(changed) == saved:
                assert word[0].isdigit()
                assert re.match(r"(\.\d+)? s\b|(\.\d+)?</?span|\.\d+ s| characters|\]", text[end:]), text[start:][:40]
