"""The broker: what each of its methods takes, sends, returns and raises, and what the model is told of its tools."""

from __future__ import annotations

import asyncio
import re
import threading
from datetime import date

import pytest
from driving import BOTH, begin, closed_after, events_of
from loopback import Loopback, Reply, completion
from pydantic import BaseModel, field_validator

from mojentic_nb.llm import (
    CompletionConfig,
    LLMBroker,
    LLMMessage,
    LLMToolCall,
    MessageRole,
    StepFinish,
    TextDelta,
    ToolCallEnd,
    ToolProgress,
    ToolResult,
)
from mojentic_nb.llm.errors import BadRequestError, MaxToolIterationsExceededError
from mojentic_nb.llm.gateways import OllamaGateway, OpenAIGateway, ScriptedGateway
from mojentic_nb.llm.tools import ToolRunner

QUESTION = [LLMMessage(content="Where?")]
OLLAMA_ANSWER = b'{"message": {"content": "Paris"}}\n{"done": true, "done_reason": "stop"}\n'


class Place(BaseModel):
    name: str


class Answer(BaseModel):
    city: Place

    @field_validator("city")
    @classmethod
    def known(cls, city: Place) -> Place:
        if city.name == "Atlantis":
            raise ValueError("no such\ncity")
        return city


class Tool:
    """A tool that does what it is asked to."""

    def __init__(self, name: str, action) -> None:
        self.descriptor = {"type": "function", "function": {"name": name, "description": name, "parameters": {}}}
        self.run = action


def broker(*script, **options) -> LLMBroker:
    return LLMBroker("a-model", ScriptedGateway(script), **options)


def calling(*calls: LLMToolCall) -> list:
    """A step that calls tools."""
    return [TextDelta("Let me see. "), *map(ToolCallEnd, calls), StepFinish("tool_calls")]


async def joined(pieces) -> str:
    return "".join([piece async for piece in pieces])


METHODS = {
    "generate": lambda asked, *of, **said: asked.generate(*of, **said),
    "agenerate": lambda asked, *of, **said: asyncio.run(asked.agenerate(*of, **said)),
    "generate_stream": lambda asked, *of, **said: "".join(asked.generate_stream(*of, **said)),
    "agenerate_stream": lambda asked, *of, **said: asyncio.run(joined(asked.agenerate_stream(*of, **said))),
    "stream": lambda asked, *of, **said: "".join(asked.stream(*of, **said).text()),
    "astream": lambda asked, *of, **said: asyncio.run(joined(asked.astream(*of, **said).text())),
}
JSON = '{"city": {"name": "Paris"}}'
OBJECT_METHODS = {
    "generate_object": lambda asked, *of, **said: asked.generate_object(*of, Answer, **said),
    "agenerate_object": lambda asked, *of, **said: asyncio.run(asked.agenerate_object(*of, Answer, **said)),
}
WITH_OBJECT = {**METHODS, **OBJECT_METHODS}
every_object = pytest.mark.parametrize("ask", OBJECT_METHODS.values(), ids=OBJECT_METHODS.keys())

every_text = pytest.mark.parametrize("ask", METHODS.values(), ids=METHODS.keys())
every = pytest.mark.parametrize("ask", WITH_OBJECT.values(), ids=WITH_OBJECT.keys())


@every_text
def test_all_methods_give_the_same_answer(ask):
    asked = broker(calling(LLMToolCall(id="a", name="where", arguments={})), "It is Paris.")

    assert ask(asked, QUESTION, [Tool("where", lambda: "Paris")]) == "Let me see. It is Paris."
    assert asked.adapter.requests[1].messages[-1].content == "Paris"


@every
def test_a_model_for_one_question(ask):
    asked = broker(JSON, JSON, JSON)

    ask(asked, QUESTION, model="another")
    ask(asked, QUESTION, model=None)
    ask(asked, QUESTION)

    assert [request.model for request in asked.adapter.requests] == ["another", "a-model", "a-model"]


