"""Mojentic's interface, both ways: gateways and tools that were written for it work here, and ours have its methods."""

from __future__ import annotations

import asyncio
import inspect
from datetime import date
from types import SimpleNamespace as Said

import pytest
from driving import BOTH, begin, closed_after, events_of
from grammar import assert_acceptable, assert_run
from hints import IMPORTS, define
from loopback import Loopback, Reply, chunk, completion, sse
from pydantic import BaseModel

from mojentic_nb.llm import (
    CompletionConfig,
    Finish,
    LLMBroker,
    LLMMessage,
    LLMToolCall,
    ReasoningDelta,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
)
from mojentic_nb.llm.errors import IncompleteStreamError
from mojentic_nb.llm.gateways import OpenAIGateway, ScriptedGateway
from mojentic_nb.llm.gateways.models import LLMGatewayResponse
from mojentic_nb.llm.tools.llm_tool import LLMTool

QUESTION = [LLMMessage(content="How warm is it in Paris?")]


class City(BaseModel):
    name: str


DESCRIPTOR = {"type": "function", "function": {"name": "weather", "description": "The weather.", "parameters": {}}}


class Weather:
    """A tool without a base class."""

    descriptor = DESCRIPTOR

    def run(self, city: str = "nowhere") -> str:
        return f"18 degrees in {city}"


class WeatherTool(LLMTool):
    """The same with Mojentic's."""

    descriptor = DESCRIPTOR

    def run(self, city: str = "nowhere") -> str:
        return Weather().run(city)


class Streaming:
    """A gateway that streams the given answers, each a list of pieces, and keeps what it was asked."""

    def __init__(self, *answers: list) -> None:
        self.asked: list[dict] = []
        self.closed = 0
        self._answers = list(answers)

    def complete_stream(self, **args):
        self.asked.append(args)
        try:
            yield from self._answers.pop(0)
        finally:
            self.closed += 1


class Whole:
    """A gateway that does not stream."""

    def __init__(self, *answers: object) -> None:
        self.asked: list[dict] = []
        self._answers = list(answers)

    def complete(self, **args):
        self.asked.append(args)
        return self._answers.pop(0)


def narrow(model, messages, *, tools, temperature, num_ctx, max_tokens, num_predict):
    yield Said(content=repr([model, len(messages), tools, temperature, num_ctx, max_tokens, num_predict]))


def with_defaults(model, messages, *, tools=(), temperature=1.0, num_ctx=32768, max_tokens=16384, num_predict=-1):
    yield Said(content=repr([model, len(messages), tools, temperature, num_ctx, max_tokens, num_predict]))


def with_config(model, messages, config, **more):
    yield Said(content=repr([model, config.temperature, sorted(more)]))


def with_little(model, messages):
    yield Said(content=repr([model, len(messages)]))


@pytest.mark.parametrize(
    ("complete_stream", "got"),
    [
        (narrow, ["a-model", 1, None, 0.5, None, None, 9]),
        (with_defaults, ["a-model", 1, None, 0.5, 32768, 16384, 9]),
        (with_config, ["a-model", 0.5, ["num_predict", "temperature", "tools"]]),
        (with_little, ["a-model", 1]),
    ],
)
def test_a_gateway_gets_what_it_takes_and_no_unset_setting_that_has_a_default(complete_stream, got: list):
    broker = LLMBroker("a-model", Said(complete_stream=complete_stream))

    assert broker.generate(QUESTION, temperature=0.5, num_predict=9) == repr(got)


@pytest.mark.parametrize("imports", IMPORTS)
def test_a_gateways_hints_need_not_exist(imports: str):
    """They may be imported for type checkers only."""
    names = define(imports, "def complete_stream(model: Model, messages: list[Message]): return [content(model)]")
    names["content"] = lambda model: Said(content=model)

    assert LLMBroker("a-model", Said(complete_stream=names["complete_stream"])).generate(QUESTION) == "a-model"


def test_a_gateways_messages_and_tools_are_lists_of_its_own():
    gateway = Streaming([Said(content="Warm.")])
    tool = Weather()

    LLMBroker("a-model", gateway).generate(QUESTION, [tool])

    assert gateway.asked[0]["messages"] == QUESTION
    assert gateway.asked[0]["messages"] is not QUESTION
    assert gateway.asked[0]["tools"] == [tool]


