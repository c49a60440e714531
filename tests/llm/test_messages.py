"""Messages: how they are made, what is read as one, and what is refused before anything is sent."""

from __future__ import annotations

import asyncio

import openai
import pytest
from driving import BOTH, begin, events_of
from loopback import Loopback, Reply, completion, json_reply
from openai.types.chat import ChatCompletionMessage
from pydantic import BaseModel, RootModel

from mojentic_nb.llm import ChatSession, LLMBroker, LLMMessage, LLMToolCall, MessageRole
from mojentic_nb.llm.gateways import OpenAIGateway, ScriptedGateway
from mojentic_nb.tracer import TracerSystem

PICTURE = "data:image/png;base64,iVBORw0KGgo="


class Place(BaseModel):
    name: str
    near: list[str] = []


class Places(RootModel[list[Place]]):
    pass


def test_a_text_alone_makes_a_message_of_the_users():
    assert LLMMessage("Hello") == LLMMessage(content="Hello") == LLMMessage(role=MessageRole.User, content="Hello")
    assert LLMMessage("Be brief.", role=MessageRole.System).role is MessageRole.System


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"contents": "Hello"}, "contents is unknown. Did you mean content?"),
        ({"content": "Look", "images": ["a.png"]}, "images is unknown. Did you mean image_paths?"),
        ({"x": 1}, "x is unknown. The fields are: role, content, thinking, object, tool_calls, image_paths, "),
        ({"content": 5}, "content should be a valid string, got 5."),
        ({"role": "robot"}, "role should be 'system', 'user', 'assistant' or 'tool', got \"robot\"."),
    ],
)
def test_what_makes_no_message_is_refused_in_a_line(fields: dict, says: str):
    """Before, a misspelt field was ignored, and an empty message sent."""
    with pytest.raises(ValueError) as refused:  # noqa: PT011 (below)
        LLMMessage(**fields)

    assert str(refused.value).startswith(f"Invalid message: {says}")
    assert "\n" not in str(refused.value)


def test_the_developer_is_the_system():
    assert LLMMessage(role="developer", content="Be brief.").role is MessageRole.System


OBJECTS = [Place(name="Paris", near=["Lille"]), Places([Place(name="Paris")]), RootModel[int](5), RootModel[str]("a")]


@pytest.mark.parametrize("made", OBJECTS, ids=lambda made: type(made).__name__)
def test_an_object_comes_back_from_json(made: BaseModel):
    message = LLMMessage(role=MessageRole.Assistant, object=made)

    again = LLMMessage.model_validate_json(message.model_dump_json())

    assert again.object.model_dump() == made.model_dump()
    assert again.model_dump_json() == message.model_dump_json()
    assert LLMMessage.model_validate(again.model_dump()).object.model_dump() == made.model_dump()


def test_an_object_from_json_has_its_fields():
    message = LLMMessage(object=Place(name="Paris"))

    assert LLMMessage.model_validate_json(message.model_dump_json()).object.name == "Paris"


def test_every_other_field_comes_back_from_json_as_well():
    call = LLMToolCall(id="a", name="sky", arguments={"city": "Oslo"}, error="No.")
    message = LLMMessage(
        "Look.", role=MessageRole.Assistant, thinking="Hm.", tool_calls=[call], image_paths=[PICTURE],
        reasoning_details=[{"signature": "x"}],
    )  # fmt: skip

    assert LLMMessage.model_validate_json(message.model_dump_json()) == message


@pytest.mark.parametrize("role", MessageRole)
def test_an_object_alone_is_sent_as_json(server: Loopback, role: MessageRole):
    server.play(Reply([completion("Yes")]))

    LLMBroker("m", OpenAIGateway(base_url=server.url)).generate([LLMMessage(role=role, object=Place(name="Paris"))])

    assert server.requests[0].body["messages"][0]["content"] == '{"name":"Paris","near":[]}'


