"""A run: its events, its text, and what is left when it ends early."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace

import pytest
from driving import BOTH, begin, events_of
from hypothesis import given
from hypothesis import strategies as st
from loopback import PATIENCE

from mojentic_nb.llm import (
    AsyncRun,
    CompletionConfig,
    Finish,
    LLMBroker,
    LLMMessage,
    MessageRole,
    ObjectStream,
    StepFinish,
    TextDelta,
    Usage,
)
from mojentic_nb.llm.cancellation import Cancellation
from mojentic_nb.llm.errors import ConfigurationError, IncompleteStreamError, ProviderUnavailableError
from mojentic_nb.llm.gateways import ScriptedGateway

QUESTION = [LLMMessage(role=MessageRole.System, content="Be brief."), LLMMessage(content="Why?")]


def broker(*script) -> LLMBroker:
    return LLMBroker("a-model", ScriptedGateway(script))


def test_the_events_of_an_answer():
    run = broker("Because it is.").stream(QUESTION)

    assert list(run) == [
        TextDelta("Because"),
        TextDelta(" it"),
        TextDelta(" is."),
        StepFinish("stop", Usage(0, 3)),
        Finish("stop", Usage(0, 3)),
    ]
    assert run.finish_reason == "stop"
    assert run.usage == Usage(output_tokens=3)


@pytest.mark.parametrize("how", BOTH)
def test_its_iterator_is_a_generator(how: str):
    """Code that drives generators, such as ``yield from`` of one that is sent to, may be given it."""
    run = begin(broker("Because."), how, QUESTION)

    async def ask() -> object:
        return await aiter(run).asend(None)

    assert (iter(run).send(None) if how == "sync" else asyncio.run(ask())) == TextDelta("Because.")


def test_an_asynchronous_iterator_may_be_made_outside_of_an_event_loop():
    run = broker("Because.").astream(QUESTION)
    iterator = aiter(run)

    async def texts() -> list[str]:
        return [event.delta async for event in iterator if isinstance(event, TextDelta)]

    assert asyncio.run(texts()) == ["Because."]


@given(st.text())
def test_the_text_is_whole_in_every_form(text: str):
    pieces = list(broker(text).generate_stream(QUESTION))
    run = broker(text).stream(QUESTION)
    for _ in run:
        pass

    assert "".join(pieces) == broker(text).generate(QUESTION) == text
    assert (run.messages[-1].content if text else "") == text


def test_the_answer_becomes_the_assistants_message():
    run = broker("Because.").stream(QUESTION)

    assert run.messages == QUESTION
    assert "".join(run.text()) == "Because."
    assert run.messages == [*QUESTION, LLMMessage(role=MessageRole.Assistant, content="Because.")]


def test_the_callers_messages_are_never_changed():
    messages = list(QUESTION)
    copies = [message.model_copy() for message in messages]
    run = broker("Because.").stream(messages)

    "".join(run.text())
    run.messages.append(LLMMessage(content="mine"))

    assert messages == copies == QUESTION
    assert len(run.messages) == 3


def test_nothing_is_asked_before_the_iteration():
    asking = broker("Because.")

    asking.generate_stream(QUESTION)

    assert asking.adapter.requests == []


@pytest.mark.parametrize("seen", [0, 1, 2])
@pytest.mark.parametrize("how", [GeneratorExit, KeyboardInterrupt])
def test_stopping_at_any_event_keeps_what_was_seen(seen: int, how: type[BaseException]):
    run = broker([TextDelta("a"), TextDelta("b"), TextDelta("c"), StepFinish("stop")]).stream(QUESTION)
    events = iter(run)
    text = "".join(next(events).delta for _ in range(seen + 1))

    if how is GeneratorExit:
        run.close()
    else:
        with pytest.raises(KeyboardInterrupt):
            events.throw(KeyboardInterrupt)

    assert run.finish_reason == "cancelled"
    assert run.messages[-1] == LLMMessage(role=MessageRole.Assistant, content=text)
    assert list(run) == []


def test_ending_the_text_early_stops_the_run():
    run = broker("one two three").stream(QUESTION)
    text = run.text()
    next(text)

    text.close()

    assert run.finish_reason == "cancelled"


def test_the_gateway_is_closed_at_once_and_not_when_it_is_forgotten():
    class Keeping(ScriptedGateway):
        def stream(self, request):
            self.kept = super().stream(request)
            return self.kept

    gateway = Keeping(["one two three"])
    run = LLMBroker("a-model", gateway).stream(QUESTION)
    next(iter(run))

    run.close()

    assert inspect.getgeneratorstate(gateway.kept) == inspect.GEN_CLOSED


def test_a_run_closed_before_it_began_never_begins():
    asking = broker("Because.")
    run = asking.stream(QUESTION)

    run.close()

    assert list(run) == []
    assert run.finish_reason == "cancelled"
    assert asking.adapter.requests == []


def test_closing_after_the_end_changes_nothing():
    run = broker("Because.").stream(QUESTION)
    list(run)

    run.close()

    assert run.finish_reason == "stop"


def test_an_error_carries_what_had_arrived():
    run = broker([TextDelta("Be"), TextDelta("cause"), ProviderUnavailableError("gone")]).stream(QUESTION)

    with pytest.raises(ProviderUnavailableError, match="gone") as failure:
        list(run)

    assert failure.value.partial.content == "Because"
    assert run.finish_reason is None


@pytest.mark.parametrize("how", BOTH)
def test_cancelling_and_closing_after_a_failure_change_nothing(how: str):
    run = begin(broker([TextDelta("Be"), ConfigurationError("no")]), how, QUESTION)
    with pytest.raises(ConfigurationError):
        events_of(run)

    run.cancel()
    if how == "async":
        asyncio.run(run.aclose())

    assert run.finish_reason is None
    assert run.messages[-1].content == "Be"
    assert events_of(run) == []


@pytest.mark.parametrize("how", BOTH)
def test_an_error_has_the_run_also_if_nobody_else_has(how: str):
    asking = broker([TextDelta("Be"), ConfigurationError("no")])

    async def read() -> None:
        async for _ in asking.astream(QUESTION):
            pass

    with pytest.raises(ConfigurationError) as failure:
        asyncio.run(read()) if how == "async" else [None for _ in asking.stream(QUESTION)]

    assert failure.value.run.messages[-1].content == "Be"
    assert events_of(failure.value.run) == []


def test_an_error_can_go_to_another_process():
    with pytest.raises(ProviderUnavailableError) as failure:
        LLMBroker("m", ScriptedGateway([[TextDelta("Be"), ProviderUnavailableError("gone")]])).generate(QUESTION)

    error = pickle.loads(pickle.dumps(failure.value))  # noqa: S301 (our own)

    assert type(error) is ProviderUnavailableError
    assert (str(error), error.partial.content, error.run) == ("gone", "Be", None)


def test_the_end_of_the_program_ends_the_run():
    """As by sys.exit() in the handler of a signal."""
    run = broker("one two three").stream(QUESTION)
    events = iter(run)
    next(events)

    with pytest.raises(SystemExit):
        events.throw(SystemExit)

    assert run.finish_reason == "cancelled"


def test_an_empty_piece_counts_as_shown():
    run = broker([TextDelta(""), ProviderUnavailableError("gone")], "Never.").stream(QUESTION)

    with pytest.raises(ProviderUnavailableError):
        list(run)


def test_a_signal_may_cancel_at_any_line():
    """Its handler runs in the thread that it interrupts, which must not wait for itself."""
    code = inspect.getsourcefile(Cancellation)

    def interrupted_at(number: int) -> bool:
        """Cancel at that line of what is run, if there are so many."""
        cancellation, lines = Cancellation(), itertools.count()

        def trace(frame, event: str, _: object):
            if frame.f_code.co_filename != code:
                return None
            if event == "line" and next(lines) == number:
                cancellation.cancel()
            return trace

        sys.settrace(trace)
        try:
            with cancellation.on_cancel(lambda: None):
                woken = cancellation.wait(0.01)
        finally:
            sys.settrace(None)
        assert cancellation.cancelled or not woken
        return cancellation.cancelled

    reached: list[int] = []
    lines = itertools.takewhile(interrupted_at, range(100))
    thread = threading.Thread(target=reached.extend, args=(lines,), daemon=True)
    thread.start()
    thread.join(PATIENCE)

    assert not thread.is_alive()
    assert 10 < len(reached) < 100


def test_an_answer_without_an_end_is_an_error():
    with pytest.raises(IncompleteStreamError, match="ask again") as failure:
        broker([TextDelta("Be")]).generate(QUESTION)

    assert failure.value.partial.content == "Be"


def test_a_script_answers_request_after_request():
    asking = broker("first", "second")

    answers = [asking.generate(QUESTION), asking.generate([LLMMessage(content="And?")], model="other")]

    assert answers == ["first", "second"]
    assert [request.model for request in asking.adapter.requests] == ["a-model", "other"]
    asking.adapter.assert_complete()


def test_a_script_that_is_too_short_or_too_long_says_so():
    asking = broker("only one")

    with pytest.raises(AssertionError, match="0 of 1 used"):
        asking.adapter.assert_complete()
    asking.generate(QUESTION)
    with pytest.raises(ConfigurationError, match="used up. Add the reply to request 2"):
        asking.generate(QUESTION)


@pytest.mark.parametrize("messages", [None, "Why?", ["Why?"], LLMMessage("Why?"), {"role": "user"}])
def test_what_is_no_list_of_messages_is_refused_at_the_call(messages):
    with pytest.raises(TypeError, match=r'as in \[?LLMMessage\("Hello"\)'):
        broker("a").stream(messages)


def test_a_second_thread_that_iterates_is_told_so():
    """Python itself says "generator already executing"; the first thread goes on unharmed."""
    asked, go_on = threading.Event(), threading.Event()

    class Waiting(ScriptedGateway):
        def stream(self, request):
            asked.set()
            assert go_on.wait(PATIENCE)
            yield from super().stream(request)

    run = LLMBroker("a-model", Waiting(["Because it is."])).stream(QUESTION)
    events = iter(run)
    with ThreadPoolExecutor() as pool:
        first = pool.submit("".join, run.text())
        assert asked.wait(PATIENCE)
        for iterate in (list, lambda run: list(run.text()), lambda _: next(events)):
            with pytest.raises(RuntimeError, match="^The run is being iterated, by another thread"):
                iterate(run)
        go_on.set()

        assert first.result(PATIENCE) == "Because it is."


WAYS_TO_READ = {
    "events": list,
    "text": lambda run: list(run.text()),
    "context manager": lambda run: run.__enter__(),
    "object": lambda run: ObjectStream(run.conversation, run, None).read(),
}


@pytest.mark.parametrize("read", WAYS_TO_READ.values(), ids=WAYS_TO_READ)
def test_a_second_thread_does_not_end_what_the_first_iterates(read):
    """Also while the first one is between two events."""
    run = broker("Because it is.").stream(QUESTION)
    pieces = run.text()
    said = next(pieces)

    with ThreadPoolExecutor() as pool, pytest.raises(RuntimeError, match="^The run is being iterated, by another"):
        pool.submit(read, run).result(PATIENCE)

    assert said + "".join(pieces) == "Because it is."
    assert list(run) == []


def test_a_thread_that_has_ended_leaves_the_run_to_another():
    run = broker("Because it is.").stream(QUESTION)
    first = threading.Thread(target=lambda: next(iter(run)))
    first.start()
    first.join(PATIENCE)

    assert "".join(run.text()) == " it is."


async def text_of(run: AsyncRun) -> str:
    return "".join([piece async for piece in run.text()])


@pytest.mark.parametrize("waits", [True, False], ids=["waits", "between two events"])
def test_a_second_task_that_iterates_is_told_so(waits: bool):
    """Python itself says "asynchronous generator is already running"; the first task goes on unharmed."""

    async def both() -> str:
        go_on, asked = asyncio.Event(), asyncio.Event()

        async def astream(_):
            yield TextDelta("Because")
            asked.set()
            await go_on.wait()
            yield TextDelta(" it is.")
            yield StepFinish("stop")

        run = LLMBroker("a-model", SimpleNamespace(astream=astream, stream=None)).astream(QUESTION)
        events = run._events  # what the first task iterates

        async def read() -> str:
            said = (await anext(aiter(run))).delta
            if not waits:
                asked.set()
                await go_on.wait()
            return said + "".join([event.delta async for event in events if isinstance(event, TextDelta)])

        first = asyncio.create_task(read())
        await asked.wait()
        for read in (text_of, AsyncRun.__aenter__, lambda _: anext(events) if waits else text_of(run)):
            with pytest.raises(RuntimeError, match="^The run is being iterated, by another"):
                await read(run)
        go_on.set()
        said = await first
        assert await text_of(run) == ""  # it is over
        return said

    assert asyncio.run(both()) == "Because it is."


def test_threads_may_iterate_a_run_in_turn():
    events = iter(broker("Because it is.").stream(QUESTION))

    with ThreadPoolExecutor() as pool:
        pieces = [pool.submit(next, events).result(PATIENCE).delta for _ in range(3)]

    assert pieces == ["Because", " it", " is."]


def test_tasks_may_iterate_a_run_in_turn():
    """They share its iterator, which is a generator like any other."""
    events = aiter(broker("Because it is.").astream(QUESTION))

    async def read() -> list[str]:
        return [(await asyncio.create_task(events.asend(None))).delta for _ in range(3)]

    assert asyncio.run(read()) == ["Because", " it", " is."]


def test_a_value_error_of_the_gateways_is_raised_as_it_is():
    def stream(request):
        raise ValueError("generator already executing")
        yield

    run = LLMBroker("a-model", SimpleNamespace(stream=stream)).stream(QUESTION)

    with pytest.raises(ValueError, match="generator already executing"):
        next(iter(run))


WRONG = {
    "temperature should be greater than or equal to 0, got -1.": {"temperature": -1},
    "max_tokens should be greater than or equal to 1, got 0.": {"max_tokens": 0},
    'num_ctx should be a valid integer, unable to parse string as an integer, got "big".': {"num_ctx": "big"},
}


@pytest.mark.parametrize(("said", "bad"), WRONG.items())
def test_settings_that_make_no_sense_are_refused_in_one_line(said: str, bad: dict):
    for ask in (CompletionConfig, partial(broker("a").generate, QUESTION)):
        with pytest.raises(ValueError) as refused:  # noqa: PT011 (its words are compared whole)
            ask(**bad)
        assert str(refused.value) == said


class Noting:
    """A gateway that knows whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def stream(self, _):
        try:
            yield TextDelta("Be")
            yield TextDelta("cause")
        finally:
            self.closed = True