@pytest.mark.parametrize("tool", [Weather(), WeatherTool()], ids=["duck-typed", "Mojentic's class"])
def test_a_tool_needs_only_a_descriptor_and_run(tool):
    call = LLMToolCall(id="a", name="weather", arguments={"city": "Paris"})
    gateway = Streaming([Said(tool_calls=[call])], [Said(content="18 degrees.")])

    assert LLMBroker("a-model", gateway).generate(QUESTION, [tool]) == "18 degrees."
    assert gateway.asked[1]["messages"][-1].content == "18 degrees in Paris"


def test_a_tool_of_mojentics_class_tells_its_name():
    tool = WeatherTool()

    assert (tool.name, tool.description) == ("weather", "The weather.")
    assert tool.matches("weather")
    assert not tool.matches("time")


class Aliased(WeatherTool):
    """A tool that answers to more than its name."""

    def matches(self, name: str) -> bool:
        return name.removesuffix("_v2") == self.name


@pytest.mark.parametrize("how", BOTH)
def test_a_tool_is_asked_whether_a_call_is_meant_for_it(how: str):
    call = LLMToolCall(id="a", name="weather_v2", arguments={"city": "Paris"})
    gateway = Streaming([Said(tool_calls=[call])], [Said(content="18 degrees.")])

    events_of(begin(LLMBroker("a-model", gateway), how, QUESTION, [Aliased()]))

    assert gateway.asked[1]["messages"][-1].content == "18 degrees in Paris"


@pytest.mark.parametrize("how", BOTH)
def test_a_tool_may_say_that_a_call_is_not_meant_for_it(how: str):
    class Closed(WeatherTool):
        def matches(self, _: str) -> bool:
            return False

    call = LLMToolCall(id="a", name="weather", arguments={})
    gateway = Streaming([Said(tool_calls=[call])], [Said(content="No.")])

    events_of(begin(LLMBroker("a-model", gateway), how, QUESTION, [Closed()]))

    assert gateway.asked[1]["messages"][-1].content == "LookupError: Unknown tool 'weather'. The tools are: weather."


SPELLINGS = {
    "ours": (LLMToolCall(id="a", name="weather", arguments={"city": "Paris"}), "a", "18 degrees in Paris"),
    "without an id": (Said(name="weather", arguments={"city": "Paris"}), "call_1_0", "18 degrees in Paris"),
    "an SDK's, arguments an object": (
        Said(id=None, function=Said(name="weather", arguments={"city": "Paris"})),
        "call_1_0",
        "18 degrees in Paris",
    ),
    "an SDK's, arguments JSON": (
        Said(id="b", function=Said(name="weather", arguments='{"city": "Paris"}')),
        "b",
        "18 degrees in Paris",
    ),
    "no arguments": (Said(id="c", name="weather", arguments=None), "c", "18 degrees in nowhere"),
    "arguments that are no JSON": (Said(id="d", name="weather", arguments="{city"), "d", "ValueError: The arguments"),
}


@pytest.mark.parametrize(("said", "call_id", "result"), SPELLINGS.values(), ids=SPELLINGS.keys())
@pytest.mark.parametrize("how", BOTH)
def test_a_call_however_it_is_spelled_is_run_and_answered(how: str, said, call_id: str, result: str):
    first = [Said(thinking="Hm."), Said(content="Let me see."), Said(content=None, thinking=None, tool_calls=[said])]
    gateway = Streaming(first, [Said(content="18 degrees.")])
    run = begin(LLMBroker("a-model", gateway), how, QUESTION, [Weather()])

    events = events_of(run)

    assert_run(events)
    assert_acceptable(run.messages)
    assert events[:3] == [ReasoningDelta("Hm."), TextDelta("Let me see."), ToolCallStart(call_id, "weather")]
    assert [event.call.id for event in events if isinstance(event, ToolCallEnd)] == [call_id]
    assert events[-3:] == [TextDelta("18 degrees."), StepFinish("stop"), Finish("stop")]
    assert gateway.asked[1]["messages"] == run.messages[:-1]
    assert run.messages[2].content.startswith(result)


