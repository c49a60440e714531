"""Tools for a model whose chat template knows none: what it is asked, and how its calls are read, without the model."""

from __future__ import annotations

import json
from itertools import accumulate

import pytest
from loopback import chunk, sse
from weather import Weather

from mojentic_nb.llm import (
    CompletionConfig,
    LLMMessage,
    LLMToolCall,
    MessageRole,
    ReasoningDelta,
    StepFinish,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from mojentic_nb.llm.gateways.local.tools import (
    CallDecoder,
    ChoiceDecoder,
    answer_request,
    call_request,
    callable_tools,
    plain_request,
)
from mojentic_nb.llm.gateways.wire.decoding import decode_chunks
from mojentic_nb.llm.request import Request

USER, ASSISTANT, TOOL = MessageRole.User, MessageRole.Assistant, MessageRole.Tool
SYSTEM = LLMMessage(role=MessageRole.System, content="Be brief.")
QUESTION = LLMMessage(content="Is it sunny?")
CALL = LLMToolCall(id="a", name="weather", arguments={"city": "Rome"})
CALLS = LLMMessage(role=ASSISTANT, tool_calls=[CALL])
RESULT = LLMMessage(role=TOOL, content="Sunny.", tool_calls=[CALL])
WARM = LLMMessage(role=TOOL, content="21 degrees.", tool_calls=[CALL])
ANSWER = LLMMessage(role=ASSISTANT, content="Yes.")


class Tool:
    """A tool with the given name and parameters."""

    def __init__(self, name: str, parameters: dict | None = None) -> None:
        function = {"name": name} if parameters is None else {"name": name, "parameters": parameters}
        self.descriptor = {"type": "function", "function": function}

    def run(self) -> str:
        return "run"


def request(*messages: LLMMessage, choice: str | None = None, tools: tuple = (Weather(), Tool("now")), **settings):
    return Request("m", messages, CompletionConfig(**settings), tools, tool_choice=choice)


DENIED = "The call was denied."
RESULTS = {
    "results": (["Sunny.", "Errors are rare."], "It is 384400 km to the moon."),
    "a denied call": ([DENIED], "I could not turn on the lamp: the call was denied."),
    "a failed call": (["KeyError: 'Rome'"], "I could not find the book: it timed out after 10 seconds."),
    "one that took too long": (
        ["weather timed out after 5 s."],
        "I could not find the book: it timed out after 10 seconds.",
    ),
    "all of them failed": ([DENIED, "OSError"], "I could not find the book: it timed out after 10 seconds."),
    "one that did not fail": ([DENIED, "Sunny."], "It is 384400 km to the moon."),
}


@pytest.mark.parametrize(("results", "answer"), RESULTS.values(), ids=RESULTS.keys())
def test_the_examples_are_of_results_like_those_that_came(results: list[str], answer: str):
    said = [LLMMessage(role=TOOL, content=result, tool_calls=[CALL]) for result in results]

    messages = answer_request(request(QUESTION, CALLS, RESULT, CALLS, *said)).messages

    assert messages[1].content == answer


@pytest.mark.parametrize(
    ("choice", "names"),
    [(None, []), ("auto", []), ("none", []), ("required", ["weather", "now"]), ("now", ["now"])],
)
def test_which_tools_may_be_called_where_one_has_to_be(choice: str | None, names: list):
    tools = callable_tools(request(QUESTION, choice=choice))

    assert [tool.descriptor["function"]["name"] for tool in tools] == names


FOLDED = {
    "nothing": ([], []),
    "no calls": ([SYSTEM, QUESTION, ANSWER, QUESTION], ["Be brief.", "Is it sunny?", "Yes.", "Is it sunny?"]),
    "a result": ([QUESTION, CALLS, RESULT], ['Is it sunny?\n\nUse this information: weather(city="Rome") = Sunny.']),
    "two results": (
        [QUESTION, CALLS, RESULT, WARM],
        ['Is it sunny?\n\nUse this information: weather(city="Rome") = Sunny.\nweather(city="Rome") = 21 degrees.'],
    ),
    "two rounds": (
        [QUESTION, CALLS, RESULT, CALLS, WARM],
        ['Is it sunny?\n\nUse this information: weather(city="Rome") = Sunny.\nweather(city="Rome") = 21 degrees.'],
    ),
    "a result that was answered": (
        [QUESTION, CALLS, RESULT, ANSWER, QUESTION, CALLS, WARM],
        [
            'Is it sunny?\n\nUse this information: weather(city="Rome") = Sunny.',
            "Yes.",
            'Is it sunny?\n\nUse this information: weather(city="Rome") = 21 degrees.',
        ],
    ),
    "a call with a word before it": (
        [QUESTION, CALLS.model_copy(update={"content": "I look."}), RESULT],
        ["Is it sunny?", "I look.", 'Use this information: weather(city="Rome") = Sunny.'],
    ),
    "a result without a question": ([CALLS, RESULT], ['Use this information: weather(city="Rome") = Sunny.']),
    "a result to an image": (
        [LLMMessage(image_paths=["x.png"]), CALLS, RESULT],
        ['Use this information: weather(city="Rome") = Sunny.'],
    ),
    "a result of a call that is not told": (
        [QUESTION, LLMMessage(role=TOOL, content="Sunny.")],
        ["Is it sunny?\n\nUse this information: Sunny."],
    ),
    "a result that is empty": (
        [QUESTION, CALLS, LLMMessage(role=TOOL, tool_calls=[CALL])],
        ['Is it sunny?\n\nUse this information: weather(city="Rome") = '],
    ),
}


@pytest.mark.parametrize(("messages", "contents"), FOLDED.values(), ids=FOLDED.keys())
def test_results_are_told_by_the_user(messages: list, contents: list):
    plain = plain_request(request(*messages, choice="auto"))

    assert [message.content for message in plain.messages] == contents
    assert {message.role for message in plain.messages} <= {MessageRole.System, USER, ASSISTANT}
    assert not any(message.tool_calls for message in plain.messages)
    assert (plain.tools, plain.tool_choice) == ((), None)


def test_an_answer_from_a_result_is_asked_for_after_examples():
    system, *examples, last = answer_request(request(SYSTEM, QUESTION, CALLS, RESULT, choice="auto")).messages

    assert system == SYSTEM
    assert [message.role for message in examples] == [USER, ASSISTANT] * 4
    assert last.content == 'Is it sunny?\n\nUse this information: weather(city="Rome") = Sunny.'


def test_folding_leaves_the_callers_messages_as_they_are():
    question = QUESTION.model_copy()

    plain_request(request(question, CALLS, RESULT))

    assert question == QUESTION


def test_what_a_call_is_asked_with():
    asked = call_request(request(SYSTEM, QUESTION, ANSWER, QUESTION, choice="weather", temperature=0.3), (Weather(),))

    *examples, last = asked.messages
    form = asked.config.response_format["json_schema"]["schema"]
    assert last == LLMMessage(
        content="Text: Is it sunny?\n\nExtract the arguments of the function weather(city) from the text, as JSON."
    )
    assert [message.role for message in examples] == [USER, ASSISTANT] * 4
    assert all(json.loads(message.content) for message in examples[1::2])
    assert form == {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    assert (asked.tools, asked.tool_choice) == ((), None)
    assert (asked.config.temperature, asked.config.max_tokens) == (0.3, 512)


def test_a_call_may_be_limited():
    asked = call_request(request(QUESTION, num_predict=9), (Weather(),))

    assert (asked.config.max_tokens, asked.config.num_predict) == (9, None)


def test_a_call_without_a_question():
    assert call_request(request(SYSTEM), (Weather(),)).messages[-1].content.startswith("Text: \n\n")


TEXT, NUMBER = {"type": "string"}, {"type": "integer", "default": 3}
PARAMETERS = {
    "required ones only": ({"properties": {"a": TEXT, "b": TEXT}, "required": ["a"]}, ["a"]),
    "none is required": ({"properties": {"a": TEXT}, "required": []}, []),
    "nothing is said of it": ({"properties": {"a": TEXT, "b": NUMBER}}, ["a"]),
    "no parameters": ({}, []),
    "no word about parameters": (None, []),
}


@pytest.mark.parametrize(("parameters", "kept"), PARAMETERS.values(), ids=PARAMETERS.keys())
def test_it_is_asked_only_for_what_a_tool_cannot_do_without(parameters: dict | None, kept: list):
    """A model of 135M parameters invents the rest: a format for the time, a day to count from."""
    asked = call_request(request(QUESTION), (Tool("now", parameters),))

    schema = asked.config.response_format["json_schema"]["schema"]
    assert (list(schema["properties"]), schema["required"]) == (kept, kept)
    assert f"now({', '.join(kept)})" in asked.messages[-1].content


def of(kind: str) -> dict:
    return {
        "type": "object",
        "properties": {"x": {"$ref": "#/$defs/X"}},
        "required": ["x"],
        "$defs": {"X": {"type": kind}},
    }


def test_several_tools_that_define_the_same_name():
    tools = (Tool("a", of("string")), Tool("b", of("integer")), Tool("c"))

    asked = call_request(request(QUESTION), tools)

    schema = asked.config.response_format["json_schema"]["schema"]
    assert asked.messages[-1].content.startswith("Functions:\na(x): \nb(x): \nc(): \n\nText: Is it sunny?\n\nWhich")
    assert schema["$defs"] == {"a.X": {"type": "string"}, "b.X": {"type": "integer"}}
    assert [list(choice["properties"]) for choice in schema["anyOf"]] == [["a"], ["b"], ["c"]]
    assert schema["anyOf"][1]["properties"]["b"]["properties"] == {"x": {"$ref": "#/$defs/b.X"}}


def test_several_tools_that_define_nothing():
    asked = call_request(request(QUESTION), (Weather(), Tool("now")))

    assert list(asked.config.response_format["json_schema"]["schema"]) == ["anyOf"]
    assert json.loads(asked.messages[1].content) == {"remind": {"text": "call my sister", "time": "in an hour"}}


def read(decoder: CallDecoder, *texts: str, reason: str = "stop") -> list:
    return list(decode_chunks(decoder, [sse(*map(chunk, texts), chunk(finish_reason=reason))]))


START, END = ToolCallStart("call_3_0", "weather"), LLMToolCall(id="call_3_0", name="weather", arguments={"city": "R}"})


def test_arguments_are_told_as_they_come():
    events = read(CallDecoder(3, "weather"), '{"city"', ': "R}"}', "\n ")

    deltas = [ToolCallDelta("call_3_0", text) for text in ['{"city"', ': "R}"}', "\n "]]
    assert events == [START, *deltas, ToolCallEnd(END), StepFinish("tool_calls")]


def test_what_is_no_argument_stays_what_it_is():
    thought = {"choices": [{"delta": {"reasoning_content": "Hm"}}]}

    events = list(decode_chunks(CallDecoder(3, "weather"), [sse(thought, chunk("{}"), chunk(finish_reason="stop"))]))

    assert ReasoningDelta("Hm") in events


CHOICE = ' {\n "weather" : {"city": "R}" } \n}\n'


@pytest.mark.parametrize("cut", range(len(CHOICE)))
def test_a_choice_is_read_however_it_is_split(cut: int):
    start, *deltas, end, finish = read(ChoiceDecoder(3), CHOICE[:cut], CHOICE[cut:])

    assert (start, end, finish) == (START, ToolCallEnd(END), StepFinish("tool_calls"))
    assert json.loads("".join(delta.delta for delta in deltas)) == END.arguments


def test_a_choice_is_told_as_it_comes():
    events = read(ChoiceDecoder(3), *CHOICE)

    deltas = [event.delta for event in events if isinstance(event, ToolCallDelta)]
    assert list(accumulate(deltas))[-1].strip() == '{"city": "R}" }'
    assert len(deltas) > 10


@pytest.mark.parametrize("text", ["", '{"wea', '{"weather": {"city": "R'])
def test_a_choice_that_is_cut_off_is_no_call(text: str):
    events = read(ChoiceDecoder(3), text, reason="length")

    assert events[-1] == StepFinish("length")
    assert not [event for event in events if isinstance(event, ToolCallEnd)]
