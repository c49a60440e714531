"""Conversations that go on: what is kept of answers however they end, and what is left out where it gets too long."""

from __future__ import annotations

import asyncio
import gc
import threading
from dataclasses import dataclass, field

import pytest
from driving import BOTH, closed_after, events_of, interrupted_after
from fuzzing import examples
from grammar import assert_acceptable, assert_run
from hypothesis import given
from hypothesis import strategies as st
from loopback import Loopback, Reply, json_reply
from providers_on_wire import PROVIDERS
from recordings import said_in
from weather import Weather, call

from mojentic_nb.llm import (
    ChatSession,
    CompletionConfig,
    LLMBroker,
    LLMMessage,
    MessageBuilder,
    MessageRole,
    Notice,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    Usage,
)
from mojentic_nb.llm.errors import (
    ContextWindowError,
    IncompleteStreamError,
    MaxToolIterationsExceededError,
    RateLimitError,
)
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.llm.gateways.models import LLMGatewayResponse
from mojentic_nb.llm.window import Window

USER, ASSISTANT, SYSTEM, TOOL = MessageRole.User, MessageRole.Assistant, MessageRole.System, MessageRole.Tool


def session(*script, **options) -> ChatSession:
    """A session with a model that answers by the script."""
    return ChatSession(LLMBroker("a-model", ScriptedGateway(script), max_retries=0), **options)


def begin(chat: ChatSession, how: str, query: str):
    return chat.astream(query) if how == "async" else chat.stream(query)


def send(chat: ChatSession, how: str, query) -> str:
    return asyncio.run(chat.asend(query)) if how == "async" else chat.send(query)


def said(chat: ChatSession) -> list[tuple[str, str | None]]:
    return [(message.role.value, message.content) for message in chat.messages]


def sent(chat: ChatSession) -> list[list[str | None]]:
    """The texts of each request that reached the gateway."""
    return [[message.content for message in request.messages] for request in chat.llm.adapter.requests]


def calling(*cities: str, turn: int = 0) -> list:
    """A step that says something and asks for the weather of these cities."""
    calls = [call(f"call_{turn}_{number}", city) for number, city in enumerate(cities)]
    begun = [
        event
        for made in calls
        for event in (ToolCallStart(made.id, made.name), ToolCallDelta(made.id, '{"city": "x"}'))
    ]
    return [TextDelta("Let me see. "), *begun, *map(ToolCallEnd, calls), StepFinish("tool_calls", Usage(10, 5))]


def assert_goes_on(chat: ChatSession) -> None:
    """The history is one that providers take, also with a further question."""
    chat.llm = LLMBroker("a-model", gateway := ScriptedGateway(["Good."]))

    assert chat.send("And now?") == "Good."

    assert_acceptable(gateway.requests[0].messages)
    assert gateway.requests[0].messages[-1].content.endswith("And now?")


@pytest.mark.parametrize("how", BOTH)
def test_each_question_is_asked_with_what_was_said_before(how: str):
    chat = session("Hello Ann.", "Ann.", system_prompt="Be brief.")

    assert send(chat, how, "I am Ann.") == "Hello Ann."
    assert send(chat, how, "Who am I?") == "Ann."

    assert sent(chat) == [["Be brief.", "I am Ann."], ["Be brief.", "I am Ann.", "Hello Ann.", "Who am I?"]]
    assert said(chat)[-1] == ("assistant", "Ann.")
    assert_goes_on(chat)


def test_an_answer_streams_both_ways():
    chat = session("One two.", "Three four.")

    assert list(chat.send_stream("Count.")) == ["One", " two."]

    async def read() -> list[str]:
        return [piece async for piece in chat.asend_stream("Go on.")]

    assert asyncio.run(read()) == ["Three", " four."]
    assert [content for _, content in said(chat)[1:]] == ["Count.", "One two.", "Go on.", "Three four."]


