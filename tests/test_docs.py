"""What the docs say is so: their examples run as written, and print what the docs show."""

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

from mojentic_nb import tracer
from mojentic_nb.llm import CompletionConfig, Event, errors, events, gateways
from mojentic_nb.magics import LLMMagics
from mojentic_nb.magics.commands import COMMANDS
from mojentic_nb.magics.options import parse
from mojentic_nb.magics.prompt import split_text

EXAMPLE = re.compile(r"^```python\n(.*?)^```$(?:\n\n(`{3,})text\n(.*?)^\2$)?", re.DOTALL | re.MULTILINE)
CELL = re.compile(r"^```ipython\n(%.*?)^```$", re.DOTALL | re.MULTILINE)  # of a notebook
FOREIGN = re.compile(r"^```py\n(.*?)^```$", re.DOTALL | re.MULTILINE)  # how others write it; not run
LONG_FENCE = re.compile(r"^(`{4,})text$.*?^\1$", re.DOTALL | re.MULTILINE)  # around what has fences of its own


@dataclass(frozen=True)
class Example:
    """A block of Python, and what the doc shows below it, if it does."""

    path: Path
    source: str
    output: str | None

    def run(self, namespace: dict) -> None:
        """Run it as a notebook does, which lets ``await`` stand outside of a function."""
        code = compile(self.source, self.path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, namespace)  # noqa: S307 (our own text)
        if inspect.iscoroutine(result):
            asyncio.run(result)


