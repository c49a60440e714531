"""Tools and structured output on the embedded model, for real."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import pytest
from driving import BOTH, begin, events_of
from grammar import assert_acceptable, assert_run
from pydantic import BaseModel

from mojentic_nb.llm import (
    CompletionConfig,
    LLMBroker,
    LLMMessage,
    OmissionWarning,
    StepFinish,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolResult,
)
from mojentic_nb.llm.gateways import LocalGateway
from mojentic_nb.llm.gateways.local.model_file import SMOLLM2
from mojentic_nb.llm.tools import LLMTool, ResolveDateTool


def descriptor(name: str, description: str, **properties: str) -> dict:
    schema = {name: {"type": kind} for name, kind in properties.items()}
    parameters = {"type": "object", "properties": schema, "required": list(schema)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


class Multiply(LLMTool):
    descriptor = descriptor("multiply", "Multiply two integers.", a="integer", b="integer")

    def run(self, a: int, b: int) -> str:
        return str(a * b)


class Weather(LLMTool):
    descriptor = descriptor("weather", "Tell the weather at a location.", location="string")

    def run(self, location: str) -> str:
        return f"It is 21 degrees in {location}."


def ask(text: str) -> list[LLMMessage]:
    return [LLMMessage(content=text)]


@pytest.fixture(scope="module")
def broker() -> Iterator[LLMBroker]:
    """The embedded model, running."""
    with LocalGateway() as gateway:
        yield LLMBroker(gateway.model, gateway)


MULTIPLY = (Multiply(), "What is 12 times 17?", {"a": 12, "b": 17}, "204")
WEATHER = (Weather(), "How warm is it in Rome?", {"location": "Rome"}, "21")


@pytest.mark.parametrize("asked", [MULTIPLY, WEATHER], ids=["multiply", "weather"])
@pytest.mark.parametrize("how", BOTH)
def test_a_round_with_a_tool(broker: LLMBroker, how: str, asked: tuple):
    tool, question, arguments, says = asked
    run = begin(broker, how, ask(question), [tool], tool_choice="required")

    events = events_of(run)

    assert_run(events)
    assert_acceptable(run.messages)
    calls = [event.call for event in events if isinstance(event, ToolCallEnd)]
    assert [(call.name, call.arguments) for call in calls] == [(tool.name, arguments)]
    assert says in run.messages[-1].content
    assert run.finish_reason == "stop"


def test_a_call_that_was_denied_has_no_result_to_be_made_up(broker: LLMBroker):
    run = broker.stream(ask("What is 12 times 17?"), [Multiply()], tool_choice="required", approve=lambda _: False)

    events_of(run)

    assert run.messages[-1].content == "I could not multiply 12 by 17: the call was denied."


def test_of_several_tools_the_one_that_is_named_is_called(broker: LLMBroker):
    run = broker.stream(ask("What is 12 times 17?"), [Weather(), Multiply()], tool_choice="multiply")

    call = next(event.call for event in run if isinstance(event, ToolCallEnd))

    assert (call.name, call.arguments) == ("multiply", {"a": 12, "b": 17})
    run.close()


def test_a_round_with_a_date(broker: LLMBroker):
    tool = ResolveDateTool()
    run = broker.stream(ask("What is the date tomorrow?"), [tool], tool_choice="required")

    results = [event for event in run if isinstance(event, ToolResult)]

    assert [result.call.arguments for result in results] == [{"relative_date_found": "tomorrow"}]
    assert tool.run("tomorrow")["resolved_date"] in run.messages[-1].content


def test_arguments_come_as_the_model_writes_them(broker: LLMBroker):
    events = list(broker.stream(ask("What is 12 times 17?"), [Multiply()], tool_choice="required"))

    first = events[: events.index(next(event for event in events if isinstance(event, StepFinish))) + 1]
    start, *deltas, end, finish = first
    assert start == ToolCallStart("call_1_0", "multiply")
    assert len(deltas) > 5
    assert all(isinstance(delta, ToolCallDelta) for delta in deltas)
    assert end.call.id == start.id
    assert finish.finish_reason == "tool_calls"
    assert finish.usage.output_tokens >= len(deltas)


def test_of_several_tools_one_is_called(broker: LLMBroker):
    """Which one is more than so small a model can be asked for: it is one of them, with arguments of its schema."""
    run = broker.stream(ask("How warm is it in Rome?"), [Multiply(), Weather()], tool_choice="required")

    call = next(event.call for event in run if isinstance(event, ToolCallEnd))

    assert (call.name, set(call.arguments)) in [("multiply", {"a", "b"}), ("weather", {"location"})]
    run.close()


def test_a_call_that_is_cut_off_is_not_run(broker: LLMBroker):
    config = CompletionConfig(max_tokens=4)
    run = broker.stream(ask("What is 12 times 17?"), [Multiply()], config, tool_choice="required")

    events = list(run)

    assert run.finish_reason == "length"
    assert not [event for event in events if isinstance(event, ToolCallEnd | ToolResult)]


def test_a_name_that_no_tool_has(broker: LLMBroker):
    with pytest.raises(ValueError, match="^tool_choice='divide' isn't one of .*'multiply'.$"):
        broker.generate(ask("What is 12 times 17?"), [Multiply()], tool_choice="divide")


BRIEF = CompletionConfig(temperature=0, max_tokens=4)
cut_off = pytest.mark.filterwarnings("ignore::mojentic_nb.llm.errors.IncompleteAnswerWarning")  # as BRIEF asks for


@cut_off
@pytest.mark.parametrize("choice", [None, "auto"])
def test_where_it_may_decide_it_answers_and_says_how_to_have_a_tool_called(choice: str | None):
    with LocalGateway() as gateway:
        broker = LLMBroker(gateway.model, gateway)
        with pytest.warns(
            OmissionWarning, match=r"tools were left out: .* can't choose to call one. Force a call with tool_choice="
        ):
            answer = broker.generate(ask("Hello."), [Multiply()], BRIEF, tool_choice=choice)

        assert answer == broker.generate(ask("Hello."), config=BRIEF)


@cut_off
def test_nothing_is_said_where_no_tool_may_be_called_or_one_was(broker: LLMBroker):
    with warnings.catch_warnings():
        warnings.simplefilter("error", OmissionWarning)
        broker.generate(ask("Hello."), [Multiply()], BRIEF, tool_choice="none")
        broker.generate(ask("Hello."), config=BRIEF)
        broker.generate(ask("What is 12 times 17?"), [Multiply()], tool_choice="required")


class Size(Enum):
    small = "small"
    large = "large"


class Animal(BaseModel):
    name: str
    legs: int
    size: Size
    colours: list[str]


def test_an_object(broker: LLMBroker):
    animal = broker.generate_object(
        ask("Rex is a small dog. He has 4 legs, and is black and white. Who is he?"), Animal
    )

    assert (animal.name, animal.legs, animal.size) == ("Rex", 4, Size.small)


# The form in which Hermes' and Qwen's models are told of tools, shortened.
TEMPLATE = """{%- if tools %}<|im_start|>system
You may call these functions:{% for tool in tools %}
{{ tool | tojson }}{% endfor %}
Call one so: <tool_call>{"name": "its name", "arguments": {}}</tool_call><|im_end|>
{% endif %}{% for message in messages %}<|im_start|>{{ message.role }}
{% if message.content %}{{ message.content }}{% endif %}{% for call in message.tool_calls or [] %}<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