def test_functions_are_tools():
    def weather(city: str) -> str:
        return f"Rain in {city}."

    chat = session(calling("Rome"), "Take an umbrella.", tools=[weather])
    chat.send("How is Rome?")

    assert said(chat)[-2:] == [("tool", "Rain in Rome."), ("assistant", "Take an umbrella.")]


@pytest.mark.parametrize("how", BOTH)
def test_each_question_begins_with_the_call_that_is_chosen(how: str):
    script = [calling("Rome"), "Sunny.", calling("Paris", turn=1), "Rainy."]
    chat = session(*script, tools=[Weather()], tool_choice="weather")

    for question in ("How is Rome?", "And Paris?"):
        send(chat, how, question)

    assert [request.tool_choice for request in chat.llm.adapter.requests] == ["weather", "auto"] * 2


@pytest.mark.parametrize("how", BOTH)
def test_rounds_of_calls_are_kept_whole(how: str):
    chat = session(calling("Rome", "Paris"), "Sunny in both.", tools=[Weather()])

    run = begin(chat, how, "Is it sunny?")
    assert_run(events_of(run))

    assert said(chat)[1:] == [
        ("user", "Is it sunny?"),
        ("assistant", "Let me see. "),
        ("tool", "Sunny in Rome."),
        ("tool", "Sunny in Paris."),
        ("assistant", "Sunny in both."),
    ]
    assert chat.messages == run.messages
    assert_goes_on(chat)


@pytest.mark.parametrize("how", BOTH)
def test_what_a_session_is_made_with_goes_along(how: str):
    config = CompletionConfig(max_tokens=7)
    chat = session(calling("Rome"), "I may not.", tools=[Weather()], config=config, approve=lambda _: "no")

    send(chat, how, "Is it sunny?")

    assert chat.messages[3].content == "The call was denied: no."
    assert chat.llm.adapter.requests[0].config is config
    assert session(temperature=0.2).config == CompletionConfig(temperature=0.2)
    assert session(system_prompt=None).messages == session(system_prompt="").messages == []


def test_a_session_asks_whichever_model_it_has_now():
    chat = session("Hello.")
    chat.send("Hello?")

    chat.llm = LLMBroker("another", other := ScriptedGateway(["Yes."]))

    assert chat.send("Are you there?") == "Yes."
    assert (other.requests[0].model, len(other.requests[0].messages)) == ("another", 4)


def test_a_gateway_that_was_written_for_mojentic():
    class Gateway:
        def complete(self, messages, **_):
            return LLMGatewayResponse(content=f"{len(messages)} messages")

    chat = ChatSession(LLMBroker("a-model", Gateway()))

    assert chat.send("How many?") == "2 messages"
    assert "".join(chat.send_stream("And now?")) == "4 messages"


# However an answer ends


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("end", [closed_after, interrupted_after])
@pytest.mark.parametrize("count", range(1, 13))
def test_what_was_seen_is_kept_however_early_the_reader_leaves(how: str, end, count: int):
    chat = session(calling("Rome", "Paris"), "Sunny in both.", tools=[Weather()])

    run = begin(chat, how, "Is it sunny?")
    seen = end(run, count)

    assert chat.messages[: len(run.messages)] == run.messages
    text = "".join(message.content or "" for message in chat.messages if message.role is ASSISTANT)
    assert text == "".join(event.delta for event in seen if isinstance(event, TextDelta))
    assert_goes_on(chat)


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("count", range(1, 13))
def test_a_run_that_is_cancelled(how: str, count: int):
    chat = session(calling("Rome", "Paris"), "Sunny in both.", tools=[Weather()])
    run = begin(chat, how, "Is it sunny?")
    seen = []

    def look(event) -> None:
        seen.append(event)
        if len(seen) == count:
            run.cancel()

    assert_run(events_of(run, look))

    assert chat.messages == run.messages
    assert_goes_on(chat)


@pytest.mark.parametrize("how", BOTH)
def test_the_session_is_right_at_any_time(how: str):
    chat = session(calling("Rome"), "Sunny.", tools=[Weather()])
    run = begin(chat, how, "Is it sunny?")
    assert said(chat)[1:] == []

    def look(event) -> None:
        assert chat.messages == run.messages
        assert chat.messages[1].content == "Is it sunny?"

    events_of(run, look)


