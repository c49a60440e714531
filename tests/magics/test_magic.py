"""`%%llm` in a real IPython shell, in this process; the model is a loopback server, or the embedded one."""

from __future__ import annotations

import io
import os
import re
import sys

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from loopback import Cut, Hold, Loopback, Reply, chunk, completion, json_reply, sse

from mojentic_nb.llm.errors import IncompleteAnswerWarning


def test_the_answer_is_written_and_who_gave_it(shell, model: Loopback, capsys: pytest.CaptureFixture):
    model.play(Reply([completion("Because", " of", " scattering.")]))

    result = shell.run_cell("%%llm -m openai:gpt-5-mini\nWhy is the sky {blue}?\n\nBe $brief.\n")

    out = capsys.readouterr().out
    assert result.success
    assert out.startswith("Because of scattering.\nopenai:gpt-5-mini · 3 tokens in, 3 out")
    assert model.requests[0].body["messages"] == [{"role": "user", "content": "Why is the sky {blue}?\n\nBe $brief."}]


@pytest.mark.parametrize(
    ("reason", "words"), [("length", "cut off at max_tokens. Raise it"), ("content_filter", "content filter")]
)
def test_an_answer_that_did_not_end_by_itself_says_so(
    shell, model: Loopback, capsys, recwarn: pytest.WarningsRecorder, reason: str, words: str
):
    """In its status line, and nowhere else."""
    model.play(Reply([sse(chunk("So", reason))]))

    shell.run_cell("%%llm -m openai:m\nWhy?")

    assert words in capsys.readouterr().out
    assert [warning.message for warning in recwarn if warning.category is IncompleteAnswerWarning] == []


def test_control_characters_of_a_model_do_nothing(shell, model: Loopback, capsys: pytest.CaptureFixture):
    model.play(Reply([completion("a\x1b[31mred\x1b]0;title\x07\r", "\x9bb\n\tc\x7f")]))

    shell.run_cell("%%llm -m openai:m\nWhy?")

    assert capsys.readouterr().out.startswith("a␛[31mred␛]0;title␇␍\ufffdb\n\tc␡\n")


def test_the_name_of_a_model_is_no_markup(shell, model: Loopback, monkeypatch):
    monkeypatch.setenv("MOJENTIC_NB_DISPLAY", "static")
    model.play(Reply([completion("a")]))

    with capture_output() as captured:
        shell.run_cell("%%llm -m openai:<b>x</b>\x1b[31m\nWhy?")

    (answer,) = captured.outputs
    assert "openai:&lt;b&gt;x&lt;/b&gt;" in answer.data["text/html"]
    assert "<b>" not in answer.data["text/html"]
    assert "\x1b" not in answer.data["text/html"]
    assert "\n\nopenai:<b>x</b>␛[31m · " in answer.data["text/plain"]


def test_what_a_provider_says_in_an_error_does_nothing(shell, model: Loopback, capsys: pytest.CaptureFixture):
    model.play(json_reply({"error": {"message": "no\x1b]0;title\x07\u202e"}}, 400))

    shell.run_cell("%%llm -m openai:m\nWhy?")

    assert "It said: no␛]0;title␇\ufffd\n" in capsys.readouterr().out


def test_an_interrupt_outside_the_stream_closes_the_connection_too(shell, model: Loopback, monkeypatch):
    class Interrupting(io.StringIO):
        def write(self, _: str) -> int:
            sys.stdout = sys.__stdout__
            raise KeyboardInterrupt

    model.play(Reply([sse(chunk("a"), done=False), Hold()]))
    monkeypatch.setattr(sys, "stdout", Interrupting())

    result = shell.run_cell("%%llm -m openai:m\nWhy?")

    assert model.hung_up.wait(1)
    assert isinstance(result.error_in_exec, KeyboardInterrupt)


def test_the_tokens_are_those_that_the_provider_counted(shell, model: Loopback, capsys: pytest.CaptureFixture):
    usage = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 23}}
    model.play(Reply([sse(chunk("a"), chunk("b", "stop"), usage)]), Reply([sse(chunk("a"), chunk("b", "stop"))]))

    shell.run_cell("%%llm -m openai:m\nWhy?")
    shell.run_cell("%%llm -m openai:m\nWhy?")

    tokens = [line.split(" · ")[1] for line in capsys.readouterr().out.splitlines()[1::2]]
    assert tokens == ["7 tokens in, 23 out", "≈5 tokens in, ≈1 out"]


def test_the_line_is_no_python(shell, model: Loopback):
    model.play(Reply([completion("a")]))
    shell.user_ns["name"] = "expanded"

    shell.run_cell("%%llm -m openai:{name}\n    indented: {name} $name")

    assert model.requests[0].body["model"] == "{name}"
    assert model.requests[0].body["messages"][0]["content"] == "    indented: {name} $name"


def test_a_key_or_an_address_that_is_changed_counts_in_the_next_cell(shell, model: Loopback, monkeypatch):
    model.play(json_reply({"error": {"message": "wrong"}}, 401), Reply([completion("a")]))

    shell.run_cell("%%llm -m openai:m\nWhy?")
    shell.run_cell("%env OPENAI_API_KEY=sk-right")
    shell.run_cell("%%llm -m openai:m\nWhy?")

    assert [request.headers["authorization"] for request in model.requests] == ["Bearer sk-test", "Bearer sk-right"]


def test_a_local_model_stays_loaded_from_cell_to_cell(shell):
    shell.run_cell("%%llm -m local --max-tokens 8\nHello")
    (gateway,) = shell.magics_manager.registry["LLMMagics"].notebook.local.values()
    pid = gateway.process.pid

    shell.run_cell("%%llm -m local --max-tokens 8\nHello")

    assert gateway.process.pid == pid
    assert len(shell.magics_manager.registry["LLMMagics"].notebook.local) == 1


