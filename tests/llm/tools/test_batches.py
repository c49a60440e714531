"""Whatever tools a model calls together, and however they end: the grammar, the order, one result for each call."""

from __future__ import annotations

import asyncio
import threading

from driving import BOTH, begin, events_of
from fuzzing import examples
from grammar import assert_acceptable, assert_run
from hypothesis import given
from hypothesis import strategies as st
from loopback import PATIENCE
from toolbox import QUESTION, STOPPED, Tool, kept, outputs, step

from mojentic_nb.llm import LLMBroker
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.llm.tools.runner import ToolRunner


class Turn:
    """Whose turn it is to end, among calls that run at the same time."""

    def __init__(self, order: list[int]) -> None:
        self._ends = [threading.Event() for _ in order]
        self._before = {number: order[place - 1] if place else None for place, number in enumerate(order)}

    def wait(self, number: int) -> None:
        if (before := self._before[number]) is not None:
            assert self._ends[before].wait(PATIENCE)

    def end(self, number: int) -> None:
        self._ends[number].set()


def tool(number: int, kind: str, fails: bool, turn: Turn) -> Tool:
    """The tool of a call, which ends when it is its turn."""

    def act() -> str:
        turn.wait(number)
        turn.end(number)
        return ended()

    def ended() -> str:
        if fails:
            raise OSError(number)
        return f"result {number}"

    def steps():
        yield "begun"
        turn.wait(number)
        yield "ending"
        turn.end(number)
        return ended()

    async def aact() -> str:
        await asyncio.to_thread(turn.wait, number)
        turn.end(number)
        return ended()

    async def asteps():
        yield "begun"
        yield await aact()

    return Tool({"plain": act, "steps": steps, "async": aact, "async steps": asteps}[kind], f"tool_{number}")


KINDS = st.sampled_from(["plain", "steps", "async", "async steps"])
BATCHES = st.lists(st.tuples(KINDS, st.booleans()), min_size=1, max_size=6)


@examples(100)
@given(BATCHES.flatmap(lambda made: st.tuples(st.just(made), st.permutations(range(len(made))))), st.sampled_from(BOTH))
def test_calls_that_end_in_any_order(batch, how: str):
    made, order = batch
    turn = Turn(list(order))
    tools = [tool(number, kind, fails, turn) for number, (kind, fails) in enumerate(made)]
    run = asked(how, tools, ToolRunner())

    events = events_of(run)

    assert_run(events)
    assert outputs(events) == kept(run) == [expected(number, fails) for number, (_, fails) in enumerate(made)]


def expected(number: int, fails: bool) -> str:
    return f"OSError: {number}" if fails else f"result {number}"


def asked(how: str, tools: list[Tool], runner: ToolRunner, **options):
    names = [tool.descriptor["function"]["name"] for tool in tools]
    broker = LLMBroker("a-model", ScriptedGateway([step(*names), "Done."]), tool_runner=runner)
    return begin(broker, how, QUESTION, tools, **options)


@examples(100)
@given(
    st.lists(st.tuples(KINDS, st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=6),
    st.integers(1, 4),
    st.integers(0, 30),
    st.sampled_from(BOTH),
)
def test_any_limit_barriers_denials_and_a_cancellation(batch, limit: int, seen: int, how: str):
    """No call waits for another here: with barriers and limits that one might never begin."""
    free = Turn([*range(len(batch))])
    free.wait = lambda _: None
    tools = [tool(number, kind, fails, free) for number, (kind, fails, _, _) in enumerate(batch)]
    for made, (_, _, sequential, _) in zip(tools, batch, strict=True):
        made.sequential = sequential
    allowed = [yes for *_, yes in batch]
    run = asked(how, tools, ToolRunner(limit), approve=lambda call: allowed[int(call.name.removeprefix("tool_"))])
    events = []

    def cancel_in_time(event) -> None:
        events.append(event)
        if len(events) == seen:
            run.cancel()

    events_of(run, cancel_in_time)

    assert_run(events)
    assert outputs(events) == kept(run)
    for number, (output, (_, fails, _, yes)) in enumerate(zip(kept(run), batch, strict=False)):
        possible = expected(number, fails) if yes else "The call was denied."
        assert output in {possible, STOPPED}
        assert output == possible or 0 < seen <= len(events)
    if run.messages[-1].content:
        assert_acceptable(run.messages)
