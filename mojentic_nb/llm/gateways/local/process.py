"""The model's process, seen from the program that started it.

The model has a process of its own so that a crash in native code never takes the user's kernel along. It can't outlive
that kernel: see :mod:`.serve`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import weakref
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from mojentic_nb.llm.errors import ConfigurationError, LLMError, ProviderUnavailableError

from .environment import MODEL, environment

__all__ = ["ModelOptions", "ModelProcess"]

DYING = 1.0  # seconds from the end of its connections, which come first, to the end of a process
SCRIPT = Path(__file__).with_name("serve.py")


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What to load, and how.

    `n_ctx` is in tokens; `port` 0 takes a free one; `max_tokens` ends an answer that was asked for without a limit, -1
    never does; `sampling` goes by llama.cpp's own names.
    """

    model_path: str
    name: str
    n_ctx: int
    n_threads: int
    port: int
    max_tokens: int
    sampling: dict[str, float]


class ModelProcess:
    """A running model, listening at `url` for requests with `api_key`.

    Returns when the model is loaded. Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` where it can't be.
    """

    def __init__(self, options: ModelOptions) -> None:
        self.api_key = secrets.token_urlsafe(32)
        self._options = options
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (the finalizer closes it)
        self._process = launch(self._errors)
        self._finalizer = weakref.finalize(self, stop, self._process, self._errors)
        try:
            self.url = self._handshake()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None

    def close(self) -> None:
        """End the process. Does nothing the second time."""
        self._finalizer()

    def death(self) -> ProviderUnavailableError | None:
        """The error that says how the process ended; None if it runs on."""
        try:
            how = exit_words(self._process.wait(DYING))
        except subprocess.TimeoutExpired:
            return None
        return ProviderUnavailableError(
            f"The local model's process ended in the middle ({how}); what had arrived is kept. "
            f"Ask again: the model is loaded afresh."
        )

    def _handshake(self) -> str:
        """Say what to load, and wait for the address at which the model then listens."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101 (for the type checker: pipes were asked for)
        assert stdout is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):  # it ended before it read; the missing answer says so
            stdin.write(json.dumps({**asdict(self._options), "api_key": self.api_key}).encode() + b"\n")
            stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise self._load_error()
        url: str = json.loads(answer)["url"]
        return url

    def _load_error(self) -> LLMError:
        """Why the model could not be loaded, from llama.cpp's own words."""
        code = self._process.wait()
        self._errors.seek(0)
        log = self._errors.read().decode(errors="replace")
        path, options = self._options.model_path, self._options
        if "couldn't bind" in log:
            return ConfigurationError(
                f"Port {options.port} is taken: choose another one, or leave `port` out for a free one."
            )
        if re.search("failed to allocate|bad_alloc|MemoryError", log) or code == -9:
            return ConfigurationError(
                f"Not enough memory to load {path} with a context of {options.n_ctx} tokens: "
                f"pass a smaller n_ctx, or take a smaller model."
            )
        if reason := re.search(r"error loading model: (.*)", log) or re.search(r" E (.*)", log):
            return ConfigurationError(
                f"llama.cpp can't load {path}: {reason[1]}. Check the file, or download it again."
            )
        last = (log.strip().splitlines() or ["no message"])[-1]
        return ConfigurationError(f"llama.cpp can't load {path}: it ended with {exit_words(code)}: {last}")


def launch(errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the process, which then waits to be told what to load; what goes wrong is written to `errors`."""
    try:
        return subprocess.Popen(
            [sys.executable, "-P", str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment(MODEL, GGML_NO_BACKTRACE="1"),  # else it starts a debugger on itself when it aborts
            # A group of its own: Ctrl-C in a terminal is for the answer, not for the model.
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:  # no memory or no process left, or a program that embeds Python and has no interpreter
        errors.close()
        raise ConfigurationError(
            f"The model's process can't be started with {sys.executable!r} ({error.strerror}): "
            f"close other programs, or check the Python installation."
        ) from error


def stop(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    """End `process` and free what belongs to it."""
    process.kill()
    process.wait()
    for stream in filter(None, (process.stdin, process.stdout, errors)):
        stream.close()


def exit_words(code: int) -> str:
    """An exit code in words."""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
