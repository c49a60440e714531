"""Programs written for Mojentic: the snippets of its page on streaming run, with only the package's name changed."""

from __future__ import annotations

import inspect
import json
import re
import runpy
import sys
import typing
from pathlib import Path

import pytest
from loopback import Cut, Hold, Loopback, Reply, chunk, completion, json_reply, sse
from pydantic import BaseModel

from mojentic_nb.llm import CompletionConfig, LLMBroker, LLMMessage
from mojentic_nb.llm.gateways import OpenAIGateway
from mojentic_nb.llm.tools.date_resolver import ResolveDateTool
from mojentic_nb.tracer import (
    LLMCallTracerEvent,
    LLMResponseTracerEvent,
    RunTracerEvent,
    ToolBatchTracerEvent,
    ToolCallTracerEvent,
    TracerSystem,
)

SIMPLE = """
from mojentic.llm import LLMBroker
from mojentic.llm.gateways import OllamaGateway
from mojentic.llm.gateways.models import LLMMessage

broker = LLMBroker(
    model="qwen2.5:7b",
    gateway=OllamaGateway()
)

# Stream the response
stream = broker.generate_stream(
    messages=[LLMMessage(content="Tell me a short story about a dragon")],
    temperature=0.7
)

# Print chunks as they arrive
for chunk in stream:
    print(chunk, end='', flush=True)

print("\\nDone!")
"""

WITH_OPENAI = """
import os
from mojentic.llm import LLMBroker
from mojentic.llm.gateways import OpenAIGateway
from mojentic.llm.gateways.models import LLMMessage

broker = LLMBroker(
    model="gpt-4o-mini",
    gateway=OpenAIGateway(api_key=os.getenv("OPENAI_API_KEY"))
)

stream = broker.generate_stream(
    messages=[LLMMessage(content="Count to 10, one number per line")],
    temperature=0.7
)

for chunk in stream:
    print(chunk, end='', flush=True)
"""

WITH_TOOLS = """
from mojentic.llm import LLMBroker
from mojentic.llm.gateways import OpenAIGateway
from mojentic.llm.gateways.models import LLMMessage
from mojentic.llm.tools.date_resolver import ResolveDateTool
import os

broker = LLMBroker(
    model="gpt-4o-mini",
    gateway=OpenAIGateway(api_key=os.getenv("OPENAI_API_KEY"))
)

date_tool = ResolveDateTool()

# This will:
# 1. Stream any initial content
# 2. Call the date tool when needed
# 3. Stream the response after tool execution
stream = broker.generate_stream(
    messages=[
        LLMMessage(content="Tell me a story about tomorrow and next week")
    ],
    tools=[date_tool],
    temperature=0.7
)

for chunk in stream:
    print(chunk, end='', flush=True)
"""

CONTENT_BEFORE_CALLS = """
stream = broker.generate_stream(
    messages=[
        LLMMessage(content="What is the date tomorrow? "
                           "First, explain what you're going to do, "
                           "then call the tool.")
    ],
    tools=[date_tool]
)
"""

SIGNATURE = """
def generate_stream(
    self,
    messages: List[LLMMessage],
    tools=None,
    config: Optional[CompletionConfig] = None,
    temperature=None,
    num_ctx=None,
    num_predict=None,
    max_tokens=None,
    correlation_id: str = None
) -> Iterator[str]:
    ...
"""

EXCEPTIONS = """
try:
    for chunk in broker.generate_stream(messages=messages, tools=tools):
        print(chunk, end='', flush=True)
except Exception as e:
    print(f"\\nError during streaming: {e}")
"""

WITH_TRACER = """
from mojentic.tracer import TracerSystem

tracer = TracerSystem()
broker = LLMBroker(
    model="gpt-4o-mini",
    gateway=OpenAIGateway(),
    tracer=tracer
)

# Stream with full observability
stream = broker.generate_stream(messages=messages, tools=tools)
for chunk in stream:
    print(chunk, end='', flush=True)

# Review what happened
events = tracer.get_events()
"""

