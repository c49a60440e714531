"""However a run is stopped, its request ends at once, as the other side sees it, and what had arrived is kept."""

from __future__ import annotations

import asyncio
import gc
import inspect
import itertools
import json
import signal
import socket
import threading
import time
import urllib.request
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import anthropic
import httpx2
import openai
import pytest
from driving import BOTH
from loopback import PATIENCE, Hold, Loopback, Reply, completion, json_reply
from providers_on_wire import KEY, PROVIDERS, Provider, ask, connections_to

from mojentic_nb.llm import AsyncRun, Event, Finish, LLMBroker, LLMMessage, MessageRole, Run, StepFinish, TextDelta
from mojentic_nb.llm.errors import LLMError
from mojentic_nb.llm.gateways import AnthropicGateway, LocalGateway, OpenAIGateway, ScriptedGateway
from mojentic_nb.llm.gateways.transport import Timeout, Wire
from mojentic_nb.llm.request import Request

LIMIT = 0.1  # seconds from the stop to the end of the request
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # once: it reads all certificates, for 0.2 s
QUESTION = [LLMMessage(content="Tell me a long story.")]
END = [StepFinish("cancelled"), Finish("cancelled")]


# Ways to stop a run. Each returns when it began to. What another thread does it does at the `moment`, which the reader
# sets when there is text; it waits for more then.


def by_close(run: Run, moment: threading.Event) -> float:
    next(iter(run))
    began = time.monotonic()
    run.close()
    return began


def by_cancel(run: Run, moment: threading.Event) -> float:
    with another_thread(run.cancel, moment) as began:
        assert read(run, moment)[-2:] == END
    return began[0]


def by_close_in_another_thread(run: Run, moment: threading.Event) -> float:
    with another_thread(run.close, moment) as began:
        assert read(run, moment)[-2:] == END
    return began[0]


def by_interrupt(run: Run, moment: threading.Event) -> float:
    """A signal that comes after Python last looked for one and before it waits is seen after the wait only: hence more
    of them, until one was seen."""
    seen = threading.Event()

    def interrupt() -> None:
        while not seen.wait(0.01):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    def once(*_: object) -> None:
        if not seen.is_set():
            seen.set()
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, once)
    try:
        with another_thread(interrupt, moment) as began, pytest.raises(KeyboardInterrupt):
            read(run, moment)
    finally:
        signal.signal(signal.SIGINT, before)
    return began[0]


async def by_aclose(run: AsyncRun, moment: threading.Event) -> float:
    await anext(aiter(run))
    began = time.monotonic()
    await run.aclose()
    return began


async def by_task(run: AsyncRun, moment: threading.Event) -> float:
    task = asyncio.create_task(aread(run, moment))
    await asyncio.to_thread(moment.wait, PATIENCE)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return began


async def by_cancel_of_async(run: AsyncRun, moment: threading.Event) -> float:
    with another_thread(run.cancel, moment) as began:
        assert (await aread(run, moment))[-2:] == END
    return began[0]


def read(run: Run, moment: threading.Event) -> list[Event]:
    events = []
    with run:
        for event in run:
            events.append(event)
            moment.set()
    return events


async def aread(run: AsyncRun, moment: threading.Event) -> list[Event]:
    events = []
    async with run:
        async for event in run:
            events.append(event)
            moment.set()
    return events


@contextmanager
def another_thread(act: Callable[[], None], moment: threading.Event) -> Iterator[list[float]]:
    """Have another thread `act` at the moment; the list then holds when that was."""
    began = []

    def wait_and_act() -> None:
        assert moment.wait(PATIENCE)
        began.append(time.monotonic())
        act()

    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(wait_and_act)
        yield began
        done.result()


# An interrupt that comes while coverage takes note of a line leaves its lock taken.
INTERRUPT = pytest.param(by_interrupt, marks=pytest.mark.no_cover)
# These are tried before there is an event, too.
BLOCKED = [by_cancel, by_close_in_another_thread, INTERRUPT, by_task, by_cancel_of_async]
WAYS = [by_close, by_aclose, *BLOCKED]