def test_calls_without_ids_get_different_ones_in_every_round():
    call = Said(name="weather", arguments={})
    gateway = Streaming([Said(tool_calls=[call, call])], [Said(tool_calls=[call])], [Said(content="Warm.")])
    run = LLMBroker("a-model", gateway).stream(QUESTION, [Weather()])

    events = events_of(run)

    assert [event.call.id for event in events if isinstance(event, ToolCallEnd)] == ["call_1_0", "call_1_1", "call_4_0"]
    assert ToolCallDelta("call_1_1", "{}") in events


def test_a_gateway_that_does_not_stream_generates():
    call = LLMToolCall(name="weather", arguments={"city": "Paris"})
    gateway = Whole(LLMGatewayResponse(tool_calls=[call]), LLMGatewayResponse(content="18 degrees."))

    assert LLMBroker("a-model", gateway).generate(QUESTION, [Weather()]) == "18 degrees."
    assert gateway.asked[1]["messages"][-1].content == "18 degrees in Paris"


def test_a_gateway_that_does_both_is_asked_for_the_whole_where_it_will_do():
    """It may stream some of its models only."""

    class Both(Whole):
        def complete_stream(self, **_):
            yield Said(content="a piece")

    asking = LLMBroker("a-model", Both(LLMGatewayResponse(content="all"), LLMGatewayResponse(content="all")))

    assert asking.generate(QUESTION) == asyncio.run(asking.agenerate(QUESTION)) == "all"
    assert "".join(asking.generate_stream(QUESTION)) == "a piece"


@pytest.mark.parametrize("method", ["stream", "astream", "generate_stream", "agenerate_stream"])
def test_a_gateway_that_does_not_stream_says_so_at_the_call(method: str):
    gateway = Whole()

    with pytest.raises(NotImplementedError, match=r"'a-model' can't stream at .*\. Use generate\(\)"):
        getattr(LLMBroker("a-model", gateway), method)(QUESTION)

    assert gateway.asked == []


@pytest.mark.parametrize(
    "answer",
    [LLMGatewayResponse(content='{"name": "Paris"}'), LLMGatewayResponse(object=City(name="Paris"))],
    ids=["as text", "as an object"],
)
def test_an_object(answer: LLMGatewayResponse):
    gateway = Whole(answer)

    assert LLMBroker("a-model", gateway).generate_object(QUESTION, City) == City(name="Paris")
    assert gateway.asked[0]["object_model"] is City


@pytest.mark.parametrize("how", BOTH)
def test_closing_the_run_closes_the_gateways_generator(how: str):
    gateway = Streaming([Said(content="a"), Said(content="b")])

    events = closed_after(begin(LLMBroker("a-model", gateway), how, QUESTION), 1)

    assert events == [TextDelta("a")]
    assert gateway.closed == 1


def test_its_answer_may_be_any_iterable():
    gateway = Said(complete_stream=lambda **_: [Said(content="a"), Said(content="b")])

    assert list(LLMBroker("a-model", gateway).generate_stream(QUESTION)) == ["a", "b"]


def test_it_streams_asynchronously_as_well():
    async def pieces() -> list[str]:
        return [piece async for piece in LLMBroker("a-model", gateway).agenerate_stream(QUESTION)]

    gateway = Streaming([Said(content="a"), Said(content="b")])

    assert asyncio.run(pieces()) == ["a", "b"]


@pytest.mark.parametrize("gateway", [Streaming(), Whole(), ScriptedGateway([])], ids=["streams", "does not", "ours"])
def test_the_brokers_adapter_is_the_gateway_that_was_given(gateway):
    assert LLMBroker("a-model", gateway).adapter is gateway


CALL = LLMToolCall(id="a", name="weather", arguments={})
ANSWER = [
    ReasoningDelta("Hm."),
    ReasoningDelta("", {"signature": "x"}),
    TextDelta("Let me "),
    TextDelta("see."),
    ToolCallStart("a", "weather"),
    ToolCallDelta("a", "{}"),
    ToolCallEnd(CALL),
    StepFinish("tool_calls", Usage(1, 1)),
]


