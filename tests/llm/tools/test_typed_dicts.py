"""`typing.TypedDict`, which pydantic refuses on Python 3.11, as a parameter of a tool and as an answer."""

from __future__ import annotations

import json
import typing
from typing import Annotated, Any, Generic, Literal, NotRequired, Required, TypedDict, TypeVar

import pytest
from pydantic import ConfigDict, TypeAdapter

from mojentic_nb.llm import LLMBroker, LLMMessage, tool
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.llm.typed_dicts import replace_typed_dicts

T = TypeVar("T")


class Point(TypedDict):
    """A place."""

    x: int
    y: NotRequired[int]


class Tree(TypedDict, total=False):
    __pydantic_config__ = ConfigDict(extra="forbid")
    name: Required[str]
    points: list[Point] | None
    children: list[Tree]


class Pair(TypedDict, Generic[T]):
    first: T


POINT = {
    "type": "object",
    "title": "Point",
    "description": "A place.",
    "properties": {"x": {"title": "X", "type": "integer"}, "y": {"title": "Y", "type": "integer"}},
    "required": ["x"],
}
REFERENCE = {"$ref": "#/$defs/Point"}


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (Point, POINT),
        (Annotated[Point, "where"], POINT),
        (list[Point], {"type": "array", "items": REFERENCE}),
        (typing.List[Point], {"type": "array", "items": REFERENCE}),  # noqa: UP006 (another form of the same)
        (Point | None, {"anyOf": [REFERENCE, {"type": "null"}]}),
        (dict[str, Point], {"type": "object", "additionalProperties": REFERENCE}),
        (int, {"type": "integer"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Annotated[int, "how many"], {"type": "integer"}),
        (Literal["Point"], {"const": "Point", "type": "string"}),
    ],
)
def test_a_hint_with_a_typed_dict_has_a_schema(hint: Any, schema: dict):
    made = TypeAdapter(replace_typed_dicts(hint)).json_schema()

    assert {name: value for name, value in made.items() if name != "$defs"} == schema


@pytest.mark.parametrize("hint", [int, list[int], Annotated[int, "x"], Literal[1], Pair[int]])
def test_a_hint_without_one_stays_as_it_is(hint: Any):
    assert replace_typed_dicts(hint) is hint


def test_a_typed_dict_is_a_tools_parameter_and_may_contain_itself():
    def plant(tree: Tree):
        return tree

    made = tool(plant)

    tree = {"name": "oak", "points": [{"x": "1"}], "children": [{"name": "acorn"}]}
    assert made.run(tree=tree) == {"name": "oak", "points": [{"x": 1}], "children": [{"name": "acorn"}]}
    for wrong in ({"children": []}, {"name": "oak", "children": [{}]}, {"name": "oak", "fruit": 3}):
        with pytest.raises(ValueError, match="tree"):
            made.run(tree=wrong)


@pytest.mark.parametrize(("kind", "said"), [(Point, {"x": 1}), (list[Point], [{"x": 1, "y": 2}])])
def test_an_answer_may_be_a_typed_dict(kind: Any, said: object):
    broker = LLMBroker("a-model", ScriptedGateway([json.dumps(said)]))

    assert broker.generate_object([LLMMessage(content="Where?")], kind) == said
