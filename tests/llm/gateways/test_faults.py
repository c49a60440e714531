"""Whatever goes wrong on the wire is the same error at every gateway, sync and async, and leaves nothing open."""

from __future__ import annotations

import gc
import json
import logging
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from canary import forms, shown, verbose
from driving import BOTH
from loopback import PATIENCE, Cut, Hold, Loopback, Reply, json_reply
from providers_on_wire import KEY, PROVIDERS, QUESTION, Provider, ask, connections_to

from mojentic_nb.llm import LLMBroker, LLMMessage, MessageRole
from mojentic_nb.llm.errors import (
    AuthenticationError,
    ConfigurationError,
    IncompleteStreamError,
    LLMError,
    ModelNotFoundError,
    ProviderUnavailableError,
    RateLimitError,
)
from mojentic_nb.llm.gateways import RecordingGateway, Timeout
from mojentic_nb.llm.providers import broker_for
from mojentic_nb.llm.request import Request
from mojentic_nb.tracer import TracerSystem
from mojentic_nb.tracer.jsonl import lines

pytestmark = pytest.mark.filterwarnings("error")

PAGE = b"<html>\n<h1>Bad gateway</h1>\n</html>\n"
LONG = 2 * PATIENCE
PATIENT = Timeout(LONG, LONG, LONG)


@dataclass(frozen=True)
class Fault:
    """What the server does (nothing: it isn't there), and the error that comes of it.

    `says` is in the error's words, `cause` names the error beneath it, `partial` is the text that had arrived,
    `timeout` the gateway's. `transient` is whether the request is worth another try, None where that isn't tested here.
    """

    reply: Callable[[Provider], Reply | list[Reply]] | None
    kind: type[LLMError]
    says: str
    cause: str
    partial: str = ""
    timeout: Timeout = PATIENT
    transient: bool | None = None


def refused(status: int, code: str = "", says: str = "No\nto") -> Callable[[Provider], Reply]:
    """A reply with that status. The server quotes the key, as some do."""
    return lambda provider: json_reply(provider.refuses(f"{says} {KEY}", code), status)


def after_hello(*parts: Callable[[Provider], bytes] | bytes | Hold | Cut) -> Callable[[Provider], Reply]:
    """A reply that begins well and goes on with `parts`."""
    return lambda provider: Reply(
        [provider.piece("Hello"), *(part(provider) if callable(part) else part for part in parts)]
    )


def half_an_event(provider: Provider) -> bytes:
    return provider.piece(" you")[:-9]


def half_a_character(provider: Provider) -> bytes:
    start, _, _ = provider.piece(" où").partition("ù".encode())
    return start + "ù".encode()[:1]


def failing(provider: Provider, message: str) -> dict:
    """The document of an error in mid-stream, with that message."""
    return json.loads(json.dumps(provider.fails).replace("Overloaded", message))


def escaped(key: str) -> str:
    """All forms of the key."""
    return " ".join(forms(key))


def garbage_with_the_key(provider: Provider) -> bytes:
    return provider.frame('{"oops": [' + escaped(KEY))


