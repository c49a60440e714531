"""The events as JSON lines."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest
from weather import Weather, call

from mojentic_nb.llm import LLMBroker, LLMMessage, StepFinish, TextDelta, ToolCallEnd, Usage
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.tracer import TracerSystem

ROUND = [TextDelta("Très bien."), ToolCallEnd(call("a", "Paris")), StepFinish("tool_calls", Usage(10, 5, 3, 1))]


@pytest.fixture
def tracer() -> TracerSystem:
    """A tracer of one run with a tool."""
    tracer = TracerSystem()
    broker = LLMBroker("a-model", ScriptedGateway([ROUND, "Sunny."]), tracer=tracer)
    broker.generate([LLMMessage(content="How is it?")], [Weather()], correlation_id="an id", temperature=0.5)
    return tracer


EVENT = ["type", "timestamp", "correlation_id", "run_id"]
USAGE = ["input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "estimated"]
FIELDS = {
    "LLMCallTracerEvent": ["model", "messages", "tools", "temperature", "max_tokens", "top_p", "top_k", "output_type"],
    "LLMResponseTracerEvent": [
        *("duration", "model", "content", "reasoning", "tool_calls", "finish_reason", *USAGE),
        *("time_to_first_token", "error", "error_type", "response_id", "response_model", "tokens_per_second"),
    ],
    "ToolCallTracerEvent": [
        *("duration", "tool_name", "arguments", "result", "is_error", "outcome", "call_id", "caller")
    ],
    "ToolBatchTracerEvent": ["duration", "tool_names", "success_count", "failure_count", "batch_id", "caller"],
    "RunTracerEvent": ["duration", "model", "finish_reason", *USAGE, "error", "error_type"],
}


def test_a_line_for_each_event_with_names_that_stay(tracer: TracerSystem):
    told = [json.loads(line) for line in tracer.to_jsonl().splitlines()]

    assert [event["type"] for event in told] == [type(event).__name__ for event in tracer.get_events()]
    assert {event["type"]: list(event) for event in told} == {kind: EVENT + names for kind, names in FIELDS.items()}
    sent, answer, tool, *_ = told
    assert sent["messages"] == [{"role": "user", "content": "How is it?"}]
    assert (sent["tools"], sent["temperature"], sent["correlation_id"]) == (["weather"], 0.5, "an id")
    assert (answer["content"], answer["input_tokens"], answer["cached_tokens"]) == ("Très bien.", 10, 3)
    assert answer["tool_calls"] == [{"id": "a", "name": "weather", "arguments": {"city": "Paris"}}]
    assert (tool["arguments"], tool["result"], tool["outcome"]) == ({"city": "Paris"}, "Sunny in Paris.", "done")


def test_it_is_a_table_for_pandas(tracer: TracerSystem, tmp_path: Path):
    assert tracer.to_jsonl(tmp_path / "trace.jsonl") is None

    table = pd.read_json(tmp_path / "trace.jsonl", lines=True)

    assert list(table["type"]) == [type(event).__name__ for event in tracer.get_events()]
    answers = table[table["type"] == "LLMResponseTracerEvent"]
    assert answers["output_tokens"].sum() == 6
    first = tracer.get_events()[0].timestamp
    assert abs(table["timestamp"][0].timestamp() - first) < 0.001


def test_a_file_or_a_path_or_text(tracer: TracerSystem, tmp_path: Path):
    file = io.StringIO()

    tracer.to_jsonl(file)
    tracer.to_jsonl(str(tmp_path / "trace.jsonl"))

    assert file.getvalue() == (tmp_path / "trace.jsonl").read_text("ascii") == tracer.to_jsonl()


def test_what_json_has_no_way_to_say_is_text():
    tracer = TracerSystem()
    odd = {
        "set": {1},
        "nan": [float("nan")],
        "infinite": float("inf"),
        "half": "\ud800",
        "bytes": b"\xff",
        "any": print,
    }

    tracer.record_tool_call("odd", odd, "\ud800")

    told = json.loads(tracer.to_jsonl(), parse_constant=pytest.fail)
    assert told["arguments"] == {
        "set": [1],
        "nan": ["nan"],
        "infinite": "inf",
        "half": "\ud800",
        "bytes": "_w==",
        "any": str(print),
    }


def test_secrets_are_not_exported(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DB_PWD", "open sesame 1")
    tracer = TracerSystem()
    LLMBroker("a-model", ScriptedGateway(["It is open sesame 1."]), tracer=tracer).generate(
        [LLMMessage(content=f"Use {'ghp_' + 'a1B2' * 9}, in {Path.cwd()}.")]
    )

    told = tracer.to_jsonl()

    assert "sesame" not in told
    assert "ghp_" not in told
    assert f"Use (secret), in {Path.cwd()}." in told