def stop(way: Callable, gateway: object, gone_at: Callable[[], float], moment: threading.Event | None = None):
    """The run that was stopped that way, and how many seconds later it had ended, and the other side knew."""
    broker, moment = LLMBroker("a-model", gateway), moment or threading.Event()
    if not inspect.iscoroutinefunction(way):
        run = broker.stream(QUESTION)
        began, ended = way(run, moment), time.monotonic()
        return run, max(ended, gone_at()) - began

    async def stopped() -> float:
        began, ended = await way(run, moment), time.monotonic()
        return max(ended, await asyncio.to_thread(gone_at)) - began

    run = broker.astream(QUESTION)
    return run, asyncio.run(stopped())


def at_once(delay: Callable[[], float]) -> bool:
    """Whether the stop took less than the limit, in one of five tries, for the machine may be busy."""
    return any(delay() < LIMIT for _ in range(5))


def at_provider(name: str):
    return PROVIDERS[name], lambda url, _: PROVIDERS[name].gateway(url)


def with_own_client(name: str, gateway: type, clients: tuple[type, type]):
    """A gateway with the user's own client, a synchronous or an asynchronous one as the way to stop asks for."""

    def make(url: str, way: Callable):
        return gateway(client=clients[inspect.iscoroutinefunction(way)](api_key=KEY, base_url=url))

    return PROVIDERS[name], make


