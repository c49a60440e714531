"""What the broker costs: CPU beside the providers' own SDKs, side by side in one run, and memory.

A server in a process of its own streams answers of 20,000 pieces of text, an event for each, as the providers write
them. CPU is what this process takes, the kernel's work for it included, from the call to the answer's end; a ratio is
the median of those of five pairs of runs, ours and theirs in turn. The events arrive in one of two ways:

- *16 together*: 16 in each HTTP chunk, as those of a fast model come through a proxy.
- *one by one*: each in an HTTP chunk of its own, as a server on this machine flushes them. Most of the cost is then the
  HTTP library's, which both sides share, and a reader that keeps up with the server pays for more and smaller reads.

The column *bytes* is what it takes to receive them and do nothing.

The time to the first piece is that of requests after the first one, on the clock: what a person waits for when a
conversation goes on, or a model after a tool has run. It is short where a request finds the connection of the one
before. The server hangs up on nobody, so on this machine a new connection costs a fraction of a millisecond; one to a
provider takes two or three round trips.

Run it as ``python benchmarks/broker.py``, for a minute or two. Its status is 1 if a limit is missed.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import time
import tracemalloc
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle, islice
from multiprocessing.connection import Connection
from statistics import median

import anthropic
import httpx
import ollama
import openai

from mojentic_nb.llm import LLMBroker, LLMMessage, StepFinish, TextDelta, ToolCallEnd
from mojentic_nb.llm.events import ModelEvent
from mojentic_nb.llm.gateways import AnthropicGateway, OllamaGateway, OpenAIGateway
from mojentic_nb.llm.request import Gateway, Request

PIECES = 20_000
PAIRS = 5
REQUESTS = 50
TOGETHER = 16
WORDS = ["The", " sea", ",", " once", " so", " calm", ",", " rose", " thund", "ering", " naïve", "té", ".", "\n\n"]
ASKED = "Tell me a story about the sea."
QUESTION = [LLMMessage(content=ASKED)]
MESSAGES = [{"role": "user", "content": ASKED}]

Pieces = Callable[[str], Iterator[object]]
"""Iterates the pieces of text in the answer of the model of that name."""
Reader = Callable[[str], int]
"""Reads that answer, and returns how many pieces it saw."""
Limits = dict[int, float]
"""Limits of the ratio of CPU, by how many pieces arrive together."""


def openai_event(delta: str, finish_reason: str = "null") -> str:
    """An event as OpenAI writes it."""
    return (
        'data: {"id":"chatcmpl-DcaTwtaKYMaL4MHC6YSW9FwQFVTyb","object":"chat.completion.chunk","created":1778089072,'
        '"model":"gpt-5.4-2026-03-05","service_tier":"default","system_fingerprint":null,"choices":[{"index":0,'
        f'"delta":{delta},"finish_reason":{finish_reason}}}],"usage":null,"obfuscation":"CDYsgxaBf"}}\n\n'
    )


def openai_call(call: str) -> str:
    """An event that has a piece of a tool call."""
    return openai_event(f'{{"tool_calls":[{{"index":0,{call}}}]}}')


def anthropic_event(kind: str, rest: str = "") -> str:
    """An event as Anthropic writes it."""
    return f'event: {kind}\ndata: {{"type":"{kind}"{rest} }}\n\n'


def anthropic_answer(block: str, delta: str) -> tuple[str, str, str]:
    """The beginning, the event of a piece, and the end."""
    message = (
        ',"message":{"model":"claude-haiku-4-5-20251001","id":"msg_01Kf6nPuZy2UMUByeCD5dRZV","type":"message",'
        '"role":"assistant","content":[],"stop_reason":null,"usage":{"input_tokens":26,"output_tokens":2}}'
    )
    start = anthropic_event("content_block_start", f',"index":0,"content_block":{block}')
    stop = anthropic_event("message_delta", ',"delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":20000}')
    return (
        anthropic_event("message_start", message) + start,
        anthropic_event("content_block_delta", f',"index":0,"delta":{delta}'),
        anthropic_event("content_block_stop", ',"index":0') + stop + anthropic_event("message_stop"),
    )


def ollama_line(content: str, rest: str) -> str:
    """A line as Ollama writes it."""
    return (
        '{"model":"qwen3:8b","created_at":"2026-11-23T10:15:04.512345678Z",'
        f'"message":{{"role":"assistant","content":{content}}},{rest}}}\n'
    )


# By path and kind: the beginning, the event of a piece, with HOLE for it, and the end.
HOLE = "HOLE"
ANSWERS = {
    ("/v1/chat/completions", "text"): (
        openai_event('{"role":"assistant","content":"","refusal":null}'),
        openai_event(f'{{"content":{HOLE}}}'),
        openai_event("{}", '"stop"') + "data: [DONE]\n\n",
    ),
    ("/v1/chat/completions", "call"): (
        openai_call('"id":"call_7JushoGnc66EoT671ujI75xb","type":"function","function":{"name":"write"}'),
        openai_call(f'"function":{{"arguments":{HOLE}}}'),
        openai_event("{}", '"tool_calls"') + "data: [DONE]\n\n",
    ),
    ("/v1/messages", "text"): anthropic_answer(
        '{"type":"text","text":""}',
        f'{{"type":"text_delta","text":{HOLE}}}',
    ),
    ("/v1/messages", "call"): anthropic_answer(
        '{"type":"tool_use","id":"toolu_01YaYcJyuRfJGgkUrAtgVq1u","name":"write","input":{}}',
        f'{{"type":"input_json_delta","partial_json":{HOLE}}}',
    ),
    ("/api/chat", "text"): (
        "",
        ollama_line(HOLE, '"done":false'),
        ollama_line('""', '"done":true,"done_reason":"stop","prompt_eval_count":26,"eval_count":20000'),
    ),
}


@cache
def chunks(path: str, model: str) -> list[bytes]:
    """The HTTP chunks of an answer. The model's name says which.

    That is text-EVENTS_TOGETHER, short-PIECES, or call-BYTES_OF_ARGUMENTS.
    """
    kind, number = model.split("-")
    if kind == "short":
        kind, pieces, together = "text", WORDS[: int(number)], 1
    elif kind == "text":
        pieces, together = list(islice(cycle(WORDS), PIECES)), int(number)
    else:
        arguments = json.dumps({"text": "x" * (int(number) - 12)})
        pieces, together = [arguments[i : i + 4] for i in range(0, len(arguments), 4)], TOGETHER
    start, each, end = ANSWERS[path, kind]
    events = [start, *(each.replace(HOLE, json.dumps(piece, ensure_ascii=False)) for piece in pieces), end]
    bodies = ["".join(events[i : i + together]).encode() for i in range(0, len(events), together)]
    return [b"%x\r\n%s\r\n" % (len(body), body) for body in bodies if body]


class Handler(BaseHTTPRequestHandler):
    """Streams what the model's name asks for, with a write to the socket for each HTTP chunk."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer."""
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-type", "application/x-ndjson" if self.path == "/api/chat" else "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for chunk in chunks(self.path, request["model"]):
            self.wfile.write(chunk)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def serve(port: Connection) -> None:
    """Tell the port, and serve until killed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port.send(server.server_port)
    server.serve_forever()


@contextmanager
def other_process() -> Iterator[str]:
    """The address of a server in another process."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.kill()
        process.join()