CHECK = """
if hasattr(broker.adapter, 'complete_stream'):
    stream = broker.generate_stream(messages=messages)
else:
    response = broker.generate(messages=messages)
"""

STREAMED_OBJECT = """
# This will raise NotImplementedError
stream = broker.generate_stream(
    messages=messages,
    object_model=MyPydanticModel
)
"""

OBJECT = """
# Use non-streaming for structured output
obj = broker.generate_object(
    messages=messages,
    object_model=MyPydanticModel
)
"""

COMPATIBILITY = """
# The gateway will raise NotImplementedError if model doesn't support streaming
try:
    stream = broker.generate_stream(
        messages=messages,
        model="o1-preview"  # May not support streaming
    )
except NotImplementedError as e:
    print(f"Model doesn't support streaming: {e}")
"""

KEY = "sk-of-the-test"
MESSAGES = [LLMMessage(content="What is the date tomorrow?")]
ARGUMENTS = {"relative_date_found": "tomorrow", "reference_date_in_iso8601": "2025-11-12"}
RESULT = {"relative_date": "tomorrow", "resolved_date": "2025-11-13", "summary": "The date on 'tomorrow' is 2025-11-13"}


class MyPydanticModel(BaseModel):
    city: str


@pytest.fixture(autouse=True)
def providers(server: Loopback, monkeypatch: pytest.MonkeyPatch):
    """The loopback server is at every provider's address."""
    for provider in ["OPENAI", "ANTHROPIC"]:
        monkeypatch.setenv(f"{provider}_BASE_URL", server.url)
        monkeypatch.setenv(f"{provider}_API_KEY", KEY)
    monkeypatch.setenv("OLLAMA_HOST", server.url)


@pytest.fixture
def run(tmp_path):
    """Runs a snippet as a program that has the given names, and gives all its names afterwards."""

    def run_snippet(snippet: str, **names) -> dict:
        program = tmp_path / "program.py"
        program.write_text(re.sub(r"\bmojentic\b", "mojentic_nb", snippet), "utf-8")
        return runpy.run_path(str(program), names)

    return run_snippet


def broker(**options) -> LLMBroker:
    return LLMBroker("gpt-4o-mini", OpenAIGateway(**options))


def ollama(*messages: dict) -> bytes:
    """A completion as Ollama streams it."""
    bodies = [{"message": {"role": "assistant", **message}, "done": False} for message in messages]
    return b"".join(json.dumps(body).encode() + b"\n" for body in [*bodies, {"done": True, "done_reason": "stop"}])


def openai_call(arguments: dict) -> list[dict]:
    """The chunks of a call, which comes in small pieces as the page shows it."""
    text = json.dumps(arguments)
    pieces = [text[at : at + 5] for at in range(0, len(text), 5)]
    first = {"index": 0, "id": "call_123", "function": {"name": "resolve_date", "arguments": ""}}
    calls = [first, *({"index": 0, "function": {"arguments": piece}} for piece in pieces)]
    return [{"choices": [{"delta": {"tool_calls": [call]}}]} for call in calls] + [chunk(finish_reason="tool_calls")]


def anthropic(block: dict, *deltas: dict, index: int = 0) -> list[dict]:
    """The events of one block of Anthropic's."""
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def anthropic_message(stop_reason: str, *events: dict) -> bytes:
    """A message as Anthropic streams it."""
    end = [{"type": "message_delta", "delta": {"stop_reason": stop_reason}}, {"type": "message_stop"}]
    return sse({"type": "message_start", "message": {}}, *events, *end, done=False)


def anthropic_text(*texts: str) -> list[dict]:
    return anthropic({"type": "text", "text": ""}, *({"type": "text_delta", "text": text} for text in texts))


