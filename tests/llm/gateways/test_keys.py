"""An API key: sent, and shown nowhere."""

from __future__ import annotations

import json
from base64 import b64encode
from functools import partial

import httpx
import pytest
from canary import forms, shown, verbose
from driving import BOTH
from loopback import Loopback, Reply, json_reply
from providers_on_wire import KEY, PROVIDERS, ask

from mojentic_nb.llm import LLMBroker
from mojentic_nb.llm.errors import ConfigurationError, LLMError
from mojentic_nb.llm.gateways import AnthropicGateway, OllamaGateway, OpenAIGateway, RecordingGateway, ReplayGateway
from mojentic_nb.llm.gateways.keys import STAND_IN, Key, is_at
from mojentic_nb.llm.tools.function import FunctionTool


def test_a_key_is_not_shown():
    assert KEY[:9] not in f"{Key(KEY)} {Key(KEY)!r} {[Key(KEY)]}"
    assert (bool(Key(KEY)), bool(Key(""))) == (True, False)


def test_a_request_is_signed_where_the_stand_in_is():
    request = httpx.Request("GET", "http://x", headers={"Authorization": f"Bearer {STAND_IN}", "X-Other": "a"})

    Key(KEY).sign(request, request.url)
    assert (request.headers["authorization"], request.headers["x-other"]) == (f"Bearer {KEY}", "a")

    request.headers["authorization"] = STAND_IN
    Key("").sign(request, request.url)
    assert "authorization" not in request.headers


@pytest.mark.parametrize("form", forms(KEY))
def test_a_key_is_hidden_in_any_form(form: str):
    assert Key(KEY).hide(f'"{form}"') == '"(the key)"'


@pytest.mark.parametrize("text", ["sk-se***test", "the key", "sk-secret", ""])
def test_a_part_of_a_key_stays(text: str):
    """Servers quote parts of it, so that you can tell which one it was."""
    assert Key(KEY).hide(text) == text


def test_a_short_key_is_hidden_as_a_word():
    """Servers of one's own are given such keys."""
    assert Key("ollama").hide("ollama: is ollamas key ollama?") == "(the key): is ollamas key (the key)?"
    assert Key("none").hide("none of these") == "none of these"


def test_an_error_is_cleaned_with_its_causes_and_what_they_hold():
    cause = json.JSONDecodeError("bad", f"doc {KEY}", 0)
    error = LLMError(f"No {KEY}", [KEY, {KEY: (KEY.encode(), 1)}])
    error.__cause__, cause.__cause__ = cause, OddError()

    Key(KEY).clean(error)

    assert KEY[:9] not in shown(error)
    assert "doc (the key)" in shown(error)
    assert isinstance(error.__cause__, json.JSONDecodeError)
    assert str(error.__cause__.__cause__) == "OddError: It was (the key)."


class OddError(Exception):
    """Its words aren't its arguments, as those of pydantic's errors."""

    def __str__(self) -> str:
        return f"It was {KEY}."


LISTS = [
    *((make, page) for make in (OpenAIGateway, AnthropicGateway, OllamaGateway) for page in ({"data": KEY}, [KEY])),
    *((OllamaGateway, {"models": models}) for models in (KEY, [{"model": [KEY]}])),
]


@pytest.mark.parametrize(("make", "page"), LISTS)
def test_a_list_of_models_that_quotes_the_key(server: Loopback, make, page: object):
    server.play(json_reply(page))
    gateway = OllamaGateway(server.url, api_key=KEY) if make is OllamaGateway else make(KEY, server.url)

    with pytest.raises(LLMError) as failure:
        gateway.get_available_models()

    gateway.close()
    failure.value.__traceback__ = failure.tb.tb_next  # this test's own variables are not at fault
    assert KEY[:9] not in verbose(failure.value) + str(failure.value.__cause__)


