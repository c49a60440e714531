"""Who decides whether a call may run, and what is told of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest
from driving import BOTH, events_of
from grammar import assert_acceptable, assert_run
from loopback import PATIENCE
from toolbox import STOPPED, Gate, Tool, calling, kept, outputs, results

from mojentic_nb.llm import LLMToolCall
from mojentic_nb.llm.cancellation import Cancellation
from mojentic_nb.llm.tools import ToolBatch, ToolRunner

KINDS = ["plain hook", "async hook"]
COUNTS = pytest.mark.parametrize("count", [1, 2], ids=["alone", "together"])


def hook(kind: str, decide: Callable[[LLMToolCall], object]) -> Callable:
    """`decide` as a hook of that kind."""

    async def adecide(call: LLMToolCall) -> object:
        await asyncio.sleep(0)
        return decide(call)

    return decide if kind == "plain hook" else adecide


class Log:
    """A tool that notes its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        return "ran"


def fail(_: LLMToolCall) -> bool:
    raise OSError("no terminal")


def stop_iterating(_: LLMToolCall) -> bool:
    raise StopIteration


def give_up(_: LLMToolCall) -> bool:
    raise asyncio.CancelledError


FAILED = "The call was not run, asking for approval failed: "
DENIALS = {
    "no": (lambda _: False, "The call was denied."),
    "nothing": (lambda _: None, "The call was denied."),
    "a reason": (lambda call: f"no {call.name} today", "The call was denied: no act today."),
    "half a character": (lambda _: "\ud83d", "The call was denied: \ufffd."),
    "something else": (lambda _: 1, "The call was denied: the answer was int, and only True lets it run."),
    "an error": (fail, FAILED + "OSError: no terminal"),
}


@pytest.mark.parametrize("how", BOTH)
@COUNTS
@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_is_approved_runs(how: str, count: int, kind: str):
    asked = []

    def decide(call: LLMToolCall) -> bool:
        asked.append(call.id)
        return True

    log = Log()
    run = calling(how, [Tool(log, "act", approval=True)], *["act"] * count, approve=hook(kind, decide))
    events = events_of(run)

    assert_run(events)
    assert outputs(events) == ["ran"] * count
    assert log.calls == count
    assert asked == [f"call_{n}" for n in range(count)]


@pytest.mark.parametrize("how", BOTH)
@COUNTS
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("decide", "told"), DENIALS.values(), ids=DENIALS.keys())
def test_a_call_that_is_denied_does_not(how: str, count: int, kind: str, decide: Callable, told: str):
    log = Log()
    run = calling(how, [Tool(log, "act")], *["act"] * count, approve=hook(kind, decide))

    events = events_of(run)

    assert_run(events)
    assert log.calls == 0
    assert outputs(events) == kept(run) == [told] * count
    assert {result.outcome for result in results(events)} == {"denied"}
    assert all(isinstance(result.display, OSError) for result in results(events))  # PermissionError is one
    assert run.messages[-1].content == "Done."


@pytest.mark.parametrize("how", BOTH)
@COUNTS
def test_an_error_of_the_hook_is_shown_itself(how: str, count: int):
    def explode(_: LLMToolCall) -> bool:
        raise ZeroDivisionError

    events = events_of(calling(how, [Tool(Log(), "act")], *["act"] * count, approve=explode))

    assert {type(result.display) for result in results(events)} == {ZeroDivisionError}


@pytest.mark.parametrize("how", BOTH)
@COUNTS
@pytest.mark.parametrize("kind", KINDS)
def test_a_hook_that_stops_an_iteration_denies(how: str, count: int, kind: str):
    log = Log()

    events = events_of(calling(how, [Tool(log, "act")], *["act"] * count, approve=hook(kind, stop_iterating)))

    assert log.calls == 0
    assert all(output.startswith(FAILED) and "StopIteration" in output for output in outputs(events))
    assert len(results(events)) == count


@pytest.mark.parametrize("how", BOTH)
@COUNTS
def test_a_question_that_somebody_else_cancels_is_a_denial(how: str, count: int):
    """As where a form that waits for an answer is closed."""
    log = Log()

    events = events_of(calling(how, [Tool(log, "act")], *["act"] * count, approve=hook("async hook", give_up)))

    assert log.calls == 0
    assert outputs(events) == [FAILED + "CancelledError"] * count


@pytest.mark.parametrize("how", BOTH)
@COUNTS
def test_nobody_is_there_to_approve(how: str, count: int):
    log = Log()

    events = events_of(calling(how, [Tool(log, "act", approval=True)], *["act"] * count))

    assert log.calls == 0
    assert outputs(events) == ["The call was denied: it needs approval, and nobody is there to give it."] * count
    assert {result.outcome for result in results(events)} == {"denied"}


