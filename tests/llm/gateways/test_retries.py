"""A request that failed for a reason that may pass is sent again, before the first token only, and one sees it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import openai
import pytest
from driving import BOTH
from loopback import Cut, Hold, Loopback, Reply, json_reply
from providers_on_wire import KEY, PROVIDERS, Provider, ask

from mojentic_nb.llm import Finish, LLMBroker, Retry, StepFinish, TextDelta
from mojentic_nb.llm.errors import (
    AuthenticationError,
    IncompleteStreamError,
    LLMError,
    ModelNotFoundError,
    ProviderUnavailableError,
    RateLimitError,
)
from mojentic_nb.llm.gateways import OpenAIGateway, Timeout
from mojentic_nb.llm.gateways.failures import retry_after

BRIEF = 0.2  # seconds
SOON = {"retry-after": "0.01"}
END = [StepFinish("cancelled"), Finish("cancelled")]

both = pytest.mark.parametrize("how", BOTH)
all_providers = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())


def broker(provider: Provider, server: Loopback, *replies: Reply, max_retries: int = 4) -> LLMBroker:
    """A broker whose server plays `replies`, and which waits briefly where one of them is silent, else for long."""
    server.play(*replies)
    silent = [reply for reply in replies if any(isinstance(part, Hold) for part in reply.parts)]
    read = BRIEF if any(reply.status is None for reply in silent) else 60
    stall = BRIEF if silent else 60
    gateway = provider.gateway(server.url, timeout=Timeout(read=read, stall=stall))
    return LLMBroker("a-model", gateway, max_retries=max_retries)


def refusal(provider: Provider, status: int, headers: dict[str, str] | None = None, message: str = "No") -> Reply:
    """A response with that status."""
    reply = json_reply(provider.refuses(message, "some_error"), status)
    reply.headers |= headers or {}
    return reply


def hello(provider: Provider) -> Reply:
    """A whole answer."""
    return Reply([provider.answer("Hello")])


def cancel_at_retry(run, event):
    if isinstance(event, Retry):
        run.cancel()


@both
@all_providers
@pytest.mark.parametrize("status", [408, 409, 429, 500, 503, 529])
def test_a_status_that_may_pass(server: Loopback, status: int, provider: Provider, how: str):
    asking = broker(provider, server, refusal(provider, status, SOON), hello(provider))

    outcome = ask(asking, how)

    retry, *answer = outcome.events
    assert (retry.attempt, retry.delay) == (1, 0.01)
    assert retry.reason.endswith("It said: No")
    assert answer == [TextDelta("Hello"), StepFinish("stop", answer[1].usage), Finish("stop", answer[1].usage)]
    assert server.requests[0].body == server.requests[1].body


FAILURES = {
    "429 without a Retry-After": lambda provider: refusal(provider, 429),
    "hung up before the answer": lambda _: Reply([Cut()], None),
    "silent before the answer": lambda _: Reply([Hold()], None),
    "hung up after the headers": lambda _: Reply([Cut()]),
    "silent after the headers": lambda _: Reply([Hold()]),
    "a clean end after the headers": lambda _: Reply([]),
    "a clean end after a blank line": lambda _: Reply([b"\n"]),
    "an error with status 200": lambda provider: Reply([provider.failure()]),
}


@both
@all_providers
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_that_may_pass(server: Loopback, failure: Callable, provider: Provider, how: str):
    outcome = ask(broker(provider, server, failure(provider)), how, cancel_at_retry)

    retry, *rest = outcome.events
    assert retry.attempt == 1
    assert 0.375 <= retry.delay <= 0.625
    assert rest == END


@both
def test_without_a_word_from_the_provider_each_wait_is_about_twice_the_last(server: Loopback, how: str):
    """Anthropic's overloaded_error comes with status 200, and for a while."""
    provider = PROVIDERS["anthropic"]
    overloaded = Reply([provider.failure()])

    first, second, *answer = ask(broker(provider, server, overloaded, overloaded, hello(provider)), how).events

    assert [first.attempt, second.attempt] == [1, 2]
    assert 0.375 <= first.delay <= 0.625
    assert 0.75 <= second.delay <= 1.25
    assert first.reason.endswith("It said: Overloaded")
    assert answer[0] == TextDelta("Hello")


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


