"""Functions as tools: what the model is told of them, and what they are given of what it says."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import math
import typing
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, Optional, Union

import pydantic
import pytest
import typing_extensions
from driving import BOTH, begin, events_of
from hints import IMPORTS, define
from pydantic import BaseModel, ConfigDict, Field, field_validator
from typing_extensions import TypedDict
from weather import Weather

from mojentic_nb.llm import (
    Finish,
    LLMBroker,
    LLMMessage,
    LLMToolCall,
    StepFinish,
    TextDelta,
    ToolCallEnd,
    ToolProgress,
    ToolResult,
    tool,
)
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.llm.tools import FunctionTool

QUESTION = [LLMMessage(content="What is it?")]


def calling(name: str, **arguments) -> list:
    """The script's step in which the model calls a tool."""
    return [ToolCallEnd(LLMToolCall(id="call_1", name=name, arguments=arguments)), StepFinish("tool_calls")]


def answered(function, *, how: str = "sync", **arguments) -> list:
    """What running tools yields when the model calls that function."""
    name = function.name if isinstance(function, FunctionTool) else function.__name__
    broker = LLMBroker("a-model", ScriptedGateway([calling(name, **arguments), "Done."]))
    events = events_of(begin(broker, how, QUESTION, [function]))
    return [event for event in events if isinstance(event, ToolProgress | ToolResult)]


class Unit(Enum):
    celsius = "C"
    kelvin = "K"


class Place(BaseModel):
    """Where it is."""

    city: str
    country: str = Field("FR", description="two letters")


@dataclass
class Range:
    start: date
    days: int = 1


class Box(TypedDict):
    size: int


class Point(NamedTuple):
    x: int
    y: int


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    day: date
    count: int


PLACE = {
    "description": "Where it is.",
    "title": "Place",
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "country": {"type": "string", "default": "FR", "description": "two letters"},
    },
    "required": ["city"],
}
RANGE = {
    "title": "Range",
    "type": "object",
    "properties": {"start": {"type": "string", "format": "date"}, "days": {"type": "integer", "default": 1}},
    "required": ["start"],
    **({"additionalProperties": False} if pydantic.VERSION >= "2.14.1" else {}),  # it was left out of a dataclass
}
BOX = {
    "title": "Box",
    "type": "object",
    "properties": {"size": {"type": "integer"}},
    "required": ["size"],
    "additionalProperties": False,
}
INTEGER, STRING, NULL = {"type": "integer"}, {"type": "string"}, {"type": "null"}


