"""The schemas that providers are sent, for what pydantic writes and what callers do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any, Literal

import jsonschema
import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel

from mojentic_nb.llm.gateways.wire.schemas import ANTHROPIC, OPENAI, translate
from mojentic_nb.llm.request import rooted

TEXT = {"type": "string"}
INTEGER = {"type": "integer"}


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(default=9, ge=1, le=9)


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str | None = Field(default=None, max_length=20)


class Zoo(BaseModel):
    """What lives here."""

    star: Cat | Dog = Field(discriminator="kind", description="The one to see.")
    coat: Color = Field(description="Of the star.")
    price: Decimal
    opened: date
    mail: str = Field(json_schema_extra={"format": "idn-email"})
    names: list[str] = Field(min_length=1, max_length=5)


class Tree(BaseModel):
    label: str
    kids: list[Tree] = []


class Even(BaseModel):
    odd: Odd | None = None


class Odd(BaseModel):
    even: Even | None = None


def an_object(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    """A closed object."""
    required = list(properties) if required is None else required
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def around(node: object) -> dict[str, Any]:
    """An object with `node` in it."""
    return {"type": "object", "properties": {"it": node}, "required": ["it"]}


NODES = {
    "a text": (TEXT, TEXT, TEXT),
    "a limit that one knows": (
        {**INTEGER, "minimum": 1},
        {**INTEGER, "minimum": 1},
        {**INTEGER, "description": "{minimum: 1}"},
    ),
    "a limit that none knows": (
        {**TEXT, "maxLength": 5, "description": "A name."},
        *([{**TEXT, "description": "A name.\n\n{maxLength: 5}"}] * 2),
    ),
    "a format": ({**TEXT, "format": "date"}, {**TEXT, "format": "date"}, {**TEXT, "format": "date"}),
    "a format that one knows": (
        {**TEXT, "format": "uri"},
        {**TEXT, "description": '{format: "uri"}'},
        {**TEXT, "format": "uri"},
    ),
    "a pattern": (
        {**TEXT, "pattern": "^a+$"},
        {**TEXT, "pattern": "^a+$"},
        {**TEXT, "description": '{pattern: "^a+$"}'},
    ),
    "a pattern that looks ahead": (
        {**TEXT, "pattern": "^(?!a)"},
        *([{**TEXT, "description": '{pattern: "^(?!a)"}'}] * 2),
    ),
    "a default": ({**INTEGER, "default": 3}, *([{**INTEGER, "description": "{default: 3}"}] * 2)),
    "no default to speak of": ({**INTEGER, "default": None}, INTEGER, INTEGER),
    "a list": (
        {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 2},
        {"type": "array", "items": TEXT, "minItems": 1, "maxItems": 2},
        {"type": "array", "items": TEXT, "minItems": 1, "description": "{maxItems: 2}"},
    ),
    "a long list": (
        {"type": "array", "items": TEXT, "minItems": 2},
        {"type": "array", "items": TEXT, "minItems": 2},
        {"type": "array", "items": TEXT, "description": "{minItems: 2}"},
    ),
    "a list of no fixed kind": ({"type": "array"}, None, None),
    "a list of anything": ({"type": "array", "items": {}}, None, None),
    "a tuple": ({"type": "array", "prefixItems": [TEXT], "items": False}, None, None),
    "a choice": ({**TEXT, "enum": ["a", "b"]}, *([{**TEXT, "enum": ["a", "b"]}] * 2)),
    "a choice of kinds": ({"enum": ["a", 1]}, {"enum": ["a", 1]}, {"enum": ["a", 1]}),
    "a constant": ({**TEXT, "const": "a"}, *([{**TEXT, "const": "a"}] * 2)),
    "a union": ({"anyOf": [TEXT, INTEGER]}, *([{"anyOf": [TEXT, INTEGER]}] * 2)),
    "a union with tags": (
        {"oneOf": [TEXT, INTEGER], "discriminator": {"propertyName": "x"}, "title": "T"},
        *([{"anyOf": [TEXT, INTEGER], "title": "T"}] * 2),
    ),
    "several types": (
        {"type": ["string", "null"], "description": "A name."},
        *([{"anyOf": [TEXT, {"type": "null"}], "description": "A name."}] * 2),
    ),
    "one of all": ({"allOf": [TEXT], "title": "T"}, *([{**TEXT, "title": "T"}] * 2)),
    "all of two": ({"allOf": [TEXT, {"maxLength": 5}]}, None, None),
    "an object": (around(TEXT), an_object(it=TEXT), an_object(it=TEXT)),
    "an optional property": (
        {"type": "object", "properties": {"a": TEXT, "b": INTEGER}, "required": ["b"]},
        an_object(a=TEXT, b=INTEGER),
        an_object(["b"], a=TEXT, b=INTEGER),
    ),
    "an object that may have more": (
        {**around(TEXT), "additionalProperties": True},
        an_object(it=TEXT),
        an_object(it=TEXT),
    ),
    "free keys": ({"type": "object", "additionalProperties": INTEGER}, None, None),
    "free keys beside others": ({**around(TEXT), "additionalProperties": INTEGER}, None, None),
    "an object of no fixed kind": ({"type": "object", "additionalProperties": True}, None, None),
    "anything": ({}, None, None),
    "anything, in a word": (True, None, None),
}


@pytest.mark.parametrize(("node", "openai", "anthropic"), NODES.values(), ids=NODES.keys())
def test_what_is_made_of_it(node: object, openai: dict | None, anthropic: dict | None):
    """Where a provider has no words for a part, it has none for the whole."""
    for dialect, expected in ((OPENAI, openai), (ANTHROPIC, anthropic)):
        assert translate(around(node), dialect) == (None if expected is None else an_object(it=expected))


def test_nothing_stands_beside_a_reference():
    """OpenAI refuses the schema else; a title is no loss, a description is."""
    inside = {"plain": {"$ref": "#/$defs/Cat", "title": "It"}, "told": {"$ref": "#/$defs/Cat", "description": "A cat."}}
    schema = {"$defs": {"Cat": TEXT}, "type": "object", "properties": inside}

    cat = {"$ref": "#/$defs/Cat"}
    assert translate(schema, OPENAI)["properties"] == {"plain": cat, "told": {"anyOf": [cat], "description": "A cat."}}


@pytest.mark.parametrize("model", [Tree, Even])
def test_a_model_that_holds_itself(model: type[BaseModel]):
    schema = rooted(model.model_json_schema())

    assert schema["type"] == "object"
    assert translate(schema, OPENAI)["$defs"].keys() == schema["$defs"].keys()
    assert translate(schema, ANTHROPIC) is None


def test_a_root_that_refers_to_nothing_stays():
    assert rooted({"$ref": "https://example.org/it"}) == {"$ref": "https://example.org/it"}


def test_the_schema_that_is_given_is_not_changed():
    schema, same = Zoo.model_json_schema(), Zoo.model_json_schema()

    translate(schema, OPENAI)
    translate(schema, ANTHROPIC)

    assert schema == same


KEYWORDS = {
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "anyOf",
    "enum",
    "const",
    "$ref",
    "$defs",
}
ABOUT = {"title", "description"}


@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
def test_a_large_model_in_words_that_the_provider_knows(dialect):
    schema = translate(rooted(Zoo.model_json_schema()), dialect)

    def check(node: dict[str, Any]) -> None:
        assert node.keys() <= KEYWORDS | ABOUT | dialect.keywords | {"format", "minItems"}
        if node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert not dialect.all_required or node["required"] == list(node["properties"])
        for each in [*node.get("$defs", {}).values(), *node.get("properties", {}).values(), *node.get("anyOf", ())]:
            check(each)
        if "items" in node:
            check(node["items"])

    check(schema)
    jsonschema.Draft202012Validator.check_schema(schema)
    answer = {
        "star": {"kind": "cat", "lives": 3},
        "coat": "red",
        "price": "3.50",
        "opened": "1874-07-01",
        "mail": "a@example.org",
        "names": ["Tom"],
    }
    jsonschema.validate(answer, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**answer, "coat": "green"}, schema)


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str


@dataclass
class Point:
    x: int
    y: int = 0


@pytest.mark.parametrize("model", [Open, RootModel[Point]])
def test_other_models(model: type[BaseModel]):
    schema = translate(rooted(model.model_json_schema()), OPENAI)

    assert schema["additionalProperties"] is False
    assert schema["required"] == list(schema["properties"])
