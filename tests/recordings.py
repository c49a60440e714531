"""Exchanges recorded from real providers: the repository's own, and more where a folder of them lies beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

OWN = Path(__file__).parent / "wire"
SHARED = Path(__file__).parents[2] / "shared" / "wire"


@dataclass(frozen=True)
class Exchange:
    """One request's path and JSON, and the response as it came."""

    path: str
    request: dict
    status: int
    content_type: str
    body: bytes


def recorded(name: str) -> list[Exchange]:
    """The exchanges of the recording called `name`; the test is skipped where a recording isn't at hand."""
    path = next((folder / f"{name}.json" for folder in (OWN, SHARED) if (folder / f"{name}.json").exists()), None)
    if path is None:
        pytest.skip(f"the recording {name}.json is not in this repository, and there is no {SHARED}")
    return [
        Exchange(
            exchange["request"]["path"],
            exchange["request"]["body"],
            exchange["response"]["status"],
            exchange["response"]["content_type"],
            exchange["response"]["body"].encode(),
        )
        for exchange in json.loads(path.read_text("utf-8"))["exchanges"]
    ]


def shared_recordings() -> dict[str, int]:
    """How many exchanges each recording of the folder has, by its name; the test is skipped where there is none."""
    if not SHARED.exists():
        pytest.skip(f"there is no {SHARED}")
    return {path.stem: len(recorded(path.stem)) for path in SHARED.glob("*.json")}


def requests_of(exchanges: list[Exchange]) -> list[dict]:
    """The recorded requests, in which calls have their ids.

    The program that was recorded sent the id of the Responses API's item back in place of the call's own.
    """
    requests = json.dumps([exchange.request for exchange in exchanges])
    for exchange in exchanges:
        for item, call in re.findall(rb'"id":"(fc_[^"]+)"[^{}]*"call_id":"([^"]+)"', exchange.body):
            requests = requests.replace(item.decode(), call.decode())
    return json.loads(requests)


def said_in(request: dict) -> list[tuple]:
    """What matters of a request's messages, whichever API it is for: who says what, calls, results, reasoning."""
    system = [{"role": "system", "content": request["system"]}] if "system" in request else []
    return [part for message in [*system, *(request.get("messages") or request["input"])] for part in parts(message)]


def parts(message: dict) -> Iterator[tuple]:
    """The parts of one message, or one item of OpenAI's Responses API."""
    match message:
        case {"role": "tool", "tool_call_id": call_id, "content": output}:
            yield "result", call_id, output
        case {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}:
            yield "call", call_id, name, json.loads(arguments)
        case {"type": "function_call_output", "call_id": call_id, "output": output}:
            yield "result", call_id, output
        case {"role": role}:
            content = message.get("content") or []
            for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
                match block:
                    case {"type": "tool_use", "id": call_id, "name": name, "input": arguments}:
                        yield "call", call_id, name, arguments
                    case {"type": "tool_result", "tool_use_id": call_id, "content": output}:
                        yield "result", call_id, output
                    case {"text": text}:
                        yield role, text
            for made in message.get("tool_calls") or ():
                yield "call", made["id"], made["function"]["name"], json.loads(made["function"]["arguments"])
                yield "reasoning", message.get("reasoning_content")


def tools_in(request: dict) -> list[dict]:
    """The functions that a request offers, as Chat Completions spells them."""
    return [
        tool.get("function")
        or {
            "name": tool["name"],
            "description": tool["description"],
            "parameters": tool.get("parameters") or tool["input_schema"],
        }
        for tool in request["tools"]
    ]
