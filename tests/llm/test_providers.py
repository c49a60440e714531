"""Models by name, and which one answers when none is named."""

from __future__ import annotations

import sys

import certifi
import httpx
import pytest
from loopback import Loopback, Reply, json_reply

from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.gateways import AnthropicGateway, LocalGateway, OllamaGateway, OpenAIGateway
from mojentic_nb.llm.gateways.transport import tls_context
from mojentic_nb.llm.providers import PROVIDERS, broker_for, configured_name, found_name, gateway_for


@pytest.mark.parametrize(
    ("name", "gateway", "model"),
    [
        ("openai:gpt-5-mini", OpenAIGateway, "gpt-5-mini"),
        ("ollama:qwen3:4b", OllamaGateway, "qwen3:4b"),
        ("anthropic:claude-haiku-4-5", AnthropicGateway, "claude-haiku-4-5"),
        ("local", LocalGateway, "SmolLM2-135M-Instruct"),
        (" local ", LocalGateway, "SmolLM2-135M-Instruct"),
    ],
)
def test_a_name_says_who_provides_the_model(name, gateway, model, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-x")

    broker = broker_for(name)

    assert isinstance(broker.adapter, gateway)
    assert broker.model == model


def test_each_provider_has_a_gateway(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-x")

    kinds = {provider: type(gateway_for(provider)) for provider in PROVIDERS}

    assert kinds == {
        "anthropic": AnthropicGateway,
        "local": LocalGateway,
        "ollama": OllamaGateway,
        "openai": OpenAIGateway,
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gpt-5-mini", "Unknown provider 'gpt-5-mini'. Write `PROVIDER:MODEL`, as in"),
        ("opneai:gpt-5", r"Unknown provider 'opneai'. .* Did you mean `openai:gpt-5`\?$"),
        ("OpenAI:gpt-5", r"Unknown provider 'OpenAI'. .* Did you mean `openai:gpt-5`\?$"),
        ("Local", r"Unknown provider 'Local'. .* Did you mean `local`\?$"),
        ("openai", "'openai' has no model. Write `openai:MODEL`"),
        ("ollama:", "'ollama:' has no model"),
        ("openai:gpt-5", "Set the environment variable `OPENAI_API_KEY`"),
        ("anthropic:claude", "Set the environment variable `ANTHROPIC_API_KEY`"),
        ("local:/no/such.gguf", r"Can't read the model file /no/such.gguf \(No such file or directory\)"),
        ("", "Unknown provider ''"),
        ("local:~no-such-user/x.gguf", "Can't read the model file .*home directory"),
        ("local:a\0b", "Can't read the model file .*null byte"),
    ],
)
def test_a_name_that_leads_nowhere(name: str, words: str):
    with pytest.raises(ConfigurationError, match=words) as failure:
        broker_for(name)

    assert "\n" not in str(failure.value)


def test_the_embedded_model_is_the_default_whatever_keys_there_are(monkeypatch: pytest.MonkeyPatch):
    for key in ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENROUTER_API_KEY"]:
        monkeypatch.setenv(key, "sk-paid")

    assert found_name() == "local"


def test_a_running_ollamas_first_chat_model_comes_before_it(server: Loopback, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    server.play(
        json_reply({"models": [{"model": "nomic-embed-text"}, {"model": "qwen3:4b"}]}),
        json_reply({"model_info": {}, "capabilities": ["embedding"]}),
        json_reply({"model_info": {}, "capabilities": ["completion"]}),
    )

    assert found_name() == "ollama:qwen3:4b"


@pytest.mark.parametrize("reply", [json_reply({"models": []}), json_reply({"error": "no"}, 500)])
def test_an_ollama_without_models_does_not_count(server: Loopback, monkeypatch: pytest.MonkeyPatch, reply):
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    server.play(reply)

    assert found_name() == "local"


def test_an_ollama_address_that_is_none_does_not_stand_in_the_way(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OLLAMA_HOST", "localhost:abc")

    assert found_name() == "local"


def test_the_environment_may_name_one(monkeypatch: pytest.MonkeyPatch):
    assert configured_name() == ""

    monkeypatch.setenv("MOJENTIC_NB_MODEL", "openai:gpt-5-mini")

    assert configured_name() == "openai:gpt-5-mini"


def test_without_any_model_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)  # as if it were not installed

    with pytest.raises(ConfigurationError, match=r"pip install 'mojentic_nb\[local\]'` .* start Ollama, or name one"):
        found_name()


UNUSABLE = {
    "ALL_PROXY": ("socks5://127.0.0.1:9", r"SOCKS proxy \(`ALL_PROXY`\)\. Run `pip install socksio`, or unset"),
    "SSL_CERT_FILE": ("/no/such/file.pem", r"Can't read the certificates that `SSL_CERT_FILE` or `SSL_CERT_DIR` names"),
}


@pytest.mark.parametrize("variable", UNUSABLE)
@pytest.mark.parametrize("name", ["openai:gpt-5", "ollama:qwen3:4b", "anthropic:claude"])
def test_an_environment_that_no_client_can_use(monkeypatch: pytest.MonkeyPatch, name: str, variable: str):
    value, told = UNUSABLE[variable]
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-x")

    with pytest.raises(ConfigurationError, match=told):
        broker_for(name)


def test_certificates_are_read_once_for_each_place_they_are_at(monkeypatch: pytest.MonkeyPatch):
    """Reading them takes longer than all else that making a gateway does."""
    of_the_system = tls_context(httpx.create_ssl_context)

    again = tls_context(httpx.create_ssl_context)
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
    of_the_file = tls_context(httpx.create_ssl_context)

    assert again is of_the_system
    assert of_the_file is not of_the_system


@pytest.mark.parametrize("page", ["<html>", '"x"'])
@pytest.mark.parametrize("content_type", ["text/html", "application/json"])
@pytest.mark.parametrize("gateway", [OpenAIGateway, AnthropicGateway, OllamaGateway])
def test_what_is_no_list_of_models_is_told_in_a_line(gateway, content_type: str, page: str, server: Loopback):
    """Such as the page of a proxy."""
    server.play(Reply([page.encode()], 200, content_type))
    asked = gateway(server.url) if gateway is OllamaGateway else gateway("sk-x", server.url)

    with pytest.raises(ConfigurationError, match=r"^[\w.:]+ didn't return a list of models. Check its address"):
        asked.get_available_models()
