"""The notebooks as they are saved: what a reader sees without a kernel."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_saved_notebook_can_be_read_anywhere(path: Path):
    source = path.read_text("utf-8")
    notebook = nbformat.reads(source, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]

    assert all(cell.execution_count for cell in cells)
    assert "widgets" not in notebook.metadata
    assert str(Path.home()) not in source
    for cell in cells:
        outputs = [output.output_type for output in cell.outputs]
        assert "error" not in outputs
        assert not [output for output in cell.outputs if output.get("name") == "stderr"]
        if cell.source.startswith("%%llm"):
            assert outputs == ["stream", "display_data"]