def test_our_gateways_stream_as_mojentics_do():
    """Tools are offered and not run; a piece has one thing in it."""
    gateway = ScriptedGateway([ANSWER])
    tool = Weather()

    pieces = list(gateway.complete_stream(model="a-model", messages=QUESTION, tools=[tool], temperature=0.5))

    assert [piece.model_dump(exclude_none=True) for piece in pieces] == [
        {"thinking": "Hm."},
        {"content": "Let me "},
        {"content": "see."},
        {"tool_calls": [CALL.model_dump(exclude_none=True)]},
    ]
    assert gateway.requests[0].tools == (tool,)
    assert gateway.requests[0].config == CompletionConfig(temperature=0.5)


def test_our_gateways_can_stream_unless_they_know_better():
    assert ScriptedGateway([]).can_stream("any-model")


def test_our_gateways_complete_as_mojentics_do():
    answer = ScriptedGateway([ANSWER]).complete(model="a-model", messages=QUESTION)

    assert answer == LLMGatewayResponse(
        content="Let me see.", thinking="Hm.", tool_calls=[CALL], finish_reason="tool_calls"
    )


def test_our_gateways_complete_an_object_as_mojentics_do():
    gateway = ScriptedGateway(['{"name": "Paris"}'])

    answer = gateway.complete("a-model", QUESTION, City)

    assert answer.object == City(name="Paris")
    assert answer.content == '{"name": "Paris"}'
    assert gateway.requests[0].object_model is City


@pytest.mark.parametrize(
    ("settings", "config"),
    [
        (
            {"temperature": 1.0, "num_ctx": 32768, "max_tokens": 16384, "num_predict": -1},
            CompletionConfig(temperature=1.0, num_ctx=32768, max_tokens=16384, num_predict=-1),
        ),
        ({"temperature": None}, CompletionConfig()),
        ({"config": CompletionConfig(top_p=0.5), "temperature": 1.0}, CompletionConfig(top_p=0.5)),
    ],
    ids=["Mojentic's own", "unset", "a config comes first"],
)
def test_our_gateways_take_mojentics_settings(settings: dict, config: CompletionConfig):
    gateway = ScriptedGateway(["Warm."])

    gateway.complete(model="a-model", messages=QUESTION, **settings)

    assert gateway.requests[0].config == config


@pytest.mark.parametrize("method", ["complete", "complete_stream"])
def test_our_gateways_refuse_a_setting_that_is_none_at_the_call(method: str):
    with pytest.raises(ValueError, match="temprature is unknown. The settings are: temperature, "):
        getattr(ScriptedGateway([]), method)("a-model", QUESTION, temprature=1)


@pytest.mark.parametrize("method", ["complete", "complete_stream"])
@pytest.mark.parametrize("script", [[TextDelta("War")], []], ids=["in the middle", "at the beginning"])
def test_an_answer_that_breaks_off_is_an_error_of_our_gateways(method: str, script: list):
    with pytest.raises(IncompleteStreamError, match="broke off before its end. Ask again"):
        list(getattr(ScriptedGateway([script]), method)("a-model", QUESTION))


def test_our_gateways_complete_over_the_network(server: Loopback):
    server.play(Reply([completion("War", "m.")]), Reply([sse(chunk("War"), done=False)]))
    gateway = OpenAIGateway(base_url=server.url)

    assert gateway.complete("a-model", QUESTION, max_tokens=9).content == "Warm."
    pieces = gateway.complete_stream("a-model", QUESTION)
    assert next(pieces).content == "War"
    with pytest.raises(IncompleteStreamError):
        next(pieces)
    assert server.requests[0].body["max_tokens"] == 9
    assert inspect.getgeneratorstate(pieces) == inspect.GEN_CLOSED


def test_arguments_that_an_sdk_has_read_may_be_no_json():
    asked = Said(id="a", name="weather", arguments={"city": date(2026, 1, 2)})
    gateway = Whole(Said(content="", tool_calls=[asked]), LLMGatewayResponse(content="Yes"))

    LLMBroker("a-model", gateway).generate(QUESTION, [Weather()])

    assert gateway.asked[1]["messages"][-1].content == "18 degrees in 2026-01-02"


def test_a_stream_that_the_gateway_holds_is_closed_with_the_run():
    class Stream:
        closed = False

        def __iter__(self):
            return iter([Said(content="Be"), Said(content="cause")])

        def close(self):
            self.closed = True

    held = Stream()
    closed_after(LLMBroker("a-model", Said(complete_stream=lambda **_: held)).stream(QUESTION), 1)

    assert held.closed
