"""The layers of the package: a module imports what stands below it, at run time and for types."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From the ground up. A folder stands for all that is in it and isn't named itself.
LAYERS = [
    ["llm.text", "llm.validation", "llm.pictures", "llm.typed_dicts", "llm.signatures", "llm.cancellation"],
    ["llm.messages"],
    ["llm.arguments"],
    ["llm.events"],
    ["llm.errors"],
    ["llm.config", "llm.redaction", "llm.concurrency", "llm.message_composers", "llm.completion_config"],
    ["llm.request"],
    ["llm.openai_messages", "llm.tracing", "llm.gateway_filter"],
    ["llm.compat", "llm.window"],
    ["llm.request_usage"],
    ["llm.gateways.wire", "llm.gateways.keys"],
    ["llm.gateways.failures", "llm.gateways.transport"],
    ["llm.gateways.http"],
    ["llm.gateways"],
    ["llm.tools"],
    ["llm.structured"],
    ["llm.step", "llm.readers"],
    ["llm.conversation"],
    ["llm.incomplete"],
    ["llm.run"],
    ["llm.object_stream"],
    ["llm.broker", "llm.chat_session", "llm.llm_broker"],
    ["llm.providers"],
    ["llm"],
    ["tracer"],
    ["display"],
    ["magics"],
]
RANKS = {f"mojentic_nb.{name}": rank for rank, names in enumerate(LAYERS) for name in names}


def modules() -> dict[str, Path]:
    """Every module of the package, by its name."""
    found = {}
    for path in (ROOT / "mojentic_nb").rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if "node_modules" not in path.parts:
            found[name] = path
    return found


MODULES = modules()


def imports_of(name: str) -> set[str]:
    """The modules of the package that `name` imports, wherever in it."""
    package = name if MODULES[name].name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            module = ".".join(filter(None, [above, node.module]))
            found |= {each if (each := f"{module}.{alias.name}") in MODULES else module for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {each for each in found if each in MODULES and each != name}


IMPORTS = {name: imports_of(name) for name in MODULES}


def rank(name: str) -> int:
    """The layer of a module, from the ground up."""
    while name not in RANKS:
        name = name.rpartition(".")[0]
    return RANKS[name]


@pytest.mark.parametrize("name", sorted(set(MODULES) - {"mojentic_nb"}))
def test_a_module_imports_only_what_stands_below_it(name: str):
    above = {other for other in IMPORTS[name] - {"mojentic_nb"} if rank(other) > rank(name)}

    assert above == set()


def test_no_imports_go_in_a_circle():
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_every_layer_has_a_module():
    assert [name for name in RANKS if name not in MODULES] == []


NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_an_invariant_has_its_test(file: str, name: str):
    assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_all_thirteen_invariants_are_there():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

    assert re.findall(r"^(\d+)\. ", text, re.MULTILINE) == [str(number) for number in range(1, 14)]
    assert len(NAMED) >= 13
