"""A model without a key or a server of yours: llama.cpp in its own process, beside the program that asks.

Needs the extra ``local``. ``python -m mojentic_nb.llm.gateways.local fetch`` downloads the embedded model before its
first use.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from mojentic_nb.llm.compat import MojenticCalls
from mojentic_nb.llm.errors import ConfigurationError, IncompleteStreamError, LLMError, ProviderUnavailableError
from mojentic_nb.llm.events import ModelEvent
from mojentic_nb.llm.request import Request

from .model_file import SMOLLM2
from .process import ModelOptions, ModelProcess
from .server import ServerGateway

__all__ = ["MISSING_EXTRA", "LocalGateway", "available"]

MISSING_EXTRA = "The local model needs llama.cpp. Run `pip install 'mojentic_nb[local]'`."
MODEL_VARIABLE = "MOJENTIC_NB_LOCAL_MODEL"
BROKEN = (IncompleteStreamError, ProviderUnavailableError)  # what the end of the model's process looks like
# The sampling that the model's authors recommend, https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct
# and a penalty, without which so small a model repeats a sentence until its context is full.
EMBEDDED_SAMPLING = {"temp": 0.2, "top_p": 0.9, "penalty_repeat": 1.1, "penalty_last_n": 256}
EMBEDDED_MAX_TOKENS = 2048
# llama.cpp's threads spin while they wait for one another. If there are as many as CPUs, one other busy process slows a
# reply down to a tenth of its speed (benchmarks/threads.py).
MOST_THREADS = 4


def cpus() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available() -> bool:
    """Return whether the extra ``local`` is installed."""
    return find_spec("xllamacpp") is not None


class LocalGateway(MojenticCalls):
    """A gateway to a model on this machine.

    The model is the GGUF file `model_path`, by default the one that ``MOJENTIC_NB_LOCAL_MODEL`` names, or the embedded
    SmolLM2-135M-Instruct, which is downloaded once. Its replies end after 2,048 tokens unless you set a limit.

    A forced tool call is constrained to the tool's JSON schema, so any model makes it. If the model may choose, one
    whose chat template has no tools, such as the embedded one, answers without a call, and a
    :class:`~mojentic_nb.llm.Notice` says so.

    `n_ctx` is the context in tokens; `n_threads` defaults to half the CPUs, at most 4; `port` to any free one. The
    model is loaded at the first request, and again if its process has ended. :meth:`close`, or the end of the gateway
    or the program, ends it. Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for a missing extra or file.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str] | None = None,
        *,
        n_ctx: int = 8192,
        n_threads: int | None = None,
        port: int = 0,
    ) -> None:
        if not available():
            raise ConfigurationError(MISSING_EXTRA)
        check_range("n_ctx", n_ctx, 1)
        check_range("n_threads", n_threads, 1)
        check_range("port", port, 0, 65535)
        path = model_path or os.environ.get(MODEL_VARIABLE)
        self._embedded = not path
        file = checked(path, "its path" if model_path else f"`{MODEL_VARIABLE}`") if path else SMOLLM2.path()
        self.model = file.stem if path else SMOLLM2.model
        self.model_path = file.resolve()
        self._options = ModelOptions(
            model_path=str(self.model_path),
            name=self.model,
            n_ctx=n_ctx,
            n_threads=n_threads or max(1, min(MOST_THREADS, cpus() // 2)),
            port=port,
            max_tokens=-1 if path else EMBEDDED_MAX_TOKENS,
            sampling={} if path else EMBEDDED_SAMPLING,
        )
        self._running: tuple[ModelProcess, ServerGateway] | None = None
        self._starting = threading.Lock()

    @property
    def process(self) -> ModelProcess | None:
        """The model's process; None before the first request and after :meth:`close`."""
        return self._running and self._running[0]

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Send `request` and yield the model's events; the request's model name is ignored."""
        process, gateway = self._start()
        try:
            yield from gateway.stream(request)
        except BROKEN as error:
            if death := death_of(process, request):
                raise death from error
            raise

    async def astream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The same, asynchronously."""
        process, gateway = await asyncio.to_thread(self._start)
        try:
            async with aclosing(gateway.astream(request)) as events:
                async for event in events:
                    yield event
        except BROKEN as error:
            if death := await asyncio.to_thread(death_of, process, request):
                raise death from error
            raise

    def get_available_models(self) -> list[str]:
        """Return the name of the model."""
        return [self.model]

    def close(self) -> None:
        """End the model's process; the next request starts another one."""
        if self._running:
            process, gateway = self._running
            self._running = None
            gateway.close()
            process.close()

    async def aclose(self) -> None:
        """The same, and close the connections of the running event loop."""
        if self._running:
            await self._running[1].aclose()
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"LocalGateway({getattr(self, 'model', None)!r})"  # None if the constructor raised an error

    def _start(self) -> tuple[ModelProcess, ServerGateway]:
        """Return the model's process, started if it isn't running, and the gateway to it."""
        with self._starting:
            if self._running and self._running[0].alive:
                return self._running
            self.close()
            if self._embedded and not SMOLLM2.is_at(self.model_path):
                raise ConfigurationError(
                    f"The model file {self.model_path} isn't the published one any more. Make a new LocalGateway "
                    "to download it again, or pass a file of yours as `model_path`."
                )
            process = ModelProcess(self._options)
            self._running = process, ServerGateway(process)
            return self._running


def death_of(process: ModelProcess, request: Request) -> LLMError | None:
    """Return the error for the process's end, if it has ended and `request` was not cancelled."""
    return None if request.cancellation.cancelled else process.death()


def check_range(name: str, value: int | None, least: int, most: int = 2**31 - 1) -> None:
    """Raise ConfigurationError unless the option `value` is None or an integer from `least` to `most`."""
    if value is not None and not (isinstance(value, int) and least <= value <= most):
        raise ConfigurationError(f"{name}={value!r} is out of range. Pass an integer from {least} to {most}.")


def checked(path: str | os.PathLike[str], where: str) -> Path:
    """Return the file at `path`, which is set in `where`; raise ConfigurationError unless it looks like a model."""
    try:
        file = Path(path).expanduser()
        with file.open("rb") as start:
            magic = start.read(4)
    except (OSError, RuntimeError, ValueError) as error:  # no such file, no such user, no such name
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"Can't read the model file {path} ({why}). Check {where}.") from error
    if magic != b"GGUF":
        raise ConfigurationError(f"{file} isn't a GGUF file, the only format that llama.cpp reads.")
    return file