# The hint of a parameter, and its schema.
HINTS = [
    (int, INTEGER),
    (float, {"type": "number"}),
    (str, STRING),
    (bool, {"type": "boolean"}),
    (None, NULL),
    (Any, {}),
    (object, {}),
    (list, {"type": "array", "items": {}}),
    (list[int], {"type": "array", "items": INTEGER}),
    (dict[str, int], {"type": "object", "additionalProperties": INTEGER}),
    (set[int], {"type": "array", "items": INTEGER, "uniqueItems": True}),
    (tuple[int, str], {"type": "array", "prefixItems": [INTEGER, STRING], "minItems": 2, "maxItems": 2}),
    (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
    (Unit, {"title": "Unit", "type": "string", "enum": ["C", "K"]}),
    (int | str, {"anyOf": [INTEGER, STRING]}),
    (Optional[int], {"anyOf": [INTEGER, NULL]}),  # noqa: UP045
    (Union[int, None], {"anyOf": [INTEGER, NULL]}),  # noqa: UP007
    (date, {"type": "string", "format": "date"}),
    (timedelta, {"type": "string", "format": "duration"}),
    (Place, PLACE),
    (list[Place], {"type": "array", "items": PLACE}),
    (Range, RANGE),
    (Box, BOX),
    (Annotated[int, "in days"], {**INTEGER, "description": "in days"}),
    (Annotated[int, Field(ge=1, description="in days")], {**INTEGER, "minimum": 1, "description": "in days"}),
    (Annotated[int, "text", Field(description="field")], {**INTEGER, "description": "field"}),
    (Annotated[int, Field(alias="y")], INTEGER),
]


@pytest.mark.parametrize(("hint", "schema"), HINTS, ids=[str(hint) for hint, _ in HINTS])
def test_a_hint_becomes_a_schema(hint: Any, schema: dict):
    def function(value): ...

    function.__annotations__ = {"value": hint}

    assert tool(function).descriptor["function"]["parameters"] == {
        "type": "object",
        "properties": {"value": schema},
        "required": ["value"],
        "additionalProperties": False,
    }


def no_parameters(): ...


def unannotated(a, b=2): ...


def optional(a: int | None = None, b: int = None): ...  # noqa: RUF013 (people write it)


def defaults(day: date = date(2026, 12, 24), unit: Unit = Unit.kelvin, places: list[Place] = [Place(city="x")]): ...  # noqa: B006, B008


def unsayable(a: int = math.nan, b=object(), c=print): ...  # noqa: B008


def kinds(a: int, /, b: int, *, c: int): ...


def rest(a: int, **others: int): ...


def in_field(a: Annotated[int, Field(default=3)]): ...


# A function, its parameters' schemas, and which are required.
SIGNATURES = [
    (no_parameters, {}, None),
    (unannotated, {"a": {}, "b": {"default": 2}}, ["a"]),
    (optional, {name: {"anyOf": [INTEGER, NULL], "default": None} for name in "ab"}, None),
    (
        defaults,
        {
            "day": {"type": "string", "format": "date", "default": "2026-12-24"},
            "unit": {"title": "Unit", "type": "string", "enum": ["C", "K"], "default": "K"},
            "places": {"type": "array", "items": PLACE, "default": [{"city": "x", "country": "FR"}]},
        },
        None,
    ),
    (unsayable, {"a": INTEGER, "b": {}, "c": {}}, None),
    (kinds, {"a": INTEGER, "b": INTEGER, "c": INTEGER}, ["a", "b", "c"]),
    (in_field, {"a": {**INTEGER, "default": 3}}, None),
]


@pytest.mark.parametrize(("function", "properties", "required"), SIGNATURES)
def test_a_signature_becomes_a_schema(function, properties: dict, required: list | None):
    schema = tool(function).descriptor["function"]["parameters"]

    assert schema["properties"] == properties
    assert schema.get("required") == required
    assert schema["additionalProperties"] is False
    json.dumps(schema, allow_nan=False)


@pytest.mark.parametrize(
    ("hint", "schema"),
    [(Any, True), (int, {"type": "integer"}), (typing.Unpack[dict], True), (typing_extensions.Unpack[dict], True)],
)
def test_other_arguments_are_let_through_to_a_function_that_takes_them(hint: Any, schema: object):
    def function(a: int, **others):
        return a, others

    function.__annotations__["others"] = hint
    made = tool(function)

    assert made.descriptor["function"]["parameters"]["additionalProperties"] == schema
    assert made.run(a=1, b=2, p0=3) == (1, {"b": 2, "p0": 3})


def test_other_arguments_are_checked_and_described():
    def function(**others: int):
        """Add.

        Args:
            others: numbers by name
        """
        return others

    def unchecked(**others):
        """Keep.

        Args:
            others: whatever there is
        """

    made = tool(function)
    others = [each.descriptor["function"]["parameters"]["additionalProperties"] for each in (made, tool(unchecked))]

    assert others == [{"type": "integer", "description": "numbers by name"}, {"description": "whatever there is"}]
    assert made.run(a="1", b=2) == {"a": 1, "b": 2}
    with pytest.raises(ValueError, match=r'^a should be a valid integer, .* got "one"'):
        made.run(a="one")


def test_a_model_that_has_itself_inside_keeps_its_definition():
    def plant(tree: Tree, unit: Unit):
        return tree

    schema = tool(plant).descriptor["function"]["parameters"]

    assert schema["properties"]["tree"] == {"$ref": "#/$defs/Tree"}
    assert set(schema["$defs"]) == {"Tree", "Unit"}
    grown = tool(plant).run(tree={"name": "a", "children": [{"name": "b"}]}, unit="K")
    assert grown == Tree(name="a", children=[Tree(name="b")])


def test_a_union_told_apart_by_a_field_refers_to_nothing_that_is_not_there():
    class Cat(BaseModel):
        kind: Literal["cat"]

    class Dog(BaseModel):
        kind: Literal["dog"]

    def feed(pet: Annotated[Cat | Dog, Field(discriminator="kind")], discriminator: int = 0):
        return pet

    schema = tool(feed).descriptor["function"]["parameters"]

    assert [pet["title"] for pet in schema["properties"]["pet"]["oneOf"]] == ["Cat", "Dog"]
    assert schema["properties"]["discriminator"] == {**INTEGER, "default": 0}
    assert "$defs" not in json.dumps(schema)
    assert tool(feed).run(pet={"kind": "dog"}) == Dog(kind="dog")


def test_any_name_will_do_for_a_parameter():
    def function(self, schema: int, json, model_x, _x, copy, p0, ctx, function, name, *, arguments=1):  # noqa: PLR0917
        return self, schema, json, model_x, _x, copy, p0, ctx, function, name, arguments

    names = list(inspect.signature(function).parameters)

    made = tool(function)

    assert list(made.descriptor["function"]["parameters"]["properties"]) == names
    assert made.run(**{name: number for number, name in enumerate(names)}) == tuple(range(len(names)))


COERCED = [
    (int, "5", 5),
    (float, 3, 3.0),
    (str, 75001, "75001"),
    (int | str, "5", "5"),
    (int | str, 5, 5),
    (bool, "yes", True),
    (date, "2026-12-24", date(2026, 12, 24)),
    (Decimal, "1.5", Decimal("1.5")),
    (timedelta, "P1D", timedelta(days=1)),
    (bytes, "ab", b"ab"),
    (set[int], [1, 2, 1], {1, 2}),
    (tuple[int, ...], ["1", 2], (1, 2)),
    (Unit, "K", Unit.kelvin),
    (Place, {"city": "Nice"}, Place(city="Nice")),
    (Range, {"start": "2026-12-24"}, Range(date(2026, 12, 24))),
    (Point, [1, 2], Point(1, 2)),
    (Strict, {"day": "2026-12-24", "count": 1}, Strict(day=date(2026, 12, 24), count=1)),
    (str, "\ud800", "\ufffd"),
    (Any, {"a": [1]}, {"a": [1]}),
    (date, date(2026, 12, 24), date(2026, 12, 24)),  # not what a model says, but what a program may
]


@pytest.mark.parametrize(("hint", "said", "meant"), COERCED, ids=[f"{hint} {said!a}" for hint, said, _ in COERCED])
def test_an_argument_comes_as_its_hint_says(hint: Any, said: object, meant: object):
    def function(value):
        return value

    function.__annotations__ = {"value": hint}

    value = tool(function).run(value=said)

    assert value == meant
    assert type(value) is type(meant)


def book(city: str, day: date, nights: int = 1, unit: Literal["a", "b"] = "a", place: Place | None = None): ...


ALL = "The arguments are: city, day, nights, unit, place."
# Arguments of `book`, and what the model is told of them.
WRONG = [
    ({"city": "Nice"}, "day is missing."),
    (
        {"city": "Nice", "day": [1], "nights": [1]},
        "day should be a valid date, got [1]; nights should be a valid integer, got [1].",
    ),
    ({"town": "Nice", "day": "2026-12-24"}, f"city is missing; town is unknown. {ALL}"),
    ({"city": "Nice", "day": "2026-12-24", "unit": "q"}, "unit should be 'a' or 'b', got \"q\"."),
    ({"city": None, "day": "2026-12-24"}, "city should be a valid string, got null."),
    ({"city": "N", "day": "2026-12-24", "place": {"country": "FR"}}, "place.city is missing."),
    ({"city": ["é" * 99], "day": "2026-12-24"}, f'city should be a valid string, got ["{"é" * 57}….'),
    (
        {"a": 1, "b": 1, "c": 1, "d": 1},
        f"city is missing; day is missing; a is unknown; b is unknown; c is unknown; and 1 more. {ALL}",
    ),
]


@pytest.mark.parametrize(("arguments", "told"), WRONG)
def test_the_model_is_told_in_one_line_what_is_wrong_with_its_arguments(arguments: dict, told: str):
    with pytest.raises(ValueError, match="^") as caught:
        tool(book).run(**arguments)

    assert str(caught.value) == told


def test_an_unknown_field_is_told_without_the_list_of_arguments():
    def stay(range: Range): ...  # noqa: A002

    with pytest.raises(ValueError, match=r"^range\.hours is unknown\.$"):
        tool(stay).run(range={"start": "2026-12-24", "hours": 1})


def test_a_missing_part_is_told_as_a_missing_argument_is():
    def draw(start: Point): ...

    with pytest.raises(ValueError, match=r"^start\.y is missing\.$"):
        tool(draw).run(start={"x": 1})


def test_a_function_without_parameters_takes_none():
    with pytest.raises(ValueError, match=r"^a is unknown\. The arguments are: none\.$"):
        tool(no_parameters).run(a=1)


def test_a_validators_words_are_passed_on():
    class Even(BaseModel):
        number: int

        @field_validator("number")
        @classmethod
        def even(cls, number: int) -> int:
            if number % 2:
                raise ValueError("must be\neven")
            return number

    def halve(value: Even): ...

    with pytest.raises(ValueError, match=r"^value\.number: Value error, must be even, got 3\.$"):
        tool(halve).run(value={"number": 3})


@pytest.mark.parametrize("how", BOTH)
def test_a_model_mends_its_call_by_what_it_is_told(how: str):
    def weather(city: str, days: int = 1) -> str:
        """Tell the weather."""
        return f"Sunny in {city} for {days} days."

    script = [calling("weather", town="Nice", days="two"), calling("weather", city="Nice", days=2), "It is sunny."]
    gateway = ScriptedGateway(script)
    run = begin(LLMBroker("a-model", gateway), how, QUESTION, [weather])

    results = [event for event in events_of(run) if isinstance(event, ToolResult)]

    assert [result.is_error for result in results] == [True, False]
    assert gateway.requests[1].messages[-1].content == (
        "ValueError: city is missing; town is unknown; days should be a valid integer, unable to parse string as an "
        'integer, got "two". The arguments are: city, days.'
    )
    assert gateway.requests[2].messages[-1].content == "Sunny in Nice for 2 days."
    gateway.assert_complete()


class Adder:
    """Adds."""

    def __call__(self, a: int, b: int = 1) -> int:
        return a + b

    def method(self, a: int, b: int = 1) -> int:
        return a + b

    @classmethod
    def of_class(cls, a: int, b: int = 1) -> int:
        return a + b

    @staticmethod
    def of_none(a: int, b: int = 1) -> int:
        return a + b

    @tool(sequential=True, approval=True, timeout=3)
    def decorated(self, a: int, b: int = 1) -> int:
        """Add them."""
        return a + b


def add(a: int, b: int = 1, *, c: int = 0) -> int:
    return a + b + c


@functools.wraps(add)
def wrapped(*args, **kwargs):
    return add(*args, **kwargs)


CALLABLES = {
    "function": (add, "add"),
    "lambda": (tool(lambda a, b=1: int(a) + b, name="adder"), "adder"),
    "partial": (functools.partial(add, b=1), "add"),
    "partial of a partial": (functools.partial(functools.partial(add, c=0), b=1), "add"),
    "partial of a tool": (functools.partial(tool(add), b=1), "add"),
    "tool of a tool": (tool(tool(add), name="sum"), "sum"),
    "callable object": (Adder(), "Adder"),
    "bound method": (Adder().method, "method"),
    "class method": (Adder.of_class, "of_class"),
    "static method": (Adder.of_none, "of_none"),
    "decorated method": (Adder().decorated, "decorated"),
    "wrapped": (wrapped, "add"),
    "cached": (functools.lru_cache(add), "add"),
}


@pytest.mark.parametrize(("function", "name"), CALLABLES.values(), ids=CALLABLES)
def test_whatever_can_be_called_can_be_a_tool(function, name: str):
    made = tool(function, name=function.name) if isinstance(function, FunctionTool) else tool(function)

    assert made.name == name
    assert made.matches(name)
    assert not made.matches(f"{name}s")
    assert made.run(a=2) == 3
    with pytest.raises(ValueError, match="a is missing"):
        made.run()


def test_a_builtin_can_be_a_tool():
    root = tool(math.sqrt)

    assert root.description == "Return the square root of x."
    assert root.run(x=4) == 2


def test_what_a_partial_fixes_is_not_the_models_to_give():
    fixed = tool(functools.partial(add, 1, b=2))

    assert list(fixed.descriptor["function"]["parameters"]["properties"]) == ["c"]
    assert fixed.run(c=3) == 6


def test_positional_parameters_get_their_own_defaults():
    def function(a=1, b=2, /, c=3):
        return a, b, c

    assert tool(function).run(b=5) == (1, 5, 3)


def test_a_default_is_the_functions_own():
    nothing = object()

    def function(a=nothing):
        return a is nothing

    assert tool(function).run()


def test_a_default_within_the_hint_counts():
    def function(a: Annotated[int, Field(default=3)]):
        return a

    assert tool(function).run() == 3


def test_a_decorated_function_stays_one():
    @tool
    def double(a: int) -> int:
        """Double it."""
        return a * 2

    assert double(4) == 8
    assert double(a=4) == 8
    assert double.__doc__ == "Double it."
    assert str(inspect.signature(double)) == "(a: 'int') -> 'int'"
    assert repr(double) == "FunctionTool(double)"
    assert (double.sequential, double.approval, double.timeout) == (False, False, None)


def test_the_decorator_takes_settings():
    @tool(name="twice", description="Twice as much.", sequential=True, approval=True, timeout=2.5)
    def double(a: int) -> int:
        """Double it."""
        return a * 2

    assert double.descriptor["function"]["name"] == double.name == "twice"
    assert double.descriptor["function"]["description"] == double.description == "Twice as much."
    assert (double.sequential, double.approval, double.timeout) == (True, True, 2.5)


def test_a_decorated_method_is_a_tool_of_its_object():
    adder = Adder()

    assert adder.decorated(1, 2) == 3
    assert adder.decorated.run(a="1", b=2) == 3
    assert list(adder.decorated.descriptor["function"]["parameters"]["properties"]) == ["a", "b"]
    assert adder.decorated.description == "Add them."
    assert (adder.decorated.sequential, adder.decorated.approval, adder.decorated.timeout) == (True, True, 3)
    assert isinstance(Adder.decorated, FunctionTool)


def test_a_tool_that_is_an_attribute_of_a_class_stays_as_it_is():
    class Kit:
        root = tool(math.sqrt)

    assert Kit().root.run(x=4) == 2


def test_descriptions_come_from_the_docstring():
    def weather(city: str, days: Annotated[int, "how many"] = 1):
        """Tell the weather.

        From tomorrow on.

        Args:
            city: where it is
            days: not told, the hint says it
        """

    function = tool(weather).descriptor["function"]

    assert function["description"] == "Tell the weather.\n\nFrom tomorrow on."
    assert function["parameters"]["properties"]["city"] == {"type": "string", "description": "where it is"}
    assert function["parameters"]["properties"]["days"] == {**INTEGER, "description": "how many", "default": 1}


def test_a_callable_objects_own_attributes_are_not_the_tools():
    adder = Adder()
    adder.name, adder.timeout = "own", "never"

    assert (tool(adder).name, tool(adder).timeout) == ("Adder", None)


def test_a_callable_object_is_described_by_its_class():
    assert tool(Adder()).description == "Adds."
    assert tool(add).description == ""


def test_hints_may_name_what_is_local():
    class City(BaseModel):
        name: str

    class Guide:
        def praise(self, city: City) -> str:
            return f"{city.name} is fine"

    def praise(city: list[City]) -> Unknown:  # noqa: F821 (what it returns is not the model's to know)
        return f"{city[0].name} is fine"

    assert [event.output for event in answered(praise, city=[{"name": "Nice"}])] == ["Nice is fine"]
    assert [event.output for event in answered(Guide().praise, city={"name": "Nice"})] == ["Nice is fine"]


def test_hints_may_name_what_the_function_closes_over():
    def factory():
        class City(BaseModel):
            name: str

        def praise(city: City) -> str:
            return f"{City.__name__} {city.name}" if city else praise(city)

        return praise

    assert tool(factory()).run(city={"name": "Nice"}) == "City Nice"


def test_a_function_that_calls_itself_can_be_decorated():
    @tool
    def factorial(n: int) -> int:
        return n * factorial(n - 1) if n else 1

    assert factorial.run(n="4") == 24


@pytest.mark.parametrize("imports", IMPORTS)
def test_hints_may_name_what_is_defined_later(imports: str):
    names = define(imports, "def praise(city: City | None, to: list[City]) -> Unknown: ...")

    with pytest.raises(TypeError, match=r"The hint of 'city' in praise\(\) can't be resolved: NameError: name 'City'"):
        tool(names["praise"])

    names["City"] = int
    assert tool(names["praise"]).run(city="1", to=["2"]) is None


def star(*values: int): ...


def unknown(city: Town): ...  # noqa: F821


def broken(city: "list[") -> None: ...  # noqa: F722


class Connection: ...


def connected(city: str, to: Connection): ...


class Square(BaseModel):
    side: int


class Circle(BaseModel):
    radius: int


def draw(shape: Annotated[Square | Circle, Field(discriminator="kind")]): ...


NO_TOOLS = [
    (star, "star() can't be a tool: a model can't give *values. Use a list instead."),
    (unknown, "The hint of 'city' in unknown() can't be resolved: NameError: name 'Town' is not defined"),
    (broken, "The hint of 'city' in broken() can't be resolved: SyntaxError: "),
    (
        connected,
        f"connected() can't be a tool: JSON can't represent its parameter `to` ({__name__}.Connection). Use another",
    ),
    (draw, "draw() can't be a tool: "),  # in the words of pydantic, which are others in each version
    (max, "The parameters of max() are unknown. Wrap it in a function with type hints."),
    (lambda a: a, "A lambda has no name: give one, as in tool(lambda city: …, name=…)."),
    (Adder, f"{Adder!r} isn't a function, so it can't be a tool."),
    (3, "3 isn't a function, so it can't be a tool."),
]


@pytest.mark.parametrize(("function", "told"), NO_TOOLS)
def test_what_no_model_can_call_is_told_when_the_tool_is_made(function, told: str):
    with pytest.raises(TypeError) as caught:
        tool(function)

    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "größe", "a b", "a" * 65])
