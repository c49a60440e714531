"""How many threads the embedded model should have: tokens a second, alone and beside other work, in one run.

llama.cpp's threads wait for one another by spinning. Where one of them lacks a CPU, all stand still; hence the default
of :class:`~mojentic_nb.llm.gateways.LocalGateway`, half the CPUs. Run it as ``python benchmarks/threads.py``.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time

from mojentic_nb.llm import CompletionConfig, LLMBroker, LLMMessage
from mojentic_nb.llm.gateways import LocalGateway
from mojentic_nb.llm.gateways.local import cpus

TOKENS = 100


@contextlib.contextmanager
def busy(processes: int):
    """Other processes that want a CPU each."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def speed(gateway: LocalGateway) -> float:
    """Tokens a second of one answer."""
    broker = LLMBroker(gateway.model, gateway)
    question = [LLMMessage(content="Tell me a very long story about the sea.")]
    broker.generate(question, config=CompletionConfig(max_tokens=1))  # loads the model
    started = time.monotonic()
    run = broker.stream(question, config=CompletionConfig(max_tokens=TOKENS))
    "".join(run.text())
    return run.usage.output_tokens / (time.monotonic() - started)


def main() -> None:
    """Print a table: threads down, other busy processes across."""
    others = [0, 1, cpus()]
    print(f"{cpus()} CPUs; tokens a second with that many other processes busy")
    print("threads" + "".join(f"{n:>10}" for n in others))
    for threads in sorted({1, max(1, cpus() // 2), cpus()}):
        row = []
        for n in others:
            with LocalGateway(n_threads=threads) as gateway, busy(n):
                row.append(speed(gateway))
        print(f"{threads:>7}" + "".join(f"{tokens:>10.1f}" for tokens in row), flush=True)


if __name__ == "__main__":
    main()