def test_a_path_may_be_quoted(shell, capsys: pytest.CaptureFixture):
    shell.run_cell('%%llm -m "local:/no such folder/x.gguf"\nHello')

    assert "Can't read the model file /no such folder/x.gguf" in capsys.readouterr().out


def test_the_trait_and_the_environment_name_the_default(shell, model: Loopback, monkeypatch: pytest.MonkeyPatch):
    model.play(*(Reply([completion("a")]) for _ in range(3)))

    monkeypatch.setenv("MOJENTIC_NB_MODEL", "openai:by-environment")
    shell.run_cell("%%llm\nWhy?")
    shell.run_cell('%config LLMMagics.model = "openai:by-trait"')
    shell.run_cell("%%llm\nWhy?")
    shell.run_cell("%%llm -m openai:by-option\nWhy?")

    assert [request.body["model"] for request in model.requests] == ["by-environment", "by-trait", "by-option"]


def test_a_key_in_the_environment_does_not_make_a_paid_model_the_default(shell, model: Loopback, capsys):
    shell.run_cell("%%llm\nHello")

    assert "local:SmolLM2-135M-Instruct · " in capsys.readouterr().out
    assert model.requests == []


ERRORS = {
    "unknown provider": ("%%llm -m foo\nhi", "ConfigurationError: Unknown provider 'foo'. Write `PROVIDER:MODEL`"),
    "no model": ("%%llm -m openai\nhi", "ConfigurationError: 'openai' has no model"),
    "no such file": ("%%llm -m local:/no.gguf\nhi", "ConfigurationError: Can't read the model file /no.gguf"),
    "unknown option": ("%%llm --modle x\nhi", "UsageError: unrecognized arguments: --modle x. The question goes"),
    "question beside": ("%%llm hello\nhi", "UsageError: unrecognized arguments: hello. The question goes below the"),
    "open quote": ('%%llm -m "local\nhi', "UsageError: The %%llm line can't be read: No closing quotation."),
    "empty cell": ("%%llm\n", "UsageError: %%llm is a cell magic, but the cell body is empty"),
    "blank cell": ("%%llm\n\n  \n", "UsageError: The cell is empty. Write the question below the %%llm line."),
}


@pytest.mark.parametrize(("cell", "words"), ERRORS.values(), ids=ERRORS.keys())
def test_bad_input_gets_one_line(shell, capsys: pytest.CaptureFixture, cell: str, words: str):
    result = shell.run_cell(cell)

    said = capsys.readouterr()
    assert not result.success
    assert (said.out + said.err).strip().startswith(words)
    assert len((said.out + said.err).strip().splitlines()) == 1


def test_an_error_in_the_middle_keeps_the_text(shell, model: Loopback, capsys: pytest.CaptureFixture):
    model.play(Reply([sse(chunk("Because"), done=False), Cut()]), Reply([completion("again")]))

    shell.run_cell("%%llm -m openai:m\nWhy?")
    shell.run_cell("%%llm -m openai:m\nWhy?")

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Because"
    assert re.fullmatch(r"openai:m · ≈5 tokens in, ≈2 out( · .*)? · failed", lines[1])
    assert lines[2].startswith("IncompleteStreamError: The connection to 127.0.0.1")
    assert lines[3] == "again"


def test_the_help_tells_what_it_is_for(shell, capsys: pytest.CaptureFixture):
    shell.run_cell("%%llm?")

    said = capsys.readouterr().out
    assert "Ask a language model. The answer streams into the cell." in said
    assert "%%llm [-m PROVIDER:MODEL]" in said
    assert "--model" in said
    assert "local:/path/model.gguf   any other GGUF file" in said


def traces(shell: InteractiveShell) -> dict:
    """All of a shell that an extension may change."""
    manager = shell.magics_manager
    return {
        "magics": {kind: dict(functions) for kind, functions in manager.magics.items()},
        "registry": dict(manager.registry),
        "configurables": list(shell.configurables),
        "names": {name for name in shell.user_ns if not re.fullmatch(r"_\d+", name)},  # answers are the user's
        "events": {name: list(functions) for name, functions in shell.events.callbacks.items()},
        "transformers": [list(shell.input_transformers_cleanup), list(shell.input_transformers_post)],
        "matchers": list(shell.Completer.custom_matchers),
        "environment": dict(os.environ),
    }


def test_unloading_leaves_no_trace(bare_shell: InteractiveShell, model: Loopback):
    model.play(Reply([completion("a")]), Reply([completion("b")]))
    bare_shell.run_line_magic("load_ext", "storemagic")  # IPython loads its own magics when they are first used
    bare_shell.run_line_magic("unload_ext", "storemagic")
    before = traces(bare_shell)

    bare_shell.run_line_magic("load_ext", "mojentic_nb")
    bare_shell.run_line_magic("reload_ext", "mojentic_nb")
    bare_shell.run_cell("%%llm -m openai:m\nWhy?")
    assert "llm" in traces(bare_shell)["magics"]["cell"]
    bare_shell.run_line_magic("unload_ext", "mojentic_nb")

    for what, was in before.items():
        assert traces(bare_shell)[what] == was, what


def test_unloading_ends_the_model_that_was_started(shell):
    shell.run_cell("%%llm -m local --max-tokens 8\nHello")
    (gateway,) = shell.magics_manager.registry["LLMMagics"].notebook.local.values()
    process = gateway.process

    shell.run_line_magic("unload_ext", "mojentic_nb")

    assert not process.alive
    shell.run_line_magic("load_ext", "mojentic_nb")
