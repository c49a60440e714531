"""Images in a message: from a file, a link or a data: URI, as each provider wants them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from loopback import Loopback
from providers_on_wire import PROVIDERS

from mojentic_nb.llm import LLMBroker, LLMMessage
from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.gateways import ollama
from mojentic_nb.llm.gateways.wire import anthropic_messages, chat_completions, responses
from mojentic_nb.llm.gateways.wire.images import Image, load_image
from mojentic_nb.llm.request import Request

CONTENT = b"\x89PNG\r\n\x1a\n"
DATA = base64.b64encode(CONTENT).decode()
DATA_URI = f"data:image/png;base64,{DATA}"
LINK = "https://example.org/sky.png"

ENCODERS = {
    "chat": chat_completions.encode,
    "responses": responses.encode,
    "anthropic": anthropic_messages.encode,
    "ollama": ollama.encode,
}
INLINE = {
    "chat": {"type": "image_url", "image_url": {"url": DATA_URI}},
    "responses": {"type": "input_image", "image_url": DATA_URI, "detail": "auto"},
    "anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}},
}
LINKED = {
    "chat": {"type": "image_url", "image_url": {"url": LINK}},
    "responses": {"type": "input_image", "image_url": LINK, "detail": "auto"},
    "anthropic": {"type": "image", "source": {"type": "url", "url": LINK}},
}


@pytest.fixture
def file(tmp_path: Path) -> str:
    """The path of an image."""
    path = tmp_path / "sky.PNG"
    path.write_bytes(CONTENT)
    return str(path)


def encoded(provider: str, *paths: str, text: str | None = None) -> dict:
    """The JSON of a message with images."""
    body = ENCODERS[provider](Request("m", (LLMMessage(content=text, image_paths=list(paths)),)))
    return body["input" if provider == "responses" else "messages"][0]


@pytest.mark.parametrize("provider", INLINE)
def test_files_links_and_data_uris_become_parts_of_the_message(file: str, provider: str):
    message = encoded(provider, file, DATA_URI, LINK)

    assert message == {"role": "user", "content": [INLINE[provider], INLINE[provider], LINKED[provider]]}


def test_ollama_wants_the_data_alone(file: str):
    message = encoded("ollama", file, DATA_URI, text="What is it?")

    assert message == {"role": "user", "content": "What is it?", "images": [DATA, DATA]}


@pytest.mark.parametrize(
    ("provider", "parts"),
    [
        ("chat", [{"type": "text", "text": "What is it?"}, LINKED["chat"]]),
        ("responses", [{"type": "input_text", "text": "What is it?"}, LINKED["responses"]]),
        ("anthropic", [LINKED["anthropic"], {"type": "text", "text": "What is it?"}]),
    ],
)
def test_where_the_text_stands(provider: str, parts: list[dict]):
    """Before the images; Anthropic's models do best with it after them."""
    assert encoded(provider, LINK, text="What is it?")["content"] == parts


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("a.jpg", "image/jpeg"), ("a.jpeg", "image/jpeg"), ("a.gif", "image/gif"), ("a.webp", "image/webp")],
)
def test_a_files_type_is_known_by_its_name(tmp_path: Path, name: str, media_type: str):
    (tmp_path / name).write_bytes(CONTENT)

    assert load_image(str(tmp_path / name)) == Image(media_type, DATA)


def test_a_file_in_the_users_home(file: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(Path(file).parent))

    assert load_image("~/sky.PNG").data == DATA


UNUSABLE = {
    "a missing file": ("no/such.png", r"Can't read the image 'no/such.png' \(No such file or directory\)\. Check"),
    "a home that is not there": ("~no-such-user/a.png", r"Can't read the image .* \(.*home directory"),
    "a name that can be none": ("a\0b.png", r"Can't read the image .* \(.*null byte"),
    "another kind of file": ("notes.txt", "'notes.txt' isn't an image by its name. Use a .png"),
    "a name without an end": ("sky", "isn't an image by its name"),
    "data that is no image": ("data:text/plain;base64,QUJD", "must have the form `data:image/TYPE;base64,DATA`"),
    "data that is not in base64": ("data:image/svg+xml,<svg/>", "must have the form `data:image/TYPE;base64,DATA`"),
}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("path", "says"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_what_cannot_be_used_is_told_before_anything_is_sent(server: Loopback, provider: str, path: str, says: str):
    broker = LLMBroker("m", PROVIDERS[provider].gateway(server.url))

    with pytest.raises(ConfigurationError, match=says) as failure:
        broker.generate([LLMMessage(content="What is it?", image_paths=[path])])

    assert "\n" not in str(failure.value)
    assert server.requests == []


def test_a_folder_is_no_image(tmp_path: Path):
    (tmp_path / "folder.png").mkdir()

    with pytest.raises(ConfigurationError, match="Can't read the image .* Check its path"):
        load_image(str(tmp_path / "folder.png"))


def test_ollama_takes_no_link():
    with pytest.raises(ConfigurationError, match=f"Ollama doesn't support links to images. Download {LINK} and pass"):
        encoded("ollama", LINK)
