"""Who decides whether a call may run, and what is told of it."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Callable
from copy import deepcopy
from datetime import date

import pytest
from driving import BOTH, begin, events_of
from grammar import assert_acceptable, assert_run
from loopback import PATIENCE
from toolbox import QUESTION, STOPPED, Gate, Tool, calling, kept, outputs, results

from mojentic_nb.llm import LLMBroker, LLMToolCall, StepFinish, ToolCallEnd, tool
from mojentic_nb.llm.cancellation import Cancellation
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.llm.tools import FunctionTool, LLMTool, ToolBatch, ToolRunner
from mojentic_nb.llm.tools.parameters import defaults_of

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


FAILED = "The call didn't run: `approve` raised "
DENIALS = {
    "no": (lambda _: False, "The call was denied."),
    "nothing": (lambda _: None, "The call was denied."),
    "a reason": (lambda call: f"no {call.name} today", "The call was denied: no act today."),
    "a sentence": (lambda _: "no!", "The call was denied: no!"),
    "half a character": (lambda _: "\ud83d", "The call was denied: \ufffd."),
    "something else": (lambda _: 1, "The call was denied: `approve` returned int. Only True allows a call."),
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
    assert outputs(events) == ["The call was denied: it needs approval, and no one can be asked."] * count
    assert {result.outcome for result in results(events)} == {"denied"}


@pytest.mark.parametrize("how", BOTH)
@COUNTS
def test_nobody_is_asked_about_what_fails_anyway(how: str, count: int):
    def decide(_: LLMToolCall) -> bool:
        raise AssertionError

    events = events_of(calling(how, [Tool(Log(), "act")], *["nowhere"] * count, approve=decide))

    assert outputs(events) == ["LookupError: Unknown tool 'nowhere'. The tools are: act."] * count


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


@tool
def order(item: str, count: int = 1, tags: list[str] = [], *, extra: object = None) -> object:  # noqa: B006 (not kept)
    return [item, count, tags, extra]


class Order(LLMTool):
    """A tool as programs written for Mojentic have them."""

    descriptor = {"type": "function", "function": {"name": "order", "description": "Order."}}  # noqa: RUF012

    def run(self, item: str, count: int = 1, tags: tuple = (), extra: object = None) -> object:
        return [item, count, list(tags), extra]


class AnyOrder(Order):
    def run(self, **arguments: object) -> object:
        return [arguments["item"], arguments.get("count", 1), arguments.get("tags", []), arguments.get("extra")]


class Overridden(FunctionTool):
    def run(self, /, **arguments: object) -> object:
        return super().run(**arguments)


FULL = {"item": "tea", "count": 2, "tags": ["hot"], "extra": {"a": [1]}}
ORDERS = {
    "a function": (order, {"item": "tea", "count": "2"}, {"item": "tea", "count": 2, "tags": [], "extra": None}),
    "a sequential function": (
        tool(order.function, sequential=True, timeout=60),
        {"item": "tea"},
        {"item": "tea", "count": 1, "tags": [], "extra": None},
    ),
    "a class": (Order(), {"item": "tea"}, {"item": "tea", "count": 1, "tags": [], "extra": None}),
    "a class that takes all": (AnyOrder(), FULL, FULL),
    "a function tool with a run of its own": (Overridden(order.function), FULL, FULL),
}


@pytest.mark.parametrize("how", BOTH)
@COUNTS
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("made", "said", "shown"), ORDERS.values(), ids=ORDERS.keys())
def test_what_is_approved_is_what_runs(how: str, count: int, kind: str, made: object, said: dict, shown: dict):
    """With the arguments as they were checked, and the defaults; whatever the hook does to what it is given."""
    asked = []

    def decide(call: LLMToolCall) -> bool:
        asked.append(deepcopy(call.arguments))
        call.arguments["item"] = "poison"
        call.arguments.setdefault("tags", []).append("poison")
        call.arguments.pop("count", None)
        return True

    calls = [LLMToolCall(id="same", name="order", arguments=deepcopy(said)) for _ in range(count)]
    script = [[*map(ToolCallEnd, calls), StepFinish("tool_calls")], "Done."]
    run = begin(LLMBroker("a-model", ScriptedGateway(script)), how, QUESTION, [made], approve=hook(kind, decide))

    assert [json.loads(output) for output in outputs(events_of(run))] == [list(shown.values())] * count
    assert asked == [shown] * count
    assert [call.arguments for call in run.messages[1].tool_calls] == [said] * count


def test_a_copy_that_is_asked_about_knows_its_call_and_what_the_tool_gets():
    call = LLMToolCall(id="1", name="order", arguments={"item": "tea"})
    asked = call.with_checked({"item": "tea", "count": 1})
    asked.arguments["item"] = "poison"

    assert asked.as_checked().arguments == {"item": "tea", "count": 1}
    assert asked.as_checked().origin is asked.origin is call.origin is call.as_checked() is call


@pytest.mark.parametrize("how", BOTH)
def test_nobody_is_asked_about_arguments_that_do_not_fit(how: str):
    def decide(_: LLMToolCall) -> bool:
        raise AssertionError

    call = LLMToolCall(id="1", name="order", arguments={"count": "many"})
    script = [[ToolCallEnd(call), StepFinish("tool_calls")], "Done."]
    run = begin(LLMBroker("a-model", ScriptedGateway(script)), how, QUESTION, [order], approve=decide)

    (told,) = outputs(events_of(run))
    assert told.startswith("ValueError: item is missing; count should be a valid integer")


def test_a_default_that_json_can_not_say_is_shown_as_text():
    def odd(limit: object = object, size: float = math.inf, *, when: date = date(2026, 1, 2)) -> None: ...

    shown = tool(odd).bind({}).shown

    assert shown["when"] == "2026-01-02"
    assert "object" in str(shown["limit"])
    assert shown["size"] == math.inf


class Unspeakable:
    def __repr__(self) -> str:
        raise OSError


def test_a_default_that_has_no_text_is_shown_by_its_type():
    def odd(value: object = Unspeakable()) -> None: ...

    assert tool(odd).bind({}).shown == {"value": "<Unspeakable>"}
    assert defaults_of(dict.get) == {"default": None}
    assert defaults_of(type) == {}
