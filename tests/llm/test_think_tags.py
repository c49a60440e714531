"""Reasoning in the text, between tags that may be split anywhere."""

from __future__ import annotations

import pytest

from mojentic_nb.llm import CompletionConfig, LLMBroker, LLMMessage, ReasoningDelta, StepFinish, TextDelta
from mojentic_nb.llm.gateways import ScriptedGateway

CASES = {
    "reasoning and answer": ("<think>Hm.\nYes.</think>\n\nIt is.", "Hm.\nYes.", "It is."),
    "white space before the tag": ("\n <think>Hm.</think>It is.", "Hm.", "It is."),
    "no tags": ("It is.", "", "It is."),
    "no reasoning": ("<think></think>It is.", "", "It is."),
    "a tag that the answer talks about": ("Use <think>x</think>.", "", "Use <think>x</think>."),
    "a second pair": ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
    "another tag": ("<thing>x</thing>", "", "<thing>x</thing>"),
    "less-than signs in the reasoning": ("<think>a < b </thin</think>c", "a < b </thin", "c"),
    "never closed": ("<think>Hm. </thi", "Hm. </thi", ""),
    "only the beginning of a tag": (" <thi", "", " <thi"),
    "nothing": ("", "", ""),
    "nothing after it": ("<think>Hm.</think>\n", "Hm.", ""),
}


def ask(*pieces: str, tags: bool = True) -> tuple[str, str]:
    """Reasoning and answer of a model that says `pieces`."""
    script = [*map(TextDelta, pieces), StepFinish("stop")]
    run = LLMBroker("m", ScriptedGateway([script])).stream(
        [LLMMessage(content="Is it?")], config=CompletionConfig(think_tags=tags)
    )
    events = list(run)
    reasoning = "".join(event.delta for event in events if isinstance(event, ReasoningDelta))
    answer = "".join(event.delta for event in events if isinstance(event, TextDelta))
    if answer:
        assert run.messages[-1].content == answer
    if reasoning:
        assert run.messages[-1].thinking == reasoning
    return reasoning, answer


@pytest.mark.parametrize(("text", "reasoning", "answer"), CASES.values(), ids=CASES.keys())
def test_whole_character_by_character_and_at_every_split(text: str, reasoning: str, answer: str):
    assert ask(text) == (reasoning, answer)
    assert ask(*text) == (reasoning, answer)
    for cut in range(len(text) + 1):
        assert ask(text[:cut], text[cut:]) == (reasoning, answer)


def test_reasoning_is_shown_while_it_comes():
    gateway = ScriptedGateway([[TextDelta("<think>Hm"), TextDelta(", so"), StepFinish("stop")]])
    run = LLMBroker("m", gateway).stream([LLMMessage(content="?")], config=CompletionConfig(think_tags=True))

    assert next(iter(run)) == ReasoningDelta("Hm")


def test_tags_stay_in_the_text_unless_they_are_asked_for():
    assert ask("<think>Hm.</think>It is.", tags=False) == ("", "<think>Hm.</think>It is.")


def test_a_tag_may_be_split_by_reasoning_that_comes_as_such():
    script = [TextDelta("<thi"), ReasoningDelta("Hm. "), TextDelta("nk>So.</think>Because."), StepFinish("stop")]
    run = LLMBroker("m", ScriptedGateway([script])).stream(
        [LLMMessage(content="?")], config=CompletionConfig(think_tags=True)
    )

    assert "".join(run.text()) == "Because."
    assert run.messages[-1].thinking == "Hm. So."
