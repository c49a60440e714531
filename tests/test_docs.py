"""What the docs say is so: their examples run as written, and print what the docs show."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import sys
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
from loopback import Loopback, Reply, chunk, json_reply, sse
from providers_on_wire import PROVIDERS, event

from mojentic_nb import tracer
from mojentic_nb.llm import CompletionConfig, Event, errors, events, gateways

DOCS = Path(__file__).parents[1] / "docs"
DOC = DOCS / "broker.md"
TEXT = DOC.read_text("utf-8")
TRACING = (DOCS / "tracing.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE))
EXAMPLE = re.compile(r"^```python\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """A block of Python, and what the doc shows below it, if it does."""

    source: str
    output: str | None

    def run(self, namespace: dict) -> None:
        """Run it as a notebook does, which lets ``await`` stand outside of a function."""
        code = compile(self.source, DOC, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, namespace)  # noqa: S307 (our own text)
        if inspect.iscoroutine(result):
            asyncio.run(result)


def examples(section: str) -> Iterator[Example]:
    """The examples of a section, on the lines where they are in the doc."""
    start = TEXT.index(SECTIONS[section])
    yield from examples_in(TEXT, start, start + len(SECTIONS[section]))


def examples_in(text: str, start: int = 0, end: int = sys.maxsize) -> Iterator[Example]:
    """The examples of a doc, or of a part of it, on the lines where they are in the doc."""
    for found in EXAMPLE.finditer(text, start, end):
        yield Example("\n" * text.count("\n", 0, found.start(1)) + found[1], found[2])


def says(provider: str, *texts: str) -> Reply:
    """An answer as `provider` streams it."""
    return Reply([PROVIDERS[provider].answer(*texts)])


CHAT = "/v1/chat/completions"
CUT_OFF = Reply([sse(chunk("The Nile, the Amazon and the"), chunk(finish_reason="length"))])
REASONING = event({"type": "response.reasoning_summary_text.delta", "delta": "The user asks for a capital."})
MODELS = [{"id": name, "object": "model", "created": 0, "owned_by": "openai"} for name in ("gpt-5", "gpt-5-mini")]
EMBEDDING = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}
REFUSAL = "Unsupported value: 'temperature' does not support 0.2 with this model."

# What the examples of a section ask the providers for, and the answers.
EXCHANGES = {
    "Why a broker": [(CHAT, CUT_OFF), (CHAT, CUT_OFF)],
    "Gateways": [
        (CHAT, says("chat", "Paris")),
        ("/api/chat", says("ollama", "Paris")),
        ("/v1/messages", says("anthropic", "Paris")),
        ("/v1/responses", Reply([REASONING, PROVIDERS["responses"].answer("Paris")])),
        (CHAT, says("chat", "The Eiffel ", "Tower.")),
        ("/v1/models", json_reply({"object": "list", "data": MODELS})),
        ("/v1/embeddings", json_reply({"object": "list", "data": [EMBEDDING]})),
        (CHAT, says("chat", "Paris")),
    ],
    "Settings": [
        (CHAT, json_reply(PROVIDERS["chat"].refuses(REFUSAL, "unsupported_value"), 400)),
        (CHAT, says("chat", "Hello! ", "How can I help?")),
    ],
    "Structured output": [(CHAT, says("chat", '{"name": "Ada Lovelace", ', '"born": 1815}'))],
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


@pytest.mark.parametrize("section", [section for section in SECTIONS if any(examples(section))])
def test_its_examples_run_and_print_what_it_shows(
    section: str, providers: Loopback, capsys: pytest.CaptureFixture[str]
):
    """The examples of a section run one after the other, in one namespace; a warning shows where it comes."""
    exchanges = EXCHANGES.get(section, [])
    providers.play(*(reply for _, reply in exchanges))
    namespace = {"__name__": "an_example"}

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, category, *_: print(f"{category.__name__}: {message}")
        for example in examples(section):
            example.run(namespace)
            assert_printed(example, capsys.readouterr().out)

    assert [request.path for request in providers.requests] == [path for path, _ in exchanges]


def assert_printed(example: Example, printed: str) -> None:
    """What an example printed is what the doc shows."""
    if example.output is None:  # it prints nothing, or what a model says, which differs from run to run
        assert bool(printed) == ("print(" in example.source)
    else:
        assert printed.rstrip("\n") == example.output.rstrip("\n")


def test_the_examples_of_tracing_run_and_print_what_it_shows(capsys: pytest.CaptureFixture[str]):
    """They build on one another, from the first section to the last."""
    namespace = {"__name__": "an_example"}
    found = list(examples_in(TRACING))

    for example in found:
        example.run(namespace)
        assert_printed(example, capsys.readouterr().out)

    assert TRACING.count("```python") == len(found)
    assert TRACING.count("```text") == len([example for example in found if example.output is not None])


def test_the_tables_of_tracing_leave_nothing_out():
    told = {name for name in tracer.__all__ if name.endswith("TracerEvent")} - {"TracerEvent", "TimedTracerEvent"}

    assert {name for name in told if f"| `{name}` |" in TRACING} == told
    for link in re.findall(r"\]\((?!http)([^)]+)\)", TRACING):
        assert (DOCS / link).exists()


def test_all_its_examples_are_run():
    blocks = [language for language in re.findall(r"^```(\w+)", TEXT, re.MULTILINE) if language != "console"]
    run = [example for section in SECTIONS for example in examples(section)]

    assert blocks.count("python") == len(run)
    assert blocks.count("text") == len([example for example in run if example.output is not None]) + 1  # the grammar
    assert set(blocks) == {"python", "text"}


def test_its_grammar_is_that_of_the_code():
    grammar = re.search(r"::\n\n(.*?)\n\n", inspect.getdoc(events), re.DOTALL)[1]

    assert inspect.cleandoc(grammar) in SECTIONS["The event stream"]


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
    assert [name for name in names if f"`{name}`" not in SECTIONS[section]] == []


def test_its_links_lead_somewhere():
    anchors = {f"#{heading.lower().replace(' ', '-')}" for heading in SECTIONS}
    links = re.findall(r"\]\((?!http)([^)]+)\)", TEXT)

    assert "#settings" in links
    assert [link for link in links if link not in anchors and not (DOC.parent / link).exists()] == []


def test_its_commands_run_what_is_there(project: Path):
    programs = re.findall(r"^\$ python (\S+)", TEXT, re.MULTILINE)

    assert programs
    assert [program for program in programs if not (project / program).exists()] == []
