"""What the docs say is so: their examples run as written, and print what they show."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
from loopback import Loopback, Reply, chunk, json_reply, sse
from providers_on_wire import PROVIDERS, event

from mojentic_nb.llm import CompletionConfig, Event, errors, events, gateways

FOLDER = Path(__file__).parents[1] / "docs"
PAGES = {name: (FOLDER / name).read_text("utf-8") for name in ("broker.md", "tools.md")}
SECTIONS = {
    (page, title): body
    for page, text in PAGES.items()
    for title, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
}
EXAMPLE = re.compile(r"^```python\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A block of Python on a page, and what is shown below it, if anything is."""

    page: str
    source: str
    output: str | None

    def run(self, namespace: dict) -> None:
        """Run it as a notebook does, which lets ``await`` stand outside of a function."""
        code = compile(self.source, FOLDER / self.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, namespace)  # noqa: S307 (our own text)
        if inspect.iscoroutine(result):
            asyncio.run(result)


def examples(page: str, title: str) -> Iterator[Example]:
    """The examples of a section, on the lines where they are on the page."""
    text, section = PAGES[page], SECTIONS[page, title]
    start = text.index(section)
    for found in EXAMPLE.finditer(text, start, start + len(section)):
        yield Example(page, "\n" * text.count("\n", 0, found.start(1)) + found[1], found[2])


def says(provider: str, *texts: str) -> Reply:
    """An answer as `provider` streams it."""
    return Reply([PROVIDERS[provider].answer(*texts)])


def called(name: str, arguments: str) -> Reply:
    """A call of a tool as OpenAI streams it."""
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
    calling = {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}]}
    return Reply([sse(calling, chunk(finish_reason="tool_calls"))])


CHAT = "/v1/chat/completions"
CUT_OFF = Reply([sse(chunk("The Nile, the Amazon and the"), chunk(finish_reason="length"))])
REASONING = event({"type": "response.reasoning_summary_text.delta", "delta": "The user asks for a capital."})
MODELS = [{"id": name, "object": "model", "created": 0, "owned_by": "openai"} for name in ("gpt-5", "gpt-5-mini")]
EMBEDDING = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}
REFUSAL = "Unsupported value: 'temperature' does not support 0.2 with this model."

# What the examples of a section ask the providers for, and the answers.
EXCHANGES = {
    ("broker.md", "Why a broker"): [(CHAT, CUT_OFF), (CHAT, CUT_OFF)],
    ("broker.md", "Gateways"): [
        (CHAT, says("chat", "Paris")),
        ("/api/chat", says("ollama", "Paris")),
        ("/v1/messages", says("anthropic", "Paris")),
        ("/v1/responses", Reply([REASONING, PROVIDERS["responses"].answer("Paris")])),
        (CHAT, says("chat", "The Eiffel ", "Tower.")),
        ("/v1/models", json_reply({"object": "list", "data": MODELS})),
        ("/v1/embeddings", json_reply({"object": "list", "data": [EMBEDDING]})),
        (CHAT, says("chat", "Paris")),
    ],
    ("broker.md", "Settings"): [
        (CHAT, json_reply(PROVIDERS["chat"].refuses(REFUSAL, "unsupported_value"), 400)),
        (CHAT, says("chat", "Hello! ", "How can I help?")),
    ],
    ("broker.md", "Objects"): [(CHAT, says("chat", '{"name": "Ada Lovelace", ', '"born": 1815}'))],
    ("tools.md", "Functions as tools"): [
        (CHAT, called("room_temperature", '{"room": "kitchen"}')),
        (CHAT, says("chat", "Yes, it is 21.5 °C ", "in the kitchen.")),
    ],
}


@pytest.fixture
def providers(server: Loopback, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    """The server, which the environment names as every provider's."""
    addresses = {
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "ANTHROPIC_BASE_URL": server.url,
        "OLLAMA_HOST": server.url,
        "OPENAI_API_KEY": "a-key",
        "ANTHROPIC_API_KEY": "a-key",
    }
    for name, value in addresses.items():
        monkeypatch.setenv(name, value)
    return server


# The sections whose examples share a namespace: on one page each is on its own, the other is read from its beginning.
TOGETHER = [[section] for section in SECTIONS if section[0] == "broker.md" and any(examples(*section))]
TOGETHER += [[section for section in SECTIONS if section[0] == "tools.md"]]


@pytest.mark.parametrize("sections", TOGETHER, ids=lambda sections: " ".join(sections[0]))
def test_the_examples_run_and_print_what_is_shown(
    sections: list[tuple[str, str]], providers: Loopback, capsys: pytest.CaptureFixture[str]
):
    """They run one after the other; a warning shows where it comes."""
    exchanges = [exchange for section in sections for exchange in EXCHANGES.get(section, [])]
    providers.play(*(reply for _, reply in exchanges))
    namespace = {"__name__": "an_example"}

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, category, *_: print(f"{category.__name__}: {message}")
        for example in [example for section in sections for example in examples(*section)]:
            example.run(namespace)
            printed = capsys.readouterr().out
            if example.output is None:  # it prints nothing, or what a model says, which differs from run to run
                assert bool(printed) == ("print(" in example.source)
            else:
                assert printed.rstrip("\n") == example.output.rstrip("\n")

    assert [request.path for request in providers.requests] == [path for path, _ in exchanges]


@pytest.mark.parametrize(("page", "shown"), [("broker.md", 1), ("tools.md", 0)])  # the grammar is no output
def test_all_examples_are_run(page: str, shown: int):
    blocks = [language for language in re.findall(r"^```(\w+)", PAGES[page], re.MULTILINE) if language != "console"]
    run = [example for section in SECTIONS if section[0] == page for example in examples(*section)]

    assert blocks.count("python") == len(run)
    assert blocks.count("text") == len([example for example in run if example.output is not None]) + shown
    assert set(blocks) == {"python", "text"}


def test_its_grammar_is_that_of_the_code():
    grammar = re.search(r"::\n\n(.*?)\n\n", inspect.getdoc(events), re.DOTALL)[1]

    assert inspect.cleandoc(grammar) in SECTIONS["broker.md", "The event stream"]


@pytest.mark.parametrize(
    ("section", "names"),
    [
        ("The event stream", [kind.__name__ for kind in get_args(Event)]),
        ("Gateways", [name for name in gateways.__all__ if name.endswith("Gateway")]),
        ("Settings", CompletionConfig.model_fields),
        ("When things go wrong", errors.__all__),
    ],
    ids=["events", "gateways", "settings", "errors"],
)
def test_its_tables_leave_nothing_out(section: str, names: Collection[str]):
    assert [name for name in names if f"`{name}`" not in SECTIONS["broker.md", section]] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_links_lead_somewhere(page: str):
    anchors = {f"{page}#{title.lower().replace(' ', '-')}" for page, title in SECTIONS}
    links = re.findall(r"\]\((?!http)([^)]+)\)", PAGES[page])

    assert links
    missing = [link for link in links if link not in anchors and f"{page}{link}" not in anchors]
    assert [link for link in missing if not (FOLDER / link).exists()] == []


def test_its_commands_run_what_is_there(project: Path):
    programs = re.findall(r"^\$ python (\S+)", "".join(PAGES.values()), re.MULTILINE)

    assert programs
    assert [program for program in programs if not (project / program).exists()] == []