def garbage_with_the_key_at_the_cut(provider: Provider) -> bytes:
    """An error quotes so much of it that a part of the key would be quoted."""
    return provider.frame('{"oops": "' + "x" * (70 - len(KEY) // 2) + KEY)


def garbage(provider: Provider) -> bytes:
    return provider.frame('{"oops": [')


def slowly() -> Iterator[bytes]:
    """Headers that come one by one, each in time."""
    waiting = threading.Event()
    yield b"HTTP/1.1 200 OK\r\n"
    for _ in range(60):
        waiting.wait(0.05)
        yield b"X-Still: here\r\n"


def unasked(reply: bytes, says: str) -> Fault:
    """What no model's server replies: the request is not sent again."""
    return Fault(lambda _: Reply([reply], None), ProviderUnavailableError, says, "connection", transient=False)


FAULTS = {
    "redirects without an end": Fault(
        lambda _: [Reply(status=307, headers={"location": "/elsewhere"})] * 30,
        ProviderUnavailableError,
        "redirects the request in a loop. Check its address",
        "connection",
        transient=False,
    ),
    "a header without an end": unasked(
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "headers of more than 100 kB. Check"
    ),
    "bytes that are not HTTP": unasked(b"\x15\x03\x01\x00\x02\x02\x16", "doesn't answer in HTTP. Check the port"),
    "words that are not HTTP": unasked(b"220 mail ready\r\n\r\n", "doesn't answer in HTTP. Check the port"),
    "a header that is not HTTP": unasked(b"HTTP/1.1 200 OK\r\n=\r\n\r\n", "doesn't answer in HTTP. Check the port"),
    "nothing listens": Fault(
        None, ProviderUnavailableError, "Can't reach .*(Check its address|Start it with)", "connection"
    ),
    "silent before the headers": Fault(
        lambda _: Reply([Hold()], None),
        ProviderUnavailableError,
        "didn't answer in time. Retry later",
        "connection",
        timeout=Timeout(LONG, read=0.1, stall=LONG),
    ),
    "slow in the headers": Fault(
        lambda _: Reply(slowly(), None),
        ProviderUnavailableError,
        "didn't answer in time. Retry later",
        "connection",
        timeout=Timeout(LONG, read=0.2, stall=LONG),
    ),
    "slow in the headers, after a redirect": Fault(
        lambda _: [Reply(status=307, headers={"location": "/elsewhere"}), Reply(slowly(), None)],
        ProviderUnavailableError,
        "didn't answer in time. Retry later",
        "connection",
        timeout=Timeout(LONG, read=0.2, stall=LONG),
    ),
    "cut before the headers": Fault(
        lambda _: Reply([Cut()], None),
        ProviderUnavailableError,
        "closed the connection before it answered. Retry later",
        "connection",
    ),
    "cut in the headers": Fault(
        lambda _: Reply([b"HTTP/1.1 200 OK\r\nContent-"], None),
        ProviderUnavailableError,
        "closed the connection before it answered. Retry later",
        "connection",
    ),
    "401": Fault(refused(401), AuthenticationError, "refused the API key. Set `[A-Z]+_API_KEY`", "status"),
    "403": Fault(
        refused(403), AuthenticationError, "doesn't allow this request with your API key. It said: No to", "status"
    ),
    "404": Fault(
        refused(404, says="No model\nfor"),
        ModelNotFoundError,
        "has no model 'a-model'. (Check the name|Get it with `ollama pull)",
        "status",
    ),
    "404, and no word of a model": Fault(
        refused(404), ConfigurationError, "has no such endpoint. Check .* It said: No to .the key", "status"
    ),
    "429": Fault(refused(429), RateLimitError, "Wait, or check your quota. It said: No to", "status"),
    "429 at length, the key at its end": Fault(
        lambda provider: json_reply(provider.refuses("No " * 97 + KEY, ""), 429), RateLimitError, "No No", "status"
    ),
    "500": Fault(refused(500), ProviderUnavailableError, "failed .status 500.. Retry later", "status"),
    "529": Fault(
        refused(529, "overloaded_error"), ProviderUnavailableError, "failed .status 529.. Retry later", "status"
    ),
    "an error in the answer, with the key": Fault(
        lambda provider: Reply([provider.piece("Hello"), provider.frame(failing(provider, f"No {KEY}"))]),
        ProviderUnavailableError,
        "It said: No .the key.",
        "stream",
        "Hello",
    ),
    "a page with status 502": Fault(
        lambda _: Reply([PAGE], 502, "text/html"), ProviderUnavailableError, "502.. Retry later", "status"
    ),
    "a page with status 200": Fault(
        lambda _: Reply([PAGE], 200, "text/html"), IncompleteStreamError, "[Cc]heck its addr", "page"
    ),
    "cut after the headers": Fault(
        lambda _: Reply([Cut()]), IncompleteStreamError, "broke in the middle of the reply. Ask again", "transport"
    ),
    "cut between events": Fault(after_hello(Cut()), IncompleteStreamError, "broke .* Ask again", "transport", "Hello"),
    "cut in an event": Fault(
        after_hello(half_an_event, Cut()), IncompleteStreamError, "broke .* Ask again", "transport", "Hello"
    ),
    "cut in a character": Fault(
        after_hello(half_a_character, Cut()), IncompleteStreamError, "broke .* Ask again", "transport", "Hello"
    ),
    "silent in the answer": Fault(
        after_hello(Hold()),
        IncompleteStreamError,
        "went silent .* Ask again",
        "transport",
        "Hello",
        Timeout(LONG, LONG, stall=0.1),
    ),
    "ended in an event": Fault(
        after_hello(half_an_event), IncompleteStreamError, "isn't a completion. Ask again", "json", "Hello"
    ),
    "garbage": Fault(
        lambda provider: Reply([garbage(provider)]), IncompleteStreamError, "isn't a completion. Ask again", "json"
    ),
    "garbage in the answer": Fault(
        after_hello(garbage), IncompleteStreamError, "isn't a completion. Ask again", "json", "Hello"
    ),
    "garbage that quotes the key": Fault(
        lambda provider: Reply([garbage_with_the_key(provider)]), IncompleteStreamError, "the key", "json"
    ),
    "garbage that quotes the key at its end": Fault(
        after_hello(garbage_with_the_key_at_the_cut), IncompleteStreamError, "isn't a completion", "json", "Hello"
    ),
    "500, the key in all its forms": Fault(
        lambda provider: json_reply(provider.refuses(escaped(KEY), ""), 500),
        ProviderUnavailableError,
        "It said: (.the key. ?)+$",
        "status",
    ),
    "a page that quotes the key": Fault(
        lambda _: Reply([PAGE, escaped(KEY).encode()], 502, "text/html"), ProviderUnavailableError, "502", "status"
    ),
    "an error with status 200": Fault(
        lambda provider: Reply([provider.failure()]),
        ProviderUnavailableError,
        "Retry later. It said: Overloaded",
        "stream",
    ),
    "an error in the answer": Fault(
        after_hello(Provider.failure),
        ProviderUnavailableError,
        "Retry later. It said: Overloaded",
        "stream",
        "Hello",
    ),
}


@pytest.fixture(scope="module", autouse=True)
def old_objects():
    """What was there before is left out when these tests collect what they leave: that takes a third of the time."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def canary(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture):
    """The key is seen in no output and no log record of any test. Ollama's comes from the environment."""
    monkeypatch.setenv("OLLAMA_API_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    yield
    seen = f"{capfd.readouterr()} {caplog.text} {[vars(record) for record in caplog.records]}"
    assert not [form for form in forms(KEY[:9]) if form in seen]


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault(server: Loopback, tmp_path: Path, fault: Fault, provider: Provider, how: str):
    """Nor is the key in the error, its causes, the variables of their frames, the trace or a recording."""
    if fault.reply:
        replies = fault.reply(provider)
        server.play(*(replies if isinstance(replies, list) else [replies]))
    else:
        server.close()
    gateway = RecordingGateway(provider.gateway(server.url, timeout=fault.timeout), tmp_path / "runs.json")
    tracer = TracerSystem()

    begun = time.monotonic()
    error = ask(LLMBroker("a-model", gateway, tracer=tracer, max_retries=0), how).error
    took = time.monotonic() - begun
    gc.collect()  # what was left open warns when it is freed

    assert took < PATIENCE
    assert type(error) is fault.kind
    assert fault.transient in (None, error.transient)
    assert re.search(fault.says, str(error)), str(error)
    assert "\n" not in str(error)
    assert isinstance(error.__cause__, provider.causes[fault.cause])
    answer = [LLMMessage(role=MessageRole.Assistant, content=fault.partial)] if fault.partial else []
    assert [error.partial] == (answer or [None])
    assert error.run.messages == [*QUESTION, *answer]
    recorded = "".join(path.read_text() for path in tmp_path.iterdir())
    seen = f"{shown(error)} {gateway!r} {''.join(lines(tracer.get_events()))} {recorded}"
    assert not [form for form in forms(KEY[:9]) if form in seen]
    assert connections_to(server) == []


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
@pytest.mark.parametrize("fault", ["nothing listens", "401", "cut between events", "garbage that quotes the key"])
def test_a_verbose_traceback_does_not_show_the_key(server: Loopback, fault: str, provider: Provider, how: str):
    if reply := FAULTS[fault].reply:
        server.play(reply(provider))
    else:
        server.close()

    error = ask(LLMBroker("a-model", provider.gateway(server.url), max_retries=0), how).error

    said = verbose(error)
    assert "providers_on_wire.py" in said
    assert not [form for form in forms(KEY[:9]) if form in said]


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
def test_an_interrupt_in_the_middle_does_not_show_the_key(server: Loopback, provider: Provider):
    """The frames of the SDK and the HTTP library stand in such a traceback, with all their variables."""
    hold = Hold()
    server.play(Reply([provider.piece("Hello"), hold]))
    gateway = provider.gateway(server.url)
    main = threading.main_thread().ident
    interrupter = threading.Thread(
        target=lambda: hold.reached.wait(PATIENCE) and signal.pthread_kill(main, signal.SIGINT)
    )
    interrupter.start()

    with pytest.raises(KeyboardInterrupt) as interrupt:
        list(gateway.stream(Request("a-model", tuple(QUESTION))))
    interrupter.join()
    gateway.close()

    said = shown(interrupt.value) + verbose(interrupt.value)
    assert KEY[:9] not in said


@pytest.mark.parametrize("name", ["openai", "anthropic", "ollama"])
def test_a_key_that_cannot_be_one_is_not_shown(name: str):
    with pytest.raises(ConfigurationError, match="has a character that no key has") as failure:
        broker_for(f"{name}:a-model", api_key=f"{KEY}\N{EM DASH}")

    failure.value.__traceback__ = failure.tb.tb_next  # this test's own variables are not at fault
    assert KEY[:9] not in verbose(failure.value)
