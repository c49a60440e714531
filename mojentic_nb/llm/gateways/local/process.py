"""The model's process, as the program that started it sees it.

The model has its own process so that a crash in native code never ends the user's kernel. It can't outlive that kernel:
see :mod:`.serve`.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import weakref
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from mojentic_nb.llm.errors import ConfigurationError, LLMError, ProviderUnavailableError

from .environment import MODEL, environment

__all__ = ["ModelOptions", "ModelProcess"]

DYING = 1.0  # seconds from the end of a process's connections to its own
SCRIPT = Path(__file__).with_name("serve.py")


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """What to load, and how.

    `n_ctx` is in tokens; `port` 0 is any free one; `max_tokens` limits a reply without a limit of its own, -1 doesn't;
    `sampling` has llama.cpp's own names.
    """

    model_path: str
    name: str
    n_ctx: int
    n_threads: int
    port: int
    max_tokens: int
    sampling: dict[str, float]


class ModelProcess:
    """A loaded model that listens at `url` for requests with `api_key`.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` if the model can't be loaded.
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
        """Return the error that says how the process ended; None if it is running."""
        try:
            how = exit_words(self._process.wait(DYING))
        except subprocess.TimeoutExpired:
            return None
        advice = "Ask again: it restarts."
        error = ProviderUnavailableError(
            f"The local model's process ended in the middle of the reply ({how}). {advice}"
        )
        error.advice = advice
        return error

    def _handshake(self) -> str:
        """Send the options, and wait for the address at which the model listens."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None  # noqa: S101 (for the type checker: pipes were asked for)
        assert stdout is not None  # noqa: S101
        with suppress(OSError):  # the process has exited, so no answer follows
            stdin.write(json.dumps({**asdict(self._options), "api_key": self.api_key}).encode() + b"\n")
            stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise self._load_error()
        url: str = json.loads(answer)["url"]
        return url

    def _load_error(self) -> LLMError:
        """Return the error for a model that can't be loaded, from llama.cpp's log."""
        code = self._process.wait()
        self._errors.seek(0)
        log = self._errors.read().decode(errors="replace")
        path, options = self._options.model_path, self._options
        if "couldn't bind" in log:
            return ConfigurationError(
                f"Port {options.port} is in use. Choose another one, or leave out `port` for a free one."
            )
        if re.search("failed to allocate|bad_alloc|MemoryError", log) or code == -9:
            return ConfigurationError(
                f"Not enough memory to load {path} with a context of {options.n_ctx} tokens. "
                "Use a smaller `n_ctx`, or a smaller model."
            )
        if reason := re.search(r"error loading model: (.*)", log) or re.search(r" E (.*)", log):
            return ConfigurationError(
                f"llama.cpp can't load {path}: {reason[1]}. Check the file, or download it again."
            )
        last = (log.strip().splitlines() or ["no message"])[-1]
        return ConfigurationError(f"llama.cpp can't load {path}. It ended with {exit_words(code)}: {last}")


def launch(errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start the process, which waits for its options, and writes its log to `errors`."""
    try:
        return subprocess.Popen(
            [sys.executable, "-P", str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment(MODEL, GGML_NO_BACKTRACE="1"),  # without it, it debugs itself when it aborts
            # In its own group: Ctrl-C in a terminal ends the reply, not the model.
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:  # no memory or process left, or a program that embeds Python without an interpreter
        errors.close()
        raise ConfigurationError(
            f"Can't start the model's process with {sys.executable!r} ({error.strerror}). "
            "Close other programs, or check the Python installation."
        ) from error


def stop(process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    """End `process` and close its files."""
    process.kill()
    process.wait()
    for stream in filter(None, (process.stdin, process.stdout, errors)):
        with suppress(OSError):  # the pipe is broken, and unsent options can't be flushed
            stream.close()


def exit_words(code: int) -> str:
    """Return an exit code in words."""
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"
