"""Every provider as a loopback server can play it: its gateway, and what it sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import psutil
from driving import begin
from loopback import Loopback, chunk

from mojentic_nb.llm import AsyncRun, Event, LLMBroker, LLMMessage, Run
from mojentic_nb.llm.errors import LLMError
from mojentic_nb.llm.gateways import AnthropicGateway, OllamaGateway, OpenAIGateway
from mojentic_nb.llm.gateways.wire.decoding import StreamError

KEY = "sk-secret-of-the-test"
SKY = {"name": "sky", "arguments": "{}"}
QUESTION = [LLMMessage(content="Why is the sky blue?")]


def event(body: dict | str) -> bytes:
    """One server-sent event."""
    return b"data: %s\n\n" % (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()


def line(body: dict | str) -> bytes:
    """One line of Ollama's."""
    return b"%s\n" % (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()


@dataclass(frozen=True)
class Provider:
    """`gateway` makes one to an address; all else tells what its server sends.

    `says` is the document for a piece of text, `ends` the last ones, `calls` those of a whole answer that calls the
    tool "sky", `fails` an error in mid-stream, `refuses` the body
    of a response that is an error, of a message and a code; `frame` makes bytes of a document. `causes` are the types
    of the errors beneath ours, by what went wrong.
    """

    gateway: Callable[..., Any]
    says: Callable[[str], dict]
    ends: tuple[dict | str, ...]
    calls: tuple[dict | str, ...]
    fails: dict
    refuses: Callable[[str, str], dict]
    causes: dict[str, type]
    frame: Callable[[dict | str], bytes] = event

    def piece(self, text: str) -> bytes:
        """A piece of an answer."""
        return self.frame(self.says(text))

    def answer(self, *texts: str) -> bytes:
        """A whole answer."""
        return b"".join([*map(self.piece, texts), *map(self.frame, self.ends)])

    def call(self) -> bytes:
        """A whole answer that calls the tool "sky"."""
        return b"".join(map(self.frame, self.calls))

    def failure(self) -> bytes:
        """An error in a stream that had begun well."""
        return self.frame(self.fails)


def causes_of(sdk: Any) -> dict[str, type]:
    """What lies beneath our errors where the gateway is built on `sdk`."""
    return {
        "status": sdk.APIStatusError,
        "connection": sdk.APIConnectionError,
        "transport": httpx2.HTTPError,
        "stream": StreamError,
        "json": json.JSONDecodeError,
        "page": type(None),
    }


def openai_refuses(message: str, code: str) -> dict:
    return {"error": {"message": message, "type": code, "code": code}}


PROVIDERS = {
    "chat": Provider(
        gateway=lambda url, **options: OpenAIGateway(KEY, url, **options),
        says=chunk,
        ends=(chunk(finish_reason="stop"), "[DONE]"),
        calls=(
            {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "c", "function": SKY}]}}]},
            chunk(finish_reason="tool_calls"),
            "[DONE]",
        ),
        fails=openai_refuses("Overloaded", "server_error"),
        refuses=openai_refuses,
        causes=causes_of(openai),
    ),
    "responses": Provider(
        gateway=lambda url, **options: OpenAIGateway(KEY, url, api="responses", **options),
        says=lambda text: {"type": "response.output_text.delta", "delta": text},
        ends=({"type": "response.completed", "response": {"status": "completed"}},),
        calls=(
            {
                "type": "response.output_item.done",
                "output_index": 0,
                "item": {"type": "function_call", "call_id": "c", **SKY},
            },
            {"type": "response.completed", "response": {"status": "completed"}},
        ),
        fails={"type": "error", "code": "server_error", "message": "Overloaded", "param": None},
        refuses=openai_refuses,
        causes=causes_of(openai),
    ),
    "ollama": Provider(
        gateway=OllamaGateway,
        says=lambda text: {"message": {"role": "assistant", "content": text}, "done": False},
        ends=({"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"},),
        calls=(
            {"message": {"role": "assistant", "tool_calls": [{"function": {"name": "sky", "arguments": {}}}]}},
            {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"},
        ),
        fails={"error": "Overloaded"},
        refuses=lambda message, _: {"error": message},
        causes={
            "status": httpx.HTTPStatusError,
            "connection": httpx.RequestError,
            "transport": httpx.TransportError,
            "stream": StreamError,
            "json": json.JSONDecodeError,
            "page": json.JSONDecodeError,
        },
        frame=line,
    ),
    "anthropic": Provider(
        gateway=lambda url, **options: AnthropicGateway(KEY, url, **options),
        says=lambda text: {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": text},
        },
        ends=({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}),
        calls=(
            {
                "type": "content_block_start",
                "index": 0,
                "content_block": {"type": "tool_use", "id": "c", "name": "sky", "input": {}},
            },
            {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
            {"type": "message_stop"},
        ),
        fails={"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        refuses=lambda message, code: {"type": "error", "error": {"type": code, "message": message}},
        causes=causes_of(anthropic),
    ),
}


@dataclass
class Outcome:
    """What came of a question: events, and perhaps an error."""

    events: list[Event] = field(default_factory=list)
    error: LLMError | None = None


def ask(broker: LLMBroker, how: str, seen: Callable[[Run | AsyncRun, Event], None] = lambda *_: None) -> Outcome:
    """Ask in one of driving.BOTH ways, show each event to `seen` as it comes, and close the gateway at the end."""
    outcome = Outcome()

    def take(event: Event) -> None:
        outcome.events.append(event)
        seen(run, event)

    async def read() -> None:
        try:
            async for event in run:
                take(event)
        finally:
            await broker.adapter.aclose()

    run = begin(broker, how, QUESTION)
    try:
        if isinstance(run, AsyncRun):
            asyncio.run(read())
        else:
            for event in run:
                take(event)
    except LLMError as error:
        outcome.error = error
    finally:
        broker.adapter.close()
    return outcome


def connections_to(server: Loopback) -> list:
    """The connections to `server` that this process holds open."""
    port = int(server.url.rpartition(":")[2])
    return [each for each in psutil.Process().net_connections("tcp") if each.raddr and each.raddr.port == port]