@pytest.mark.parametrize("how", BOTH)
def test_a_question_of_which_nothing_came_is_not_kept(how: str):
    chat = session([RateLimitError("Too fast.")], [StepFinish("stop")][:0], "Hello.")
    before = chat.messages

    with pytest.raises(RateLimitError):
        send(chat, how, "Hello?")
    assert chat.messages == before
    with pytest.raises(IncompleteStreamError):
        send(chat, how, "Hello?")
    assert chat.messages == before

    assert send(chat, how, "Hello?") == "Hello."
    assert [content for _, content in said(chat)[1:]] == ["Hello?", "Hello."]


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize(
    ("script", "kept"),
    [
        ([[TextDelta("One, two"), RateLimitError("Too fast.")]], [("assistant", "One, two")]),
        ([[TextDelta("One, two")]], [("assistant", "One, two")]),
        (
            [calling("Rome"), [RateLimitError("Too fast.")]],
            [("assistant", "Let me see. "), ("tool", "Sunny in Rome."), ("assistant", "")],
        ),
    ],
    ids=["an error in its middle", "broken off", "an error after a round of calls"],
)
def test_of_an_answer_that_failed_what_was_seen_is_kept(how: str, script: list, kept: list):
    chat = session(*script, tools=[Weather()])

    with pytest.raises((RateLimitError, IncompleteStreamError)):
        send(chat, how, "Count.")

    assert said(chat)[1:] == [("user", "Count."), *kept]
    assert_goes_on(chat)


def test_too_many_rounds():
    chat = session(calling("Rome"), calling("Paris"), tools=[Weather()], config=CompletionConfig(max_tool_iterations=1))

    with pytest.raises(MaxToolIterationsExceededError):
        chat.send("Is it sunny?")

    assert [role for role, _ in said(chat)] == ["system", "user", "assistant", "tool", "assistant", "tool", "assistant"]
    assert_goes_on(chat)


def test_an_answer_that_says_nothing():
    chat = session([StepFinish("stop", Usage(20, 0))])

    assert chat.send("Hello?") == ""

    assert said(chat)[1:] == [("user", "Hello?"), ("assistant", "")]
    assert_goes_on(chat)


# One answer at a time


@pytest.mark.parametrize("how", BOTH)
def test_a_second_question_while_an_answer_is_on_its_way(how: str):
    chat = session("One two three.", "Yes.")

    async def ask() -> None:
        async with chat.astream("Count.") as run:
            await anext(aiter(run))
            with pytest.raises(RuntimeError, match="^The session's last reply isn't complete. Read it to its end"):
                await chat.asend("And?")
            with pytest.raises(RuntimeError, match="last reply isn't complete"):
                chat.insert_message(LLMMessage(content="And?"))

    def ask_here() -> None:
        with chat.stream("Count.") as run:
            next(iter(run))
            with pytest.raises(RuntimeError, match="^The session's last reply isn't complete. Read it to its end"):
                chat.send("And?")

    asyncio.run(ask()) if how == "async" else ask_here()

    assert said(chat)[1:] == [("user", "Count."), ("assistant", "One")]
    assert send(chat, how, "And?") == "Yes."


def test_a_cancelled_answer_is_on_its_way_until_its_run_ends():
    chat = session("One two three.", "Yes.")
    run = chat.stream("Count.")
    next(iter(run))

    run.cancel()
    with pytest.raises(RuntimeError, match="last reply isn't complete"):
        chat.send("And?")
    list(run)

    assert chat.send("And?") == "Yes."