@every
def test_a_config_comes_before_single_settings_and_says_so_where_the_caller_is(ask):
    asked = broker(JSON)
    config = CompletionConfig(temperature=0, max_tokens=9)

    with pytest.warns(DeprecationWarning, match="`config` replaces single settings") as warnings:
        ask(asked, QUESTION, config=config, temperature=0.7, num_ctx=10, num_predict=None)

    assert asked.adapter.requests[0].config == config
    assert [str(warning.message) for warning in warnings] == [
        "`config` replaces single settings, so these have no effect: temperature, num_ctx. Put them into it."
    ]
    assert warnings[0].filename == __file__
    assert warnings[0].lineno == ask.__code__.co_firstlineno


@every_text
def test_tools_and_a_config_may_follow_the_messages_without_their_names(ask):
    asked = broker("Paris")

    ask(asked, QUESTION, None, CompletionConfig(temperature=0))

    assert asked.adapter.requests[0].config == CompletionConfig(temperature=0)


@every
def test_a_config_alone_or_settings_alone_are_no_reason_to_warn(ask, recwarn: pytest.WarningsRecorder):
    asked = broker(JSON, JSON)

    ask(asked, QUESTION, config=CompletionConfig(temperature=0))
    ask(asked, QUESTION, temperature=0, config=None)

    assert [request.config for request in asked.adapter.requests] == [CompletionConfig(temperature=0)] * 2
    assert [warning.category for warning in recwarn if warning.category is DeprecationWarning] == []


@every
def test_an_unknown_option_is_named(ask):
    asked = broker(JSON)

    with pytest.raises(TypeError, match="^'temprature' isn't an option. The options are: config, model, "):
        ask(asked, QUESTION, temprature=1)

    assert asked.adapter.requests == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("messages", "options"), [(["Where?"], {}), (QUESTION, {"temprature": 1})])
def test_what_is_wrong_is_raised_at_the_call(method: str, messages: list, options: dict):
    with pytest.raises(TypeError):
        getattr(broker(), method)(messages, **options)


@pytest.mark.parametrize(
    ("settings", "ollama", "openai"),
    [
        ({}, None, {}),
        ({"temperature": 0}, {"temperature": 0}, {"temperature": 0}),
        ({"max_tokens": 9}, {"num_predict": 9}, {"max_tokens": 9}),
        ({"num_predict": 9}, {"num_predict": 9}, {"max_tokens": 9}),
        ({"num_predict": -1}, {"num_predict": -1}, {}),
        ({"num_predict": 5, "max_tokens": 9}, {"num_predict": 5}, {"max_tokens": 9}),
        ({"num_ctx": 4096}, {"num_ctx": 4096}, {}),
    ],
    ids=str,
)
def test_single_settings_on_the_wire(server: Loopback, settings: dict, ollama: dict | None, openai: dict):
    server.play(Reply([OLLAMA_ANSWER]), Reply([completion("Paris")]))

    for gateway in (OllamaGateway(server.url), OpenAIGateway(base_url=server.url)):
        assert LLMBroker("a-model", gateway).generate(QUESTION, **settings) == "Paris"

    to_ollama, to_openai = [request.body for request in server.requests]
    assert to_ollama.get("options") == ollama
    assert to_openai.keys() - {"model", "messages", "stream", "stream_options"} == openai.keys()
    assert to_openai | openai == to_openai


def test_the_gateway_is_ollama_unless_one_is_given(server: Loopback, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    server.play(Reply([OLLAMA_ANSWER]))

    assert LLMBroker("a-model").generate(QUESTION) == "Paris"
    assert server.requests[0].path == "/api/chat"


def test_a_gateway_that_is_none():
    with pytest.raises(TypeError, match="'gpt' isn't a gateway: it has no method stream, complete_stream or complete"):
        LLMBroker("a-model", "gpt")
    with pytest.raises(
        TypeError, match=r"ScriptedGateway is a class\. Pass an instance of it, as in ScriptedGateway\(\)"
    ):
        LLMBroker("a-model", ScriptedGateway)


@pytest.mark.parametrize("runner", [ToolRunner, 4], ids=["a class", "a number"])
def test_a_tool_runner_that_is_none(runner):
    with pytest.raises(TypeError, match=r"isn't a tool runner\. Pass a ToolRunner\(\), or None"):
        LLMBroker("a-model", ScriptedGateway([]), tool_runner=runner)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"config": {"temperature": 1}},
            r"^`config` must be a CompletionConfig, such as CompletionConfig\(temperature=0\), not",
        ),
        ({"config": 0.5}, "not 0.5.$"),
        ({"approve": True}, "^`approve` must be a function that decides about a tool call, not True.$"),
    ],
    ids=["a dictionary", "a number", "approve"],
)
def test_what_is_no_setting_is_refused_at_the_call(options: dict, says: str):
    with pytest.raises(TypeError, match=says):
        LLMBroker("a-model", ScriptedGateway([])).stream(QUESTION, **options)


