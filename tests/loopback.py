"""A real HTTP server on the loopback interface that plays prepared replies, and sees when a client hangs up."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATIENCE = 30.0  # seconds after which a test that waits for something fails


class Hold:
    """In a reply: send nothing until :meth:`release` is called or the client has hung up.

    `reached` is set when the server comes to it, `hung_up` when the client leaves, which is at the time `hung_up_at`.
    """

    def __init__(self) -> None:
        self._released = threading.Event()
        self.reached = threading.Event()
        self.hung_up = threading.Event()
        self.hung_up_at = 0.0

    def release(self) -> None:
        self._released.set()

    @property
    def released(self) -> bool:
        return self._released.is_set()


class Cut:
    """In a reply: end the connection in the middle."""


@dataclass
class Reply:
    """What the server answers: the parts of a body, sent one by one; with no `status` they are all that is sent."""

    parts: Iterable[bytes | Hold | Cut] = ()
    status: int | None = 200
    content_type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Received:
    """A request that came."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict = field(default_factory=dict)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Stay silent when a client resets a connection that it kept; tests tell what matters."""


class Loopback:
    """The server. `replies` are played in order; `hung_up` is set when a client leaves before a reply's end.

    `connections` counts those that clients opened.
    """

    def __init__(self) -> None:
        self.connections = 0
        self.requests: list[Received] = []
        self.replies: deque[Reply] = deque()
        self.hung_up = threading.Event()
        self._server = Server(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host}:{port}"

    def play(self, *replies: Reply) -> None:
        self.replies.extend(replies)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # it holds back small writes on a connection that was used before

            def setup(self) -> None:
                super().setup()
                loopback.connections += 1

            def handle_request(self) -> None:
                length = int(self.headers.get("content-length", 0))
                body = json.loads(self.rfile.read(length) or b"{}")
                loopback.requests.append(
                    Received(
                        self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body
                    )
                )
                loopback._send(self, loopback.replies.popleft() if loopback.replies else Reply(status=404))

            do_GET = do_POST = handle_request  # noqa: N815 (the standard library's names)

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        return Handler

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        if not (raw := reply.status is None):
            handler.send_response(reply.status)
            headers = {"content-type": reply.content_type, "transfer-encoding": "chunked", **reply.headers}
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.end_headers()
        try:
            for part in reply.parts:
                match part:
                    case Hold():
                        self._hold(part, handler.connection)
                    case Cut():
                        handler.close_connection = True
                        return
                    case bytes():
                        handler.wfile.write(part if raw else b"%x\r\n%s\r\n" % (len(part), part))
                        handler.wfile.flush()
            if raw:
                handler.close_connection = True
            else:
                handler.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.hung_up.set()
            handler.close_connection = True

    def _hold(self, hold: Hold, connection: socket.socket) -> None:
        hold.reached.set()
        while not hold.released:
            if gone(connection):
                hold.hung_up_at = time.monotonic()
                hold.hung_up.set()
                raise ConnectionResetError


def gone(connection: socket.socket) -> bool:
    """Whether the client hangs up, now or within a moment."""
    try:
        return bool(select.select([connection], [], [], 0.01)[0]) and not connection.recv(1, socket.MSG_PEEK)
    except ConnectionResetError:
        return True


def json_reply(body: object, status: int = 200) -> Reply:
    """A reply that is one JSON document."""
    return Reply([json.dumps(body).encode()], status, "application/json")


def sse(*bodies: object, done: bool = True) -> bytes:
    """Server-sent events, as OpenAI ends them."""
    events = [body if isinstance(body, str) else json.dumps(body) for body in bodies] + ["[DONE]"] * done
    return "".join(f"data: {event}\n\n" for event in events).encode()


def chunk(text: str | None = None, finish_reason: str | None = None) -> dict:
    """A chunk of a streamed chat completion."""
    delta = {} if text is None else {"content": text}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def completion(*texts: str) -> bytes:
    """A whole streamed completion that says `texts`."""
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": len(texts)}}
    return sse(*map(chunk, texts), chunk(finish_reason="stop"), usage)


def tool_call(name: str = "sky", arguments: str = '{"city": "Oslo"}') -> bytes:
    """A whole streamed completion that calls a tool."""
    call = {"index": 0, "id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": arguments}}
    delta = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]}
    return sse(delta, chunk(finish_reason="tool_calls"))