@pytest.mark.parametrize("how", BOTH)
def test_of_two_threads_one_asks(how: str):
    """The second comes while the first has just looked whether an answer is on its way."""
    refused = []

    def ask() -> None:
        with pytest.raises(RuntimeError, match="last reply isn't complete") as error:
            begin(chat, how, "And you?")
        refused.append(error)

    other = threading.Thread(target=ask)

    class Counting:
        def encode(self, text: str) -> list[str]:
            if other.ident is None:
                other.start()
                other.join(0.2)  # it waits for the first
            return text.split()

    chat = session("Hello.", "Fine.", "Too.")
    chat.send("Hello.")
    chat.tokenizer_gateway = Counting()
    run = begin(chat, how, "How are you?")
    other.join()

    assert len(refused) == 1
    events_of(run)
    assert said(chat)[-2:] == [("user", "How are you?"), ("assistant", "Fine.")]


@pytest.mark.parametrize("how", BOTH)
def test_a_run_that_was_never_read_asked_nothing(how: str):
    chat = session("Yes.")

    begin(chat, how, "Dropped?")
    gc.collect()
    closed = begin(chat, how, "Closed?")
    asyncio.run(closed.aclose()) if how == "async" else closed.close()
    begin(chat, how, "Cancelled?").cancel()

    assert send(chat, how, "Hello?") == "Yes."
    assert [content for _, content in said(chat)[1:]] == ["Hello?", "Yes."]


def test_an_answer_that_was_left_by_break():
    chat = session("One two three.", "Yes.")

    for _ in chat.send_stream("Count."):
        break

    assert said(chat)[1:] == [("user", "Count."), ("assistant", "One")]
    assert chat.send("And?") == "Yes."


@pytest.mark.parametrize(
    ("step", "kept"),
    [("One two three.", "One"), ([ToolCallStart("a", "count"), StepFinish("stop")], "")],
    ids=["after a word", "before one"],
)
def test_an_asynchronous_answer_that_was_dropped_before_the_loop_could_close_it(step, kept: str):
    chat = session(step, "Yes.")

    async def ask() -> str:
        async for _ in chat.astream("Count."):
            break
        return await chat.asend("And?")

    assert asyncio.run(ask()) == "Yes."
    assert [content for _, content in said(chat)[1:]] == ["Count.", kept, "And?", "Yes."]


# What can be asked


def test_a_query_is_a_text_a_message_or_a_builder():
    chat = session("1", "2", "3", "4")
    message = LLMMessage(content="Two?", image_paths=["https://example.com/2.png"])

    chat.send("One?")
    chat.send(message)
    chat.send(MessageBuilder("Three?"))
    chat.send(LLMMessage(object=CompletionConfig(max_tokens=5)))
    message.content = "changed"

    assert [m.content for m in chat.messages if m.role is USER] == ["One?", "Two?", "Three?", None]
    assert chat.messages[3].image_paths == ["https://example.com/2.png"]


@pytest.mark.parametrize(
    ("query", "error", "words"),
    [
        ("", ValueError, "The query is empty"),
        (LLMMessage(content="  \n"), ValueError, "The query is empty"),
        (None, TypeError, "A query must be text, a user's message or a MessageBuilder, not None."),
        (LLMMessage(role=ASSISTANT, content="Hi"), TypeError, "A query must be the user's, not the assistant's. Use"),
        ({"role": "system", "content": "Be brief."}, TypeError, "A query must be the user's, not the system's"),
        ({"role": "user", "content": []}, ValueError, "The query is empty"),
    ],
)
def test_a_query_that_cannot_be_asked(query, error, words: str):
    chat = session("Yes.")

    with pytest.raises(error, match=words):
        chat.send(query)

    assert chat.send("Hello?") == "Yes."


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("ollama:qwen3:4b",), TypeError, "A session needs a broker, as in ChatSession"),
        (
            (LLMBroker("m", ScriptedGateway([])), "Be brief.", None, 0),
            ValueError,
            "`max_context` must be at least 1 token",
        ),
    ],
)
def test_a_session_that_cannot_be_made(arguments: tuple, error, words: str):
    with pytest.raises(error, match=words):
        ChatSession(*arguments)