@pytest.fixture(scope="module")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LLMBroker]:
    """The same model with a chat template that knows tools."""
    key, file = b"tokenizer.chat_template", SMOLLM2.path().read_bytes()
    at = file.index(key) + len(key) + 4  # the number that stands for a text
    length = int.from_bytes(file[at : at + 8], "little")
    template = TEMPLATE.encode()
    template += b" " * ((length - len(template)) % 32)  # all that follows stays aligned
    path: Path = tmp_path_factory.mktemp("model") / "knowing.gguf"
    path.write_bytes(file[:at] + len(template).to_bytes(8, "little") + template + file[at + 8 + length :])
    with LocalGateway(path) as gateway:
        yield LLMBroker(gateway.model, gateway)


def test_a_model_whose_template_knows_tools_is_told_of_them(knowing: LLMBroker):
    def tokens(tools: list | None, choice: str | None = None) -> int:
        run = knowing.stream(ask("How warm is it in Rome?"), tools, BRIEF, tool_choice=choice)
        list(run)
        return run.usage.input_tokens

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tokens([Weather()]) == tokens([Weather()], "auto") > tokens(None) + 30


def test_it_calls_one_where_it_has_to(knowing: LLMBroker):
    """llama.cpp would let it answer without."""
    config = CompletionConfig(temperature=0, max_tokens=40)
    run = knowing.stream(ask("How warm is it in Rome?"), [Weather()], config, tool_choice="required")

    results = [event for event in run if isinstance(event, ToolResult)]

    assert [result.call.arguments for result in results] == [{"location": "Rome"}]