CALL = {"id": "call_1", "type": "function", "function": {"name": "sky", "arguments": '{"city": "Oslo"}'}}
READ = LLMToolCall(id="call_1", name="sky", arguments={"city": "Oslo"})
ASSISTANT, SYSTEM, TOOL = MessageRole.Assistant, MessageRole.System, MessageRole.Tool
DICTS = {
    "a text": ({"role": "user", "content": "Hello"}, LLMMessage("Hello")),
    "a participant's name": ({"role": "user", "content": "Hello", "name": "ann"}, LLMMessage("Hello")),
    "the developer": ({"role": "developer", "content": "Be brief."}, LLMMessage("Be brief.", role=SYSTEM)),
    "parts": (
        {"role": "user", "content": [{"type": "text", "text": "What"}, {"type": "text", "text": "is it?"}]},
        LLMMessage("What\nis it?"),
    ),
    "texts as parts": ({"role": "user", "content": ["What", "is it?"]}, LLMMessage("What\nis it?")),
    "images": (
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
                {"type": "text", "text": "Well?"},
                {"type": "image_url", "image_url": "https://example.com/1.png"},
            ],
        },
        LLMMessage("Well?", image_paths=[PICTURE, "https://example.com/1.png"]),
    ),
    "what an SDK keeps of an answer": (
        ChatCompletionMessage(role="assistant", content="Yes.", annotations=[]).model_dump(),
        LLMMessage("Yes.", role=ASSISTANT),
    ),
    "a refusal": ({"role": "assistant", "content": None, "refusal": "No."}, LLMMessage("No.", role=ASSISTANT)),
    "a refusal as a part": (
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        LLMMessage("No.", role=ASSISTANT),
    ),
    "spoken": (
        {"role": "assistant", "audio": {"id": "audio_1", "transcript": "Yes."}},
        LLMMessage("Yes.", role=ASSISTANT),
    ),
    "spoken, by its id": ({"role": "assistant", "audio": {"id": "audio_1"}}, LLMMessage(role=ASSISTANT)),
    "a call": (
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        LLMMessage(role=ASSISTANT, tool_calls=[READ]),
    ),
    "a call whose arguments are an object": (
        {"role": "assistant", "tool_calls": [{"function": {"name": "sky", "arguments": {"city": "Oslo"}}}]},
        LLMMessage(role=ASSISTANT, tool_calls=[READ.model_copy(update={"id": ""})]),
    ),
    "a result without its call": (
        {"role": "tool", "tool_call_id": "call_9", "name": "sky", "content": "clear"},
        LLMMessage("clear", role=TOOL, tool_calls=[LLMToolCall(id="call_9", name="sky", arguments={})]),
    ),
    "our own fields": (
        LLMMessage("Look.", role=ASSISTANT, thinking="Hm.", tool_calls=[READ]).model_dump(mode="json"),
        LLMMessage("Look.", role=ASSISTANT, thinking="Hm.", tool_calls=[READ]),
    ),
}
HELLO = LLMMessage("Hello")


@pytest.mark.parametrize(("given", "message"), DICTS.values(), ids=DICTS.keys())
@pytest.mark.parametrize("how", BOTH)
def test_a_dict_is_read_as_a_message(how: str, given: dict, message: LLMMessage):
    run = begin(LLMBroker("m", ScriptedGateway(["Yes."])), how, [HELLO, given])

    events_of(run)

    assert run.messages == [HELLO, message, LLMMessage("Yes.", role=ASSISTANT)]


RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "clear"}
HISTORY = [{"role": "user", "content": "How is the sky?"}, {"role": "assistant", "tool_calls": [CALL]}, RESULT]


def test_a_result_is_read_with_the_call_that_it_answers(server: Loopback):
    server.play(Reply([completion("Clear.")]))

    LLMBroker("m", OpenAIGateway(base_url=server.url)).generate(HISTORY)

    sent = server.requests[0].body["messages"]
    assert sent == [HISTORY[0], {"role": "assistant", "content": None, "tool_calls": [CALL]}, RESULT]


def test_dicts_are_read_wherever_messages_are_taken():
    gateway = ScriptedGateway(["Yes.", "Yes.", "Yes."])
    chat = ChatSession(LLMBroker("m", gateway), system_prompt="")
    tracer = TracerSystem()

    for message in HISTORY:
        chat.insert_message(message)
    chat.send({"role": "user", "content": "And now?"})
    gateway.complete("m", HISTORY)
    list(gateway.complete_stream("m", HISTORY))
    tracer.record_llm_call("m", HISTORY)
    tracer.record_llm_response("m", "", [CALL])

    sent, answered = tracer.get_events()
    for read in (*(request.messages for request in gateway.requests), sent.messages):
        assert read[2] == LLMMessage("clear", role=TOOL, tool_calls=[READ])
    assert answered.tool_calls == (READ,)