def test_lists_of_messages_and_tools_are_nobodys_but_their_owners():
    tools = [Weather()]
    chat = session(calling("Rome"), "Sunny.", tools=tools)

    chat.messages.append(LLMMessage(content="Mine."))
    chat.insert_message(inserted := LLMMessage(role=ASSISTANT, content="What is it?"))
    inserted.content = "Mine."
    chat.send("Is it sunny?")

    assert len(tools) == 1
    assert [content for _, content in said(chat) if content == "Mine."] == []


# Messages that are inserted


def test_inserted_messages_are_part_of_what_is_asked():
    chat = session("Yes.", system_prompt=None)

    chat.insert_message(LLMMessage(role=ASSISTANT, content="Hello, what is it?"))
    chat.insert_message(LLMMessage(content="Here is a picture.", image_paths=["https://example.com/1.png"]))
    chat.send("Is it a tower?")

    assert said(chat)[1] == ("user", "Here is a picture.\n\nIs it a tower?")
    assert chat.messages[1].image_paths == ["https://example.com/1.png"]
    assert_goes_on(chat)


def test_what_was_said_before_the_first_question_is_left_out_first():
    chat = session("Yes.", system_prompt=None, max_context=40)
    chat.insert_message(LLMMessage(role=ASSISTANT, content="Welcome! " * 30))

    chat.send("Well?")

    assert sent(chat) == [["Well?"]]


def test_a_picture_without_a_word_joins_the_question():
    chat = session("Yes.", system_prompt=None)
    chat.insert_message(LLMMessage(image_paths=["https://example.com/1.png"]))

    chat.send("Well?")

    assert said(chat) == [("user", "Well?"), ("assistant", "Yes.")]
    assert chat.messages[0].image_paths == ["https://example.com/1.png"]


def test_an_inserted_call_wants_its_result():
    chat = session("Yes.", system_prompt=None)
    made, more = call("call_1", "Rome"), call("call_2", "Paris")
    asked = LLMMessage(role=ASSISTANT, tool_calls=[made, more])
    result = LLMMessage(role=TOOL, content="Sunny.", tool_calls=[made])

    with pytest.raises(ValueError, match="Can't add a message from the tool here. No call waits for a result"):
        chat.insert_message(result)
    with pytest.raises(ValueError, match="Can't add a message from the tool here. No call waits for a result"):
        chat.insert_message(LLMMessage(role=TOOL, content="Sunny."))
    chat.insert_message(asked)
    with pytest.raises(ValueError, match="Can't add a message from the user here. Add the result of call 'call_1'"):
        chat.send("Well?")
    chat.insert_message(result)
    chat.insert_message(LLMMessage(role=TOOL, content="Rain.", tool_calls=[more]))

    chat.send("Well?")
    assert said(chat)[3:5] == [("assistant", ""), ("user", "Well?")]
    assert_goes_on(chat)


# What is left out


@dataclass
class Counting:
    """A gateway that counts tokens as the estimate does, times `factor`, and may refuse what is over `limit`."""

    factor: int = 1
    limit: int | None = None
    script: list = field(default_factory=list)
    requests: list = field(default_factory=list)

    def size(self, messages) -> int:
        return self.factor * Window(1).estimate(messages)

    def stream(self, request):
        self.requests.append(request)
        if self.limit is not None and self.size(request.messages) > self.limit:
            raise ContextWindowError("The messages are too long for 'a-model'. Send less.")
        step = self.script.pop(0) if self.script else ["Fine, thanks."]
        answer = LLMMessage(
            role=ASSISTANT,
            content="".join(part for part in step if isinstance(part, str)),
            tool_calls=[part for part in step if not isinstance(part, str)],
        )
        for part in step:
            yield TextDelta(part) if isinstance(part, str) else ToolCallStart(part.id, part.name)
        yield from (ToolCallEnd(part) for part in step if not isinstance(part, str))
        usage = Usage(self.size(request.messages), self.size([answer]))
        yield StepFinish("tool_calls" if answer.tool_calls else "stop", usage)


class Echo:
    """A tool whose result is as long as it is told."""

    descriptor = {"type": "function", "function": {"name": "echo", "description": "", "parameters": {}}}  # noqa: RUF012

    def run(self, size: int) -> str:
        return "x" * size


