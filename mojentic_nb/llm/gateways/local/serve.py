"""The process that runs the model: llama.cpp's OpenAI-compatible server, for the one program that started it.

It is run as a script and imports nothing of the package, so that it is up at once. A line of JSON on standard input
says what to load; ``{"url": …}`` on standard output says that it listens; llama.cpp's errors go to standard error.

It ends with the program that started it, however that one ends: when standard input does, or when its parent is
another, since a fork of the program may hold the pipe open.
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

PERIOD = 0.5  # seconds between two looks at who the parent is


def server(options: dict[str, Any]) -> Any:  # noqa: ANN401 (xllamacpp has no types)
    """Load the model and listen on the loopback interface; raises RuntimeError, with llama.cpp's reasons on stderr."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.verbosity = 1  # errors only
    params.model.path = options["model_path"]
    params.model_alias = {options["name"]}
    params.n_ctx = options["n_ctx"]
    params.n_predict = options["max_tokens"]
    params.n_parallel = 1
    params.cache_ram_mib = 0  # it would keep old prompts, up to 8 GiB of them
    params.cpuparams.n_threads = options["n_threads"]
    params.use_jinja = True
    params.offline = True
    params.hostnames = ["127.0.0.1"]
    params.port = options["port"]
    params.api_keys = [options["api_key"]]
    params.ui = False
    params.cors_origins_explicit = True  # an empty list of origins: no web page may read an answer
    params.cors_origins = params.cors_methods = params.cors_headers = ""
    params.cors_credentials = False
    for name, value in options["sampling"].items():
        setattr(params.sampling, name, value)
    return xllamacpp.Server(params)


def leave_no_core() -> None:
    """Have no file written of this process's memory, which holds what was said, when it ends with an error."""
    if resource:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def private_output() -> TextIO:
    """Standard output for us alone: what native code prints there goes to standard error from here on."""
    own = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return own


def end_with_standard_input(output: TextIO) -> None:
    """See to it that this process ends when standard input does.

    xllamacpp keeps Python's other threads from running while it loads, so a process of its own watches where it can.
    """
    if not hasattr(os, "fork"):
        threading.Thread(target=lambda: sys.stdin.read() or os._exit(0), daemon=True).start()
        return
    watched = os.getpid()
    if os.fork() == 0:
        output.close()  # whoever reads it is to see its end with the server's
        while os.getppid() == watched and not select.select([0], [], [], PERIOD)[0]:
            pass
        if os.getppid() == watched:
            os.kill(watched, signal.SIGKILL)
        os._exit(0)


def main() -> None:
    """Serve until the program that started this is gone."""
    leave_no_core()
    parent = os.getppid()  # on Windows it never changes, and may be a launcher; the pipe does the work there
    options = json.loads(sys.stdin.readline())
    output = private_output()
    end_with_standard_input(output)
    listening = server(options)  # kept: the server stops when the object goes
    print(json.dumps({"url": listening.listening_address}), file=output, flush=True)
    while os.getppid() == parent:
        time.sleep(PERIOD)
    os._exit(0)


if __name__ == "__main__":
    main()