def test_a_name_that_providers_refuse_is_told_when_the_tool_is_made(name: str):
    with pytest.raises(ValueError, match=r"isn't a valid tool name\. .* up to 64 ASCII letters, digits, `_` and `-`"):
        tool(add, name=name)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_lets_something_run(timeout: float):
    with pytest.raises(ValueError, match=f"`timeout` must be more than 0 seconds, or None for no limit, not {timeout}"):
        tool(add, timeout=timeout)


async def slow(a: int) -> asyncio.AbstractEventLoop:
    """Add one."""
    await asyncio.sleep(0)
    return asyncio.get_running_loop()


class Slow:
    async def __call__(self, a: int) -> asyncio.AbstractEventLoop:
        return await slow(a)

    async def method(self, a: int) -> asyncio.AbstractEventLoop:
        return await slow(a)


async def steps(a: int):
    yield a
    yield asyncio.get_running_loop()


ASYNCHRONOUS = {
    "function": slow,
    "tool": tool(slow),
    "partial": tool(functools.partial(slow, a=1)),
    "partial of a tool": tool(functools.partial(tool(slow), a=1)),
    "object": tool(Slow()),
    "method": tool(Slow().method),
    "generator": steps,
}


@pytest.mark.parametrize("function", ASYNCHRONOUS.values(), ids=ASYNCHRONOUS)
def test_an_asynchronous_function_runs_on_the_loop_of_the_run(function):
    made = function if isinstance(function, FunctionTool) else tool(function)
    arguments = {} if isinstance(made.function, functools.partial) else {"a": 1}
    broker = LLMBroker("a-model", ScriptedGateway([calling(made.name, **arguments), "Done."]))

    async def ask() -> None:
        run = broker.astream(QUESTION, [function])
        shown = [event.display async for event in run if isinstance(event, ToolResult)]
        assert shown == [asyncio.get_running_loop()]

    asyncio.run(ask())
    assert made.is_async