GATEWAYS = {
    **{name: at_provider(name) for name in PROVIDERS},
    "an OpenAI client": with_own_client("chat", OpenAIGateway, (openai.OpenAI, openai.AsyncOpenAI)),
    "an Anthropic client": with_own_client(
        "anthropic", AnthropicGateway, (anthropic.Anthropic, anthropic.AsyncAnthropic)
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("provider", "make"), GATEWAYS.values(), ids=GATEWAYS.keys())
def test_in_the_middle_of_an_answer(server: Loopback, provider: Provider, make: Callable, way: Callable):
    def delay() -> float:
        hold = Hold()
        server.play(Reply([provider.piece("Hello"), hold]))
        run, seconds = stop(way, make(server.url, way), lambda: hung_up(hold))
        assert run.finish_reason == "cancelled"
        assert run.messages == [*QUESTION, LLMMessage(role=MessageRole.Assistant, content="Hello")]
        return seconds

    assert at_once(delay)


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
def test_a_run_that_is_left_by_break(
    server: Loopback, caplog: pytest.LogCaptureFixture, provider: Provider, how: str, no_garbage_collection: None
):
    hold = Hold()
    server.play(Reply([provider.piece("Hello"), hold]))
    asking = LLMBroker("a-model", provider.gateway(server.url))

    async def leave() -> None:
        async for _ in asking.astream(QUESTION):
            break
        assert await asyncio.to_thread(hold.hung_up.wait, PATIENCE)

    if how == "async":
        asyncio.run(leave())
    for _ in asking.stream(QUESTION) if how == "sync" else ():
        break

    assert hold.hung_up.wait(PATIENCE)
    assert caplog.text == ""


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
def test_a_gateway_whose_request_was_cancelled_is_as_good_as_new(server: Loopback, provider: Provider, how: str):
    server.play(Reply([provider.piece("Hello"), Hold()]), Reply([provider.answer("Hello")]))
    asking = LLMBroker("a-model", provider.gateway(server.url), max_retries=0)

    async def cancel_and_ask() -> str:
        run = asking.astream(QUESTION)
        async for _ in run:
            run.cancel()
        return await asking.agenerate(QUESTION)

    if how == "async":
        answer = asyncio.run(cancel_and_ask())
    else:
        run = asking.stream(QUESTION)
        for _ in run:
            run.cancel()
        answer = asking.generate(QUESTION)

    assert answer == "Hello"


def sky() -> str:
    """The colour of the sky."""
    return "grey"


def read_all(_: Event) -> bool:
    return False


def leave_at_the_last(event: Event) -> bool:
    return isinstance(event, StepFinish) and event.finish_reason == "stop"


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("leaves", [read_all, leave_at_the_last])
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
def test_five_requests_take_one_connection(server: Loopback, provider: Provider, leaves: Callable, how: str):
    """The second question has a round of tools, and another round, so it takes three requests."""
    server.play(*(Reply([reply]) for reply in (provider.answer("Hello"), *[provider.call()] * 2)))
    server.play(*[Reply([provider.answer("Hello")])] * 2)
    asking = LLMBroker("a-model", provider.gateway(server.url))

    def ask() -> None:
        with asking.stream(QUESTION, [sky]) as run:
            any(map(leaves, run))

    async def aask() -> None:
        async with asking.astream(QUESTION, [sky]) as run:
            async for event in run:
                if leaves(event):
                    break

    async def ask_thrice() -> None:
        for _ in range(3):
            await aask()
        await asking.adapter.aclose()

    if how == "async":
        asyncio.run(ask_thrice())
        asyncio.run(asking.adapter.aclose())  # in a loop that it never asked in, so there is nothing to close
    for _ in range(3) if how == "sync" else ():
        ask()

    assert len(server.requests) == 5
    assert server.connections == 1


def nothing(hold: Hold) -> Iterator[bytes | Hold]:
    yield hold


def more_and_more(_: Hold) -> Iterator[bytes | Hold]:
    return itertools.repeat(b": still here\n\n")


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("follows", [nothing, more_and_more])
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
def test_a_response_without_an_end(server: Loopback, provider: Provider, follows: Callable, how: str):
    """What follows the last event is read for a moment only; then the connection is closed."""
    hold = Hold()
    server.play(Reply(itertools.chain([provider.answer("Hello")], follows(hold))))

    outcome = ask(LLMBroker("a-model", provider.gateway(server.url)), how)

    assert outcome.events[-1] == Finish("stop", outcome.events[-1].usage)
    assert (server.hung_up if follows is more_and_more else hold.hung_up).wait(PATIENCE)


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
def test_a_run_that_is_cancelled_at_its_last_event(server: Loopback, provider: Provider, how: str):
    """The rest of its response is not waited for."""

    def delay() -> float:
        hold = Hold()
        cancelled = []

        def cancel(run: Run | AsyncRun, event: Event) -> None:
            if isinstance(event, StepFinish):
                cancelled.append(time.monotonic())
                run.cancel()

        server.play(Reply([provider.answer("Hello"), hold]))
        ask(LLMBroker("a-model", provider.gateway(server.url)), how, cancel)
        return hung_up(hold) - cancelled[0]

    assert at_once(delay)


def test_a_transport_that_has_no_connection():
    """A user's own HTTP client need not have one that is known."""
    reply = httpx2.Response(200, content=completion("Hello"))
    http = httpx2.Client(transport=httpx2.MockTransport(lambda _: reply))
    gateway = OpenAIGateway(client=openai.OpenAI(api_key=KEY, base_url="http://nowhere", http_client=http))

    assert LLMBroker("a-model", gateway).generate(QUESTION) == "Hello"


def test_a_connection_is_kept_for_the_next_request_until_the_gateway_is_closed(server: Loopback):
    server.play(*[json_reply({"data": [{"id": "a"}]})] * 2)
    gateway = OpenAIGateway(KEY, server.url)

    gateway.get_available_models()
    first = connections_to(server)
    gateway.get_available_models()

    assert len(first) == 1
    assert connections_to(server) == first
    gateway.close()
    assert connections_to(server) == []


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
def test_an_event_loop_is_forgotten_after_its_end(server: Loopback, provider: Provider):
    server.play(Reply([provider.answer("Hello")]))
    asking = LLMBroker("a-model", provider.gateway(server.url))

    async def ask() -> weakref.ref:
        await asking.agenerate(QUESTION)
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(ask())
    gc.collect()

    assert loop() is None


@pytest.fixture
def no_garbage_collection():
    """Only what nobody refers to is freed."""
    gc.disable()
    yield
    gc.enable()


def test_an_event_loop_whose_sockets_are_not_pythons():
    """uvloop's stand-in for a socket can't be shut down."""
    ours, theirs = socket.socketpair()

    class PseudoSocket:
        family, type, fileno = ours.family, ours.type, ours.fileno

    class NetworkStream:
        def get_extra_info(self, _: str) -> PseudoSocket:
            return PseudoSocket()

    wire = Wire(Timeout(), TimeoutError)
    over, under_way = wire.reset(), wire.reset()
    wire.watch(NetworkStream())

    with ours, theirs:
        theirs.setblocking(False)
        wire.abort(over)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
        wire.abort(under_way)
        assert theirs.recv(1) == b""


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
def test_before_there_is_a_connection(server: Loopback, provider: Provider, how: str):
    """While a client connects no socket is known; it is shut down as soon as it is there."""
    hold = Hold()
    server.play(Reply([hold], None))
    gateway = provider.gateway(server.url)
    request = Request("a-model", tuple(QUESTION))
    request.cancellation.cancel()

    async def iterate() -> None:
        async for _ in gateway.astream(request):
            pass

    with pytest.raises(LLMError, match="closed the connection before it answered"):
        list(gateway.stream(request)) if how == "sync" else asyncio.run(iterate())


@pytest.mark.parametrize("way", BLOCKED)
@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
def test_before_the_headers_of_an_answer(server: Loopback, provider: Provider, way: Callable):
    def delay() -> float:
        hold = Hold()
        server.play(Reply([hold], None))
        run, seconds = stop(way, provider.gateway(server.url), lambda: hung_up(hold), hold.reached)
        assert run.finish_reason == "cancelled"
        assert run.messages == [*QUESTION, LLMMessage(role=MessageRole.Assistant, content="")]
        return seconds

    assert at_once(delay)


def hung_up(hold: Hold) -> float:
    assert hold.hung_up.wait(PATIENCE)
    return hold.hung_up_at


@pytest.fixture(scope="module")
def local():
    """The embedded model, running."""
    with LocalGateway() as gateway:
        yield gateway


@pytest.mark.parametrize("way", WAYS)
def test_the_local_model_stops(local: LocalGateway, way: Callable):
    def delay() -> float:
        run, seconds = stop(way, local, lambda: idle(local))
        *before, answer = run.messages
        assert before == QUESTION
        assert answer.content
        assert run.finish_reason == "cancelled"
        return seconds

    assert at_once(delay)


def idle(gateway: LocalGateway) -> float:
    """When the model has no request any more."""
    slots = urllib.request.Request(  # noqa: S310
        f"{gateway.process.url}/slots", headers={"authorization": f"Bearer {gateway.process.api_key}"}
    )
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with OPENER.open(slots, timeout=PATIENCE) as answer:
            if not any(slot["is_processing"] for slot in json.load(answer)):
                return time.monotonic()
    pytest.fail("the model went on")


class Stamped(ScriptedGateway):
    """Says Hello for ever, and knows when it was closed."""

    def __init__(self) -> None:
        super().__init__([itertools.repeat(TextDelta("Hello"))])
        self.closed = Hold()

    def stream(self, request):
        try:
            yield from super().stream(request)
        finally:
            self.closed.hung_up_at = time.monotonic()
            self.closed.hung_up.set()


@pytest.mark.parametrize("way", WAYS)
def test_a_gateway_that_does_not_wait_is_closed(way: Callable):
    def delay() -> float:
        gateway = Stamped()
        run, seconds = stop(way, gateway, lambda: hung_up(gateway.closed))
        assert run.messages[-1].content.startswith("Hello")
        assert run.finish_reason == "cancelled"
        return seconds

    assert at_once(delay)
