"""Filters before a gateway: their hooks, which serve synchronous and asynchronous callers alike."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import replace

import pytest
from driving import BOTH, begin, closed_after, events_of, interrupted_after

from mojentic_nb.llm import LLMBroker, LLMMessage, Notice, StepFinish, TextDelta
from mojentic_nb.llm.errors import BadRequestError, ConfigurationError, LLMError
from mojentic_nb.llm.gateway_filter import GatewayFilter, Passage
from mojentic_nb.llm.gateways import OpenAIGateway, ScriptedGateway
from mojentic_nb.llm.request import Request

QUESTION = [LLMMessage("Hello?")]
STOP = StepFinish("stop")


class Beneath(ScriptedGateway):
    """A scripted gateway that counts the replies that have ended."""

    ended = 0

    def stream(self, request: Request):
        try:
            yield from super().stream(request)
        finally:
            self.ended += 1


class AsyncBeneath(Beneath):
    """The same, which needs no thread when it is asked asynchronously."""

    async def astream(self, request: Request):
        for event in self.stream(request):
            yield event


class Spy(GatewayFilter):
    """A filter whose passages keep how they ended."""

    def __init__(self, gateway, kind=Passage) -> None:
        super().__init__(gateway)
        self.kind = kind
        self.ends = []

    def begin(self, request: Request) -> Passage:
        spy = self

        class Ending(self.kind):
            def end(self, error: BaseException | None) -> None:
                spy.ends.append(type(error))

        return Ending(request)


class Again(Passage):
    """Asks for one more attempt at another model, and says so."""

    def retries(self, error: Exception) -> bool:
        if self.request.model == "other":
            raise ConfigurationError("The other model fails, too.")
        self.request = replace(self.request, model="other")
        self.notices.append(Notice(f"{error} Asking the other model."))
        return True


class Loud(Passage):
    """Replaces the request and its events."""

    def before(self) -> Request:
        return replace(self.request, messages=(LLMMessage("HELLO?"),))

    def event(self, event):
        return TextDelta(event.delta.upper()) if isinstance(event, TextDelta) else event


def texts(events) -> str:
    return "".join(event.delta for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("kind", [Beneath, AsyncBeneath])
def test_hooks_replace_the_request_and_its_events(how: str, kind: type[Beneath]):
    beneath = kind(["Good morning."])
    spy = Spy(beneath, Loud)

    events = events_of(begin(LLMBroker("a-model", spy), how, QUESTION))

    assert texts(events) == "GOOD MORNING."
    assert [message.content for message in beneath.requests[0].messages] == ["HELLO?"]
    assert spy.ends == [type(None)]
    assert beneath.ended == 1


@pytest.mark.parametrize("how", BOTH)
def test_a_passage_asks_for_another_attempt(how: str):
    beneath = Beneath([[BadRequestError("No.")], "Yes."])
    spy = Spy(beneath, Again)

    events = events_of(begin(LLMBroker("a-model", spy), how, QUESTION))

    assert events[0] == Notice("No. Asking the other model.")
    assert [event for event in events if isinstance(event, Notice)] == events[:1]
    assert texts(events) == "Yes."
    assert [request.model for request in beneath.requests] == ["a-model", "other"]
    assert (spy.ends, beneath.ended) == ([type(None)], 2)


@pytest.mark.parametrize("how", BOTH)
def test_a_passage_raises_another_error(how: str):
    spy = Spy(Beneath([[BadRequestError("No.")], [BadRequestError("Never.")]]), Again)

    with pytest.raises(ConfigurationError, match="The other model fails, too"):
        events_of(begin(LLMBroker("a-model", spy), how, QUESTION))

    assert spy.ends == [ConfigurationError]


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("error", [BadRequestError("No."), ValueError("A bug.")])
def test_an_error_passes_that_no_hook_knows(how: str, error: Exception):
    spy = Spy(Beneath([[TextDelta("So"), error]]))

    with pytest.raises(type(error), match=str(error)):
        events_of(begin(LLMBroker("a-model", spy, max_retries=0), how, QUESTION))

    assert spy.ends == [type(error)]


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("kind", [Beneath, AsyncBeneath])
@pytest.mark.parametrize("stopped_after", [closed_after, interrupted_after])
def test_a_reader_who_leaves_closes_the_gateway_beneath(how: str, kind: type[Beneath], stopped_after):
    beneath = kind(["One two three."])
    spy = Spy(Spy(beneath))

    stopped_after(begin(LLMBroker("a-model", spy), how, QUESTION), 1)

    assert beneath.ended == 1
    assert spy.ends in ([GeneratorExit], [asyncio.CancelledError])


@pytest.mark.parametrize("how", BOTH)
def test_a_filter_refuses_a_request(how: str):
    class Closed(GatewayFilter):
        def begin(self, request: Request) -> Passage:
            raise LLMError(f"{request.model} is closed.")

    beneath = Beneath(["Yes."])

    with pytest.raises(LLMError, match=r"^a-model is closed\.$"):
        events_of(begin(LLMBroker("a-model", Closed(beneath)), how, QUESTION))

    assert beneath.requests == []


def test_nothing_begins_before_the_first_event_is_read():
    spy = Spy(Beneath(["Yes."]))

    unread = spy.stream(Request("a-model", tuple(QUESTION)))
    unread.close()

    assert inspect.isgenerator(unread)
    assert spy.ends == []


@pytest.mark.parametrize("how", BOTH)
def test_a_mistake_of_a_tool_is_raised_as_it_is(how: str):
    """It is found while a provider's gateway encodes the request, and isn't the provider's error."""

    class Odd:
        def run(self) -> None: ...

        @property
        def descriptor(self):
            raise ValueError("A bug.")

    gateway = OpenAIGateway("a-key", "http://127.0.0.1:9")
    request = Request("a-model", tuple(QUESTION), tools=(Odd(),))

    async def read() -> None:
        async for _ in gateway.astream(request):
            pass

    with pytest.raises(ValueError, match=r"^A bug\.$"):
        asyncio.run(read()) if how == "async" else list(gateway.stream(request))