def broker(gateway: Gateway, model: str) -> Iterator[str]:
    """Ours."""
    return LLMBroker(model, gateway).generate_stream(QUESTION)


def openai_sdk(client: openai.OpenAI, model: str) -> Iterator[object]:
    """Theirs."""
    stream = client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    return (chunk for chunk in stream if chunk.choices[0].delta.content)


def anthropic_sdk(client: anthropic.Anthropic, model: str) -> Iterator[object]:
    """Theirs, by the cheaper of its two ways."""
    stream = client.messages.create(model=model, messages=MESSAGES, max_tokens=PIECES, stream=True)
    return (event for event in stream if event.type == "content_block_delta" and event.delta.text)


def ollama_sdk(client: ollama.Client, model: str) -> Iterator[object]:
    """Theirs."""
    return (chunk for chunk in client.chat(model, MESSAGES, stream=True) if chunk.message.content)


def count(read: Pieces, model: str) -> int:
    """How many pieces there are."""
    return sum(1 for _ in read(model))


def async_broker(url: str, model: str) -> int:
    """Ours, asynchronously."""

    async def read() -> int:
        gateway = OpenAIGateway("key", url)
        count = sum([1 async for _ in LLMBroker(model, gateway).agenerate_stream(QUESTION)])
        await gateway.aclose()
        return count

    return asyncio.run(read())


