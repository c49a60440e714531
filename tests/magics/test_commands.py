"""The commands of `%llm`."""

from __future__ import annotations

import re

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from loopback import Loopback, Reply, completion, json_reply

from mojentic_nb.magics import LLMMagics
from mojentic_nb.magics.commands import COMMANDS
from mojentic_nb.magics.options import parse


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
    assert re.search(r"^ollama: +Can't reach Ollama at", told, re.MULTILINE)
    assert re.search(r"^anthropic: +Anthropic needs an API key", told, re.MULTILINE)
    assert "anthropic" not in said("%llm models local")
    assert "UsageError: Unknown provider 'nope'. The providers are local, ollama" in said("%llm models nope")
    assert "openai, anthropic. Did you mean `%llm models openai`?" in said("%llm models OpenIA")


@pytest.mark.parametrize("page", [b"<html>", b'{"models": []}', b"[1]"])
def test_what_is_no_list_of_models_is_told_in_a_line(said, model: Loopback, page: bytes):
    model.play(Reply([page], 200, "application/json"))

    told = said("%llm models openai")

    line = r"^openai: +127.0.0.1:\d+ didn't return a list of models. Check its address.$"
    assert re.search(line, told, re.MULTILINE)
    assert "Traceback" not in told


def test_tools_are_listed(said, monkeypatch):
    monkeypatch.setattr("mojentic_nb.llm.tools.date_resolver.find_spec", lambda _: None)
    said('''def sky(city):\n    """Look at the sky.\n\n    Long."""''')
    said('from mojentic_nb.llm.tools import CurrentDateTimeTool, tool\nocean = tool(name="sea")(sky)')
    said("from json import dumps")

    told = said("%llm tools")

    assert "sky               Look at the sky." in told
    assert "ocean             Look at the sky." in told
    assert "CurrentDateTimeTool" not in told
    assert "dumps" not in told
    assert "current_datetime  Get the current date and time." in told
    assert "pip install" in told  # what a built-in tool lacks
    assert "Long." not in told


def test_conversations_are_listed_shown_and_forgotten(said, model: Loopback):
    assert "The conversation is empty." in said("%llm history")
    assert "No conversations yet." in said("%llm chats")
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
    assert "UsageError: Unknown chat 'nope'. The chats are main, other." in said("%llm history nope")


def test_usage_is_told_by_cell_and_by_model(said, model: Loopback):
    assert "No tokens have been used." in said("%llm usage")
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


def explained(model: Loopback) -> str:
    """What the model was asked last."""
    return model.requests[-1].body["messages"][-1]["content"]


def test_the_last_error_is_explained_with_its_cell(said, model: Loopback):
    said("import sys; sys.__dict__.pop('last_value', 0)")
    assert "UsageError: No error to explain" in said("%llm explain")
    said("ratio = 1 / 0  # {{ nothing }}")
    said("6 * 7")
    model.play(Reply([completion("You divided by zero.")]))

    assert "You divided by zero." in said('%llm explain --temperature 0 -s "Don\'t be long."')

    system, message = model.requests[0].body["messages"]
    assert system["content"] == "Don't be long."
    assert message["content"].startswith("Explain this error, and how to fix it.\n\nTraceback")
    assert "ZeroDivisionError: division by zero" in message["content"]
    assert "IPython/core" not in message["content"]
    assert message["content"].endswith("\nThis cell raised it:\n\nratio = 1 / 0  # {{ nothing }}")
    assert model.requests[0].body["temperature"] == 0


def test_a_cell_that_is_no_python_is_explained_too(said, model: Loopback):
    said("ratio = (1,")
    model.play(Reply([completion("A bracket is open.")]))

    said("%llm explain")

    assert explained(model).startswith("Explain this error, and how to fix it.\n\n  File ")
    assert "\nSyntaxError: incomplete input\n" in explained(model)
    assert explained(model).endswith("\nThis cell raised it:\n\nratio = (1,")


def test_an_error_that_no_cell_raised_is_explained_without_one(said, model: Loopback, monkeypatch):
    monkeypatch.setattr("sys.last_value", OSError("gone"), raising=False)
    model.play(Reply([completion("It is gone.")]))

    said("%llm explain")

    assert explained(model) == "Explain this error, and how to fix it.\n\nOSError: gone"


