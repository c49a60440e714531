"""Run the notebooks and save their outputs: `make notebooks`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from notebooks import chosen, environment

KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}


def run(path: Path) -> None:
    """Run a notebook and save it, without anything that differs between machines."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, resources={"metadata": {"path": str(path.parent)}}, coalesce_streams=True, record_timing=False
    )
    with tempfile.TemporaryDirectory() as home:
        client.execute(env={**environment(), "IPYTHONDIR": home})
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    nbformat.write(notebook, path)


def main() -> None:
    """Run all notebooks, or those named on the command line."""
    for path in chosen(sys.argv[1:]):
        print(path.name)
        run(path)


if __name__ == "__main__":
    main()
