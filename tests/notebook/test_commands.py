"""The commands of `%llm`."""

from __future__ import annotations

import re

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from loopback import Loopback, Reply, completion, json_reply

from mojentic_nb.magics.commands import COMMANDS


@pytest.fixture
def said(shell: InteractiveShell, model: Loopback, capsys: pytest.CaptureFixture):
    """What a cell puts out."""
    shell.run_cell('%config LLMMagics.model = "openai:m"')

    def run(code: str) -> str:
        shell.run_cell(code, store_history=True)
        told = capsys.readouterr()
        return told.out + told.err

    return run


def test_help_lists_the_commands(said):
    told = said("%llm")

    assert told == said("%llm help").replace("Out[2]", "Out[1]")
    assert all(f"%llm {name}" in told for name in COMMANDS)
    assert "%%llm? lists their options" in told


def test_models_of_all_providers_are_listed_and_why_there_are_none(said, model: Loopback, monkeypatch):
    model.play(json_reply({"object": "list", "data": [{"id": "gpt-x", "object": "model"}]}))
    said("%llm alias fast openai:gpt-x")

    told = said("%llm models")

    for line in ("fast alias of openai:gpt-x", "local", "openai:gpt-x"):
        assert line.split() in [each.split() for each in told.splitlines()]
    assert re.search(r"^ollama: +Ollama can't be reached at", told, re.MULTILINE)
    assert re.search(r"^anthropic: +Anthropic needs an API key", told, re.MULTILINE)
    assert "anthropic" not in said("%llm models local")
    assert "UsageError: There is no provider 'nope': there are local, ollama" in said("%llm models nope")


def test_tools_are_listed(said, monkeypatch):
    monkeypatch.setattr("mojentic_nb.llm.tools.date_resolver.find_spec", lambda _: None)
    said('''def sky(city):\n    """Look at the sky.\n\n    Long."""''')
    said('from mojentic_nb.llm.tools import tool\nocean = tool(name="sea")(sky)')

    told = said("%llm tools")

    assert "sky               Look at the sky." in told
    assert "ocean             Look at the sky." in told
    assert "current_datetime  Get the current date and time." in told
    assert "pip install" in told  # what a built-in tool lacks
    assert "Long." not in told


def test_conversations_are_listed_shown_and_forgotten(said, model: Loopback):
    assert "Nothing was said yet." in said("%llm history")
    assert "There is no conversation yet." in said("%llm chats")
    model.play(*(Reply([completion(text)]) for text in ("one " * 60, "two")))
    said("%%llm\nFirst?")
    said("%%llm -c other\nSecond?")

    assert [line.split() for line in said("%llm chats").splitlines()[1:4]] == [
        ["chat", "exchanges", "tokens"],
        ["main", "1", "4"],
        ["other", "1", "4"],
    ]
    assert "First?    one one" in said("%llm history")
    assert "…" in said("%llm history")
    assert "Second?   two" in said("%llm history other")
    assert said("%llm forget") == "Forgot 1 exchange of main.\n"
    assert said("%llm forget") == "Forgot 0 exchanges of main.\n"
    assert "UsageError: There is no chat 'nope': there are main, other." in said("%llm history nope")


def test_usage_is_told_by_cell_and_by_model(said, model: Loopback):
    assert "No tokens were used yet." in said("%llm usage")
    model.play(*(Reply([completion("a", "b")]) for _ in range(2)))
    said("%%llm\nFirst?")
    said("%%llm\nSecond?")

    rows = [line.split() for line in said("%llm usage").splitlines()[1:5]]

    assert rows[1:] == [["In", "[2]", "3", "2", "0"], ["In", "[3]", "3", "2", "0"], ["openai:m", "6", "4", "0"]]


def test_the_trace_is_of_the_last_answer(said, model: Loopback):
    model.play(*(Reply([completion("a")]) for _ in range(2)))
    said("%%llm\nFirst?")
    said("%%llm\nSecond?")

    assert said("%llm trace").startswith("1 request · ")


def test_the_last_error_is_explained_with_its_cell(said, model: Loopback):
    said("import sys; sys.__dict__.pop('last_value', 0)")
    assert "UsageError: There was no error to explain." in said("%llm explain")
    said("ratio = 1 / 0  # {{ nothing }}")
    model.play(Reply([completion("You divided by zero.")]))

    assert "You divided by zero." in said("%llm explain --temperature 0")

    (message,) = model.requests[0].body["messages"]
    assert "ZeroDivisionError: division by zero" in message["content"]
    assert "ratio = 1 / 0  # {{ nothing }}" in message["content"]
    assert model.requests[0].body["temperature"] == 0