def async_openai_sdk(url: str, model: str) -> int:
    """Theirs, asynchronously."""

    async def read() -> int:
        async with openai.AsyncOpenAI(api_key="key", base_url=url) as client:
            stream = await client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
            return sum([1 async for chunk in stream if chunk.choices[0].delta.content])

    return asyncio.run(read())


def http_library(client: httpx.Client, url: str, model: str) -> int:
    """What all of them are built on; it throws the bytes away."""
    with client.stream("POST", url, json={"model": model}) as response:
        for _ in response.iter_bytes():
            pass
    return PIECES


def cpu(read: Reader, model: str) -> float:
    """Microseconds of CPU that `read` takes for each piece."""
    started = time.process_time()
    count = read(model)
    spent = time.process_time() - started
    if count != PIECES:
        raise RuntimeError(f"{count} pieces arrived of {PIECES}.")
    return spent / PIECES * 1e6


def sides(url: str) -> list[tuple[str, str, Pieces, Pieces, Limits]]:
    """Return each comparison's name, its path at the server, our pieces and theirs, and the limits of the ratio."""
    chat, api = "/v1/chat/completions", url + "/v1"
    our_openai = partial(broker, OpenAIGateway("key", api))
    our_anthropic = partial(broker, AnthropicGateway("key", url))
    our_ollama = partial(broker, OllamaGateway(url))
    their_openai = partial(openai_sdk, openai.OpenAI(api_key="key", base_url=api))
    their_anthropic = partial(anthropic_sdk, anthropic.Anthropic(api_key="key", base_url=url))
    their_ollama = partial(ollama_sdk, ollama.Client(url))
    return [
        ("OpenAI", chat, our_openai, their_openai, {TOGETHER: 0.08, 1: 0.17}),
        ("Anthropic", "/v1/messages", our_anthropic, their_anthropic, {TOGETHER: 0.25, 1: 0.52}),
        ("Ollama", "/api/chat", our_ollama, their_ollama, {TOGETHER: 0.5, 1: 0.8}),
    ]


def readers(url: str) -> Iterator[tuple[str, str, Reader, Reader, Limits]]:
    """The same with readers, and those that are asynchronous."""
    for name, path, ours, theirs, limits in sides(url):
        yield name, path, partial(count, ours), partial(count, theirs), limits
        if name == "OpenAI":
            api = url + "/v1"
            yield "OpenAI, async", path, partial(async_broker, api), partial(async_openai_sdk, api), {}


def compare_text(url: str) -> Iterator[bool]:
    """Print our CPU and theirs for a piece of text; yield whether each limit is kept."""
    http, compared = httpx.Client(), list(readers(url))
    for together, how in (TOGETHER, f"{TOGETHER} together"), (1, "one by one"):
        print(f"\n{f'µs of CPU a piece, {how}':<36}   bytes    ours  theirs   ratio   limit")
        model = f"text-{together}"
        for name, path, ours, theirs, limits in compared:
            alone = median(cpu(partial(http_library, http, url + path), model) for _ in range(PAIRS))
            pairs = [(cpu(ours, model), cpu(theirs, model)) for _ in range(PAIRS)]
            ratio = median(our / their for our, their in pairs)
            our, their = (median(side) for side in zip(*pairs, strict=True))
            yield told(f"{name:<36}{alone:>8.1f}{our:>8.1f}{their:>8.1f}", ratio, limits.get(together))


