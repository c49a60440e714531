"""Objects in place of text: what is asked for and how it is read, asking once more, and objects that grow."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import islice, pairwise
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from driving import BOTH
from grammar import assert_acceptable, assert_run
from loopback import PATIENCE, Hold, Loopback, Reply, json_reply
from providers_on_wire import PROVIDERS
from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError, field_validator
from weather import Weather, call

from mojentic_nb.llm import (
    AsyncObjectStream,
    CompletionConfig,
    Finish,
    LLMBroker,
    LLMMessage,
    MessageRole,
    ObjectStream,
    Retry,
    StepFinish,
    TextDelta,
    ToolCallEnd,
    Usage,
)
from mojentic_nb.llm.errors import BadRequestError, LLMError
from mojentic_nb.llm.gateways import OpenAIGateway, ScriptedGateway
from mojentic_nb.llm.request import Request

T = TypeVar("T")
QUESTION = [LLMMessage(content="Who?")]


class Person(BaseModel):
    name: str
    born: int


class Color(Enum):
    RED = "red"


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    color: Color | None = None


class Tree(BaseModel):
    kids: list[Tree] = Field(default_factory=list)


class Page(BaseModel, Generic[T]):
    rows: list[T]


class Pet(RootModel[Cat | Person]):
    """Either."""


@dataclass
class Point:
    x: int


ADA = Person(name="Ada", born=1815)
JSON = ADA.model_dump_json()
NONE = '{"name": "Ada"}'


def broker(*script, **options) -> LLMBroker:
    return LLMBroker("a-model", ScriptedGateway(script), **options)


def said(*texts: str, reason: str = "stop") -> list:
    """A step that says it in these pieces."""
    return [*map(TextDelta, texts), StepFinish(reason, Usage(1, len(texts)))]


def read(asked: LLMBroker, how: str, *of, **options) -> object:
    """The object, asked for in one of driving.BOTH ways."""
    if how == "async":
        return asyncio.run(asked.agenerate_object(*of, **options))
    return asked.generate_object(*of, **options)


def begin(asked: LLMBroker, how: str, *of, **options) -> ObjectStream | AsyncObjectStream:
    return (asked.astream_object if how == "async" else asked.stream_object)(*of, **options)


def shown(stream: ObjectStream | AsyncObjectStream, seen: Callable[[object], None] = lambda _: None) -> list:
    """All that iterating shows, each shown to `seen` as it comes."""
    values = []

    async def iterate() -> None:
        async for value in stream:
            values.append(value)
            seen(value)

    if isinstance(stream, AsyncObjectStream):
        asyncio.run(iterate())
    else:
        for value in stream:
            values.append(value)
            seen(value)
    return values


both = pytest.mark.parametrize("how", BOTH)

TYPES = {
    "a model": (Person, JSON, ADA, "Person"),
    "a model in itself": (Tree, '{"kids": [{"kids": []}]}', Tree(kids=[Tree()]), "Tree"),
    "a generic model": (Page[Cat], '{"rows": [{"color": "red"}]}', Page[Cat](rows=[Cat(color="red")]), "Page_Cat_"),
    "a model of a union": (Pet, '{"value": {"kind": "cat"}}', Pet(Cat()), "Pet"),
    "a dataclass": (Point, '{"x": 1}', Point(1), "Point"),
    "a dictionary": (dict[str, int], '{"a": 1}', {"a": 1}, "dict_str__int_"),
    "a list": (list[Person], f'{{"value": [{JSON}]}}', [ADA], "list_Person_"),
    "a list with nothing around": (list[Person], f"[{JSON}]", [ADA], "list_Person_"),
    "a number": (int, '{"value": 5}', 5, "int"),
    "a number with nothing around": (int, "5", 5, "int"),
    "a choice": (Literal["a", "b"], '{"value": "a"}', "a", "Literal__a____b__"),
    "a union": (Person | None, '{"value": null}', None, "Person___None"),
    "a tuple": (tuple[int, ...], '{"value": [1]}', (1,), "tuple_int______"),
    "a constraint": (Annotated[int, Field(gt=3)], '{"value": 5}', 5, "int"),
}


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
@pytest.mark.parametrize(("kind", "text", "value", "name"), TYPES.values(), ids=TYPES.keys())
def test_an_object_of_any_type_from_every_provider(
    provider: Any, kind: Any, text: str, value: object, name: str, server: Loopback
):
    """The schema that is sent has an object at its root, whatever the type is."""
    server.play(Reply([provider.answer(text[:3], text[3:])]))
    gateway = provider.gateway(f"{server.url}/v1" if "openai" in str(provider.causes["status"]) else server.url)

    assert LLMBroker("a-model", gateway).generate_object(QUESTION, kind) == value

    body = server.requests[0].body
    match body:
        case {"response_format": {"json_schema": {"name": sent, "schema": schema}}}:
            assert sent == name
        case {"text": {"format": {"name": sent, "schema": schema}}}:
            assert sent == name
        case {"format": schema} | {"output_config": {"format": {"schema": schema}}}:
            pass
        case {"system": told}:
            schema = json.loads(told.rpartition("schema: ")[2])
    assert schema["type"] == "object"
    gateway.close()


@both
@pytest.mark.parametrize("kind", ["Person", 5, object(), Callable[[], int], list["Nobody"]])  # noqa: F821
def test_what_is_no_type(how: str, kind: object):
    refused = r"^`.*` can't be the type of an answer( \(.+\))?\. Use a pydantic model\.$"
    with pytest.raises(TypeError, match=refused) as failure:
        begin(broker(), how, QUESTION, kind)

    assert "\n" not in str(failure.value)


@both
@pytest.mark.parametrize(("kind", "name"), [(BaseModel, "BaseModel"), (len, "len"), (str.upper, "upper")])
def test_what_has_no_fields_to_ask_for(how: str, kind: object, name: str):
    with pytest.raises(TypeError, match=f"^`.*{name}.*` can't be the type of an answer. Use a pydantic model"):
        begin(broker(), how, QUESTION, kind)


FRAMED = {
    "a fence": f"```json\n{JSON}\n```",
    "a fence with no name": f"```\n{JSON}\n```\n",
    "prose before": f"Here is the JSON you asked for:\n\n{JSON}",
    "prose and a fence": f"Sure!\n```json\n{JSON}\n```\nCan I help you with anything else?",
    "blanks": f"\n  {JSON}\n",
}


@both
@pytest.mark.parametrize("text", FRAMED.values(), ids=FRAMED.keys())
def test_what_may_stand_around_the_json(how: str, text: str):
    asked = broker(text)

    assert read(asked, how, QUESTION, Person) == ADA
    assert shown(begin(broker(text), how, QUESTION, Person))[-1] == ADA


@both
@pytest.mark.parametrize("text", [f"{JSON}\nor\n{JSON}", "Ada was born in 1815.", "", "}{", "[1"])
def test_what_is_asked_for_once_more(how: str, text: str):
    """Two objects, of which nobody knows which one is meant, and none."""
    asked = broker(text, JSON)

    assert read(asked, how, QUESTION, Person) == ADA

    again = asked.adapter.requests[1]
    assert again.object_model is Person
    assert_acceptable(again.messages)
    assert [message.role.value for message in again.messages] == ["user", "assistant", "user"]
    assert again.messages[1].content == (text or "(no answer)")
    assert again.messages[2].content.startswith("That is not what was asked for:\n- the answer: Invalid JSON")


@both
def test_the_model_is_told_what_is_wrong(how: str):
    asked = broker('{"value": [{"name": 5}]}', '{"value": []}')

    assert read(asked, how, QUESTION, list[Person]) == []

    told = asked.adapter.requests[1].messages[-1].content.splitlines()
    assert told[:3] == [
        "That is not what was asked for:",
        "- 0.name: Input should be a valid string",
        "- 0.born: Field required",
    ]
    advice, schema = told[3].split(": ", 1)
    assert advice == "Answer with nothing but JSON that follows this schema"
    assert json.loads(schema)["properties"]["value"]["type"] == "array"


def test_an_answer_with_many_errors_makes_no_long_message():
    answer = json.dumps({"value": [{}] * 50})
    asked = broker(answer, '{"value": []}')

    asked.generate_object(QUESTION, list[Person])

    assert len(asked.adapter.requests[1].messages[-1].content.splitlines()) == 22


@both
def test_an_answer_that_is_none_twice(how: str):
    asked = broker(NONE, '{"born": 1815}')

    with pytest.raises(BadRequestError) as failure:
        read(asked, how, QUESTION, Person)

    error = failure.value
    assert str(error) == (
        "The reply didn't match `Person` (name: Field required), twice. Try another model, or rephrase the question."
        " The reply is in `error.partial`."
    )
    assert error.partial.content == '{"born": 1815}'
    assert [message.content for message in error.run.messages[1::2]] == [NONE, '{"born": 1815}']
    assert error.run.finish_reason == "stop"
    assert error.run.usage.output_tokens == 4
    assert isinstance(error.__cause__, ValidationError)
    asked.adapter.assert_complete()


@both
@pytest.mark.parametrize(
    ("reason", "says"),
    [("length", "it was cut off. Raise `max_tokens`"), ("content_filter", "it was filtered or refused")],
)
def test_where_asking_again_would_not_help(how: str, reason: str, says: str):
    asked = broker(said('{"name": "Ada', reason=reason))

    with pytest.raises(BadRequestError, match=says) as failure:
        read(asked, how, QUESTION, Person)

    assert failure.value.partial.content == '{"name": "Ada'
    assert len(asked.adapter.requests) == 1


class Tripping(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def _trip(cls, name: str) -> str:
        raise KeyError(name)


@both
def test_a_validator_that_breaks_is_no_matter_of_the_model(how: str):
    """Its error comes as it is; what the model said is among the messages."""
    asked = broker(NONE, NONE)
    stream = begin(asked, how, QUESTION, Tripping)

    with pytest.raises(KeyError, match="Ada"):
        read_on(stream)

    assert stream.messages[-1].content == NONE
    assert len(asked.adapter.requests) == 1


def test_an_object_that_was_complete_when_it_was_cut_off():
    assert broker(said(JSON, reason="length")).generate_object(QUESTION, Person) == ADA


REFUSALS = {
    "chat": lambda provider: [
        provider.frame({"choices": [{"index": 0, "delta": {"refusal": "I can't."}}]}),
        *map(provider.frame, provider.ends),
    ],
    "responses": lambda provider: [
        provider.frame({"type": "response.refusal.delta", "delta": "I can't."}),
        *map(provider.frame, provider.ends),
    ],
    "anthropic": lambda provider: [
        provider.piece("I can't."),
        provider.frame({"type": "message_delta", "delta": {"stop_reason": "refusal"}}),
        provider.frame({"type": "message_stop"}),
    ],
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_not_argued_with(name: str, server: Loopback):
    provider = PROVIDERS[name]
    server.play(Reply([b"".join(REFUSALS[name](provider))]))
    gateway = provider.gateway(server.url)

    with pytest.raises(BadRequestError, match="it was filtered or refused. Rephrase the question") as failure:
        LLMBroker("a-model", gateway).generate_object(QUESTION, Person)

    assert failure.value.partial.content == "I can't."
    assert len(server.requests) == 1
    gateway.close()


@pytest.mark.parametrize("name", PROVIDERS)
@both
def test_asking_once_more_on_the_wire(name: str, how: str, server: Loopback):
    provider = PROVIDERS[name]
    server.play(Reply([provider.answer(NONE)]), Reply([provider.answer(JSON)]))
    gateway = provider.gateway(server.url)

    assert read(LLMBroker("a-model", gateway), how, QUESTION, Person) == ADA

    turns = server.requests[1].body.get("messages") or server.requests[1].body["input"]
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert "born: Field required" in json.dumps(turns[2])
    gateway.close()


SCHEMA_REFUSED = {
    "chat": (400, "Invalid schema for response_format 'Person': In context=(), 'x' is not permitted."),
    "responses": (400, "Invalid schema: text.format.schema is too deep."),
    "ollama": (500, "failed to load model vocabulary required for grammar"),
    "anthropic": (400, "output_config.format.schema: Schema is too complex."),
}


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_schema_that_the_provider_refuses(name: str, server: Loopback):
    status, words = SCHEMA_REFUSED[name]
    server.play(json_reply(PROVIDERS[name].refuses(words, "invalid_request_error"), status))
    gateway = PROVIDERS[name].gateway(server.url)

    with pytest.raises(
        BadRequestError, match="Use a simpler `object_model` or `response_format`, or another"
    ) as failure:
        LLMBroker("a-model", gateway).generate_object(QUESTION, Person)

    assert words in str(failure.value)
    assert "\n" not in str(failure.value)
    assert len(server.requests) == 1
    gateway.close()


@both
def test_tools_come_before_the_object(how: str):
    rome = call("call_a", "Rome")
    asked = broker([TextDelta("{"), ToolCallEnd(rome), StepFinish("tool_calls")], NONE, JSON)

    assert read(asked, how, QUESTION, Person, tools=[Weather()]) == ADA

    roles = [message.role.value for message in asked.adapter.requests[2].messages]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]


def test_tools_between_the_first_answer_and_the_second():
    """The model is told once what was wrong."""
    asked = broker(NONE, [ToolCallEnd(call("call_a", "Rome")), StepFinish("tool_calls")], JSON)

    assert asked.generate_object(QUESTION, Person, tools=[Weather()]) == ADA

    roles = [message.role.value for message in asked.adapter.requests[2].messages]
    assert roles == ["user", "assistant", "user", "assistant", "tool"]


@both
def test_a_config_and_settings(how: str):
    asked = broker(JSON, JSON)

    read(asked, how, QUESTION, Person, CompletionConfig(temperature=0))
    read(asked, how, QUESTION, Person, max_tokens=9, model="another")

    configs = [(request.model, request.config) for request in asked.adapter.requests]
    assert configs == [
        ("a-model", CompletionConfig(temperature=0)),
        ("another", CompletionConfig(max_tokens=9)),
    ]


GROWING = said('{"na', 'me": "A', "da", '", "born": 18', "15}")


@both
def test_an_object_that_grows(how: str):
    stream = begin(broker(GROWING), how, QUESTION, Person)
    before = (stream.snapshot, stream.object, stream.partial)

    values = shown(stream)

    assert before == (None, None, None)
    assert [(value.name, value.born) for value in values] == [
        (None, None),
        ("A", None),
        ("Ada", None),
        ("Ada", 18),
        ("Ada", 1815),
        ("Ada", 1815),
    ]
    assert values[-1] is stream.object is stream.snapshot
    assert all(isinstance(value, Person) for value in values)
    assert stream.finish_reason == "stop"
    assert stream.usage == Usage(1, 5)
    assert stream.messages[-1].content == JSON.replace(":", ": ").replace(",", ", ")


@both
def test_a_value_that_does_not_change_is_not_shown_again(how: str):
    stream = begin(broker(said('{"name": ', '"Ada"', ",", " ", ' "bo', 'rn": 1}')), how, QUESTION, Person)

    assert [(value.name, value.born) for value in shown(stream)] == [
        (None, None),
        ("Ada", None),
        ("Ada", 1),
        ("Ada", 1),
    ]


@both
def test_an_answer_that_is_asked_for_once_more_grows_again(how: str):
    long = "Eve" * 1000
    stream = begin(broker(said(f'{{"name": "{long}"', "}"), GROWING), how, QUESTION, Person)

    assert [value.name for value in shown(stream)] == [long, None, "A", "Ada", "Ada", "Ada", "Ada"]
    assert stream.object == ADA
    assert_acceptable(stream.messages)


@both
def test_an_object_that_does_not_come(how: str):
    stream = begin(broker(NONE, NONE), how, QUESTION, Person)
    seen: list[object] = []

    with pytest.raises(BadRequestError, match="born: Field required"):
        shown(stream, seen.append)

    assert seen[-1].name == "Ada"
    assert stream.object is None
    assert stream.snapshot.name == "Ada"
    with pytest.raises(BadRequestError, match="born: Field required") as failure:
        read_on(stream)
    assert (failure.value.run, failure.value.partial.content) == (stream.run, NONE)


class Recorder:
    """A tracer that keeps what it is told."""

    def __init__(self) -> None:
        self.happenings: list[object] = []

    def begin(self, _: str) -> Recorder:
        return self

    def record(self, happening: object) -> None:
        self.happenings.append(happening)


def read_on(stream: ObjectStream | AsyncObjectStream) -> object:
    return asyncio.run(stream.read()) if isinstance(stream, AsyncObjectStream) else stream.read()


@both
def test_the_events_and_the_object_of_one_run(how: str):
    """A display iterates the events, and looks at the object when it draws."""
    tracer = Recorder()
    stream = begin(broker(NONE, GROWING, tracer=tracer), how, QUESTION, Person)
    events, names = [], []

    async def iterate() -> None:
        async for event in stream.run:
            look(event)

    def look(event: object) -> None:
        events.append(event)
        names.append(stream.snapshot.name if stream.snapshot else "")

    if isinstance(stream, AsyncObjectStream):
        asyncio.run(iterate())
    else:
        for event in stream.run:
            look(event)

    assert_run(events)
    assert [event for event in events if isinstance(event, Retry)] == [
        Retry(1, 0.0, "The reply didn't match `Person` (born: Field required).")
    ]
    assert isinstance(events[-1], Finish)
    assert names[-1] == "Ada"
    assert read_on(stream) == ADA
    assert [each for each in tracer.happenings if not isinstance(each, Request)] == events
    assert len(tracer.happenings) == len(events) + 2


@both
def test_a_stream_that_is_read_on_after_a_look_at_it(how: str):
    stream = begin(broker(GROWING), how, QUESTION, Person)

    async def look() -> object:
        async with stream:
            async for value in stream.run:
                if isinstance(value, TextDelta):
                    break
            return await stream.read()

    if isinstance(stream, AsyncObjectStream):
        assert asyncio.run(look()) == ADA
    else:
        with stream:
            next(iter(stream.run))
            assert stream.read() == ADA


@both
def test_a_stream_that_is_cancelled_keeps_what_has_come(how: str):
    stream = begin(broker(GROWING), how, QUESTION, Person)

    values = shown(stream, lambda value: stream.cancel() if value.name == "A" else None)

    assert values[-1].name == "A"
    assert (stream.object, stream.snapshot.name, stream.finish_reason) == (None, "A", "cancelled")
    assert stream.messages[-1].content == '{"name": "A'
    assert_acceptable([*stream.messages, *QUESTION])
    with pytest.raises(BadRequestError, match="^The run ended before the Person was complete. Ask again") as failure:
        read_on(stream)
    assert (failure.value.run, failure.value.partial.content) == (stream.run, '{"name": "A')


@both
@pytest.mark.parametrize("count", range(1, 9))
def test_an_interrupt_anywhere_leaves_a_history_that_a_provider_accepts(how: str, count: int):
    """Between the first answer and the second as well."""
    stream = begin(broker(said(NONE[:5], NONE[5:]), GROWING), how, QUESTION, Person)

    async def interrupt() -> None:
        events = aiter(stream.run)
        for _ in range(count):
            await anext(events)
        with pytest.raises(asyncio.CancelledError):
            await events.athrow(asyncio.CancelledError)

    if isinstance(stream, AsyncObjectStream):
        asyncio.run(interrupt())
    else:
        events = iter(stream.run)
        list(islice(events, count))
        with pytest.raises(KeyboardInterrupt):
            events.throw(KeyboardInterrupt)

    asked = LLMBroker("a-model", ScriptedGateway(["Yes."]))
    asked.generate([*stream.messages, LLMMessage(content="Go on.")])
    sent = asked.adapter.requests[0].messages
    assert_acceptable(sent)
    assert NONE[:5] in sent[1].content


@both
def test_leaving_the_loop_ends_the_request(how: str, server: Loopback):
    hold = Hold()
    provider = PROVIDERS["chat"]
    server.play(Reply([provider.piece('{"name": "A'), hold]))
    gateway = OpenAIGateway("a-key", server.url)
    stream = begin(LLMBroker("a-model", gateway), how, QUESTION, Person)

    async def leave() -> None:
        async with stream:
            async for _ in stream:
                break

    if isinstance(stream, AsyncObjectStream):
        asyncio.run(leave())
    else:
        for _ in stream:
            break

    assert hold.hung_up.wait(PATIENCE)
    assert stream.snapshot.name == "A"
    gateway.close()


@both
def test_closing_before_the_beginning(how: str):
    asked = broker(JSON)
    stream = begin(asked, how, QUESTION, Person)

    asyncio.run(stream.aclose()) if isinstance(stream, AsyncObjectStream) else stream.close()

    assert stream.finish_reason == "cancelled"
    assert shown(stream) == []
    assert asked.adapter.requests == []


@both
def test_another_error_of_the_run(how: str):
    stream = begin(broker([TextDelta('{"name": "A'), LLMError("Gone.")]), how, QUESTION, Person)

    with pytest.raises(LLMError, match="Gone") as failure:
        read_on(stream)

    assert failure.value.partial.content == '{"name": "A'


@both
def test_reasoning_is_no_part_of_the_object(how: str):
    asked = broker(f"<think>{{Ada?}}</think>{JSON}")

    values = shown(begin(asked, how, QUESTION, Person, CompletionConfig(think_tags=True)))

    assert values[-1] == ADA


def test_a_long_list_is_not_parsed_at_each_token():
    """Nor shown too seldom: the last of a hundred rows is there before the end."""
    rows = [{"name": f"Person {number}", "born": number} for number in range(500)]
    text = json.dumps({"value": rows})
    pieces = [text[start : start + 4] for start in range(0, len(text), 4)]

    values = list(broker(said(*pieces)).stream_object(QUESTION, list[Person]))

    lengths = [len(value) for value in values]
    assert len(values) < len(pieces) / 5
    assert all(later - earlier <= 7 for earlier, later in pairwise(lengths))
    assert lengths[-1] == 500


class Whole:
    """A gateway that was written for Mojentic, and can't stream."""

    def __init__(self, answer: object) -> None:
        self.asked: list[dict] = []
        self._answer = answer

    def complete(self, messages, object_model=None, **_: object):
        self.asked.append({"messages": messages, "object_model": object_model})
        return self._answer(object_model, len(self.asked))


