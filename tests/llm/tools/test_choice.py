"""Which tools a model has to call, and how often it may."""

from __future__ import annotations

import pytest
from driving import BOTH, begin, events_of
from toolbox import QUESTION, Tool, step

from mojentic_nb.llm import CompletionConfig, LLMBroker
from mojentic_nb.llm.gateways import ScriptedGateway


def act() -> str:
    return "done"


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        (None, [None, None, None]),
        ("auto", ["auto", "auto", "auto"]),
        ("none", ["none", "none", "none"]),
        ("required", ["required", "auto", "auto"]),
        ("act", ["act", "auto", "auto"]),
    ],
)
def test_a_choice_is_forced_once(how: str, choice: str | None, sent: list):
    """A call that is always required would never let the model answer."""
    gateway = ScriptedGateway([step("act"), step("act", first=1), "Done."])
    broker = LLMBroker("a-model", gateway)

    events_of(begin(broker, how, QUESTION, [Tool(act)], tool_choice=choice))

    assert [request.tool_choice for request in gateway.requests] == sent


def test_without_rounds_there_is_nothing_to_choose_from():
    gateway = ScriptedGateway(["Done."])
    config = CompletionConfig(max_tool_iterations=0)

    LLMBroker("a-model", gateway).generate(QUESTION, [Tool(act)], config, tool_choice="required")

    assert (gateway.requests[0].tools, gateway.requests[0].tool_choice) == ((), None)