def test_a_broker_takes_mojentics_arguments_in_their_order():
    gateway, tokenizer = ScriptedGateway([]), object()

    made = LLMBroker("a-model", gateway, tokenizer, None)

    assert (made.model, made.adapter, made.tokenizer, made.tracer) == ("a-model", gateway, tokenizer, None)


@every_object
def test_an_object(ask):
    asked = broker(JSON)

    assert ask(asked, QUESTION) == Answer(city=Place(name="Paris"))
    assert asked.adapter.requests[0].object_model is Answer
    assert asked.adapter.requests[0].tools == ()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("Paris, of course", "the answer: Invalid JSON"),
        ('{"city": {"name": 5}}', "city.name: Input should be a valid string"),
        ('{"city": {"name": "Atlantis"}}', "city: Value error, no such city"),
        ("", "the answer: Invalid JSON"),
    ],
)
@every_object
def test_an_answer_that_is_no_object(ask, answer: str, says: str):
    with pytest.raises(
        BadRequestError, match=rf"^The reply didn't match `Answer` \({says}.*Try another model"
    ) as failure:
        ask(broker(answer, answer), QUESTION)

    assert "\n" not in str(failure.value)
    assert failure.value.partial == (LLMMessage(role=MessageRole.Assistant, content=answer) if answer else None)
    assert failure.value.run.messages[0] == QUESTION[0]


@pytest.mark.parametrize(
    ("reason", "says"),
    [("length", "cut off. Raise `max_tokens`"), ("content_filter", "filtered or refused. Rephrase the question")],
)
@every_object
def test_an_object_that_did_not_come_to_its_end(ask, reason: str, says: str):
    with pytest.raises(BadRequestError, match=says):
        ask(broker([TextDelta('{"city": '), StepFinish(reason)]), QUESTION)


@pytest.mark.parametrize("method", ["generate_stream", "agenerate_stream"])
def test_an_object_is_not_streamed(method: str):
    with pytest.raises(NotImplementedError, match=r"use stream_object\(\)"):
        getattr(broker(), method)(QUESTION, object_model=Answer)


@every_text
def test_an_error_carries_the_run_whose_history_a_provider_accepts(ask):
    call = LLMToolCall(id="a", name="where", arguments={})
    asked = broker(calling(call), calling(call))

    with pytest.raises(MaxToolIterationsExceededError, match="after 1 round. Raise `max_tool_iterations`") as failure:
        ask(asked, QUESTION, [Tool("where", lambda: "Paris")], config=CompletionConfig(max_tool_iterations=1))

    run = failure.value.run
    assert run.finish_reason == "max_steps"
    assert [message.content for message in run.messages if message.role is MessageRole.Tool] == [
        "Paris",
        "The call didn't run: the limit of tool rounds was reached.",
    ]


def fail(**_):
    raise OSError("no disk")


def fail_on_the_way():
    yield 1
    raise OSError("no disk")


def count(steps: int = 2):
    yield from range(steps)
    return {"counted": steps}


def circle() -> list:
    result = []
    result.append(result)
    return result


