"""An answer that isn't whole: whoever gets its text alone is warned, once a call."""

from __future__ import annotations

import asyncio
import warnings

import pytest
from driving import BOTH, begin, events_of

from mojentic_nb.llm import ChatSession, CompletionConfig, LLMBroker, LLMMessage, StepFinish, TextDelta
from mojentic_nb.llm.errors import IncompleteAnswerWarning
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.llm.gateways.models import LLMGatewayResponse

QUESTION = [LLMMessage("Name three rivers.")]


async def joined(pieces) -> str:
    return "".join([piece async for piece in pieces])


def chat(broker: LLMBroker, config: CompletionConfig | None) -> ChatSession:
    return ChatSession(broker, system_prompt="", config=config)


WAYS = {
    "generate": lambda broker, config: broker.generate(QUESTION, config=config),
    "generate_stream": lambda broker, config: "".join(broker.generate_stream(QUESTION, config=config)),
    "agenerate": lambda broker, config: asyncio.run(broker.agenerate(QUESTION, config=config)),
    "agenerate_stream": lambda broker, config: asyncio.run(joined(broker.agenerate_stream(QUESTION, config=config))),
    "send": lambda broker, config: chat(broker, config).send("Name three rivers."),
    "send_stream": lambda broker, config: "".join(chat(broker, config).send_stream("Name three rivers.")),
    "asend": lambda broker, config: asyncio.run(chat(broker, config).asend("Name three rivers.")),
    "asend_stream": lambda broker, config: asyncio.run(joined(chat(broker, config).asend_stream("Name three."))),
}
every_way = pytest.mark.parametrize("ask", WAYS.values(), ids=WAYS.keys())

UNSET = "the model's or the provider's own, as `max_tokens` isn't set"
REASONS = {
    "a limit": ("length", CompletionConfig(max_tokens=9), "it reached a token limit (max_tokens=9). Raise the limit"),
    "limits of Ollama's": (
        "length",
        CompletionConfig(num_predict=9, num_ctx=64),
        "it reached a token limit (num_predict=9, num_ctx=64). Raise the limit",
    ),
    "a limit that is none": ("length", CompletionConfig(num_predict=-1), f"it reached a token limit ({UNSET}). Raise"),
    "no limit that was set": ("length", None, f"it reached a token limit ({UNSET}). Raise the limit, or ask for less."),
    "a filter": ("content_filter", None, "the provider's content filter ended it. Rephrase the question"),
}


@every_way
def test_the_warning_names_the_ceiling_that_cut_the_answer(ask):
    """A limit of tokens is set too, and wasn't reached."""
    said, config = (
        LLMBroker("a-model", ScriptedGateway(["The Nile"])),
        CompletionConfig(max_tokens=9, max_answer_chars=7),
    )

    with pytest.warns(IncompleteAnswerWarning) as warned:
        ask(said, config)

    assert str(warned[0].message).startswith("The answer is incomplete: it reached the limit max_answer_chars=7. Raise")


def broker(reason: str) -> LLMBroker:
    return LLMBroker("a-model", ScriptedGateway([[TextDelta("The Nile, "), TextDelta("the"), StepFinish(reason)]]))


@every_way
@pytest.mark.parametrize(("reason", "config", "says"), REASONS.values(), ids=REASONS.keys())
def test_an_answer_that_is_not_whole_warns_once(ask, reason: str, config: CompletionConfig | None, says: str):
    with pytest.warns(IncompleteAnswerWarning) as warned:
        assert ask(broker(reason), config) == "The Nile, the"

    (warning,) = warned
    assert str(warning.message).startswith(f"The answer is incomplete: {says}")


@every_way
def test_the_warning_points_to_the_callers_line(ask):
    """Not into the package, where a filter for the caller's own module would miss it."""
    with pytest.warns(IncompleteAnswerWarning) as warned:
        ask(broker("length"), None)

    assert not warned[0].filename.startswith(LLMBroker.generate.__code__.co_filename.removesuffix("broker.py"))


@every_way
def test_a_whole_answer_warns_of_nothing(ask, recwarn: pytest.WarningsRecorder):
    assert ask(broker("stop"), None) == "The Nile, the"

    assert [warning.message for warning in recwarn if warning.category is IncompleteAnswerWarning] == []


@pytest.mark.parametrize("how", BOTH)
def test_a_run_says_it_by_its_finish_reason_alone(how: str, recwarn: pytest.WarningsRecorder):
    run = begin(broker("length"), how, QUESTION)

    events_of(run)
    assert run.finish_reason == "length"
    assert "".join(broker("length").stream(QUESTION).text()) == "The Nile, the"
    assert [warning.message for warning in recwarn if warning.category is IncompleteAnswerWarning] == []


def test_an_answer_that_nobody_reads_to_its_end_warns_of_nothing(recwarn: pytest.WarningsRecorder):
    pieces = broker("length").generate_stream(QUESTION)
    next(pieces)
    pieces.close()

    assert [warning.message for warning in recwarn if warning.category is IncompleteAnswerWarning] == []


def test_a_program_may_make_an_error_of_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error", IncompleteAnswerWarning)
        with pytest.raises(IncompleteAnswerWarning, match="token limit"):
            broker("length").generate(QUESTION)


@pytest.mark.parametrize(("said", "words"), [("length", ["token limit"]), ("safety", ["filter"]), ("STOP", [])])
def test_a_gateway_of_mojentics_says_it_in_its_own_words(said: str, words: list[str], recwarn):
    class Whole:
        def complete(self, **_):
            return LLMGatewayResponse(content="The Nile, the", finish_reason=said)

    LLMBroker("a-model", Whole()).generate(QUESTION)

    warned = [str(warning.message) for warning in recwarn if warning.category is IncompleteAnswerWarning]
    assert len(warned) == len(words)
    assert all(word in warning for word, warning in zip(words, warned, strict=True))


def test_our_gateways_say_it_in_their_whole_answer():
    answer = broker("length").adapter.complete("a-model", QUESTION)

    assert (answer.content, answer.finish_reason) == ("The Nile, the", "length")