def test_a_long_traceback_is_told_by_its_end(said, model: Loopback):
    said("raise ValueError('x' * 9000 + ' in the end')")
    model.play(Reply([completion("Long.")]))

    said("%llm explain")

    assert "x in the end\n" in explained(model)
    assert len(explained(model)) < 6500


def test_what_is_to_be_explained_stays_so_until_it_has_been(said, model: Loopback):
    said("1 / 0")
    for mistake in ("--modle x", "-m nope", "-o print", "-t nope"):
        said(f"%llm explain {mistake}")
    assert "ZeroDivisionError" in said("%llm explain --dry-run")
    model.play(Reply([completion("You divided by zero.")]), Reply([completion("There is none.")]))
    said("%llm explain -c errors")
    assert "ZeroDivisionError" in explained(model)
    assert "Explain this error" in said("%llm history errors")

    said("%%llm -m nope\nWell?")
    said("%llm explain")

    assert "Unknown provider 'nope'" in explained(model)
    assert len(model.requests[-1].body["messages"]) == 1


def test_an_alias_has_an_address_and_the_name_of_a_key(said, model: Loopback, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.setenv("MY_KEY", "sk-secret")
    model.play(Reply([completion("a")]))
    assert "No aliases defined." in said("%llm alias")

    told = said(f"%llm alias mine openai:gpt-x --base-url {model.url} --key-variable MY_KEY")
    told += said("%%llm -m mine\nWell?") + said("%llm config") + said("%llm models local")

    assert "mine   openai:gpt-x --base-url" in told
    assert model.requests[0].headers["authorization"] == "Bearer sk-secret"
    assert model.requests[0].body["model"] == "gpt-x"
    assert "sk-secret" not in told


AMBIENT = (
    *("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY", "OPENAI_WEBHOOK_SECRET"),
    *("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_WEBHOOK_SIGNING_KEY", "OLLAMA_API_KEY"),
)


@pytest.mark.parametrize("key", ["", " --key-variable MY_KEY"], ids=["no key", "a key"])
@pytest.mark.parametrize("provider", ["openai", "anthropic", "ollama"])
def test_another_address_gets_nothing_of_the_providers(said, model: Loopback, monkeypatch, provider: str, key: str):
    """No key, organization, project or header that the environment has for the provider itself."""
    for name in AMBIENT:
        monkeypatch.setenv(name, "canary")
    for name in ("OPENAI_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_HEADERS"):
        monkeypatch.setenv(name, "X-Gateway: canary\nAuthorization: Bearer canary\nno header")
    monkeypatch.setenv("MY_KEY", "sk-mine")
    said(f"%llm alias mine {provider}:m --base-url {model.url}{key}")

    said("%%llm -m mine\nWell?")

    assert "canary" not in str(model.requests[0].headers)
    assert ("sk-mine" in str(model.requests[0].headers)) == bool(key)


@pytest.mark.parametrize("path", ["/no such folder/x.gguf", r"C:\models\new.gguf", "/it's/x.gguf", '/a "b" c.gguf'])
def test_an_alias_may_hold_any_path(said, path: str):
    mark = "'" if '"' in path else '"'
    said(f"%llm alias mine {mark}local:{path}{mark}")

    assert f"Can't read the model file {path}" in said("%%llm -m mine\nWell?")


def test_an_alias_that_is_none_is_refused_by_the_setting(said, caplog: pytest.LogCaptureFixture):
    said("%config LLMMagics.aliases = {'a': 'b'}")

    assert "The alias 'a' doesn't name a model" in caplog.text
    assert "No aliases defined." in said("%llm alias")


ERRORS = {
    "%llm hstory": "%llm has no command `hstory`. Did you mean `%llm history`? A question goes into a cell that begins",
    "%llm nothing": "%llm has no command `nothing`. The commands are help, models,",
    '%llm "a': "The %llm line can't be read: No closing quotation.",
    "%llm history a b": "%llm history doesn't take these words. Usage: %llm history [CHAT] shows a conversation",
    "%llm alias a": "The alias 'a' needs a model. Write %llm alias a PROVIDER:MODEL.",
    "%llm alias a openai:m --base-url": "The alias 'a' can't be read. Write it as PROVIDER:MODEL [--base-url URL]",
    "%llm alias a openai:m --url x": "The alias 'a' can't be read. Write it as",
    "%llm alias a openai:m --key-variable sk-x1": "--key-variable of the alias 'a' takes the name of an env",
    "%llm alias a openai:m --key-variable x1y2z3": "--key-variable of the alias 'a' takes the name of",
    "%llm alias a sk-x1": "The alias 'a' doesn't name a model. Write it as PROVIDER:MODEL",
    "%llm alias a openai:": "The alias 'a' doesn't name a model. Write it as PROVIDER:MODEL",
    "%llm alias a openai:m --base-url x": "The address of the alias 'a' is invalid. Begin it with http:// or https://.",
    "%llm alias a openai:m --base-url http://[": "The address of the alias 'a' is invalid. Begin it with http://",
    "%llm alias a openai:m --base-url https://:8000": "The address of the alias 'a' is invalid. Begin it with http://",
    "%llm alias a openai:m --base-url http://me:sk-x1@x": "The address of the alias 'a' holds a user name or",
    "%llm alias a openai:m --base-url http://sk-x1@x": "The address of the alias 'a' holds a user name or a password.",
    "%llm alias a local --base-url http://x": "The alias 'a' names a model on this machine, which needs no address",
    "%llm alias a replay:x --key-variable KEY": "The alias 'a' names a model on this machine, which needs no address",
    "%llm alias openai openai:m": "'openai' can't be an alias. Choose a name without a colon that isn't a provider's.",
    "%llm alias openai:m openai:n": "'openai:m' can't be an alias. Choose a name without a colon that",
    "%llm alias '' openai:m": "'' can't be an alias. Choose a name without a colon that isn't a provider's.",
    "%%llm -m keyless\nhi": "The environment variable NO_KEY isn't set. Set it outside the notebook.",
    "%%llm -o 1x\nhi": "argument -o/--out: `1x` isn't a variable name. The question goes below",
    "%%llm -o _ih\nhi": "argument -o/--out: `_ih` belongs to Python or IPython. Choose another name. The question",
    "%%llm --fresh -c trips\nhi": "--fresh asks outside any conversation, and -c trips in one. Use only one of them.",
    "%%llm --timeout 0\nhi": "argument --timeout: 0 is out of range. Give a number of seconds greater than 0.",
    "%%llm --timeout 1e300\nhi": "argument --timeout: 1e300 is out of range. Give a number of seconds greater than 0.",
    "%%llm --temperature -1\nhi": "--temperature should be greater than or equal to 0, got -1.0.",
    "%%llm --temperature inf\nhi": "--temperature should be a finite number, got Infinity.",
    "%%llm --max-steps -1\nhi": "--max-steps should be greater than or equal to 0, got -1.",
    "%%llm -t nope\nhi": "-t nope: no tool or function has this name. Define it first. %llm tools lists",
    "%%llm -t current_datetim\nhi": "-t current_datetim: no tool or function has this name. Did you mean",
    "%%llm -t Kind\nhi": "-t Kind: Kind is a class. Pass an instance of it, or a function.",
    "%%llm -t Kind.nope\nhi": "-t Kind.nope failed: AttributeError: type object 'Kind' has no attribute 'nope'",
    "%%llm -t ,\nhi": "-t doesn't name a tool. %llm tools lists the tools.",
    "%%llm --tool-choice auto\nhi": "--tool-choice auto needs tools. Name them with -t.",
    "%%llm --tool-choice ''\nhi": "--tool-choice  needs tools. Name them with -t.",
    "%%llm -t current_datetime --tool-choice x\nhi": "tool_choice='x' isn't one of 'auto'",
    "%%llm --as nope\nhi": "'nope' isn't defined, in --as nope. Define it first.",
    "%%llm --as (\nhi": "--as ( isn't a Python expression.",
    "%%llm --as ''\nhi": "--as isn't a Python expression.",
    "%%llm --as \"'So it is.'\"\nhi": "`'So it is.'` can't be the type of an answer (Forward",
    "%%llm --as 3\nhi": "`3` can't be the type of an answer. Use a pydantic model.",
    "%%llm --as Kind.mean\nhi": "`mean` can't be the type of an answer. Use a pydantic model.",
    "%%llm --as Kind.mean --dry-run\nhi": "`mean` can't be the type of an answer. Use a pydantic model",
    "%%llm --as None\nhi": "--as None doesn't name a type. Give a pydantic model, or leave out --as.",
    "%%llm -i nope.png\nhi": "Can't read the image 'nope.png' (No such file or directory). Check its path.",
    "%%llm -i Kind.png\nhi": "Can't read the image 'Kind.png' (No such file or directory). Check its path.",
    "%%llm -i notes.txt\nhi": "'notes.txt' isn't an image by its name. Use a .png, .jpg, .gif or .webp file.",
    "%%llm -i 'Kind[0]'\nhi": "-i Kind[0] failed: TypeError: type 'Kind' is not subscriptable",
    "%%llm -i None\nhi": "-i None isn't a picture. Give a path, a URL, a figure, an image or its array.",
    "%%llm\n{{ nope }}": "'nope' isn't defined, in {{ nope }}. Define it first.",
    "%%llm\n{{ 1 / 0 }}": "{{ 1 / 0 }} failed: ZeroDivisionError: division by zero",
    "%%llm\n{{ Kind().mean() }}": "{{ Kind().mean() }} failed: Mean: <exception str() failed>",
    "%%llm\n{{ Kind() }}": "{{ Kind() }} can't be shown to the model: KeyError: 'mean'",
    "%%llm\n{{ later() }}": "{{ later() }} is a coroutine. Await it in its own cell first, then insert the result.",
    "%%llm\n{{ Promise() }}": "{{ Promise() }} is a Promise. Await it in its own cell first, then insert the result.",
}


NEEDED = (
    "_ __ ___ _i _ii _iii _i7 _7 _ih _oh _dh In Out get_ipython exit quit open display _exit_code "
    "__builtins__ __builtin__ __name__ __doc__ print list class None"
)


@pytest.mark.parametrize("command", ["%%llm", "%llm explain"])
def test_out_spares_what_python_and_ipython_need(shell: InteractiveShell, model: Loopback, capsys, command: str):
    """Nothing is asked; other names with underscores are fine."""
    shell.run_cell("1 / 0")
    needed = {name: shell.user_ns.get(name) for name in NEEDED.split()}
    capsys.readouterr()
    for name, value in needed.items():
        shell.run_cell(f"{command} -o {name}\nWell?" if command == "%%llm" else f"{command} -o {name}", silent=True)
        assert f"UsageError: argument -o/--out: `{name}` " in capsys.readouterr().err
        assert shell.user_ns.get(name) is value

    assert model.requests == []
    assert parse(LLMMagics.llm, "-o _mine_2").out == "_mine_2"


MISTYPED = {
    "replay": "To replay a recording, begin a cell with `%%llm -m replay:FILE`.",
    "replay:a.json": "To replay a recording, begin a cell with `%%llm -m replay:a.json`.",
    "openai": "To ask this model, begin a cell with `%%llm -m openai:MODEL`. `%llm models openai` lists its models.",
    "ollama:qwen3:4b": "To ask this model, begin a cell with `%%llm -m ollama:qwen3:4b`.",
    "local": "To ask this model, begin a cell with `%%llm -m local`.",
    "fast": "To ask this model, begin a cell with `%%llm -m fast`.",
    "model": "Did you mean `%llm models`? ",
    "Usages": "Did you mean `%llm usage`? ",
    "cost": "Did you mean `%llm usage`? ",
    "reset": "Did you mean `%llm forget`? ",
    "why is the sky blue": "A question goes into a cell that begins with %%llm.",
    "-m openai:m": "A question goes into a cell that begins with %%llm.",
}


def test_a_mistyped_command_gets_what_was_meant(said):
    said("%llm alias fast openai:gpt-x")

    told = {line: said(f"%llm {line}") for line in MISTYPED}

    for line, meant in MISTYPED.items():
        assert told[line].startswith(f"UsageError: %llm has no command `{line.split()[0]}`. {meant}")


HOSTILE = """
class Mean(Exception):
    def __str__(self): raise RuntimeError
class Kind:
    def mean(self): raise Mean
    def __str__(self): raise KeyError("mean")
async def later(): pass
class Promise:
    def __await__(self): return iter([])
"""


@pytest.mark.filterwarnings("error")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of what earlier tests left open
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_bad_input_gets_one_line_and_sends_nothing(said, model: Loopback, subtests: pytest.Subtests):
    said("%llm alias keyless openai:m --key-variable NO_KEY")
    said(HOSTILE)

    for cell, words in ERRORS.items():
        with subtests.test(cell):
            told = said(cell).strip()

            assert re.sub(r"^\w+Error: ", "", told).startswith(words)
            assert len(told.splitlines()) == 1
            assert "sk-x1" not in told
            assert model.requests == []


def test_a_mistake_within_a_command_is_not_taken_for_a_wrong_line(said):
    said("class Odd:\n    descriptor = property(lambda self: 1 + '')\nodd = Odd()")

    assert "unsupported operand" in said("%llm tools")


def test_a_built_in_tool_that_lacks_something_says_so(said, model: Loopback, monkeypatch):
    monkeypatch.setattr("mojentic_nb.llm.tools.date_resolver.find_spec", lambda _: None)

    assert "UsageError: " in (told := said("%%llm -t resolve_date\nhi"))
    assert "pip install" in told


def test_tables_are_html_in_a_notebook(shell: InteractiveShell, model: Loopback):
    model.play(Reply([completion(r"<i>a</i> for $5, not \(6\) $")]))
    with capture_output():
        shell.run_cell("%%llm -m openai:m\n<b>Well?</b>")
    with capture_output() as captured:
        shell.run_cell("display(get_ipython().run_line_magic('llm', 'history'))")

    html = captured.outputs[0].data["text/html"]
    assert "<td" in html
    assert "&lt;b&gt;Well?&lt;/b&gt;" in html
    assert "<i>" not in html
    assert r"for <span>$</span>5, not <span>\</span>(6<span>\</span>) <span>$</span>" in html  # no formula


def test_a_setting_that_can_not_be_is_told_when_the_extension_is_loaded(bare_shell: InteractiveShell, capsys):
    bare_shell.run_cell("get_ipython().config.LLMMagics.max_context = 0")
    bare_shell.run_cell("%load_ext mojentic_nb")

    told = "".join(capsys.readouterr()).strip()
    assert told.startswith(
        "UsageError: The value of the 'max_context' trait of a LLMMagics instance should not be less"
    )
    assert told.endswith(
        "a value of 0 was specified. Change it in get_ipython().config.LLMMagics, and load the extension again."
    )
    assert "LLMMagics" not in [type(each).__name__ for each in bare_shell.configurables]
    bare_shell.run_cell("get_ipython().config.LLMMagics.max_context = 100")
    bare_shell.run_cell("%load_ext mojentic_nb")
    bare_shell.run_cell("%llm chats")
    assert "No conversations yet." in capsys.readouterr().out
    bare_shell.run_cell("%unload_ext mojentic_nb")
    bare_shell.config.clear()


def test_another_extensions_magic_is_left_alone(bare_shell: InteractiveShell, capsys: pytest.CaptureFixture):
    bare_shell.run_cell("def llm(line, cell): print('theirs')\nget_ipython().register_magic_function(llm, 'cell')")

    bare_shell.run_cell("%load_ext mojentic_nb")

    assert "UsageError: %%llm already belongs to __main__. Choose another name" in "".join(capsys.readouterr())
    assert "LLMMagics" not in [type(each).__name__ for each in bare_shell.configurables]
    bare_shell.run_cell("%%llm\nx")
    assert capsys.readouterr().out == "theirs\n"
    bare_shell.run_cell("get_ipython().config.LLMMagics.magic_name = 'ask'")
    bare_shell.run_cell("%load_ext mojentic_nb")
    bare_shell.run_cell("%%ask -m nope\nx")
    assert "ConfigurationError: Unknown provider 'nope'" in capsys.readouterr().out
    bare_shell.run_cell("%unload_ext mojentic_nb")
    assert "llm" in bare_shell.magics_manager.magics["cell"]
    bare_shell.config.clear()
