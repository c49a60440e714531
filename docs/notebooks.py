"""Run the notebooks and save their outputs as a reader will see them: `make notebooks`."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def main() -> None:
    """Run every notebook and save it, free of what differs from machine to machine."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        print(path.name)
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, coalesce_streams=True, record_timing=False).execute()
        notebook.metadata.language_info = {"name": "python"}
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