def first_piece(read: Pieces, model: str) -> float:
    """Milliseconds to the first piece of an answer, which is then read to its end."""
    started = time.perf_counter()
    pieces = read(model)
    next(pieces)
    waited = time.perf_counter() - started
    for _ in pieces:
        pass
    return waited * 1e3


def compare_first_pieces(url: str) -> Iterator[bool]:
    """Print how long a further request waits for its first piece; yield whether the limits are kept."""
    print(f"\n{'ms to the first piece, further requests':<44}    ours  theirs   ratio   limit")
    for name, _, ours, theirs, _ in sides(url):
        pairs = [(first_piece(ours, "short-5"), first_piece(theirs, "short-5")) for _ in range(1 + REQUESTS)][1:]
        our, their = (median(side) for side in zip(*pairs, strict=True))
        yield told(f"{name:<44}{our:>8.2f}{their:>8.2f}", median(our / their for our, their in pairs), 1.5)


def call_cost(gateway: Gateway, size: int) -> float:
    """Microseconds of CPU for each piece of a call whose arguments are `size` bytes."""
    started = time.process_time()
    with LLMBroker(f"call-{size}", gateway).stream(QUESTION) as run:
        call = next(event.call for event in run if isinstance(event, ToolCallEnd))
    spent = time.process_time() - started
    if len(call.arguments["text"]) != size - 12:
        raise RuntimeError("The arguments are not whole.")
    return spent / (size / 4) * 1e6


def compare_calls(url: str) -> Iterator[bool]:
    """Print what a piece of a long call costs beside one of a short call; yield whether the limits are kept."""
    print(f"\n{'µs of CPU a piece of 4 characters':<36}           20 kB  200 kB   ratio   limit")
    for name, gateway in ("OpenAI", OpenAIGateway("key", url + "/v1")), ("Anthropic", AnthropicGateway("key", url)):
        pairs = [(call_cost(gateway, 20_000), call_cost(gateway, 200_000)) for _ in range(PAIRS)]
        short, long = (median(side) for side in zip(*pairs, strict=True))
        yield told(f"{name + ', arguments of a tool call':<36}{'':>8}{short:>8.1f}{long:>8.1f}", long / short, 1.5)


class Talker:
    """A gateway that holds nothing of what it says."""

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:  # noqa: ARG002 (a gateway's)
        """Say a million pieces."""
        for number in range(1_000_000):
            yield TextDelta(f"{number} ")
        yield StepFinish("stop")


def weigh() -> Iterator[bool]:
    """Print what a run over a million pieces holds beside its text; yield whether the limit is kept."""
    print(f"\n{'MB after a million pieces':<36}            text    held   ratio   limit")
    tracemalloc.start()
    run = LLMBroker("any", Talker()).stream(QUESTION)
    for _ in run:
        pass
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = len((run.messages[-1].content or "").encode())
    # Until it joins them, StringIO holds up to 100,000 pieces one by one, some 6 MB: that is the peak.
    for name, number, limit in ("Held at the end", held, 1.5), ("Peak", peak, None):
        yield told(f"{name:<36}{'':>8}{size / 1e6:>8.1f}{number / 1e6:>8.1f}", number / size, limit)


def told(line: str, ratio: float, limit: float | None) -> bool:
    """Print a line of the table; tell whether the limit is kept."""
    kept = limit is None or ratio <= limit
    print(
        f"{line}{ratio:>8.2f}{'' if limit is None else format(limit, '8.2f')}{'' if kept else '  missed'}", flush=True
    )
    return kept


def main() -> int:
    """Print the table; 1 if a limit is missed."""
    with other_process() as url:
        kept = [*compare_text(url), *compare_first_pieces(url), *compare_calls(url), *weigh()]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