@pytest.mark.parametrize("how", BOTH)
def test_a_function_that_returns_what_is_to_be_awaited_is_awaited(how: str):
    def later(a: int):
        return slow(a)

    result = answered(later, how=how, a="1")[-1]

    assert isinstance(result.display, asyncio.AbstractEventLoop)
    assert not tool(later).is_async


@pytest.mark.parametrize("how", BOTH)
def test_a_generator_reports_progress(how: str):
    def count(to: int):
        yield from range(to)
        return "counted"

    *progress, result = answered(count, how=how, to="2")

    assert [event.value for event in progress] == [0, 1]
    assert result.output == "counted"


@pytest.mark.parametrize("how", BOTH)
def test_the_events_of_a_run_that_a_tool_makes_are_no_result(how: str):
    def asks(to: int):
        yield to
        yield TextDelta("Hi")
        yield Finish("stop")

    async def aasks(to: int):
        for step in asks(to):
            yield step

    for function in (asks, aasks):
        *progress, result = answered(function, how=how, to=3)

        assert [event.value for event in progress] == [3, TextDelta("Hi"), Finish("stop")]
        assert result.output == "3"


@pytest.mark.parametrize("how", BOTH)
def test_a_generator_that_returns_nothing_has_the_last_value_as_its_result(how: str):
    def count(to: int):
        yield from range(to)

    def later(to: int):
        return count(to)

    for function in (count, later):
        *progress, result = answered(function, how=how, to=3)

        assert [event.value for event in progress] == [0, 1, 2]
        assert result.output == "2"