def echo(number: int, size: int):
    made = call(f"call_{number}", "")
    return made.model_copy(update={"name": "echo", "arguments": {"size": size}})


SIZES = st.integers(1, 400)
ROUNDS = st.lists(SIZES, max_size=3)


@examples(100)
@given(st.lists(st.tuples(SIZES, ROUNDS, SIZES), min_size=1, max_size=8), st.integers(40, 300), st.sampled_from(BOTH))
def test_requests_stay_within_the_budget(turns: list, budget: int, how: str):
    """Unless one exchange alone is over it. Nothing is orphaned, and the newest is what is kept."""
    gateway = Counting()
    chat = ChatSession(LLMBroker("a-model", gateway), "Be brief.", [Echo()], budget)
    ids = iter(range(10_000))

    for question, rounds, answer in turns:
        gateway.script = [*[[echo(next(ids), size)] for size in rounds], ["a" * answer]]
        before = chat.messages
        send(chat, how, "q" * question)
        new = 2 + 2 * len(rounds)
        kept = len(chat.messages) - 1 - new
        assert chat.messages[1:-new] == (before[-kept:] if kept else [])
        assert chat.tokens == gateway.size(chat.messages)

    for request in gateway.requests:
        assert_acceptable(request.messages)
        assert request.messages[0].content == "Be brief."
        exchanges = [message for message in request.messages if message.role is USER]
        assert gateway.size(request.messages) <= budget or len(exchanges) == 1


def test_the_oldest_exchange_is_left_out_first_and_whole():
    gateway = Counting(script=[[echo(1, 80)], ["Done."]])
    chat = ChatSession(LLMBroker("a-model", gateway), "Be brief.", [Echo()], max_context=90)

    for question in ("First?", "Second?", "Third?", "Fourth?", "Fifth?"):
        chat.send(question)

    asked = [[m.content for m in request.messages if m.role is USER] for request in gateway.requests]
    assert asked[3:] == [["First?", "Second?", "Third?"][-len(asked[3]) :], asked[4], asked[5]]
    assert "First?" in asked[2]
    assert "First?" not in asked[5]
    assert not any(m.role is TOOL for m in gateway.requests[-1].messages)


@pytest.mark.parametrize("how", BOTH)
def test_a_round_of_calls_that_grows_pushes_out_older_exchanges(how: str):
    gateway = Counting(script=[["Old answer."], [echo(1, 200)], ["Done."]])
    chat = ChatSession(LLMBroker("a-model", gateway), "Be brief.", [Echo()], max_context=80)

    send(chat, how, "Old?")
    send(chat, how, "New?")

    assert [len(request.messages) for request in gateway.requests] == [2, 4, 4]
    assert [role for role, _ in said(chat)] == ["system", "user", "assistant", "tool", "assistant"]
    assert chat.messages[1].content == "New?"
    assert chat.tokens == gateway.size(chat.messages)
    chat.insert_message(LLMMessage(content="And?"))
    assert chat.tokens == gateway.size(chat.messages)


def test_a_notice_does_not_keep_older_exchanges_from_being_left_out():
    class Blind(Counting):
        def stream(self, request):
            yield Notice("1 image was left out: a-model reads text only.")
            yield from super().stream(request)

    gateway = Blind()
    chat = ChatSession(LLMBroker("a-model", gateway), "Be brief.")
    for question in ("First?", "Second?", "Third?"):
        list(chat.stream(question))
    gateway.limit = gateway.size(gateway.requests[-1].messages)

    events = list(chat.stream("Fourth?"))

    (notice,) = [event.text for event in events if isinstance(event, Notice) and "exchange" in event.text]
    assert notice.startswith("The 2 oldest exchanges were left out: 'a-model' can't read max_context=")
    assert events[-1].finish_reason == "stop"


