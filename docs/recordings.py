"""Record again what the notebooks replay: `make recordings`, then `make notebooks`.

A recording whose name ends in ``small`` has answers of the embedded model. One that ends in ``script`` has the answers
written below, as a larger model would give them, where the embedded one is too small.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import ClassVar

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import notebooks  # noqa: E402
from mojentic_nb.llm import (  # noqa: E402
    LLMToolCall,
    ModelEvent,
    StepFinish,
    TextDelta,
    ToolCallEnd,
    Usage,
    gateways,
    providers,
)
from mojentic_nb.llm.gateways import LocalGateway, RecordingGateway, ScriptedGateway  # noqa: E402

RECORDINGS = notebooks.NOTEBOOKS / "recordings"
UNRECORDED = "unrecorded"  # the tag of a cell that asks a recording a question that it doesn't have


def calls(*wanted: tuple[str, dict[str, object]], say: str = "", tokens: tuple[int, int]) -> list[ModelEvent]:
    """Script a step that calls tools, each given as name and arguments; `tokens` counts those in and out."""
    made = [LLMToolCall(id=f"call_{i}", name=name, arguments=given) for i, (name, given) in enumerate(wanted)]
    return [*([TextDelta(say)] if say else []), *map(ToolCallEnd, made), StepFinish("tool_calls", Usage(*tokens))]


def as_json(value: dict[str, object]) -> str:
    """Write an object as models tend to, with one item of a list per line."""
    lines = [
        f'"{key}": [\n  ' + ",\n  ".join(map(json.dumps, item)) + "\n ]"
        if isinstance(item, list) and isinstance(item[0], dict)
        else f'"{key}": {json.dumps(item)}'
        for key, item in value.items()
    ]
    return "{\n " + ",\n ".join(lines) + "\n}"


TOAST = {"name": "Avocado toast", "vegan": True, "ingredients": ["bread", "avocado", "lemon", "salt"]}

SCRIPTS: dict[str, list[str | list[ModelEvent]]] = {
    "02_script": [
        calls(("weather", {"city": "Rome"}), ("weather", {"city": "Cairo"}), tokens=(112, 41)),
        "It is warmer in **Cairo**: 29 °C, against 17 °C in Rome. The sun shines in both.",
        calls(("weather", {"city": "Atlantis"}), tokens=(214, 19)),
        "I could not find out: there is no weather for Atlantis.",
        calls(("book", {"day": "2026-12-24", "guests": "several"}), tokens=(180, 24)),
        calls(("book", {"day": "2026-12-24", "guests": 4}), tokens=(231, 24)),
        "Done: you have a table for four on Thursday, 24 December.",
        calls(
            ("resolve_date", {"relative_date_found": "in nine days", "reference_date_in_iso8601": "2026-11-25"}),
            tokens=(301, 37),
        ),
        "In nine days it is **4 December 2026**.",
    ],
    "03_script": [
        "Nice to meet you, Ada! Rivers shape most of what lies around them. Which ones do you study?",
        "That your name is Ada, and that you study rivers.",
        "Nothing: you have not told me anything yet.",
        "The Nile is the longest, with 6,650 km. The Thames has 346 km, so it fits in about **19 times**.",
        "Two rivers stand out, the Nile and the Amazon. Beside them the Thames can hardly be seen.",
    ],
    "04_script": [
        as_json(
            {
                "name": "Chickpea stew",
                "minutes": 25,
                "vegan": True,
                "ingredients": ["onions", "olive oil", "chickpeas", "tomatoes", "cumin"],
            }
        ),
        as_json(
            {
                "value": [
                    {"what": "train to Ghent", "category": "travel", "euros": 34.5},
                    {"what": "hotel", "category": "room", "euros": 128},
                    {"what": "dinner", "category": "food", "euros": 41.2},
                    {"what": "lunch", "category": "food", "euros": 18.9},
                    {"what": "tram", "category": "travel", "euros": 2.5},
                ]
            }
        ),
        as_json({**TOAST, "minutes": "five"}),
        as_json({**TOAST, "minutes": 5}),
        as_json(
            {"name": "Porridge", "minutes": 10, "vegan": True, "ingredients": ["oats", "water", "salt", "raisins"]}
        ),
    ],
}


class Recorder(RecordingGateway):
    """Takes the place of the replay of the file `path`, and records it."""

    sources: ClassVar[dict[str, LocalGateway | ScriptedGateway]] = {}

    def __init__(self, path: str | Path, *, speed: float | None = None) -> None:  # noqa: ARG002 (as a replay has it)
        name = Path(path).stem
        source = self.sources.setdefault(name, ScriptedGateway(SCRIPTS[name]) if name in SCRIPTS else LocalGateway())
        super().__init__(source, path)
        self.model = source.model if isinstance(source, LocalGateway) else "script"


def begin() -> None:
    """Make the notebook of this kernel record what it would otherwise replay."""
    gateways.ReplayGateway = providers.ReplayGateway = Recorder  # type: ignore[misc, assignment]


def end() -> None:
    """Raise AssertionError if a script has answers that weren't asked for."""
    for source in Recorder.sources.values():
        if isinstance(source, ScriptedGateway):
            source.assert_complete()


def main() -> None:
    """Record what all notebooks replay, or those named on the command line."""
    for path in notebooks.chosen(sys.argv[1:]):
        source = path.read_text("utf-8")
        if "recordings/" not in source:
            continue
        print(path.name)
        for old in RECORDINGS.glob(f"{path.stem[:2]}_*.json"):
            old.unlink()
        notebook = nbformat.reads(source, as_version=4)
        notebook.cells = [cell for cell in notebook.cells if UNRECORDED not in cell.metadata.get("tags", ())]
        first = f"import sys; sys.path.insert(0, {str(ROOT / 'docs')!r}); import recordings; recordings.begin()"
        notebook.cells.insert(0, nbformat.v4.new_code_cell(first))
        notebook.cells.append(nbformat.v4.new_code_cell("recordings.end()"))
        with tempfile.TemporaryDirectory() as home:
            client = NotebookClient(notebook, resources={"metadata": {"path": str(path.parent)}}, timeout=600)
            client.execute(env={**notebooks.environment(), "IPYTHONDIR": home})


if __name__ == "__main__":
    main()
