"""The promises of SECURITY.md: each names somebody from its threat model and tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
TEXT = (PROJECT / "SECURITY.md").read_text("utf-8")
TEST = re.compile(r"\[(\w+)\]\(([^)]+)\)")


def rows(head: str) -> list[list[str]]:
    """The cells of each row of the table with that first line."""
    table = TEXT.partition(f"{head}\n")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[1:]]


WHO = [who for who, _ in rows("| Who | What they can try |")]
PROMISES = rows("| From | Promise | Test |")


@pytest.mark.parametrize("row", PROMISES, ids=[promise[1] for promise in PROMISES])
def test_a_promise_has_tests(row: list[str]):
    """So a test that is renamed or removed takes its promise along."""
    who, _, tests = row

    assert who in WHO
    assert TEST.sub("", tests).replace(",", "").strip() == ""
    named = TEST.findall(tests)
    assert named
    for name, file in named:
        defined = [node.name for node in ast.walk(ast.parse((PROJECT / file).read_text("utf-8"))) if is_test(node)]
        assert name in defined, f"{file} has no {name}"


def is_test(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")


def test_each_of_the_threat_model_is_answered_by_promises():
    assert sorted(WHO) == sorted({promise[0] for promise in PROMISES})


def test_its_links_lead_somewhere():
    assert [path for path in re.findall(r"\]\((?!http)([^)#]+)", TEXT) if not (PROJECT / path).exists()] == []