def test_objects_and_functions_can_be_given_together():
    broker = LLMBroker("a-model", ScriptedGateway(["Hello."]))

    broker.generate(QUESTION, (Weather(), add, tool(add, name="sum")))

    asked = broker.adapter.requests[0].tools
    assert [made.descriptor["function"]["name"] for made in asked] == ["weather", "add", "sum"]
    assert isinstance(asked[0], Weather)


class Nameless:
    descriptor = {"type": "function"}  # noqa: RUF012

    def run(self): ...


METHODS = ["stream", "astream", "generate", "agenerate", "generate_stream", "agenerate_stream"]
NO_LISTS = [
    (add, TypeError, r"`tools` must be a list. Pass \[add\]\."),
    (tool(add), TypeError, r"`tools` must be a list. Pass \[add\]\."),
    (Weather(), TypeError, r"`tools` must be a list. Pass \[<weather\.Weather object"),
    ("add", TypeError, "`tools` must be a list of functions or tool objects, not 'add'"),
    ({"a": add}, TypeError, "`tools` must be a list of functions or tool objects, not {'a'"),
    (3, TypeError, "`tools` must be a list of functions or tool objects, not 3"),
    ([Weather], TypeError, "Weather is a class. Pass an instance of it, or a function"),
    ([{"type": "function"}], TypeError, "{'type': 'function'} isn't a tool. Pass a function, or an object with"),
    ([Nameless()], TypeError, "The descriptor of .* has no name: it has to be like"),
    ([star], TypeError, r"star\(\) can't be a tool: a model can't give \*values"),
    ([add, Weather(), add], ValueError, "Two tools have the name 'add'. Rename one with tool"),
]