def test_the_providers_count_is_what_counts():
    """The estimate alone would have everything fit."""
    gateway = Counting(factor=10)
    chat = ChatSession(LLMBroker("a-model", gateway), "Be brief.", max_context=400)

    chat.send("First?")
    assert chat.tokens == gateway.size(chat.messages) == 210
    chat.send("Second?")
    chat.send("Third?")
    chat.send("Fourth?")

    assert [len(request.messages) for request in gateway.requests] == [2, 4, 6, 6]


def test_it_counts_also_where_the_next_answer_was_stopped():
    chat = ChatSession(LLMBroker("a-model", Counting(factor=10)), "Be brief.")
    chat.send("First?")

    with chat.stream("Second?") as run:
        next(iter(run))

    assert chat.tokens == 210 + Window(1).estimate(chat.messages[3:])


def test_reasoning_is_not_sent_again_and_does_not_count():
    chat = session([TextDelta("42"), StepFinish("stop", Usage(100, 5000, 0, 4990))])

    chat.send("Why?")

    assert chat.tokens == 110


def test_without_the_providers_count_there_is_the_estimate_or_a_tokenizer():
    class Words:
        def encode(self, text: str) -> list[str]:
            return text.split()

    chat = session("Four words are here.", tokenizer_gateway=Words(), system_prompt="One.")
    chat.send("Two words?")

    assert chat.tokens == 3 * 4 + 1 + 2 + 4
    chat.tokenizer_gateway = None
    assert chat.tokens == 3 * 4 + 1 + 3 + 5


def test_images_calls_and_objects_are_part_of_the_estimate():
    window = Window(1)

    assert window.estimate([LLMMessage(content="Hi", image_paths=["a.png", "b.png"])]) == 2005
    assert window.estimate([LLMMessage(object=CompletionConfig(max_tokens=5))]) > 20
    assert window.estimate([LLMMessage(role=ASSISTANT, tool_calls=[call("a", "Rome")])]) == 10
    assert window.estimate([LLMMessage(role=TOOL, content="Hi", tool_calls=[call("a", "Rome")])]) == 5
    assert window.estimate([LLMMessage(content="half a character: \ud83d")]) == 9


def test_every_system_message_stays():
    gateway = Counting()
    chat = ChatSession(LLMBroker("a-model", gateway), "Be brief.", max_context=28)
    chat.send("First?")
    chat.insert_message(LLMMessage(role=SYSTEM, content="Speak French."))

    chat.send("Second?")
    chat.send("Third?")

    assert [m.content for m in gateway.requests[-1].messages] == ["Be brief.\n\nSpeak French.", "Third?"]
    assert_acceptable(gateway.requests[-1].messages)


def test_a_failed_question_leaves_out_nothing():
    chat = session("1", "2", [RateLimitError("Too fast.")], "3", max_context=40)
    chat.send("First, which is a little longer?")
    chat.send("Second, which is a little longer?")
    before = chat.messages

    with pytest.raises(RateLimitError):
        chat.send("Third, which is a little longer?")

    assert chat.messages == before
    assert len(sent(chat)[2]) < len(before) + 1


# A model that can read less than that


@pytest.mark.parametrize("how", BOTH)
def test_a_model_that_can_read_less_is_asked_once_more_with_less(how: str):
    gateway = Counting(limit=85)
    chat = ChatSession(LLMBroker("a-model", gateway), "Be brief.")
    for number in range(5):
        send(chat, how, f"Question {number}?")

    with pytest.warns(
        UserWarning, match=r"The 3 oldest exchanges were left out: 'a-model' can't read max_context=32768"
    ):
        assert send(chat, how, "Question 5?") == "Fine, thanks."

    assert [m.content for m in chat.messages if m.role is USER] == ["Question 3?", "Question 4?", "Question 5?"]
    assert chat.tokens == gateway.size(chat.messages)
    assert_goes_on(chat)