WAITS = {
    "seconds": (lambda: {"retry-after": "7"}, 7, 7),
    "parts of a second": (lambda: {"retry-after": "0.25"}, 0.25, 0.25),
    "none": (lambda: {"retry-after": "0"}, 0, 0),
    "a date": (lambda: {"retry-after": in_seconds(30)}, 20, 30),
    "a date that has passed": (lambda: {"retry-after": in_seconds(-30)}, 0, 0),
    "milliseconds": (lambda: {"retry-after-ms": "50"}, 0.05, 0.05),
    "milliseconds before seconds": (lambda: {"retry-after-ms": "1500", "retry-after": "2"}, 1.5, 1.5),
    "a minute": (lambda: {"retry-after": "60"}, 60, 60),
    "nothing that could be read": (lambda: {"retry-after": "soon"}, 0.375, 0.625),
}


@both
@pytest.mark.parametrize("name", ["chat", "ollama"])
@pytest.mark.parametrize(("headers", "least", "most"), WAITS.values(), ids=WAITS.keys())
def test_the_provider_says_how_long_to_wait(
    server: Loopback, headers: Callable, least: float, most: float, name: str, how: str
):
    provider = PROVIDERS[name]

    outcome = ask(broker(provider, server, refusal(provider, 429, headers())), how, cancel_at_retry)

    assert least <= outcome.events[0].delay <= most


@both
@all_providers
def test_a_rate_limit_that_names_the_page_on_billing(server: Loopback, provider: Provider, how: str):
    limited = refusal(provider, 429, SOON, "Rate limit reached. Add a payment method: https://a.example/billing.")

    retry, *_, end = ask(broker(provider, server, limited, hello(provider)), how).events

    assert isinstance(retry, Retry)
    assert end.finish_reason == "stop"


FINAL = {
    "a wrong key": (lambda provider: refusal(provider, 401), AuthenticationError),
    "no such model": (lambda provider: refusal(provider, 404, message="No such model"), ModelNotFoundError),
    "a quota that is used up": (
        lambda provider: refusal(provider, 429, SOON, "Your credit balance is too low."),
        RateLimitError,
    ),
    "payment wanted": (lambda provider: refusal(provider, 402, SOON), RateLimitError),
    "an hour to wait": (lambda provider: refusal(provider, 429, {"retry-after": "3600"}), RateLimitError),
    "an hour to wait, as a date": (
        lambda provider: refusal(provider, 429, {"retry-after": in_seconds(3600)}),
        RateLimitError,
    ),
    "garbage": (lambda provider: Reply([provider.frame("{")]), IncompleteStreamError),
}


@both
@all_providers
@pytest.mark.parametrize(("reply", "kind"), FINAL.values(), ids=FINAL.keys())
def test_what_is_not_tried_again(server: Loopback, reply: Callable, kind: type[LLMError], provider: Provider, how: str):
    outcome = ask(broker(provider, server, reply(provider)), how)

    assert type(outcome.error) is kind
    assert outcome.events == []
    assert len(server.requests) == 1


@both
@pytest.mark.parametrize("name", ["chat", "responses"])
def test_a_quota_that_is_used_up_is_known_by_its_code(server: Loopback, name: str, how: str):
    reply = json_reply(PROVIDERS[name].refuses("No", "insufficient_quota"), 429)

    outcome = ask(broker(PROVIDERS[name], server, reply), how)

    assert type(outcome.error) is RateLimitError
    assert outcome.events == []


