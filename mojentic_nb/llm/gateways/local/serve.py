"""The process that runs the model: llama.cpp's OpenAI-compatible server, for the one program that started it.

It is run as a script and imports nothing of the package, so that it is up at once. A line of JSON on standard input
says what to load; ``{"url": …}`` on standard output says that it listens; llama.cpp's errors go to standard error. It
ends when its standard input does, or when its parent is gone, which a fork of the parent that holds the pipe open would
hide.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any


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


def end_with_standard_input() -> None:
    """Wait for the end of standard input, then end the process at once."""
    sys.stdin.read()
    os._exit(0)


def end_with_parent(parent: int) -> None:
    """Wait until this process has another parent, then end it at once; on Windows that never is, and the pipe does."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def main() -> None:
    """Serve until the program that started this is gone."""
    options = json.loads(sys.stdin.readline())
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    listening = server(options)  # kept: the server stops when the object goes
    print(json.dumps({"url": listening.listening_address}), flush=True)
    end_with_parent(options["parent"])


if __name__ == "__main__":
    main()