@pytest.mark.parametrize("how", BOTH)
def test_nothing_is_lost_where_that_does_not_help(how: str):
    gateway = Counting(limit=100)
    chat = ChatSession(LLMBroker("a-model", gateway), "Be brief.")
    for number in range(3):
        send(chat, how, f"Question {number}?")
    before = chat.messages

    with pytest.warns(UserWarning, match="oldest exchanges? w"), pytest.raises(ContextWindowError):
        send(chat, how, "long " * 200)

    assert chat.messages == before
    assert len(gateway.requests) == 5
    assert send(chat, how, "Short?") == "Fine, thanks."


@pytest.mark.parametrize("how", BOTH)
def test_what_was_left_out_for_that_stays_out_in_the_next_round(how: str):
    gateway = Counting(limit=85)
    chat = ChatSession(LLMBroker("a-model", gateway), "Be brief.", [Echo()])
    for number in range(5):
        send(chat, how, f"Question {number}?")
    gateway.script = [[echo(1, 4)], ["Done."]]

    with pytest.warns(UserWarning, match="oldest exchanges? w"):
        assert send(chat, how, "Question 5?") == "Done."

    assert [len(request.messages) for request in gateway.requests[5:]] == [12, 6, 8]


def test_a_round_that_is_refused_anew_is_asked_once_more_anew():
    refused = ContextWindowError("The messages are too long for 'a-model'. Send less.")
    chat = session("1", "2", "3", "4", [refused], calling("Rome"), [refused], "5", tools=[Weather()])
    for number in range(4):
        chat.send(f"Question {number}?")

    with pytest.warns(UserWarning, match="oldest exchanges? w"):
        assert chat.send("Question 4?").endswith("5")


@pytest.mark.parametrize("how", BOTH)
def test_nothing_is_lost_where_a_result_is_too_long(how: str):
    gateway = Counting(limit=85)
    chat = ChatSession(LLMBroker("a-model", gateway), "Be brief.", [Echo()])
    send(chat, how, "Question 0?")
    send(chat, how, "Question 1?")
    before = chat.messages
    gateway.script = [[echo(1, 4000)]]

    with pytest.warns(UserWarning, match="oldest exchanges? w"), pytest.raises(ContextWindowError):
        send(chat, how, "Question 2?")

    assert chat.messages[: len(before)] == before
    assert [role for role, _ in said(chat)[len(before) :]] == ["user", "assistant", "tool", "assistant"]
    assert chat.tokens == gateway.size(chat.messages)


def test_one_exchange_alone_is_not_asked_twice():
    gateway = Counting(limit=100)
    chat = ChatSession(LLMBroker("a-model", gateway), "Be brief.")

    with pytest.raises(ContextWindowError):
        chat.send("long " * 200)

    assert len(gateway.requests) == 1


def test_nor_is_one_whose_answer_has_begun():
    chat = session("1", [TextDelta("Well"), ContextWindowError("Too long.")])
    chat.send("First?")

    with pytest.raises(ContextWindowError):
        chat.send("Second?")

    assert said(chat)[-1] == ("assistant", "Well")
    assert len(chat.llm.adapter.requests) == 2


# Over a wire


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_server_that_refuses_what_is_too_long(name: str, how: str, server: Loopback):
    provider = PROVIDERS[name]
    refusal = json_reply(provider.refuses("prompt is too long", "context_length_exceeded"), 400)
    server.play(*(Reply([provider.answer(text)]) for text in "123"), refusal, Reply([provider.answer("4")]))
    chat = ChatSession(LLMBroker("a-model", provider.gateway(server.url)))
    for number in "123":
        assert send(chat, how, f"Question {number}?") == number

    with pytest.warns(UserWarning, match="oldest exchanges? w"):
        assert send(chat, how, "Question 4?") == "4"

    assert [len(chat_of(request.body)) for request in server.requests[:3]] == [1, 3, 5]
    assert len(chat_of(server.requests[3].body)) == 7
    assert chat_of(server.requests[4].body)[-1] == "Question 4?"
    assert len(chat_of(server.requests[4].body)) < 7
    assert [m.content for m in chat.messages[-2:]] == ["Question 4?", "4"]


def chat_of(body: dict) -> list[str]:
    """What the user and the assistant say in a request."""
    return [text for role, text in said_in(body) if role != "system"]