@both
@all_providers
def test_a_server_that_is_not_there_on_this_machine_is_not_waited_for(server: Loopback, provider: Provider, how: str):
    server.close()

    outcome = ask(broker(provider, server), how)

    assert type(outcome.error) is ProviderUnavailableError
    assert outcome.events == []


@both
@all_providers
def test_a_reply_that_ends_before_the_answer_begins_is_asked_for_again(server: Loopback, provider: Provider, how: str):
    """As a proxy does whose upstream went away."""
    outcome = ask(broker(provider, server, Reply([]), max_retries=0), how)

    assert type(outcome.error) is IncompleteStreamError
    assert str(outcome.error) == "The reply ended before the answer began. Ask again."
    assert outcome.error.reason == "The reply ended before the answer began."


@both
@pytest.mark.parametrize("name", ["chat", "responses", "anthropic"])
def test_comments_that_keep_a_connection_open_are_no_answer(server: Loopback, name: str, how: str):
    provider = PROVIDERS[name]

    retry, *answer = ask(broker(provider, server, Reply([b": PROCESSING\n\n"]), hello(provider)), how).events

    assert isinstance(retry, Retry)
    assert answer[0] == TextDelta("Hello")


ENDINGS = {
    "a clean end": (lambda _: b"", IncompleteStreamError),
    "an error": (Provider.failure, ProviderUnavailableError),
    "a cut": (lambda _: Cut(), IncompleteStreamError),
    "silence": (lambda _: Hold(), IncompleteStreamError),
}


@both
@all_providers
@pytest.mark.parametrize(("ending", "kind"), ENDINGS.values(), ids=ENDINGS.keys())
def test_never_after_a_token_was_shown(
    server: Loopback, ending: Callable, kind: type[LLMError], provider: Provider, how: str
):
    outcome = ask(broker(provider, server, Reply([provider.piece("Hello"), ending(provider)])), how)

    assert outcome.events == [TextDelta("Hello")]
    assert type(outcome.error) is kind
    assert outcome.error.partial.content == "Hello"
    assert len(server.requests) == 1


@both
@all_providers
@pytest.mark.parametrize("max_retries", [0, 2])
def test_as_often_as_the_broker_may(server: Loopback, max_retries: int, provider: Provider, how: str):
    refusals = [refusal(provider, 500, SOON) for _ in range(max_retries + 1)]

    outcome = ask(broker(provider, server, *refusals, max_retries=max_retries), how)

    assert type(outcome.error) is ProviderUnavailableError
    assert "Retry" not in outcome.error.reason
    assert outcome.events == [Retry(attempt + 1, 0.01, outcome.error.reason) for attempt in range(max_retries)]
    assert len(server.requests) == max_retries + 1


@both
@all_providers
def test_cancelling_ends_the_wait(server: Loopback, provider: Provider, how: str):
    def cancel_soon(run, event):
        if isinstance(event, Retry):
            threading.Timer(0.05, run.cancel).start()

    begun = time.monotonic()
    outcome = ask(broker(provider, server, refusal(provider, 429, {"retry-after": "50"})), how, cancel_soon)

    retry, *rest = outcome.events
    assert retry.delay == 50
    assert rest == END
    assert time.monotonic() - begun < 2
    assert len(server.requests) == 1


def test_a_date_in_an_unknown_zone_is_no_reason_to_wait():
    assert retry_after({"retry-after": "Wed, 21 Oct 2099 07:28:00 -0000"}) is None


@both
def test_a_client_of_the_users_own_leaves_retries_to_the_run(server: Loopback, how: str):
    server.play(refusal(PROVIDERS["chat"], 503, SOON), hello(PROVIDERS["chat"]))
    make = openai.AsyncOpenAI if how == "async" else openai.OpenAI
    gateway = OpenAIGateway(client=make(api_key=KEY, base_url=server.url))

    retry, *_ = ask(LLMBroker("a-model", gateway), how).events

    assert isinstance(retry, Retry)
    assert len(server.requests) == 2
