"""The events as OpenTelemetry spans, in the SDK's own exporter."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from driving import BOTH, begin, closed_after, events_of
from loopback import Loopback, Reply, chunk
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span
from providers_on_wire import PROVIDERS
from pydantic import BaseModel
from weather import Weather, call

from mojentic_nb.llm import (
    CompletionConfig,
    Event,
    LLMBroker,
    LLMMessage,
    ReasoningDelta,
    StepFinish,
    TextDelta,
    ToolCallEnd,
    Usage,
)
from mojentic_nb.llm.errors import ProviderUnavailableError
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.llm.tools import tool
from mojentic_nb.tracer import EventStore, LLMCallTracerEvent, RunTracerEvent, TracerSystem
from mojentic_nb.tracer.otel import MOST_OPEN, OpenTelemetryExporter

QUESTION = [LLMMessage(content="How is it?")]
ROUND = [
    ReasoningDelta("Hm."),
    ToolCallEnd(call("a", "Paris")),
    ToolCallEnd(call("b", 7)),
    StepFinish("tool_calls", Usage(10, 5, 3, 1)),
]


class Unknown(Weather):
    def run(self, city: str) -> str:
        if city == 7:
            raise LookupError("There is no such city.")
        return "Sunny."


class Telemetry:
    """A provider, and the spans that came out of it."""

    def __init__(self) -> None:
        self.provider = TracerProvider()
        self._exporter = InMemorySpanExporter()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def tracer(self, **options) -> TracerSystem:
        return TracerSystem(EventStore(OpenTelemetryExporter("a-provider", self.provider, **options)))

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self._exporter.get_finished_spans()}

    @property
    def names(self) -> list[str]:
        return [span.name for span in self._exporter.get_finished_spans()]


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.mark.parametrize("how", BOTH)
def test_a_run_is_a_span_with_its_requests_and_calls_in_it(how: str, telemetry: Telemetry):
    tracer = telemetry.tracer()
    broker = LLMBroker("a-model", ScriptedGateway([ROUND, "Sunny."]), tracer=tracer)
    config = CompletionConfig(temperature=0.5, max_tokens=100)

    with telemetry.provider.get_tracer("a program").start_as_current_span("outer") as outer:
        events_of(begin(broker, how, QUESTION, [Unknown()], config=config, correlation_id="an id"))

    assert sorted(telemetry.names) == sorted(
        ["chat a-model", "execute_tool weather", "execute_tool weather", "chat a-model", "invoke_agent", "outer"]
    )
    run = telemetry.spans["invoke_agent"]
    assert run.parent.span_id == outer.get_span_context().span_id
    assert run.kind is SpanKind.INTERNAL
    assert dict(run.attributes) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "a-provider",
        "gen_ai.request.model": "a-model",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 6,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "gen_ai.usage.reasoning.output_tokens": 1,
        "mojentic_nb.correlation_id": "an id",
    }
    inner = [span for span in telemetry._exporter.get_finished_spans() if span.name not in {"outer", "invoke_agent"}]
    assert {span.parent.span_id for span in inner} == {run.context.span_id}
    assert all(run.start_time <= span.start_time + 1000 and span.end_time <= run.end_time for span in inner)


def test_a_request(telemetry: Telemetry):
    tracer = telemetry.tracer()
    broker = LLMBroker("a-model", ScriptedGateway([[ROUND[0], ROUND[-1]]]), tracer=tracer)

    broker.generate(QUESTION, config=CompletionConfig(temperature=0.5, max_tokens=100, top_p=0.9, top_k=40))

    chat, answer = telemetry.spans["chat a-model"], tracer.get_events()[1]
    assert (chat.kind, chat.status.status_code) == (SpanKind.CLIENT, StatusCode.UNSET)
    assert chat.start_time == int(answer.started * 1e9)
    assert chat.end_time == int(answer.timestamp * 1e9)
    assert dict(chat.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "a-provider",
        "gen_ai.request.model": "a-model",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.top_k": 40.0,
        "gen_ai.response.finish_reasons": ("tool_calls",),
        "gen_ai.response.time_to_first_chunk": answer.time_to_first_token,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 3,
        "gen_ai.usage.reasoning.output_tokens": 1,
    }


NAMED = {
    "chat": [{"id": "r-1", "model": "m-2026", **chunk("Hi")}, {"id": "r-1", "model": "m-2026", **chunk("", "stop")}],
    "responses": [
        {"type": "response.completed", "response": {"status": "completed", "id": "r-1", "model": "m-2026"}},
    ],
    "ollama": [{"model": "m-2026", "message": {"content": "Hi"}, "done": True, "done_reason": "stop"}],
    "anthropic": [
        {"type": "message_start", "message": {"id": "r-1", "model": "m-2026"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        {"type": "message_stop"},
    ],
}


@pytest.mark.parametrize("name", PROVIDERS)
def test_the_response_is_named_as_its_provider_does(name: str, telemetry: Telemetry, server: Loopback):
    """Ollama gives a response no id."""
    provider = PROVIDERS[name]
    server.play(Reply([b"".join(map(provider.frame, NAMED[name]))]))
    tracer = telemetry.tracer(base_url=server.url)

    LLMBroker("m", provider.gateway(server.url), tracer=tracer).generate(QUESTION)

    chat, run = telemetry.spans["chat m"].attributes, telemetry.spans["invoke_agent"].attributes
    assert chat.get("gen_ai.response.id") == (None if name == "ollama" else "r-1")
    assert chat["gen_ai.response.model"] == "m-2026"
    for attributes in (chat, run):
        assert (attributes["server.address"], attributes["server.port"]) == ("127.0.0.1", urlsplit(server.url).port)


@pytest.mark.parametrize("name", PROVIDERS)
def test_an_odd_name_of_a_response_is_left_out(name: str, telemetry: Telemetry, server: Loopback):
    odd = json.loads(json.dumps(NAMED[name]).replace('"r-1"', "7").replace('"m-2026"', "[]"))
    server.play(Reply([b"".join(map(PROVIDERS[name].frame, odd))]))

    LLMBroker("m", PROVIDERS[name].gateway(server.url), tracer=telemetry.tracer()).generate(QUESTION)

    assert not {"gen_ai.response.id", "gen_ai.response.model"} & telemetry.spans["chat m"].attributes.keys()


def test_a_server_without_a_port_has_that_of_its_scheme(telemetry: Telemetry):
    tracer = telemetry.tracer(base_url="https://llm.example.com/v1")

    LLMBroker("a-model", ScriptedGateway(["Hi."]), tracer=tracer).generate(QUESTION)

    attributes = telemetry.spans["chat a-model"].attributes
    assert (attributes["server.address"], attributes["server.port"]) == ("llm.example.com", 443)
    with pytest.raises(ValueError, match=r"^base_url='llm.example.com' isn't an address. Write it like https://api"):
        telemetry.tracer(base_url="llm.example.com")


class Answer(BaseModel):
    sunny: bool


@pytest.mark.parametrize(
    ("form", "kind"), [(None, None), ({"type": "text"}, None), ({"type": "json_object"}, "json"), (Answer, "json")]
)
def test_the_kind_of_answer_that_is_asked_for(telemetry: Telemetry, form: object, kind: str | None):
    broker = LLMBroker("a-model", ScriptedGateway(['{"sunny": true}']), tracer=telemetry.tracer())

    if form is Answer:
        broker.generate_object(QUESTION, Answer)
    else:
        broker.generate(QUESTION, config=CompletionConfig(response_format=form))

    assert telemetry.spans["chat a-model"].attributes.get("gen_ai.output.type") == kind


class Looking:
    """Tools of all kinds, each of which opens a span named for its city."""

    def __init__(self, telemetry: Telemetry) -> None:
        self.tracer = telemetry.provider.get_tracer("a program")

    def plain(self, city: str) -> str:
        """Look."""
        with self.tracer.start_as_current_span(city):
            return "Sunny."

    def steps(self, city: str) -> Iterator[str]:
        """Look step by step; the reader opens a span in between."""
        with self.tracer.start_as_current_span(city):
            yield "half way"
        with self.tracer.start_as_current_span(city):
            return "Sunny."

    async def awaited(self, city: str) -> str:
        """Look, asynchronously."""
        await asyncio.sleep(0)
        with self.tracer.start_as_current_span(city):
            return "Sunny."

    async def asteps(self, city: str) -> AsyncIterator[str]:
        """Look step by step, asynchronously."""
        yield "half way"
        with self.tracer.start_as_current_span(city):
            yield "Sunny."

    def later(self, city: str) -> Awaitable[str]:
        """Return what is still to be awaited."""
        return self.awaited(city)


@pytest.mark.parametrize("kind", ["plain", "steps", "awaited", "asteps", "later"])
@pytest.mark.parametrize("cities", [["Oslo"], ["Oslo", "Lima"]], ids=["alone", "together"])
@pytest.mark.parametrize("how", BOTH)
def test_what_a_tool_opens_is_within_its_span(telemetry: Telemetry, how: str, cities: list[str], kind: str):
    """Also where two calls have one id; and what the reader opens meanwhile is not."""
    looking = Looking(telemetry)
    calls = [ToolCallEnd(call("a", city)) for city in cities]
    gateway = ScriptedGateway([[*calls, StepFinish("tool_calls")], "Sunny."])
    broker = LLMBroker("a-model", gateway, tracer=telemetry.tracer(capture_content=True))

    def seen(event: Event) -> None:
        with looking.tracer.start_as_current_span("reader"):
            pass

    events_of(begin(broker, how, QUESTION, [tool(name="weather")(getattr(looking, kind))]), seen)

    spans = telemetry._exporter.get_finished_spans()
    executed = {
        json.loads(span.attributes["gen_ai.tool.call.arguments"])["city"]: span.context.span_id
        for span in spans
        if span.name == "execute_tool weather"
    }
    assert sorted(executed) == sorted(cities)
    opened = [(span.name, span.parent.span_id) for span in spans if span.name in cities]
    assert set(opened) == set(executed.items())
    assert {span.parent for span in spans if span.name == "reader"} == {None}


def test_a_run_that_a_tool_begins_is_within_its_span(telemetry: Telemetry):
    tracer = telemetry.tracer()

    def weather(city: str) -> str:
        """Ask another model."""
        return LLMBroker("another", ScriptedGateway(["Sunny."]), tracer=tracer).generate(QUESTION)

    LLMBroker("a-model", ScriptedGateway([ROUND, "x"]), tracer=tracer).generate(QUESTION, [weather])

    spans = telemetry._exporter.get_finished_spans()
    tools = {span.context.span_id for span in spans if span.name == "execute_tool weather"}
    runs = [span.parent and span.parent.span_id for span in spans if span.name == "invoke_agent"]
    assert len(tools) == 2
    assert sorted(runs[:-1]) == sorted(tools)
    assert runs[-1] is None


def test_a_tool_whose_run_is_over_has_no_span(telemetry: Telemetry):
    exporter = OpenTelemetryExporter("a-provider", telemetry.provider)

    exporter.enter(call("a", "Paris"), 0, "id", "run")

    assert not get_current_span().get_span_context().is_valid
    assert not exporter._open


def test_a_tracer_that_fails_before_a_tool_does_not_break_the_run():
    class Failing:
        def begin(self, _: str) -> Failing:
            return self

        def record(self, _: object) -> None:
            pass

        def enter(self, _: object) -> None:
            raise LookupError("full")

    broker = LLMBroker("a-model", ScriptedGateway([ROUND[1:2] + ROUND[3:], "Sunny."]), tracer=Failing())

    with pytest.warns(RuntimeWarning, match="^The tracer failed, the run goes on: LookupError: full$"):
        assert broker.generate(QUESTION, [Weather()]) == "Sunny."


@pytest.mark.parametrize("store", [EventStore(), EventStore(lambda _: None)], ids=["none", "a function"])
def test_without_an_exporter_tools_run_as_ever(store: EventStore):
    broker = LLMBroker("a-model", ScriptedGateway([ROUND, "Sunny."]), tracer=TracerSystem(store))

    assert broker.generate(QUESTION, [Weather()]) == "Sunny."


def test_tool_calls(telemetry: Telemetry):
    tracer = telemetry.tracer()

    LLMBroker("a-model", ScriptedGateway([ROUND, "x"]), tracer=tracer).generate(QUESTION, [Unknown()])

    spans = [span for span in telemetry._exporter.get_finished_spans() if span.name == "execute_tool weather"]
    good, bad = sorted(spans, key=lambda span: span.attributes["gen_ai.tool.call.id"])
    assert dict(good.attributes) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": "a",
    }
    assert (good.kind, good.status.status_code) == (SpanKind.INTERNAL, StatusCode.UNSET)
    assert bad.attributes["error.type"] == "failed"
    assert (bad.status.status_code, bad.status.description) == (StatusCode.ERROR, "The call failed.")


def test_errors_and_retries(telemetry: Telemetry):
    busy = ProviderUnavailableError("Busy.")
    busy.retry_after = 0
    broker = LLMBroker("a-model", ScriptedGateway([[busy], [ValueError("gone")]]), tracer=telemetry.tracer())

    with pytest.raises(ValueError, match="gone"):
        broker.generate(QUESTION)

    chat, run = telemetry.spans["chat a-model"], telemetry.spans["invoke_agent"]
    for span in chat, run:
        assert span.attributes["error.type"] == "ValueError"
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "gone")
    (retry,) = chat.events
    assert (retry.name, dict(retry.attributes)) == ("retry", {"attempt": 1, "delay": 0, "reason": "Busy."})
    assert chat.start_time <= retry.timestamp <= chat.end_time


def test_a_retry_is_told_of_with_its_own_request(telemetry: Telemetry):
    busy = ProviderUnavailableError("Busy.")
    busy.retry_after = 0
    gateway = ScriptedGateway([[busy], [*ROUND[:2], ROUND[-1]], "x"])

    LLMBroker("a-model", gateway, tracer=telemetry.tracer()).generate(QUESTION, [Weather()])

    chats = [span for span in telemetry._exporter.get_finished_spans() if span.name == "chat a-model"]
    assert [len(chat.events) for chat in chats] == [1, 0]


def test_a_cancelled_run_is_no_error(telemetry: Telemetry):
    broker = LLMBroker("a-model", ScriptedGateway(["one two three"]), tracer=telemetry.tracer())

    closed_after(broker.stream(QUESTION), 1)

    assert telemetry.names == ["chat a-model", "invoke_agent"]
    assert telemetry.spans["invoke_agent"].attributes["gen_ai.response.finish_reasons"] == ("cancelled",)
    assert telemetry.spans["invoke_agent"].status.status_code is StatusCode.UNSET


def test_a_run_that_ends_before_it_asks(telemetry: Telemetry):
    run = LLMBroker("a-model", ScriptedGateway([]), tracer=telemetry.tracer()).stream(QUESTION)
    run.cancel()

    list(run)

    assert telemetry.names == ["invoke_agent"]


def test_nothing_of_what_was_said_is_in_the_spans_unless_it_is_asked_for(telemetry: Telemetry):
    broker = LLMBroker("a-model", ScriptedGateway([ROUND, "x"]), tracer=telemetry.tracer())

    broker.generate([LLMMessage(content="a secret")], [Weather()])

    for span in telemetry._exporter.get_finished_spans():
        assert [said for said in ("secret", "Paris", "Sunny", "Hm.") if said in span.to_json()] == []


def test_what_was_said_by_the_conventions_schema(telemetry: Telemetry):
    tracer = telemetry.tracer(capture_content=True)
    script = [[*ROUND[:2], ROUND[-1]], [ReasoningDelta("Ah."), TextDelta("It is sunny."), StepFinish("stop")]]

    LLMBroker("a-model", ScriptedGateway(script), tracer=tracer).generate(QUESTION, [Weather()])

    chat = telemetry.spans["chat a-model"].attributes
    asked = {"type": "tool_call", "id": "a", "name": "weather", "arguments": {"city": "Paris"}}
    assert json.loads(chat["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "How is it?"}]},
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "Hm."}, asked]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "a", "response": "Sunny in Paris."}]},
    ]
    answer = [{"type": "reasoning", "content": "Ah."}, {"type": "text", "content": "It is sunny."}]
    assert json.loads(chat["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": answer, "finish_reason": "stop"}
    ]
    tool = telemetry.spans["execute_tool weather"].attributes
    assert json.loads(tool["gen_ai.tool.call.arguments"]) == {"city": "Paris"}
    assert tool["gen_ai.tool.call.result"] == "Sunny in Paris."


def test_secrets_are_in_no_span(telemetry: Telemetry):
    tracer, secret = telemetry.tracer(capture_content=True), "ghp_" + "a1B2" * 9
    script = [[ToolCallEnd(call("a", secret)), StepFinish("tool_calls")], f"It is {secret}."]

    LLMBroker("a-model", ScriptedGateway(script), tracer=tracer).generate([LLMMessage(content=secret)], [Weather()])

    spans = "".join(span.to_json() for span in telemetry._exporter.get_finished_spans())
    assert spans.count("(secret)") >= 4
    assert secret not in spans


def test_what_is_recorded_by_hand_has_no_run(telemetry: Telemetry):
    tracer = telemetry.tracer()

    tracer.record_llm_response("a-model", "Hi", call_duration_ms=250)
    tracer.record_tool_batch("batch", ["weather"], 1, 0, 500)
    tracer.record_tool_call("weather", {}, "Sunny.")

    assert telemetry.names == ["chat a-model", "execute_tool weather"]
    assert [span.parent for span in telemetry.spans.values()] == [None, None]
    chat = telemetry.spans["chat a-model"]
    assert chat.end_time - chat.start_time == pytest.approx(250e6, rel=0.01)


def test_runs_that_never_end_are_not_held_for_ever(telemetry: Telemetry):
    exporter = OpenTelemetryExporter("a-provider", telemetry.provider)
    exporter(LLMCallTracerEvent(0, model="by hand"))

    for number in range(MOST_OPEN + 1):
        exporter(LLMCallTracerEvent(0, "one", str(number), model="a-model"))

        exporter.enter(call("a", "Paris"), 0, "one", str(number))

    assert len(exporter._open) == MOST_OPEN
    assert telemetry.names == ["execute_tool weather", "invoke_agent"]


def test_an_end_that_is_recorded_by_hand(telemetry: Telemetry):
    OpenTelemetryExporter("a-provider", telemetry.provider)(RunTracerEvent(0, model="a-model"))

    assert telemetry.names == []


def test_a_run_of_which_only_the_end_is_known(telemetry: Telemetry):
    OpenTelemetryExporter("a-provider", telemetry.provider)(RunTracerEvent(2, "id", "run", model="a-model", duration=1))

    span = telemetry.spans["invoke_agent"]
    assert (span.start_time, span.end_time) == (1_000_000_000, 2_000_000_000)


def test_the_tracer_does_not_import_it():
    program = "import sys, mojentic_nb.tracer; print([name for name in sys.modules if 'opentelemetry' in name])"

    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout == b"[]\n"


def test_it_says_what_it_needs(tmp_path: Path):
    (tmp_path / "opentelemetry.py").write_text("raise ImportError")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import mojentic_nb.tracer.otel"

    failed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert failed.stderr.splitlines()[-1] == "ImportError: Spans need OpenTelemetry: pip install 'mojentic_nb[otel]'"