class Doc:
    """A document, and its sections by their headings."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text("utf-8")
        self.sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", self.text, re.DOTALL | re.MULTILINE))

    def examples(self, section: str) -> Iterator[Example]:
        """The examples of a section, on the lines where they are in the doc."""
        start = self.text.index(self.sections[section])
        for found in EXAMPLE.finditer(self.text, start, start + len(self.sections[section])):
            source = "\n" * self.text.count("\n", 0, found.start(1)) + found[1]
            yield Example(self.path, source, found[3])


DOCS = {path.stem: Doc(path) for path in sorted((Path(__file__).parents[1] / "docs").glob("*.md"))}
BROKER = DOCS["broker"]
MAGIC = "magic"  # its cells are IPython's: tests/magics/test_magic_doc.py
MESSAGES = "messages"  # a script writes it: tests/test_messages.py


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
    "Why a broker": [(CHAT, CUT_OFF), (CHAT, CUT_OFF)],
    "Providers": [
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
    "Recording and replaying": [(CHAT, says("chat", "It is ", "Paris."))],
    "Objects": [(CHAT, says("chat", '{"name": "Ada Lovelace", ', '"born": 1815}'))],
    "From Mojentic": [(CHAT, says("chat", "Hello! ", "How can I help?"))],
    "From chatlas": [
        (CHAT, called("get_current_weather", '{"lat": 37.77, "lng": -122.42}')),
        (CHAT, says("chat", "It is ", "sunny.")),
    ],
    "Functions as tools": [
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


# These pages are read from their beginning: what one section defines, the next ones use.
STORIES = ("security", "tools", "tracing", "widgets")
TOGETHER = [(name, list(DOCS[name].sections)) for name in STORIES]
TOGETHER += [
    (name, [section])
    for name, doc in DOCS.items()
    for section in doc.sections
    if name not in (*STORIES, MAGIC) and any(doc.examples(section))
]


@pytest.mark.parametrize(
    ("doc", "sections"),
    TOGETHER,
    ids=[f"{doc}-{'all' if doc in STORIES else sections[0]}" for doc, sections in TOGETHER],
)
def test_its_examples_run_and_print_what_it_shows(
    doc: str,
    sections: list[str],
    providers: Loopback,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
):
    """The examples run one after the other, in one namespace; a warning shows where it comes."""
    monkeypatch.chdir(tmp_path)
    exchanges = [exchange for section in sections for exchange in EXCHANGES.get(section, [])]
    providers.play(*(reply for _, reply in exchanges))
    namespace = {"__name__": "an_example"}

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, category, *_: print(f"{category.__name__}: {message}")
        for example in [example for section in sections for example in DOCS[doc].examples(section)]:
            example.run(namespace)
            printed = capsys.readouterr().out
            if example.output is None:  # it prints nothing, or what a model says, which differs from run to run
                assert bool(printed) == bool(re.search(r"print\(|\.a?show\(", example.source))
            else:
                assert printed.rstrip("\n") == example.output.rstrip("\n")

    assert [request.path for request in providers.requests] == [path for path, _ in exchanges]


@pytest.mark.parametrize("name", [name for name in DOCS if name not in (MAGIC, MESSAGES)])
def test_all_its_examples_are_run(name: str):
    doc = DOCS[name]
    text = LONG_FENCE.sub("```text", doc.text)
    blocks = [language for language in re.findall(r"^```(\w+)", text, re.MULTILINE) if language != "console"]
    run = [example for section in doc.sections for example in doc.examples(section)]

    assert blocks.count("python") == len(run)
    shown = len([example for example in run if example.output is not None])
    assert blocks.count("text") == shown + (doc is BROKER)  # the grammar
    assert set(blocks) <= {"python", "text", "ipython", "py"}


def test_what_others_write_can_be_read():
    foreign = [source for doc in DOCS.values() for source in FOREIGN.findall(doc.text)]

    assert foreign
    for source in foreign:
        ast.parse(source)


def test_its_cells_say_what_the_magics_understand():
    cells = [cell for doc in DOCS.values() for cell in CELL.findall(doc.text)]

    assert cells
    for cell in cells:
        first, _, question = cell.partition("\n")
        magic, _, line = first.partition(" ")
        match magic:
            case "%%llm":
                assert parse(LLMMagics.llm, line)
                assert question.strip()
                assert list(split_text(question))
            case "%llm":
                assert line.split()[0] in COMMANDS
            case "%config":
                setting = ast.parse(line).body[0].targets[0]
                assert setting.value.id == "LLMMagics"
                assert setting.attr in LLMMagics.class_trait_names(config=True)
            case other:
                assert other in ("%load_ext", "%%ai")


def test_its_grammar_is_that_of_the_code():
    grammar = re.search(r"::\n\n(.*?)\n\n", inspect.getdoc(events), re.DOTALL)[1]

    assert inspect.cleandoc(grammar) in BROKER.sections["The event stream"]


@pytest.mark.parametrize(
    ("doc", "section", "names"),
    [
        ("broker", "The event stream", [kind.__name__ for kind in get_args(Event)]),
        ("gateways", "Providers", [name for name in gateways.__all__ if name.endswith("Gateway")]),
        ("broker", "Settings", CompletionConfig.model_fields),
        ("broker", "When things go wrong", errors.__all__),
    ],
    ids=["events", "gateways", "settings", "errors"],
)
def test_its_tables_leave_nothing_out(doc: str, section: str, names: Collection[str]):
    assert [name for name in names if f"`{name}`" not in DOCS[doc].sections[section]] == []


def test_the_table_of_what_is_traced_leaves_nothing_out():
    told = {name for name in tracer.__all__ if name.endswith("TracerEvent")} - {"TracerEvent", "TimedTracerEvent"}

    assert {name for name in told if f"| `{name}` |" in DOCS["tracing"].text} == told


@pytest.mark.parametrize("name", DOCS)
def test_its_links_lead_somewhere(name: str):
    prose = re.sub(r"^```.*?^```$", "", DOCS[name].text, flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]+))?\)", prose)

    assert links
    for file, anchor in links:
        path = (DOCS[name].path.parent / file) if file else DOCS[name].path
        assert path.exists(), file
        if anchor:
            headings = [re.sub(r"[^\w -]", "", heading.lower()) for heading in DOCS[path.stem].sections]
            assert anchor in [heading.replace(" ", "-") for heading in headings]


def test_its_commands_run_what_is_there(project: Path):
    text = "".join(doc.text for doc in DOCS.values())
    programs = re.findall(r"^\$ python (\w+/\S+)", text, re.MULTILINE)

    assert programs
    assert [program for program in programs if not (project / program).exists()] == []