def test_a_run_may_be_made_in_one_thread_and_read_and_closed_in_another():
    gateway = Noting()
    run = LLMBroker("a-model", gateway).stream(QUESTION)

    def read() -> bool:
        next(iter(run))
        run.close()
        return gateway.closed

    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(read).result()
    assert run.finish_reason == "cancelled"


def test_ending_the_text_early_stops_an_asynchronous_run():
    gateway = Noting()
    run = LLMBroker("a-model", gateway).astream(QUESTION)

    async def read() -> tuple:
        text = run.text()
        await anext(text)
        await text.aclose()
        return run.finish_reason, gateway.closed

    assert asyncio.run(read()) == ("cancelled", True)


def test_a_task_that_is_cancelled_wakes_a_gateway_that_blocks():
    woken = threading.Event()

    class Blocking:
        def stream(self, request):
            yield TextDelta("Be")
            if request.cancellation.wait(PATIENCE):
                woken.set()

    async def read() -> None:
        run = LLMBroker("a-model", Blocking()).astream(QUESTION)
        task = asyncio.create_task(anext_of_each(run))
        while not run.partial:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def anext_of_each(run) -> None:
        async for _ in run:
            pass

    asyncio.run(read())

    assert woken.is_set()


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("pieces", [[], [TextDelta("Be")]], ids=["before a word", "in the middle"])
def test_an_error_that_comes_of_cancelling_is_none(how: str, pieces: list):
    class Broken:
        def stream(self, request):
            yield from pieces
            request.cancellation.cancel()
            raise ProviderUnavailableError("The connection was closed.")

    events = events_of(begin(LLMBroker("a-model", Broken()), how, QUESTION))

    assert events == [*pieces, StepFinish("cancelled"), Finish("cancelled")]


def test_what_is_to_be_told_of_a_cancellation_is_told_once_and_in_its_time():
    told = []
    switch = Cancellation()
    with switch.on_cancel(lambda: told.append("left")):
        pass
    with switch.on_cancel(lambda: told.append("first")):
        switch.cancel()
        switch.cancel()
    with switch.on_cancel(lambda: told.append("after")):
        pass

    assert told == ["first", "after"]
