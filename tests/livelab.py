"""A JupyterLab in which one cell after the other draws an answer with a live view."""

from __future__ import annotations

from pathlib import Path

from lab import Lab, write_notebook
from playwright.sync_api import Locator

TESTS = Path(__file__).parent
SETUP = f"""
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {str(TESTS)!r})
from paced import *
from mojentic_nb.display.live import LiveView
"""


class LiveLab(Lab):
    """A notebook with a kernel that stays, for one cell after the other; `gates` is the folder of their gates."""

    gates: Path

    def cell_running(self, source: str) -> int:
        """Run `source` in a new cell at the end; the cell's index."""
        source = f"gates = Path({str(self.gates)!r})\n{source}"
        index = self.page.evaluate(
            """source => {
                const notebook = window.jupyterapp.shell.currentWidget.content;
                const cells = notebook.model.sharedModel;
                cells.insertCell(cells.cells.length, { cell_type: 'code', source });
                return cells.cells.length - 1;
            }""",
            source,
        )
        self.run(index)
        return index

    def open_gate(self, name: str) -> None:
        """Let what waits at the gate go on."""
        (self.gates / name).touch()

    def view(self, index: int) -> Locator:
        """The live view that the cell shows."""
        return self.cell(index).locator(".mnb")


def new_notebook(folder: Path, name: str) -> str:
    """Make a notebook with nothing but the setup; its name."""
    write_notebook(folder / name, [SETUP])
    return name