@pytest.mark.parametrize("make", [OpenAIGateway, AnthropicGateway, OllamaGateway])
def test_a_key_is_sent_without_a_line_end_that_was_copied_with_it(server: Loopback, make, monkeypatch):
    for name in ("OPENAI", "ANTHROPIC", "OLLAMA"):
        monkeypatch.setenv(f"{name}_API_KEY", f" {KEY}\n")
    gateway = OllamaGateway(server.url) if make is OllamaGateway else make(base_url=server.url)
    server.play(json_reply({"models": [], "data": []}))

    assert gateway.get_available_models() == []

    gateway.close()
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("status", [302, 307, 308])
def test_a_request_is_never_redirected_to_another_server(
    server: Loopback, status: int, name: str, how: str, monkeypatch: pytest.MonkeyPatch
):
    """It would get the conversation, and headers of the user's, which may hold the key of a proxy.

    The first server may redirect to itself, and gets all of it again.
    """
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Proxy-Key: canary")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "X-Proxy-Key: canary")
    make = {"ollama": partial(OllamaGateway, headers={"X-Proxy-Key": "canary"}), "anthropic": AnthropicGateway}
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    api = {"api": "responses"} if name == "responses" else {}
    gateway = make.get(name, partial(OpenAIGateway, **api))(api_key=KEY)
    other = Loopback()
    to = f"{other.url}/elsewhere"
    server.play(Reply(status=307, headers={"location": "/here"}), Reply(status=status, headers={"location": to}))

    outcome = ask(LLMBroker("m", gateway), how)

    other.close()
    assert type(outcome.error) is ConfigurationError
    assert f"redirects requests to {other.url}, another server" in str(outcome.error)
    assert KEY not in verbose(outcome.error)
    assert other.requests == []
    assert len(server.requests) == 2
    for request in server.requests:
        assert (KEY in str(request.headers), request.headers["x-proxy-key"]) == (True, "canary")
        assert request.body


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("name", ["chat", "anthropic"])
def test_a_password_in_the_address_is_sent_to_the_proxy_that_wants_it(server: Loopback, name: str, how: str):
    """In place of the key, which has the same header, as the SDKs do it."""
    server.play(Reply([PROVIDERS[name].answer("Because.")]))
    gateway = PROVIDERS[name].gateway(server.url.replace("//", "//anna:pass-word@"))

    outcome = ask(LLMBroker("m", gateway), how)

    assert outcome.error is None
    assert server.requests[0].headers["authorization"] == f"Basic {b64encode(b'anna:pass-word').decode()}"


SAFER = {
    "http://a:80": ["http://a/b", "https://a"],
    "https://a": ["https://a:443/b"],
    "http://a:8080": ["http://a:8080"],
}
ELSEWHERE = {
    "http://a:80": ["http://b", "http://a:8080", "http://a.b"],
    "https://a": ["http://a", "https://a:8443"],
    "http://a:8080": ["http://a"],
}


@pytest.mark.parametrize(("at", "urls"), [(True, SAFER), (False, ELSEWHERE)], ids=["same", "another"])
def test_which_server_is_another(at: bool, urls: dict[str, list[str]]):
    for server, others in urls.items():
        assert [is_at(httpx.URL(url), httpx.URL(server)) for url in others] == [at] * len(others)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (OpenAIGateway, {"base_url": "nowhere"}),
        (AnthropicGateway, {"base_url": "nowhere"}),
        (OllamaGateway, {"host": "http://[", "api_key": KEY}),
        (RecordingGateway, {"gateway": None, "path": "a.json"}),
        (ReplayGateway, {"path": "a.json", "speed": 0}),
        (FunctionTool, {"function": len, "name": "a name"}),
    ],
)
def test_what_could_not_be_made_has_a_repr(kind: type, arguments: dict):
    """A traceback shows it."""
    made = kind.__new__(kind)
    with pytest.raises((LLMError, TypeError, ValueError)):
        made.__init__(**arguments)

    assert repr(made).startswith(kind.__name__)