TOLD = {
    "text as it is": (lambda: 'A "line",\nanother', {}, 'A "line",\nanother'),
    "nothing": (lambda: None, {}, "null"),
    "all else as JSON": (lambda **said: said, {"where": "Orléans", "n": 1}, '{"where": "Orléans", "n": 1}'),
    "what JSON lacks as text": (lambda: [date(2026, 11, 23)], {}, '["2026-11-23"]'),
    "a model": (lambda: Answer(city=Place(name="Paris")), {}, JSON),
    "models in a list": (lambda: [Place(name="Paris")], {}, '[{"name": "Paris"}]'),
    "a generator's return value": (count, {"steps": 3}, '{"counted": 3}'),
    "keys that JSON lacks": (lambda: {(1, 2): 3, None: 4}, {}, '{"1,2": 3, "None": 4}'),
    "half a character": (lambda: "a\ud83d", {}, "a\ufffd"),
}
TOLD_OF_FAILURES = {
    "a tool that raises": (fail, {}, "OSError: no disk"),
    "a generator that raises": (fail_on_the_way, {}, "OSError: no disk"),
    "half a character in an error": (lambda: {}["\ud83d"], {}, "KeyError: '.*'"),
    "wrong arguments": (lambda x: x, {"y": 1}, "TypeError: .* unexpected keyword argument 'y'"),
    "a circle": (circle, {}, "ValueError: Circular reference detected.*"),
}
TOLD_OF_CALLS = {
    "a tool that there isn't": (
        LLMToolCall(id="a", name="nowhere", arguments={}),
        "LookupError: Unknown tool 'nowhere'. The tools are: where, when.",
    ),
    "arguments that are no JSON": (
        LLMToolCall(id="a", name="where", arguments={}, error="The arguments aren't JSON: {"),
        "ValueError: The arguments aren't JSON: {",
    ),
}


def result_of(call: LLMToolCall, tools: list, how: str) -> ToolResult:
    """What came of the call, which the model is told in the next request."""
    asked = broker(calling(call), "Thanks.")
    run = begin(asked, how, QUESTION, tools)

    result = next(event for event in events_of(run) if isinstance(event, ToolResult))

    assert asked.adapter.requests[1].messages[-1].content == result.output
    assert run.finish_reason == "stop"
    return result


@pytest.mark.parametrize(("action", "arguments", "told"), TOLD.values(), ids=TOLD.keys())
@pytest.mark.parametrize("how", BOTH)
def test_what_the_model_is_told_of_a_result(how: str, action, arguments: dict, told: str):
    result = result_of(LLMToolCall(id="a", name="act", arguments=arguments), [Tool("act", action)], how)

    assert (result.output, result.is_error) == (told, False)


@pytest.mark.parametrize(("action", "arguments", "told"), TOLD_OF_FAILURES.values(), ids=TOLD_OF_FAILURES.keys())
@pytest.mark.parametrize("how", BOTH)
def test_what_the_model_is_told_of_a_failure(how: str, action, arguments: dict, told: str):
    result = result_of(LLMToolCall(id="a", name="act", arguments=arguments), [Tool("act", action)], how)

    assert result.is_error
    assert re.fullmatch(told, result.output)


@pytest.mark.parametrize(("call", "told"), TOLD_OF_CALLS.values(), ids=TOLD_OF_CALLS.keys())
@pytest.mark.parametrize("how", BOTH)
def test_what_the_model_is_told_of_a_call_that_cannot_be_run(how: str, call: LLMToolCall, told: str):
    result = result_of(call, [Tool("where", fail), Tool("when", fail)], how)

    assert (result.output, result.is_error) == (told, True)


def test_a_model_that_calls_without_having_tools_is_told_so():
    result = result_of(LLMToolCall(id="a", name="where", arguments={}), [], "sync")

    assert result.output == "LookupError: Unknown tool 'where'. The tools are: none."


@pytest.mark.parametrize("how", BOTH)
def test_a_tools_progress(how: str):
    asked = broker(calling(LLMToolCall(id="a", name="count", arguments={})), "Thanks.")

    events = events_of(begin(asked, how, QUESTION, [Tool("count", count)]))

    assert [event for event in events if isinstance(event, ToolProgress)] == [
        ToolProgress("a", 0),
        ToolProgress("a", 1),
    ]


@pytest.mark.parametrize("how", BOTH)
def test_a_tool_under_way_is_closed_with_the_run(how: str):
    def endless():
        try:
            while True:
                yield "more"
        finally:
            closed.set()

    closed = threading.Event()
    asked = broker(calling(LLMToolCall(id="a", name="go", arguments={})))

    *_, last = closed_after(begin(asked, how, QUESTION, [Tool("go", endless)]), 5)

    assert last == ToolProgress("a", "more")
    assert closed.wait(10)