OPENAI_REPLIES = [sse(chunk("Let me see. "), *openai_call(ARGUMENTS)), completion("It is ", "2025-11-13.")]
ROUNDS = {
    'OpenAIGateway(api_key=os.getenv("OPENAI_API_KEY"))': (
        OPENAI_REPLIES,
        {"role": "tool", "tool_call_id": "call_123", "content": json.dumps(RESULT)},
    ),
    "OllamaGateway()": (
        [
            ollama(
                {"content": "Let me see. "},
                {"tool_calls": [{"function": {"name": "resolve_date", "arguments": ARGUMENTS}}]},
            ),
            ollama({"content": "It is "}, {"content": "2025-11-13."}),
        ],
        {"role": "tool", "tool_name": "resolve_date", "content": json.dumps(RESULT)},
    ),
    'AnthropicGateway(api_key=os.getenv("ANTHROPIC_API_KEY"))': (
        [
            anthropic_message(
                "tool_use",
                *anthropic_text("Let me see. "),
                *anthropic(
                    {"type": "tool_use", "id": "toolu_1", "name": "resolve_date", "input": {}},
                    {"type": "input_json_delta", "partial_json": ""},
                    *({"type": "input_json_delta", "partial_json": piece} for piece in json.dumps(ARGUMENTS)),
                    index=1,
                ),
            ),
            anthropic_message("end_turn", *anthropic_text("It is ", "2025-11-13.")),
        ],
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": json.dumps(RESULT)}],
        },
    ),
}


def test_simple_text_streaming(server: Loopback, run, capsys):
    server.play(Reply([ollama({"content": "A dragon"}, {"content": " slept."})]))

    run(SIMPLE)

    assert capsys.readouterr().out == "A dragon slept.\nDone!\n"
    assert server.requests[0].body == {
        "model": "qwen2.5:7b",
        "messages": [{"role": "user", "content": "Tell me a short story about a dragon"}],
        "stream": True,
        "options": {"temperature": 0.7},
    }


def test_streaming_with_openai(server: Loopback, run, capsys):
    server.play(Reply([completion("1\n", "2\n", "3")]))

    run(WITH_OPENAI)

    assert capsys.readouterr().out == "1\n2\n3"
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.requests[0].body["temperature"] == 0.7


@pytest.mark.parametrize("gateway", ROUNDS, ids=lambda gateway: gateway.partition("(")[0])
def test_streaming_with_tool_calling(server: Loopback, run, capsys, gateway: str):
    """Also with Anthropic, whose gateway the page calls "coming soon"."""
    replies, told = ROUNDS[gateway]
    server.play(*(Reply([reply]) for reply in replies))
    name = gateway.partition("(")[0]

    run(WITH_TOOLS.replace(next(iter(ROUNDS)), gateway).replace("import OpenAIGateway", f"import {name}"))

    assert capsys.readouterr().out == "Let me see. It is 2025-11-13."
    assert len(server.requests) == 2
    assert server.requests[1].body["messages"][-1] == told


def test_content_before_tool_calls_is_there_before_the_call(server: Loopback, run):
    hold = Hold()
    first = [sse(chunk("I will use the date tool."), done=False), hold, sse(*openai_call(ARGUMENTS))]
    server.play(Reply(first), Reply([completion(" Tomorrow is November 13, 2025.")]))

    stream = run(CONTENT_BEFORE_CALLS, broker=broker(), LLMMessage=LLMMessage, date_tool=ResolveDateTool())["stream"]

    assert next(stream) == "I will use the date tool."
    hold.release()
    assert "".join(stream) == " Tomorrow is November 13, 2025."


@pytest.fixture
def seed(run) -> inspect.Signature:
    """The method signature as the page has it."""
    names = {"LLMMessage": LLMMessage, "CompletionConfig": CompletionConfig}
    names |= {name: getattr(typing, name) for name in ["List", "Optional", "Iterator"]}
    return inspect.signature(run(SIGNATURE, **names)["generate_stream"])


TEXT_METHODS = ["generate_stream", "generate", "stream", "agenerate_stream", "agenerate", "astream"]
OBJECT_METHODS = ["generate_object", "stream_object", "agenerate_object", "astream_object"]


