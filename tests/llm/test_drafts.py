"""What there is of an object while its JSON arrives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NotRequired, TypeVar, get_args, get_origin

import pytest
from fuzzing import examples
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    TypeAdapter,
    WithJsonSchema,
    create_model,
    field_validator,
    model_validator,
)
from typing_extensions import TypedDict

from mojentic_nb.llm.structured import MISSING, AnswerType, Drafts

T = TypeVar("T")


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str
    born: date


class Tree(BaseModel):
    label: str
    kids: list[Tree] = []


class Page(BaseModel, Generic[T]):
    rows: list[T]


class Pet(RootModel[Cat | Dog]):
    """Either."""


class Names(RootModel[list[str]]):
    """Some."""


@dataclass
class Point:
    x: int
    y: int = 0
    tags: list[str] = field(default_factory=list)


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=True)
    first: str = Field(alias="firstName")
    second: str = Field(validation_alias=AliasChoices("secondName", AliasPath("names", 1)))


class Strict(BaseModel):
    """One whose own code does not expect that anything is missing."""

    start: int
    end: int

    @field_validator("start")
    @classmethod
    def _positive(cls, start: int) -> int:
        return start + 0

    @model_validator(mode="after")
    def _ordered(self) -> Strict:
        if self.start > self.end:
            raise ValueError("it ends before it starts")
        return self


class Sour(BaseModel):
    """One that breaks when a field is missing."""

    n: int
    m: int

    def model_post_init(self, _: Any) -> None:
        self.n + self.m


class SourNames(RootModel[list[int]]):
    def model_post_init(self, _: Any) -> None:
        self.root[0]


class Tripping(Enum):
    A = "a"

    @classmethod
    def _missing_(cls, value: object) -> Tripping:
        raise KeyError(value)


DRAFTS = {
    "nothing": (Cat, "", None),
    "not JSON yet": (Cat, "Here you", None),
    "its beginning": (Dog, "{", Dog.model_construct(kind=None, name=None, born=None)),
    "a text that grows": (Dog, '{"name": "Re', Dog.model_construct(kind=None, name="Re", born=None)),
    "half a date": (Dog, '{"born": "2020-0', Dog.model_construct(kind=None, name=None, born=None)),
    "a default": (Cat, '{"kind": "cat"', Cat.model_construct(kind="cat", lives=9)),
    "half a tag": (Cat, '{"kind": "ca', Cat.model_construct(kind=None, lives=9)),
    "something else than text": (Dog, '{"name": 5', Dog.model_construct(kind=None, name=None, born=None)),
    "something else than an object": (Page[Cat], '{"rows": [5', Page[Cat].model_construct(rows=[])),
    "something else than a list": (Page[Cat], '{"rows": 5', Page[Cat].model_construct(rows=None)),
    "a list": (list[int], '{"value": [1, 2', [1, 2]),
    "a list with nothing around": (list[int], "[1, 2", [1, 2]),
    "a list of nothing around yet": (list[int], '{"val', None),
    "a list in prose": (list[int], "Sure: [1, 2", [1, 2]),
    "something else than JSON": (list[int], "[see", None),
    "a list where a text should be": (str, "[1", None),
    "a set": (set[str], '{"value": ["a", "a", "b', {"a", "b"}),
    "a set of what is in none": (set[Color | dict[str, str]], '{"value": ["red", {', None),
    "a frozen set": (frozenset[int], "[1", frozenset({1})),
    "a tuple": (tuple[int, ...], "[1, 2", (1, 2)),
    "a tuple of fixed length": (tuple[int, str], "[1", None),
    "a sequence": (Sequence[int], "[1, 2", [1, 2]),
    "a dictionary": (dict[str, int], '{"a": 1, "b": 2', {"a": 1, "b": 2}),
    "a mapping": (Mapping[str, date], '{"a": "2020-01-02", "b": "2020', {"a": date(2020, 1, 2)}),
    "something else than a dictionary": (list[dict[str, int]], "[5", []),
    "anything": (list[Any], '[1, "a", {"b": [', [1, "a", {"b": []}]),
    "an enumeration": (list[Color], '["red", "bl', [Color.RED]),
    "a constraint": (Annotated[list[Annotated[str, Field(min_length=9)]], Field(min_length=3)], '["a', ["a"]),
    "code of its own that breaks": (list[Tripping], '["a", "b', [Tripping.A]),
    "a union of texts and numbers": (list[int | str], '["12", 12', ["12", 12]),
    "the tags decide": (list[Cat | Dog], '[{"kind": "dog', [Dog.model_construct(kind="dog", name=None, born=None)]),
    "half a tag decides nothing": (list[Cat | Dog], '[{"kind": "do', []),
    "the fields decide": (list[Cat | Dog], '[{"name": "R', [Dog.model_construct(kind=None, name="R", born=None)]),
    "an optional one": (list[Tree | None], '[null, {"label": "a', [None, Tree.model_construct(label="a", kids=[])]),
    "a model in itself": (
        Tree,
        '{"label": "a", "kids": [{"label": "b',
        Tree.model_construct(label="a", kids=[Tree.model_construct(label="b", kids=[])]),
    ),
    "a union in a root": (Pet, '{"kind": "cat"', Pet.model_construct(Cat.model_construct(kind="cat", lives=9))),
    "roots in a union": (
        list[Names | Pet],
        '[["a"], {"kind": "cat"',
        [Names.model_construct(["a"]), Pet.model_construct(Cat.model_construct(kind="cat", lives=9))],
    ),
    "a list in a root": (Names, '["a", "b', Names.model_construct(["a", "b"])),
    "a dataclass": (Point, '{"x": 1', Point(1, 0, [])),
    "a dataclass that waits": (Point, '{"tags": ["a', Point(None, 0, ["a"])),
    "a TypedDict": (Movie, '{"title": "A', {"title": "A"}),
    "aliases": (
        Aliased,
        '{"firstName": "A", "secondName": "B',
        Aliased.model_construct(first="A", second="B"),
    ),
    "names in place of aliases": (Aliased, '{"first": "A', Aliased.model_construct(first="A", second=None)),
    "validators of its own": (Strict, '{"start": 5, "end": 1', Strict.model_construct(start=5, end=1)),
    "one that breaks": (Sour, '{"n": 1', None),
    "a root that breaks": (SourNames, "[", None),
    "more than the JSON": (Cat, '```json\n{"kind": "cat"}\n```', Cat(kind="cat")),
}


@pytest.mark.parametrize(("kind", "text", "expected"), DRAFTS.values(), ids=DRAFTS.keys())
def test_what_there_is_of_it(kind: Any, text: str, expected: object):
    draft = AnswerType(kind).draft(text)

    assert draft == expected
    assert type(draft) is type(expected)


def test_which_fields_have_arrived():
    assert AnswerType(Dog).draft('{"name": "Rex", "born": "2').model_fields_set == {"name"}


class Opaque:
    """A type that pydantic knows nothing of."""


class Holder(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    n: int
    it: Annotated[Opaque | None, WithJsonSchema({"type": "string"})] = None


def test_a_field_of_a_type_of_which_nothing_is_known():
    assert AnswerType(Holder).draft('{"n": 1, "it": "a') == Holder(n=1)


def test_a_type_that_is_not_found_where_it_is_named():
    @dataclass
    class Local:
        n: Hidden  # noqa: F821

    assert Drafts().of(Local)({"n": 1}) is MISSING


def test_what_has_not_changed_is_the_same_object():
    answer = AnswerType(list[Tree])

    first = answer.draft('[{"label": "a"}, {"label": "b')
    second = answer.draft('[{"label": "a"}, {"label": "bc"}')
    third = answer.draft('[{"label": "x"}')

    assert second[0] is first[0]
    assert (first[1].label, second[1].label) == ("b", "bc")
    assert [tree.label for tree in third] == ["x"]


LEAVES = st.sampled_from([int, str, bool, float, date, Decimal, Color, Literal["a", "b"], Cat, Dog, Tree, Point, Movie])
TYPES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda kind: list[kind]),
        inner.map(lambda kind: dict[str, kind]),
        inner.map(lambda kind: kind | None),
        inner.map(lambda kind: tuple[kind, ...]),
        st.tuples(inner, inner).map(lambda kinds: kinds[0] | kinds[1]),
        st.dictionaries(st.sampled_from(["one", "two", "three"]), inner, min_size=1, max_size=3).map(
            lambda fields: create_model("Made", **{name: (kind, ...) for name, kind in fields.items()})
        ),
    ),
    max_leaves=4,
)
ANY_TYPE = TYPES.flatmap(lambda kind: st.tuples(st.just(kind), values_of(kind)))


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of the type, also of a model."""
    arguments = get_args(kind)
    if kind is Decimal:
        return st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-9999, max_value=9999)
    if kind is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if kind is Tree:
        return st.builds(Tree, label=st.text(), kids=st.lists(st.builds(Tree, label=st.text()), max_size=2))
    if isinstance(kind, type) and not arguments and issubclass(kind, BaseModel):
        return st.builds(kind, **{name: values_of(each.annotation) for name, each in kind.model_fields.items()})
    if get_origin(kind) is list:
        return st.lists(values_of(arguments[0]), max_size=3)
    if get_origin(kind) is tuple:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if get_origin(kind) is dict:
        return st.dictionaries(st.text(), values_of(arguments[1]), max_size=3)
    if arguments and get_origin(kind) is not Literal:
        return st.one_of(*map(values_of, arguments))
    return st.from_type(kind)


@examples(100)
@given(ANY_TYPE)
def test_every_beginning_of_an_answer_has_a_draft_and_the_whole_is_the_value(case: tuple[Any, Any]):
    kind, value = case
    answer = AnswerType(kind)
    made = answer.model(value=value) if answer.model.__name__ == answer.name and answer._field == "value" else None
    text = made.model_dump_json(by_alias=True) if made else TypeAdapter(kind).dump_json(value).decode()

    for end in range(len(text)):
        answer.draft(text[:end])

    assert answer.read(text) == TypeAdapter(kind).validate_json(TypeAdapter(kind).dump_json(value))