def test_the_callers_dicts_are_never_changed():
    given = {"role": "user", "content": [{"type": "text", "text": "Hello"}], "name": None}
    copy = {**given, "content": [dict(part) for part in given["content"]]}

    LLMBroker("m", ScriptedGateway(["Yes."])).generate([given])

    assert given == copy


REFUSED = {
    "no messages": ([], "`messages` is empty. Pass at least one message, as in"),
    "a user who says nothing": ([HELLO, LLMMessage()], "Message 2 of 2 is the user's and is empty. Give it text or"),
    "a user who says only space": ([LLMMessage(" \n")], "Message 1 of 1 is the user's and is empty"),
    "a dict without parts": ([{"role": "user", "content": []}], "Message 1 of 1 is the user's and is empty"),
    "an unknown field": ([{"role": "user", "contnet": "Hello"}], "contnet is unknown. Did you mean content?"),
    "an unknown role": ([{"role": "function", "content": "Hello"}], "role should be 'system'"),
    "a call without a name": (
        [HELLO, {"role": "assistant", "tool_calls": [{"id": "call_1"}]}],
        "tool_calls.0.name is missing",
    ),
    "a part that isn't text or an image": (
        [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}],
        "A message's part can't be 'input_audio'. Give parts of type text or image_url.",
    ),
    "a part that is no dict": ([{"role": "user", "content": [5]}], "A message's part can't be 5"),
    "a file of this machine": (
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "/home/me/passport.png"}}]}],
        "An image_url is an http(s) link or a data: URI, not '/home/me/passport.png'. Put files in image_paths.",
    ),
}
WAYS = {
    "generate": lambda broker, messages: broker.generate(messages),
    "agenerate": lambda broker, messages: asyncio.run(broker.agenerate(messages)),
    "stream": lambda broker, messages: broker.stream(messages),
    "astream": lambda broker, messages: broker.astream(messages),
    "generate_object": lambda broker, messages: broker.generate_object(messages, Place),
    "complete": lambda broker, messages: broker.adapter.complete("m", messages),
    "complete_stream": lambda broker, messages: broker.adapter.complete_stream("m", messages),
}


@pytest.mark.parametrize("ask", WAYS.values(), ids=WAYS.keys())
@pytest.mark.parametrize(("messages", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_messages_that_cannot_be_sent_are_refused_at_the_call(ask, messages: list, says: str):
    gateway = ScriptedGateway([])

    with pytest.raises(ValueError) as refused:  # noqa: PT011 (below)
        ask(LLMBroker("m", gateway), messages)

    assert says in str(refused.value)
    assert gateway.requests == []


def test_a_session_takes_no_empty_message():
    chat = ChatSession(LLMBroker("m", ScriptedGateway([])), system_prompt="")

    with pytest.raises(ValueError, match="^The message is empty. Give it text or an image.$"):
        chat.insert_message(LLMMessage(""))

    assert chat.messages == []


def test_an_object_that_is_empty_is_no_empty_message():
    class Rows(RootModel[list[int]]):
        def __len__(self) -> int:
            return len(self.root)

    gateway = ScriptedGateway(["None."])
    LLMBroker("m", gateway).generate([LLMMessage(object=Rows([]))])

    assert gateway.requests[0].messages[0].content == "[]"


def test_an_image_alone_is_no_empty_message(server: Loopback):
    server.play(Reply([completion("A cat.")]))

    assert LLMBroker("m", OpenAIGateway(base_url=server.url)).generate([LLMMessage(image_paths=[PICTURE])]) == "A cat."


def test_a_message_of_the_sdks_is_sent_back_as_it_came(server: Loopback):
    """The loop that most programs begin with keeps the SDK's own messages."""
    answer = {"role": "assistant", "content": "Yes.", "refusal": None, "annotations": []}
    server.play(json_reply({"choices": [{"index": 0, "message": answer, "finish_reason": "stop"}]}))
    server.play(Reply([completion("Oslo.")]))
    with openai.OpenAI(api_key="k", base_url=server.url) as client:
        history = [{"role": "user", "content": "Do you know Norway?"}]
        said = client.chat.completions.create(model="m", messages=history).choices[0].message

    history += [said.model_dump(), {"role": "user", "content": "Its capital?"}]
    LLMBroker("m", OpenAIGateway(base_url=server.url)).generate(history)

    assert server.requests[1].body["messages"][1] == {"role": "assistant", "content": "Yes."}
