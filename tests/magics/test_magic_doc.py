"""docs/magic.md says what is so: its cells can be run, and its tables leave nothing out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.interactiveshell import InteractiveShell

from mojentic_nb.llm.providers import PROVIDERS
from mojentic_nb.magics import LLMMagics, Response
from mojentic_nb.magics.commands import COMMANDS
from mojentic_nb.magics.options import FLAGS, parse

TEXT = (Path(__file__).parents[2] / "docs" / "magic.md").read_text("utf-8")
CELLS = re.findall(r"^```ipython\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def test_all_its_examples_are_cells():
    assert CELLS
    assert TEXT.count("```") == 2 * len(CELLS)


@pytest.mark.parametrize("cell", CELLS, ids=[cell.split("\n")[0] for cell in CELLS])
def test_its_cells_are_right(shell: InteractiveShell, cell: str):
    ast.parse(TransformerManager().transform_cell(cell))
    line, _, question = cell.partition("\n")
    if line.startswith("%%llm"):
        said = parse(LLMMagics.llm, line.removeprefix("%%llm"))
        assert (said.model or "local").partition(":")[0] in PROVIDERS
        assert question.strip()
    elif not line.startswith("%load_ext"):
        assert shell.run_cell(cell).success
        assert all(each.split()[1] in COMMANDS for each in cell.splitlines() if each.startswith("%llm "))


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ("Options", FLAGS),
        ("Commands", [f"%llm {name}" for name in COMMANDS]),
        ("Settings", LLMMagics.class_trait_names(config=True)),
        ("The answer as a value", [name for name in Response.__annotations__ if not name.startswith("_")]),
    ],
)
def test_its_tables_leave_nothing_out(section: str, names: list[str]):
    (table,) = re.findall(rf"^## {section}\n(.*?)(?=^## )", TEXT, re.DOTALL | re.MULTILINE)
    told = re.findall(r"`([^`]+)`", "\n".join(line.split("|")[1] for line in table.splitlines() if line[:3] == "| `"))

    assert [name for name in names if not any(each == name or each.startswith(f"{name} ") for each in told)] == []
    assert len([name for name in told if not re.fullmatch("-[a-z]", name)]) == len(names)
