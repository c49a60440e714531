"""The process that runs the model: llama.cpp's OpenAI-compatible server, for the one program that started it.

It runs as a script and imports nothing of the package, so that it starts at once. It reads its options as a line of
JSON from standard input, writes ``{"url": …}`` to standard output when it listens, and errors to standard error.

It ends with the program that started it, however that one ends: when standard input ends, or when its parent is
another process, since a fork of the program may hold the pipe open.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
import time
from typing import Any, TextIO

try:
    import resource
except ImportError:  # on Windows
    resource = None  # type: ignore[assignment]

PERIOD = 0.5  # seconds between two checks of the parent


def server(options: dict[str, Any]) -> Any:  # noqa: ANN401 (xllamacpp has no types)
    """Load the model and listen on the loopback interface. Raises RuntimeError, with the reasons on stderr."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.verbosity = 1  # errors only
    params.model.path = options["model_path"]
    params.model_alias = {options["name"]}
    params.n_ctx = options["n_ctx"]
    params.n_predict = options["max_tokens"]
    params.n_parallel = 1
    params.cache_ram_mib = 0  # by default it keeps old prompts, up to 8 GiB
    params.cpuparams.n_threads = options["n_threads"]
    params.use_jinja = True
    params.offline = True
    params.hostnames = ["127.0.0.1"]
    params.port = options["port"]
    params.api_keys = [options["api_key"]]
    params.ui = False
    params.cors_origins_explicit = True  # an empty list of origins: no web page may read a reply
    params.cors_origins = params.cors_methods = params.cors_headers = ""
    params.cors_credentials = False
    for name, value in options["sampling"].items():
        setattr(params.sampling, name, value)
    return xllamacpp.Server(params)


def leave_no_core() -> None:
    """Turn off core dumps: this process's memory has the conversation."""
    if resource:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def private_output() -> TextIO:
    """Return standard output for us alone; native code's output goes to standard error from now on."""
    own = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return own


def end_with_standard_input(output: TextIO) -> None:
    """Make this process end when standard input does.

    xllamacpp blocks Python's other threads while it loads, so a process watches if the system can fork.
    """
    if not hasattr(os, "fork"):
        threading.Thread(target=lambda: sys.stdin.read() or os._exit(0), daemon=True).start()
        return
    watched = os.getpid()
    if os.fork() == 0:
        output.close()  # its reader must see its end with the server's
        while os.getppid() == watched and not select.select([0], [], [], PERIOD)[0]:
            pass
        if os.getppid() == watched:
            os.kill(watched, signal.SIGKILL)
        os._exit(0)


def main() -> None:
    """Serve until the program that started this process ends."""
    leave_no_core()
    parent = os.getppid()  # on Windows it never changes, and may be a launcher; there the pipe is enough
    options = json.loads(sys.stdin.readline())
    output = private_output()
    end_with_standard_input(output)
    listening = server(options)  # the server stops when the object is freed
    print(json.dumps({"url": listening.listening_address}), file=output, flush=True)
    while os.getppid() == parent:
        time.sleep(PERIOD)
    os._exit(0)


if __name__ == "__main__":
    main()
