"""Objects of the embedded model, for real: llama.cpp holds it to the schema."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from mojentic_nb.llm import CompletionConfig, LLMBroker, LLMMessage
from mojentic_nb.llm.gateways import LocalGateway

BRIEF = CompletionConfig(temperature=0, max_tokens=200)
QUESTION = [LLMMessage(content="A big red apple and a small green pear.")]


class Color(Enum):
    RED = "red"
    GREEN = "green"


class Fruit(BaseModel):
    """Of few words, so that no model can ramble."""

    color: Color = Field(description="Its color.")
    size: Literal["big", "small"] = "small"
    ripe: bool | None = None


class Tree(BaseModel):
    label: str
    kids: list[Tree] = Field(default_factory=list, max_length=2)


class Basket(BaseModel):
    fruits: list[Fruit] = Field(min_length=2, max_length=2)


@pytest.fixture(scope="module")
def broker():
    """A broker at the embedded model, running."""
    with LocalGateway() as gateway:
        yield LLMBroker(gateway.model, gateway)


def test_an_object_grows_as_the_model_writes_it(broker: LLMBroker):
    stream = broker.stream_object(QUESTION, Basket, BRIEF)

    *snapshots, basket = stream

    assert len(snapshots) > 3
    assert snapshots[0].fruits is None
    assert [type(fruit.color) for fruit in basket.fruits] == [Color, Color]
    assert basket is stream.object
    assert stream.usage.output_tokens > 10


def test_a_type_that_is_no_object(broker: LLMBroker):
    colors = asyncio.run(broker.agenerate_object(QUESTION, tuple[Color, Color] | Literal["none"], BRIEF))

    assert colors == "none" or all(isinstance(color, Color) for color in colors)


class Box(BaseModel):
    best: Fruit
    other: Fruit | Literal["none"] | None = None
    rest: list[Fruit] = Field(max_length=1)


def test_models_within_a_model(broker: LLMBroker):
    box = broker.generate_object(QUESTION, Box, BRIEF)

    assert type(box.best.color) is Color
    assert all(isinstance(fruit, Fruit) for fruit in box.rest)


def test_a_model_that_holds_itself(broker: LLMBroker):
    """However long the model would go on, the beginning is one of it."""
    with broker.stream_object(QUESTION, Tree, BRIEF) as stream:
        tree = next(snapshot for snapshot in stream if snapshot.label)

    assert isinstance(tree, Tree)