@pytest.mark.parametrize("how", BOTH)
@COUNTS
def test_nobody_is_asked_about_what_fails_anyway(how: str, count: int):
    def decide(_: LLMToolCall) -> bool:
        raise AssertionError

    events = events_of(calling(how, [Tool(Log(), "act")], *["nowhere"] * count, approve=decide))

    assert outputs(events) == ["LookupError: There is no tool 'nowhere'; there are: act."] * count


@COUNTS
def test_a_synchronous_run_asks_in_the_callers_thread(count: int):
    threads = []

    def decide(_: LLMToolCall) -> bool:
        threads.append(threading.get_ident())
        return True

    events_of(calling("sync", [Tool(Log(), "act")], *["act"] * count, approve=decide))
    events_of(calling("sync", [Tool(asyncio.sleep, "wait")], *["wait"] * count, approve=decide))

    assert threads == [threading.get_ident()] * (2 * count)


def test_an_asynchronous_run_asks_on_its_loop_and_several_questions_wait_at_once():
    async def answered() -> list[str]:
        asked = []
        loop = asyncio.get_running_loop()

        async def decide(call: LLMToolCall) -> bool | str:
            assert asyncio.get_running_loop() is loop
            answer = loop.create_future()
            asked.append(answer)
            if len(asked) == 3:
                for number, waiting in reversed(list(enumerate(asked))):
                    waiting.set_result(number != 1 or "not this one")
            return await answer

        run = calling("async", [Tool(Log(), "act")], *["act"] * 3, approve=decide)
        return outputs([event async for event in run])

    assert asyncio.run(asyncio.wait_for(answered(), PATIENCE)) == ["ran", "The call was denied: not this one.", "ran"]


@pytest.mark.parametrize("how", BOTH)
def test_a_call_that_was_approved_runs_while_the_next_is_asked_about(how: str):
    def first() -> str:
        ran.open()
        return "ran"

    def decide(call: LLMToolCall) -> bool:
        if call.name == "second":
            ran.pass_through()
        return True

    async def adecide(call: LLMToolCall) -> bool:
        return await asyncio.to_thread(decide, call)

    ran = Gate()
    tools = [Tool(first), Tool(Log(), "second")]

    assert outputs(events_of(calling(how, tools, approve=decide if how == "sync" else adecide))) == ["ran", "ran"]


@pytest.mark.parametrize("how", BOTH)
@COUNTS
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_of_the_question_ends_the_run(how: str, count: int, kind: str, interrupt: type[BaseException]):
    def decide(_: LLMToolCall) -> bool:
        raise interrupt

    log = Log()
    run = calling(how, [Tool(log, "act")], *["act"] * count, approve=hook(kind, decide))

    with pytest.raises(interrupt):
        events_of(run)

    assert log.calls == 0
    assert run.finish_reason == "cancelled"
    assert kept(run) == [STOPPED] * count
    assert_acceptable(run.messages[:-1])


@pytest.mark.parametrize("how", BOTH)
@COUNTS
def test_cancelling_ends_a_run_that_waits_for_an_answer(how: str, count: int):
    async def never(_: LLMToolCall) -> bool:
        asked.open()
        await asyncio.Event().wait()

    def cancel() -> None:
        asked.pass_through()
        run.cancel()

    asked, log = Gate(), Log()
    run = calling(how, [Tool(log, "act")], *["act"] * count, approve=never)
    canceller = threading.Thread(target=cancel)
    canceller.start()
    events = events_of(run)
    canceller.join()

    assert_run(events)
    assert outputs(events) == [STOPPED] * count
    assert log.calls == 0
    assert run.finish_reason == "cancelled"


@pytest.mark.parametrize("how", BOTH)
@COUNTS
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_runs_that_was_approved_after_the_run_was_cancelled(how: str, count: int, kind: str):
    def decide(_: LLMToolCall) -> bool:
        run.cancel()
        return True

    log = Log()
    run = calling(how, [Tool(log, "act")], *["act"] * count, approve=hook(kind, decide))
    events = events_of(run)

    assert_run(events)
    assert outputs(events) == [STOPPED] * count
    assert log.calls == 0


@COUNTS
def test_a_denial_is_kept_before_it_is_told(count: int):
    kept_first = []
    calls = tuple(LLMToolCall(id=str(n), name="act", arguments={}) for n in range(count))
    batch = ToolBatch(calls, (Tool(Log(), "act"),), lambda _: False, Cancellation(), kept_first.append)

    told = list(ToolRunner().run(batch))

    assert told == kept_first
    assert len(told) == count
