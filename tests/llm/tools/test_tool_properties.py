"""From a signature to its schema, from the schema to arguments, from the arguments to the call: nothing is lost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any, Literal

from fuzzing import examples
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from mojentic_nb.llm import LLMBroker, LLMMessage, LLMToolCall, StepFinish, ToolCallEnd, ToolResult, tool
from mojentic_nb.llm.gateways import ScriptedGateway


class Color(Enum):
    red = "r"
    blue = 2


class Place(BaseModel):
    city: str
    tags: list[str] = []


@dataclass
class Stay:
    place: Place
    nights: int | None


class Tree(BaseModel):
    name: str
    children: dict[str, Tree] = {}


TEXTS = st.text(st.characters(codec="utf-8"), max_size=5)
INTEGERS = st.integers(-(2**53), 2**53)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
PLACES = st.builds(Place, city=TEXTS, tags=st.lists(TEXTS, max_size=2))
TREES = st.recursive(
    st.builds(Tree, name=TEXTS),
    lambda trees: st.builds(Tree, name=TEXTS, children=st.dictionaries(TEXTS, trees, max_size=2)),
    max_leaves=3,
)
# A hint, and values that it allows.
SCALARS: list[tuple[Any, st.SearchStrategy]] = [
    (int, INTEGERS),
    (float, FLOATS),
    (str, TEXTS),
    (bool, st.booleans()),
    (date, st.dates()),
    (Literal["a", "b"], st.sampled_from("ab")),
    (Color, st.sampled_from(Color)),
]
LEAVES = [
    *SCALARS,
    (Any, st.none() | st.integers(0, 9) | TEXTS | st.lists(TEXTS, max_size=2)),
    (Place, PLACES),
    (Stay, st.builds(Stay, PLACES, st.none() | INTEGERS)),
    (Tree, TREES),
]


def grown(kinds: st.SearchStrategy) -> st.SearchStrategy:
    """Kinds of values made of other kinds."""
    return st.one_of(
        kinds.map(lambda kind: (list[kind[0]], st.lists(kind[1], max_size=3))),
        kinds.map(lambda kind: (dict[str, kind[0]], st.dictionaries(TEXTS, kind[1], max_size=3))),
        kinds.map(lambda kind: (kind[0] | None, st.none() | kind[1])),
        st.tuples(kinds, kinds).map(lambda two: (tuple[two[0][0], two[1][0]], st.tuples(two[0][1], two[1][1]))),
        st.sampled_from(SCALARS[:4]).map(lambda kind: (set[kind[0]], st.sets(kind[1], max_size=3))),
    )


KINDS = st.recursive(st.sampled_from(LEAVES), grown, max_leaves=3)
NAMES = ["a", "schema", "json", "model_x", "_x", "copy", "self", "ctx", "arguments", "größe", "p1", "name", "function"]


@st.composite
def functions(draw: st.DrawFn) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """A function that returns its arguments, the values to call it with, and those of parameters left out."""
    kinds = draw(st.lists(KINDS, max_size=5))
    names = draw(st.permutations(NAMES))
    only_names = sorted(draw(st.lists(st.booleans(), min_size=len(kinds), max_size=len(kinds))))
    positional = draw(st.integers(0, only_names.count(False)))
    optional = draw(st.integers(0, len(kinds)))  # the parameters from there on have defaults
    scope: dict[str, Any] = {}
    given: dict[str, Any] = {}
    left: dict[str, Any] = {}
    written: list[str] = []
    for number, ((hint, values), name, only_name) in enumerate(zip(kinds, names, only_names, strict=False)):
        scope |= {f"hint{number}": hint, f"default{number}": draw(values)}
        written += ["*"] * (only_name and "*" not in written)
        written.append(f"{name}: hint{number}" + f" = default{number}" * (number >= optional))
        written += ["/"] * (number + 1 == positional)
        if number >= optional and draw(st.booleans()):
            left[name] = scope[f"default{number}"]
        else:
            given[name] = draw(values)
    exec(f"def function({', '.join(written)}): return locals()", scope)  # noqa: S102 (our own text)
    return scope["function"], given, left


@given(functions())
@examples(100)
def test_a_function_gets_what_its_schema_allows(drawn: tuple[Any, dict[str, Any], dict[str, Any]]):
    function, values, left = drawn
    made = tool(function)
    said = json.loads(json.dumps(to_jsonable_python(values)))

    schema = json.loads(json.dumps(made.descriptor["function"]["parameters"], allow_nan=False))
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(said)

    assert made.run(**said) == {**values, **left}


def instances(schema: dict[str, Any]) -> st.SearchStrategy:
    """What a model that follows `schema` says."""
    match schema:
        case {"anyOf": parts}:
            return st.one_of([instances(part) for part in parts])
        case {"enum": values}:
            return st.sampled_from(values)
        case {"type": "string", "format": "date"}:
            return st.dates().map(date.isoformat)
        case {"prefixItems": parts}:
            return st.tuples(*map(instances, parts)).map(list)
        case {"type": "array", "items": part, **others}:
            unique = "uniqueItems" in others  # a set, which is sorted in `plain`
            return st.lists(instances(part), max_size=3, unique=unique).map(sorted if unique else list)
        case {"type": "object", "properties": parts, **others}:
            required = {name: instances(parts[name]) for name in others.get("required", [])}
            optional = {name: instances(part) for name, part in parts.items() if name not in required}
            return st.fixed_dictionaries(required, optional=optional)
        case {"type": "object", "additionalProperties": part}:
            return st.dictionaries(TEXTS, instances(part), max_size=3)
        case {"type": kind}:
            return {
                "string": TEXTS,
                "integer": INTEGERS,
                "number": FLOATS,
                "boolean": st.booleans(),
                "null": st.none(),
            }[kind]
    return st.none() | TEXTS | st.lists(INTEGERS, max_size=2)


LIKE_JSON = st.recursive(st.sampled_from([kind for kind in LEAVES if kind[0] is not Tree]), grown, max_leaves=3)


def plain(value: object) -> object:
    """`value` as JSON has it; of what a model left out, nothing is said."""
    if isinstance(value, set):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in value.model_fields_set}
    if isinstance(value, Stay):
        return {"place": plain(value.place), "nights": value.nights}
    return to_jsonable_python(value)


@given(LIKE_JSON, st.data())
@examples(100)
def test_a_function_takes_whatever_its_schema_allows(kind: tuple[Any, st.SearchStrategy], data: st.DataObject):
    def function(value):
        return value

    function.__annotations__ = {"value": kind[0]}
    made = tool(function)
    said = data.draw(instances(made.descriptor["function"]["parameters"]))

    got = made.run(**said)

    assert plain(got) == said["value"]


@given(functions())
@examples(50)
def test_a_run_hands_the_arguments_over_as_they_were_said(drawn: tuple[Any, dict[str, Any], dict[str, Any]]):
    function, values, left = drawn
    said = json.loads(json.dumps(to_jsonable_python(values)))
    call = LLMToolCall(id="call_1", name="function", arguments=said)
    broker = LLMBroker("a-model", ScriptedGateway([[ToolCallEnd(call), StepFinish("tool_calls")], "Done."]))

    events = list(broker.stream([LLMMessage(content="Go.")], [function]))

    assert [event.display for event in events if isinstance(event, ToolResult)] == [{**values, **left}]
    assert call.arguments == said
