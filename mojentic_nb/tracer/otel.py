"""The tracer's events as OpenTelemetry spans, by its conventions for generative AI.

Those conventions are still in development (https://github.com/open-telemetry/semantic-conventions-genai); the spans
follow them as of November 2026. A run is a span ``invoke_agent``, in which each request is a span ``chat {model}`` and
each tool call one ``execute_tool {name}``. Needs the extra ``otel``.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from mojentic_nb.llm import LLMMessage, LLMToolCall, MessageRole, Usage
from mojentic_nb.llm.redaction import Redaction, without_secrets

from .events import (
    LLMCallTracerEvent,
    LLMResponseTracerEvent,
    RetryTracerEvent,
    RunTracerEvent,
    ToolCallTracerEvent,
    TracerEvent,
)
from .jsonl import plain

try:
    from opentelemetry.context import attach
    from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider, get_tracer, set_span_in_context
except ImportError as error:
    raise ImportError("Spans need OpenTelemetry: pip install 'mojentic_nb[otel]'") from error

__all__ = ["OpenTelemetryExporter"]

MOST_OPEN = 1000  # runs; one that never ends isn't kept forever
PORTS = {"http": 80, "https": 443}

Attributes = dict[str, Any]


@dataclass
class OpenRun:
    """A run under way: its span, None for what was recorded by hand, the request that is, and the tools that run.

    The spans of tools are known by their arguments, an object of the call's own: two calls may have one id.
    """

    span: Span | None
    call: LLMCallTracerEvent | None = None
    tools: dict[int, Span] = field(default_factory=dict)
    retries: list[RetryTracerEvent] = field(default_factory=list)
    messages: list[LLMMessage] = field(default_factory=list)

    def abandon(self) -> None:
        """End the spans that are still open, those within first."""
        for span in (*self.tools.values(), *filter(None, [self.span])):
            span.end()


class OpenTelemetryExporter:
    """Makes spans of events: ``TracerSystem(EventStore(OpenTelemetryExporter("openai")))``.

    `provider_name` is who answers, by the conventions' names: *openai*, *anthropic*, *mistral_ai* and so on, or your
    own. `base_url` is the server's address, for the attributes ``server.address`` and ``server.port``. Spans go to
    `tracer_provider`, by default the program's. They have the messages, and the arguments and results of tools, only
    with `capture_content`. A run is a child of the span in which it began, and what a tool does is a child of the
    tool's span. Raises ValueError for a `base_url` that isn't one.
    """

    def __init__(
        self,
        provider_name: str,
        tracer_provider: TracerProvider | None = None,
        *,
        capture_content: bool = False,
        base_url: str | None = None,
    ) -> None:
        self.provider_name = provider_name
        self.capture_content = capture_content
        self._server = read_server(base_url)
        self._tracer = get_tracer("mojentic_nb", tracer_provider=tracer_provider)
        self._open: OrderedDict[tuple[str, str], OpenRun] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, event: TracerEvent) -> None:
        """Make the span of what `event` ends, and note what it begins."""
        run = self._run(event)
        match event:
            case LLMCallTracerEvent():
                run.call = event
                if self.capture_content:
                    run.messages += event.messages
            case RetryTracerEvent():
                run.retries.append(event)
            case LLMResponseTracerEvent():
                self._chat(run, event)
            case ToolCallTracerEvent():
                self._tool(run, event)
            case RunTracerEvent():
                self._finish(run, event)

    def enter(self, call: LLMToolCall, started: float, correlation_id: str, run_id: str) -> None:
        """Make the span of a tool the current one in the tool's own context, which is the one that this is called in.

        A tool that goes on after its run is over has no span any more.
        """
        with self._lock:
            if (run := self._open.get((correlation_id, run_id))) is None:
                return
            key = id(call.arguments)
            if key not in run.tools:
                run.tools[key] = self._tool_span(run, call.name, started)
        attach(set_span_in_context(run.tools[key]))

    def _run(self, event: TracerEvent) -> OpenRun:
        """Return the run that the event belongs to; start the span of a new one."""
        key = (event.correlation_id, event.run_id)
        with self._lock:
            if key not in self._open:
                began = event.started if isinstance(event, RunTracerEvent) else event.timestamp
                attributes = self._request_attributes("invoke_agent", getattr(event, "model", None))
                self._open[key] = OpenRun(
                    self._tracer.start_span("invoke_agent", attributes=attributes, start_time=nanoseconds(began))
                    if event.run_id
                    else None
                )
                if len(self._open) > MOST_OPEN:
                    _, oldest = self._open.popitem(last=False)
                    oldest.abandon()
            return self._open.pop(key) if isinstance(event, RunTracerEvent) else self._open[key]

    def _chat(self, run: OpenRun, event: LLMResponseTracerEvent) -> None:
        attributes = self._attributes("chat", event.model, event.usage, event.finish_reason)
        if run.call:
            attributes |= {
                "gen_ai.request.temperature": run.call.temperature,
                "gen_ai.request.max_tokens": run.call.max_tokens,
                "gen_ai.request.top_p": run.call.top_p,
                "gen_ai.request.top_k": None if run.call.top_k is None else float(run.call.top_k),
                "gen_ai.output.type": run.call.output_type,
            }
        attributes |= {
            "gen_ai.response.id": event.response_id,
            "gen_ai.response.model": event.response_model,
            "gen_ai.request.stream": True,
            "gen_ai.response.time_to_first_chunk": event.time_to_first_token,
            "error.type": event.error_type,
        }
        if self.capture_content:
            attributes["gen_ai.input.messages"] = encode_messages(run.messages)
            answer = LLMMessage(
                role=MessageRole.Assistant,
                content=event.content,
                thinking=event.reasoning,
                tool_calls=list(event.tool_calls),
            )
            attributes["gen_ai.output.messages"] = encode_messages([answer], event.finish_reason)
        span = self._span(run, f"chat {event.model}", SpanKind.CLIENT, event.started, attributes)
        for retry in run.retries:
            details: Attributes = {"attempt": retry.attempt, "delay": retry.delay, "reason": retry.reason}
            span.add_event("retry", details, timestamp=nanoseconds(retry.timestamp))
        run.retries.clear()
        end(span, event.timestamp, event.error)

    def _tool(self, run: OpenRun, event: ToolCallTracerEvent) -> None:
        attributes: Attributes = {
            "gen_ai.tool.call.id": event.call_id,
            "error.type": event.outcome if event.is_error else None,
        }
        if self.capture_content:
            arguments = Redaction.of_secrets().value(plain(event.arguments))
            attributes["gen_ai.tool.call.arguments"] = json.dumps(arguments)
            attributes["gen_ai.tool.call.result"] = without_secrets(event.result)
        span = run.tools.pop(id(event.arguments), None) or self._tool_span(run, event.tool_name, event.started)
        span.set_attributes(known(attributes))
        end(span, event.timestamp, f"The call {event.outcome}." if event.is_error else None)

    def _tool_span(self, run: OpenRun, name: str, started: float) -> Span:
        attributes: Attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.type": "function",
        }
        return self._span(run, f"execute_tool {name}", SpanKind.INTERNAL, started, attributes)

    def _finish(self, run: OpenRun, event: RunTracerEvent) -> None:
        if run.span is None:
            return
        attributes = self._attributes("invoke_agent", event.model, event.usage, event.finish_reason)
        attributes |= {"mojentic_nb.correlation_id": event.correlation_id, "error.type": event.error_type}
        run.span.set_attributes(known(attributes))
        end(run.span, event.timestamp, event.error)

    def _span(self, run: OpenRun, name: str, kind: SpanKind, start: float, attributes: Attributes) -> Span:
        context = set_span_in_context(run.span) if run.span else None
        return self._tracer.start_span(name, context, kind, known(attributes), start_time=nanoseconds(start))

    def _attributes(self, operation: str, model: str, usage: Usage, finish_reason: str | None) -> Attributes:
        return {
            **self._request_attributes(operation, model),
            "gen_ai.response.finish_reasons": [finish_reason] if finish_reason else None,
            "gen_ai.usage.input_tokens": usage.input_tokens or None,
            "gen_ai.usage.output_tokens": usage.output_tokens or None,
            "gen_ai.usage.cache_read.input_tokens": usage.cached_tokens or None,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens or None,
        }

    def _request_attributes(self, operation: str, model: str | None) -> Attributes:
        """Return the attributes that are known when a span starts, which samplers decide by."""
        attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": self.provider_name,
            "gen_ai.request.model": model,
        }
        return known(attributes | self._server)


def read_server(base_url: str | None) -> Attributes:
    """Return the attributes with the address of a server. Raises ValueError for an invalid one."""
    if base_url is None:
        return {}
    address = urlsplit(base_url)
    if not address.hostname or address.scheme not in PORTS:
        raise ValueError(f"base_url={base_url!r} isn't an address. Write it like https://api.openai.com/v1.")
    return {"server.address": address.hostname, "server.port": address.port or PORTS[address.scheme]}


def end(span: Span, timestamp: float, error: str | None) -> None:
    """End the span at its time, with its error if it has one."""
    if error is not None:
        span.set_status(Status(StatusCode.ERROR, error))
    span.end(nanoseconds(timestamp))


def nanoseconds(time: float) -> int:
    """Return a time in seconds in OpenTelemetry's unit."""
    return int(time * 1e9)


def known(attributes: Attributes) -> Attributes:
    """Return the attributes that have a value."""
    return {key: value for key, value in attributes.items() if value is not None}


def encode_messages(messages: list[LLMMessage], finish_reason: str | None = None) -> str:
    """Return the messages in the conventions' JSON, without secrets."""
    redaction = Redaction.of_secrets()
    encoded = [{"role": message.role.value, "parts": redaction.value(parts(message))} for message in messages]
    return json.dumps([message | ({"finish_reason": finish_reason} if finish_reason else {}) for message in encoded])


def parts(message: LLMMessage) -> list[dict[str, Any]]:
    """Return the parts of a message, as the conventions name them."""
    calls: list[LLMToolCall] = message.tool_calls or []
    if message.role is MessageRole.Tool:
        return [{"type": "tool_call_response", "id": call.id, "response": message.content} for call in calls]
    text = [("reasoning", message.thinking), ("text", message.content)]
    return [
        *({"type": kind, "content": content} for kind, content in text if content),
        *({"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments} for call in calls),
    ]