@pytest.mark.parametrize(("tools", "kind", "told"), NO_LISTS)
@pytest.mark.parametrize("method", METHODS)
def test_what_is_no_tool_is_told_at_the_call(method: str, tools, kind: type[Exception], told: str):
    with pytest.raises(kind, match=told) as caught:
        getattr(LLMBroker("a-model", ScriptedGateway([])), method)(QUESTION, tools)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tools", "choice", "told"),
    [
        (None, "required", r"tool_choice='required' needs tools\. Pass tools=\[…\]\."),
        ([], "add", r"tool_choice='add' needs tools\. Pass tools=\[…\]\."),
        ([add], "sum", "tool_choice='sum' isn't one of 'auto', 'none', 'required', 'add'"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_a_tool_choice_that_cannot_be_met_is_told_at_the_call(method: str, tools, choice: str, told: str):
    with pytest.raises(ValueError, match=told):
        getattr(LLMBroker("a-model", ScriptedGateway([])), method)(QUESTION, tools, tool_choice=choice)


@pytest.mark.parametrize("choice", ["auto", "none", "required", "add", None])
def test_a_tool_choice_is_passed_on(choice: str | None):
    broker = LLMBroker("a-model", ScriptedGateway(["Hello."]))

    broker.generate(QUESTION, [add], tool_choice=choice)

    assert broker.adapter.requests[0].tool_choice == choice


@pytest.mark.parametrize("choice", ["auto", "none", None])
def test_a_tool_choice_that_needs_no_tools_needs_none(choice: str | None):
    assert LLMBroker("a-model", ScriptedGateway(["Hello."])).generate(QUESTION, tool_choice=choice) == "Hello."
