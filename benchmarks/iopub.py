"""What an answer costs on its way to the page: messages and bytes on the kernel's raw iopub socket, for the whole cell.

Each cell runs in one kernel, its answer being tokens of 5.3 characters: as a live view (`LiveView().show(run)`), and as
peers do it, the whole text displayed anew for each token. The live view's first message has its program, the last ones
the saved answer.

Run it as ``python benchmarks/iopub.py``, for about three minutes. Its status is 1 if a limit is missed.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import zmq
from jupyter_client.manager import start_new_kernel

SETUP = """
import time
from itertools import cycle, islice
from IPython.display import Markdown, display
from mojentic_nb.display.live import LiveView
from mojentic_nb.llm import LLMBroker, LLMMessage, StepFinish, TextDelta
from mojentic_nb.llm.gateways import ScriptedGateway

WORDS = ["The", " sea", ",", " once", " so", " calm", ",", " rose", " thund", "ering", " naïve", "té", " against",
         ".\\n\\n", " sailors", " remembered", " storms", " of", " long"]

def tokens(count, pause):
    begun = time.perf_counter()
    for number, word in enumerate(islice(cycle(WORDS), count)):
        yield TextDelta(word)
        time.sleep(max(0, begun + pause * (number + 1) - time.perf_counter()))
    yield TextDelta("\\n\\nTHE END")
    yield StepFinish("stop")

def ours(count, pause):
    broker = LLMBroker("scripted", ScriptedGateway([tokens(count, pause)]))
    LiveView("scripted").show(broker.stream([LLMMessage(content="Tell me a story.")]))

def whole(count):
    text, handle = "", display(Markdown(""), display_id=True)
    for word in islice(cycle(WORDS), count):
        text += word
        handle.update(Markdown(text))
"""


@dataclass
class Cost:
    """What a cell put on the socket, and how long it took, in seconds."""

    messages: int = 0
    bytes: int = 0
    seconds: float = 0.0
    last: bytes = b""

    @property
    def megabytes(self) -> float:
        """Bytes in millions."""
        return self.bytes / 1e6


def main() -> int:
    """Measure, print, and tell whether the limits are kept."""
    manager, client = start_new_kernel()
    try:
        cost_of(client, SETUP)
        ours = cost_of(client, "ours(4_000, 0.005)")
        longer = cost_of(client, "ours(16_000, 0.005)")
        burst = cost_of(client, "ours(20_000, 0)")
        whole = cost_of(client, "whole(4_000)")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    for name, cost in {
        "4,000 tokens at 5 ms": ours,
        "16,000 tokens at 5 ms": longer,
        "burst of 20,000 tokens": burst,
        "whole text each time, 4,000 tokens": whole,
    }.items():
        print(f"{name:36}{cost.messages:7,} messages{cost.megabytes:9.2f} MB{cost.seconds:8.1f} s")
    times, more = whole.bytes / ours.bytes, whole.messages / ours.messages
    print(f"The whole text each time costs {times:.0f} times the bytes and {more:.1f} times the messages.")
    rate = burst.messages / burst.seconds
    limits = {
        f"4,000 tokens: {ours.megabytes:.2f} MB, at most 0.45": ours.megabytes <= 0.45,
        f"4,000 tokens: {ours.messages} messages, at most 700": ours.messages <= 700,
        f"16,000 tokens: {longer.bytes / ours.bytes:.2f} times that, at most 4.4": longer.bytes <= 4.4 * ours.bytes,
        f"burst: {rate:.0f} messages a second, at most 60": rate <= 60,
        "the end of each is there": all(b"THE END" in cost.last for cost in (ours, longer, burst)),
    }
    for limit, kept in limits.items():
        print("kept  " if kept else "MISSED", limit)
    return 0 if all(limits.values()) else 1


def cost_of(client, code: str) -> Cost:
    """Run `code` in the kernel, as a front end with someone in front of it does."""
    cost, begun = Cost(), time.perf_counter()
    socket: zmq.Socket = client.iopub_channel.socket
    asked = client.execute(code, allow_stdin=True)
    while True:
        frames = socket.recv_multipart()
        cost.messages += 1
        cost.bytes += sum(map(len, frames))
        _, parts = client.session.feed_identities(frames)
        message = client.session.deserialize(parts)
        if message["parent_header"].get("msg_id") != asked:
            continue
        if message["msg_type"] == "error":
            raise RuntimeError("\n".join(message["content"]["traceback"]))
        if message["msg_type"] == "update_display_data":
            cost.last = b"".join(frames)
        if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            cost.seconds = time.perf_counter() - begun
            return cost


if __name__ == "__main__":
    sys.exit(main())