@pytest.mark.parametrize("method", TEXT_METHODS)
def test_the_signature_begins_word_for_word(seed: inspect.Signature, method: str):
    """Names, order, defaults, and that each may be given by position; what follows is by name."""
    expected = list(seed.parameters.values())

    parameters = list(inspect.signature(getattr(LLMBroker, method)).parameters.values())

    given, more = parameters[: len(expected)], parameters[len(expected) :]
    assert [(each.name, each.kind, each.default) for each in given] == [
        (each.name, each.kind, each.default) for each in expected
    ]
    assert {each.kind for each in more} <= {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD}


@pytest.mark.parametrize("method", OBJECT_METHODS)
def test_methods_for_objects_take_a_type_in_place_of_tools(seed: inspect.Signature, method: str):
    expected = [name.replace("tools", "object_model") for name in seed.parameters]

    assert list(inspect.signature(getattr(LLMBroker, method)).parameters)[: len(expected)] == expected


@pytest.mark.parametrize("method", ["generate_stream", "generate"])
def test_all_parameters_of_the_signature_are_taken_by_position(server: Loopback, method: str):
    server.play(Reply([ollama({"content": "Hello"})]))
    tracer = TracerSystem()

    answer = getattr(LLMBroker("qwen2.5:7b", tracer=tracer), method)(
        MESSAGES, [ResolveDateTool()], None, 0.7, 4096, 50, 60, "an-id"
    )

    assert "".join(answer) == "Hello"
    assert server.requests[0].body["options"] == {"temperature": 0.7, "num_ctx": 4096, "num_predict": 50}
    assert [tool["function"]["name"] for tool in server.requests[0].body["tools"]] == ["resolve_date"]
    assert {event.correlation_id for event in tracer.get_events()} == {"an-id"}


def test_a_limit_of_tokens_by_position_is_sent_to_openai(server: Loopback):
    server.play(Reply([completion('{"city": "Paris"}')]))

    made = broker().generate_object(MESSAGES, MyPydanticModel, None, 0.7, None, None, 60)

    assert made == MyPydanticModel(city="Paris")
    assert server.requests[0].body["max_tokens"] == 60


@pytest.mark.parametrize(
    ("reply", "printed"),
    [
        (Reply([completion("Hello")]), "Hello"),
        (json_reply({}, 401), "\nError during streaming: 127.* refused the API key. .*\n"),
        (Reply([sse(chunk("Hello"), done=False), Cut()]), "Hello\nError during streaming: The connection .*\n"),
    ],
    ids=["none", "before the answer", "in the answer"],
)
def test_handling_exceptions(server: Loopback, run, capsys, reply: Reply, printed: str):
    server.play(reply)

    run(EXCEPTIONS, broker=broker(), messages=MESSAGES, tools=[ResolveDateTool()])

    assert re.fullmatch(printed, capsys.readouterr().out)


def test_the_tracer(server: Loopback, run, capsys):
    server.play(*(Reply([reply]) for reply in OPENAI_REPLIES))
    names = {"LLMBroker": LLMBroker, "OpenAIGateway": OpenAIGateway}

    events = run(WITH_TRACER, messages=MESSAGES, tools=[ResolveDateTool()], **names)["events"]

    assert capsys.readouterr().out == "Let me see. It is 2025-11-13."
    request = [LLMCallTracerEvent, LLMResponseTracerEvent]
    tools = [ToolCallTracerEvent, ToolBatchTracerEvent]
    assert [type(event) for event in events] == [*request, *tools, *request, RunTracerEvent]


def test_checking_that_a_gateway_streams(server: Loopback, run):
    server.play(Reply([completion("Hello")]))

    names = run(CHECK, broker=broker(), messages=MESSAGES)

    assert list(names["stream"]) == ["Hello"]
    assert "response" not in names


def test_an_object_is_not_streamed(server: Loopback, run):
    with pytest.raises(NotImplementedError, match=r"use stream_object\(\)"):
        run(STREAMED_OBJECT, broker=broker(), messages=MESSAGES, MyPydanticModel=MyPydanticModel)

    assert server.requests == []