def test_an_alias_has_an_address_and_the_name_of_a_key(said, model: Loopback, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.setenv("MY_KEY", "sk-secret")
    model.play(Reply([completion("a")]))
    assert "There are no aliases." in said("%llm alias")

    told = said(f"%llm alias mine openai:gpt-x --base-url {model.url} --key-variable MY_KEY")
    told += said("%%llm -m mine\nWell?") + said("%llm config") + said("%llm models local")

    assert "mine   openai:gpt-x --base-url" in told
    assert model.requests[0].headers["authorization"] == "Bearer sk-secret"
    assert model.requests[0].body["model"] == "gpt-x"
    assert "sk-secret" not in told


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_another_address_does_not_get_the_providers_key(said, model: Loopback, monkeypatch, provider: str):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    said(f"%llm alias mine {provider}:m --base-url {model.url}")

    said("%%llm -m mine\nWell?")

    assert "sk-secret" not in str(model.requests[0].headers)


def test_an_alias_may_hold_a_path_with_spaces(said):
    said('%llm alias mine "local:/no such folder/x.gguf"')

    assert "The model file /no such folder/x.gguf can't be read" in said("%%llm -m mine\nWell?")


ERRORS = {
    "%llm hstory": "%llm has no command 'hstory': did you mean %llm history? A question goes into a cell that begins",
    "%llm nothing": "%llm has no command 'nothing': there are help, models,",
    '%llm "a': "The %llm line can't be read: No closing quotation.",
    "%llm history a b": "%llm history can't take that: %llm history [CHAT] shows a conversation",
    "%llm alias a": "What does 'a' stand for? Write %llm alias a PROVIDER:MODEL.",
    "%llm alias a openai:m --base-url": "The alias 'a' can't be read: it has to be PROVIDER:MODEL [--base-url URL]",
    "%llm alias a openai:m --url x": "The alias 'a' has no option --url: it has to be",
    "%llm alias a openai:m --key-variable sk-x1": "The alias 'a' takes the NAME of the environment's variable that has",
    "%%llm -m keyless\nhi": "There is no key in the environment's NO_KEY: set it, outside the notebook.",
    "%%llm -o 1x\nhi": "argument -o/--out: '1x' is no name of a variable.",
    "%%llm --timeout 0\nhi": "argument --timeout: 0 is no time to wait: give seconds, more than 0.",
    "%%llm --temperature -1\nhi": "--temperature should be greater than or equal to 0, got -1.0.",
    "%%llm --max-steps -1\nhi": "--max-steps should be greater than or equal to 0, got -1.",
    "%%llm -t nope\nhi": "-t nope: there is no tool or function of that name: define it first; %llm tools lists",
    "%%llm -t current_datetim\nhi": "-t current_datetim: there is no tool or function of that name: did you mean",
    "%%llm -t Kind\nhi": "-t Kind: Kind is a class: give an instance of it, or a function.",
    "%%llm -t Kind.nope\nhi": "-t Kind.nope: type object 'Kind' has no attribute 'nope'",
    "%%llm --tool-choice auto\nhi": "--tool-choice auto needs tools: name them with -t.",
    "%%llm -t current_datetime --tool-choice x\nhi": "tool_choice='x' is no tool: it can be 'auto'",
    "%%llm --as nope\nhi": "There is no 'nope', in --as nope: define it first.",
    "%%llm --as (\nhi": "--as ( is no Python expression.",
    "%%llm --as 3\nhi": "An object can't be asked for by 3 (give a pydantic model)",
    "%%llm\n{{ nope }}": "There is no 'nope', in {{ nope }}: define it first.",
    "%%llm\n{{ 1 / 0 }}": "{{ 1 / 0 }} failed: ZeroDivisionError: division by zero",
}


@pytest.mark.parametrize(("cell", "words"), ERRORS.items(), ids=ERRORS)
def test_bad_input_gets_one_line_and_sends_nothing(said, model: Loopback, cell: str, words: str):
    said("%llm alias keyless openai:m --key-variable NO_KEY\nclass Kind: pass")

    told = said(cell).strip()

    assert told.startswith(f"UsageError: {words}")
    assert len(told.splitlines()) == 1
    assert "sk-x1" not in told
    assert model.requests == []


def test_a_mistake_within_a_command_is_not_taken_for_a_wrong_line(said, shell: InteractiveShell):
    shell.user_ns["In"] = 3  # which the user may do

    assert "not subscriptable" in said("1 / 0") + said("%llm explain")


def test_a_built_in_tool_that_lacks_something_says_so(said, model: Loopback, monkeypatch):
    monkeypatch.setattr("mojentic_nb.llm.tools.date_resolver.find_spec", lambda _: None)

    assert "UsageError: " in (told := said("%%llm -t resolve_date\nhi"))
    assert "pip install" in told


def test_tables_are_html_in_a_notebook(shell: InteractiveShell, model: Loopback):
    model.play(Reply([completion("<i>a</i>")]))
    with capture_output():
        shell.run_cell("%%llm -m openai:m\n<b>Well?</b>")
    with capture_output() as captured:
        shell.run_cell("display(get_ipython().run_line_magic('llm', 'history'))")

    html = captured.outputs[0].data["text/html"]
    assert "<td" in html
    assert "&lt;b&gt;Well?&lt;/b&gt;" in html
    assert "<i>" not in html


def test_another_extensions_magic_is_left_alone(bare_shell: InteractiveShell, capsys: pytest.CaptureFixture):
    bare_shell.run_cell("def llm(line, cell): print('theirs')\nget_ipython().register_magic_function(llm, 'cell')")

    bare_shell.run_cell("%load_ext mojentic_nb")

    assert "UsageError: %%llm belongs to __main__ already. Choose another name" in "".join(capsys.readouterr())
    assert "LLMMagics" not in [type(each).__name__ for each in bare_shell.configurables]
    bare_shell.run_cell("%%llm\nx")
    assert capsys.readouterr().out == "theirs\n"
    bare_shell.run_cell("get_ipython().config.LLMMagics.magic_name = 'ask'")
    bare_shell.run_cell("%load_ext mojentic_nb")
    bare_shell.run_cell("%%ask -m nope\nx")
    assert "ConfigurationError: There is no provider 'nope'" in capsys.readouterr().out
    bare_shell.run_cell("%unload_ext mojentic_nb")
    assert "llm" in bare_shell.magics_manager.magics["cell"]
    bare_shell.config.clear()
