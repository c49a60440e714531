"""What a request says about calling tools, in each provider's words, and what happens where it can't be said."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace as Said

import pytest
from anthropic.types import ToolChoiceParam
from driving import BOTH, begin, events_of
from loopback import Loopback, Reply, completion, json_reply, sse
from openai.types.chat import ChatCompletionToolChoiceOptionParam
from openai.types.responses.response_create_params import ToolChoice
from pydantic import TypeAdapter
from weather import Weather

from mojentic_nb.llm import CompletionConfig, LLMBroker, LLMMessage, TextDelta
from mojentic_nb.llm.errors import BadRequestError, ConfigurationError
from mojentic_nb.llm.gateways import AnthropicGateway, OllamaGateway, OpenAIGateway, ScriptedGateway
from mojentic_nb.llm.gateways.wire import anthropic_messages, chat_completions, ollama_chat, responses
from mojentic_nb.llm.request import Request

KEY = "sk-secret-of-the-test"
QUESTION = (LLMMessage(content="Is it sunny in Rome?"),)
CALL = [
    {"choices": [{"delta": {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "weather"}}]}}]},
    {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
]


def request(choice: str | None, *, tools: tuple = (Weather(),), model: str = "m", **settings) -> Request:
    return Request(model, QUESTION, CompletionConfig(**settings), tools, tool_choice=choice)


SPELLINGS = {
    "Chat Completions": (
        chat_completions.encode,
        TypeAdapter(ChatCompletionToolChoiceOptionParam),
        ["auto", "none", "required", {"type": "function", "function": {"name": "weather"}}],
    ),
    "Responses": (
        responses.encode,
        TypeAdapter(ToolChoice),
        ["auto", "none", "required", {"type": "function", "name": "weather"}],
    ),
    "Messages": (
        anthropic_messages.encode,
        TypeAdapter(ToolChoiceParam),
        [{"type": "auto"}, {"type": "none"}, {"type": "any"}, {"type": "tool", "name": "weather"}],
    ),
}
ENCODERS = {name: encode for name, (encode, _, _) in SPELLINGS.items()} | {"Ollama": ollama_chat.encode}
every_api = pytest.mark.parametrize("encode", ENCODERS.values(), ids=ENCODERS.keys())
every_choice = pytest.mark.parametrize("choice", ["auto", "none", "required", "weather"])


@pytest.mark.parametrize(("encode", "type_", "spelled"), SPELLINGS.values(), ids=SPELLINGS.keys())
def test_each_choice_is_sent_as_the_api_spells_it(encode: Callable, type_: TypeAdapter, spelled: list):
    bodies = [encode(request(choice)) for choice in ["auto", "none", "required", "weather"]]

    assert [body["tool_choice"] for body in bodies] == spelled
    assert all(body["tools"] for body in bodies)
    for choice in spelled:
        type_.validate_python(choice)


@every_api
def test_no_choice_is_sent_where_there_is_none(encode: Callable):
    body = encode(request(None))

    assert body["tools"]
    assert "tool_choice" not in body


@every_api
@every_choice
def test_no_choice_is_sent_without_tools(encode: Callable, choice: str):
    assert not {"tools", "tool_choice"} & encode(request(choice, tools=())).keys()


@pytest.mark.parametrize("choice", ["required", "weather"])
@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "claude-opus-4-6"])
def test_claude_is_not_asked_to_think_before_a_call_that_is_forced(choice: str, model: str):
    says = f"^Claude can't think before a forced tool call. .* tool_choice='{choice}' or reasoning_effort='low'.$"

    with pytest.raises(ConfigurationError, match=says):
        anthropic_messages.encode(request(choice, model=model, reasoning_effort="low"))


@pytest.mark.parametrize(("choice", "effort"), [("auto", "low"), ("none", "low"), ("required", "none")])
def test_claude_thinks_before_any_other_call(choice: str, effort: str):
    body = anthropic_messages.encode(request(choice, model="claude-opus-4-6", reasoning_effort=effort))

    assert {"thinking", "tool_choice"} <= body.keys()


@pytest.mark.parametrize(("choice", "offered"), [("auto", [Weather.descriptor]), ("none", None)])
def test_ollama_is_offered_no_tools_where_none_may_be_called(choice: str, offered: list | None):
    body = ollama_chat.encode(request(choice))

    assert (body.get("tools"), body.get("tool_choice")) == (offered, None)


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("choice", ["required", "weather"])
def test_ollama_which_cannot_force_a_call_says_so_and_is_not_asked(server: Loopback, choice: str, how: str):
    broker = LLMBroker("m", OllamaGateway(server.url))

    with pytest.raises(ConfigurationError, match=f"Ollama can't force a tool call. Leave out tool_choice='{choice}'"):
        events_of(begin(broker, how, QUESTION, [Weather()], tool_choice=choice))

    assert server.requests == []


@pytest.mark.parametrize("how", BOTH)
def test_only_the_first_call_is_forced(server: Loopback, how: str):
    server.play(Reply([sse(*CALL)]), Reply([completion("Sunny.")]))
    broker = LLMBroker("m", OpenAIGateway(KEY, server.url))

    events = events_of(begin(broker, how, QUESTION, [Weather()], tool_choice="required"))

    assert [asked.body["tool_choice"] for asked in server.requests] == ["required", "auto"]
    assert TextDelta("Sunny.") in events


MESSAGE = [
    {"type": "message_start", "message": {"usage": {"input_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "Sunny."}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
]
SDKS = {
    "OpenAI": (OpenAIGateway, Reply([completion("Sunny.")])),
    "Anthropic": (AnthropicGateway, Reply([sse(*MESSAGE, done=False)])),
}
every_sdk = pytest.mark.parametrize(("gateway", "answer"), SDKS.values(), ids=SDKS.keys())


@pytest.mark.parametrize("choice", ["weather", {"function": {"name": "weather"}}, {"name": "weather"}])
def test_a_tool_is_chosen_by_its_name_or_as_openais_apis_spell_it(choice: str | dict):
    gateway = ScriptedGateway(["Sunny."])

    LLMBroker("a-model", gateway).generate(QUESTION, [Weather()], tool_choice=choice)

    assert gateway.requests[0].tool_choice == "weather"


REFUSAL = json_reply({"error": {"message": "tool_choice: Extra inputs are not permitted"}}, 400)


@every_sdk
@pytest.mark.parametrize("how", BOTH)
def test_where_no_choice_is_known_auto_is_left_out(server: Loopback, gateway: Callable, answer: Reply, how: str):
    server.play(REFUSAL, answer, answer)
    broker = LLMBroker("m", gateway(KEY, server.url))

    for _ in range(2):
        events_of(begin(broker, how, QUESTION, [Weather()], tool_choice="auto"))

    assert ["tool_choice" in asked.body for asked in server.requests] == [True, False, False]
    assert all("tools" in asked.body for asked in server.requests)


@every_sdk
@pytest.mark.parametrize("choice", ["none", "required", "weather"])
def test_where_no_choice_is_known_any_other_is_an_error(
    server: Loopback, gateway: Callable, answer: Reply, choice: str
):
    server.play(REFUSAL, answer, REFUSAL)
    broker = LLMBroker("m", gateway(KEY, server.url))
    broker.generate(QUESTION, [Weather()], tool_choice="auto")

    with pytest.raises(BadRequestError, match="tool_choice: Extra inputs are not permitted"):
        broker.generate(QUESTION, [Weather()], tool_choice=choice)

    assert ["tool_choice" in asked.body for asked in server.requests] == [True, False, True]


class Plain:
    """A gateway as Mojentic has them."""

    def complete_stream(self, tools=None, **more):
        yield Said(content=repr([bool(tools), more.get("tool_choice")]))


class Choosing:
    """One that can say which tool is to be called."""

    def complete_stream(self, tools=None, tool_choice=None):
        yield Said(content=repr([bool(tools), tool_choice]))


@pytest.mark.parametrize(
    ("gateway", "choice", "got"),
    [
        (Plain, None, [True, None]),
        (Plain, "auto", [True, None]),
        (Plain, "none", [False, None]),
        (Choosing, None, [True, None]),
        (Choosing, "auto", [True, "auto"]),
        (Choosing, "none", [True, "none"]),
        (Choosing, "required", [True, "required"]),
        (Choosing, "weather", [True, "weather"]),
    ],
)
def test_a_gateway_written_for_mojentic_is_told_as_far_as_it_takes_it(gateway: type, choice: str | None, got: list):
    assert LLMBroker("m", gateway()).generate(QUESTION, [Weather()], tool_choice=choice) == repr(got)


@pytest.mark.parametrize("choice", ["required", "weather"])
def test_a_gateway_written_for_mojentic_that_cannot_force_a_call_says_so(choice: str):
    with pytest.raises(ConfigurationError, match=f"This gateway can't force .* Leave out tool_choice='{choice}'"):
        LLMBroker("m", Plain()).generate(QUESTION, [Weather()], tool_choice=choice)