def test_an_object(server: Loopback, run):
    server.play(Reply([completion('{"city": ', '"Paris"}')]))

    names = run(OBJECT, broker=broker(), messages=MESSAGES, MyPydanticModel=MyPydanticModel)

    assert names["obj"] == MyPydanticModel(city="Paris")
    assert server.requests[0].body["response_format"]["json_schema"]["name"] == "MyPydanticModel"


def test_a_model_that_streams_elsewhere_whatever_openai_says_of_its_name(server: Loopback, run, capsys):
    server.play(Reply([completion("Hello")]))

    names = run(COMPATIBILITY, broker=broker(), messages=MESSAGES)

    assert list(names["stream"]) == ["Hello"]
    assert server.requests[0].body["model"] == "o1-preview"
    assert capsys.readouterr().out == ""


def test_a_model_that_cannot_stream(run, capsys):
    """Nothing is sent: the call itself says so."""
    openai = broker(base_url="https://api.openai.com/v1")

    names = run(COMPATIBILITY.replace("o1-preview", "o1-pro"), broker=openai, messages=MESSAGES)

    assert "stream" not in names
    assert re.fullmatch("Model doesn't support streaming: 'o1-pro' can't stream at .*\n", capsys.readouterr().out)


def openai_price(number: int, fruit: str) -> list[dict]:
    """The chunks of a call as OpenAI streams it."""
    function = {"name": "price_of", "arguments": json.dumps({"fruit": fruit})}
    call = {"index": number, "id": f"call_{number}", "type": "function", "function": function}
    return [{"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}]


def ollama_price(fruit: str) -> dict:
    """A call as Ollama sends it, whole."""
    return {"tool_calls": [{"function": {"name": "price_of", "arguments": {"fruit": fruit}}}]}


def openai_costs(*texts: str) -> bytes:
    usage = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}
    return sse(*map(chunk, texts), chunk(finish_reason="stop"), usage)


CALLING = chunk(finish_reason="tool_calls")
EXAMPLES = {
    "openai": [
        completion("A pear: ", "it is soft."),
        sse(chunk("Let me see. "), *openai_price(0, "apple"), *openai_price(1, "pear"), CALLING),
        completion("0.95 ", "euros."),
        sse(*openai_price(0, "pear"), CALLING),
        openai_costs("0.55 ", "euros."),
    ],
    "ollama": [
        ollama({"content": "A pear: "}, {"content": "it is soft."}),
        ollama({"content": "Let me see. "}, ollama_price("apple"), ollama_price("pear")),
        ollama({"content": "0.95 "}, {"content": "euros."}),
        ollama(ollama_price("pear")),
        ollama({"content": "0.55 "}, {"content": "euros."}),
    ],
}
PRINTED = """A pear: it is soft.
Let me see. 0.95 euros.
[price_of({"fruit": "pear"}) = 0.55]
0.55 euros.
"""


@pytest.fixture
def example(project: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the complete example with a provider."""

    def run_example(provider: str) -> None:
        monkeypatch.setattr(sys, "argv", ["streaming.py", provider, "a-model"])
        runpy.run_path(str(project / "docs/examples/streaming.py"), run_name="__main__")

    return run_example


@pytest.mark.parametrize("provider", EXAMPLES)
def test_the_complete_example(server: Loopback, example, capsys: pytest.CaptureFixture[str], provider: str):
    server.play(*(Reply([reply]) for reply in EXAMPLES[provider]))

    example(provider)

    cost = "5 tokens in, 2 out" if provider == "openai" else "0 tokens in, 0 out"
    assert capsys.readouterr().out == f"{PRINTED}stop: {cost}\n"
    assert [request.body.get("temperature", request.body.get("options", {}).get("temperature"))
            for request in server.requests] == [0.7, None, None, None, None]  # fmt: skip
    results = [message["content"] for message in server.requests[2].body["messages"] if message["role"] == "tool"]
    assert results == ["0.4", "0.55"]


def test_the_complete_example_says_what_is_wrong_in_a_line(server: Loopback, example):
    server.play(json_reply({"error": "No"}, 401))

    with pytest.raises(SystemExit, match="^\n.*refused the API key"):
        example("openai")