class Answer:
    """What such a gateway returns."""

    def __init__(self, content: str | None = None, object: object = None) -> None:  # noqa: A002 (Mojentic's name)
        self.content, self.object = content, object


class Aliased(BaseModel):
    model_config = ConfigDict(populate_by_name=False)
    name: str = Field(alias="firstName")


@both
def test_a_gateway_written_for_mojentic(how: str):
    """It is given a model for any type, and may return an instance of it."""
    gateway = Whole(lambda model, _: Answer(object=model.model_validate({"value": [{"firstName": "Ada"}]})))

    assert read(LLMBroker("a-model", gateway), how, QUESTION, list[Aliased]) == [Aliased(firstName="Ada")]
    with pytest.raises(NotImplementedError, match=r"can't stream at .*\. Use generate_object\(\)"):
        begin(LLMBroker("a-model", gateway), how, QUESTION, Person)


@both
def test_a_gateway_written_for_mojentic_is_asked_once_more(how: str):
    gateway = Whole(lambda _, count: Answer(JSON if count == 2 else NONE))

    assert read(LLMBroker("a-model", gateway), how, QUESTION, Person) == ADA
    assert [message.role for message in gateway.asked[1]["messages"]] == [
        MessageRole.User,
        MessageRole.Assistant,
        MessageRole.User,
    ]


def test_the_callers_messages_stay_as_they_are():
    messages = list(QUESTION)

    broker(NONE, JSON).generate_object(messages, Person)

    assert messages == QUESTION
