"""What the options of `%%llm` do, what becomes of an answer, and how conversations go on."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import io
import pickle
import re
import threading
import time
from itertools import pairwise
from types import SimpleNamespace

import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from loopback import Cut, Hold, Loopback, Reply, chunk, completion, sse, tool_call
from pydantic import BaseModel

from mojentic_nb.llm import Usage
from mojentic_nb.llm.tools import LLMTool, tool
from mojentic_nb.magics.code_cells import find_code


class Trip(BaseModel):
    city: str
    days: int


class Hurried(Trip):
    def __str__(self) -> str:
        raise ValueError("There is no time.")


class Journey(BaseModel):
    first: Hurried


def sky(city: str) -> str:
    """Look at the sky."""
    return f"clear in {city}"


def says(*texts: str) -> Reply:
    return Reply([completion(*texts)])


def paused(text: str) -> Reply:
    return Reply([sse(chunk(text), done=False), Hold()])


class Notebook:
    """A shell that asks the server."""

    def __init__(self, shell: InteractiveShell, server: Loopback) -> None:
        self.shell = shell
        self.server = server
        self.names = shell.user_ns
        self.names.update(Trip=Trip, Journey=Journey, sky=sky)

    def ask(self, options: str = "", question: str = "Well?", *replies: Reply):
        """Run a cell; its result."""
        self.server.play(*(replies or [says("So.")]))
        return self.shell.run_cell(f"%%llm {options}\n{question}", store_history=True)

    def run(self, code: str):
        return self.shell.run_cell(code, store_history=True)

    @property
    def body(self) -> dict:
        """The last request."""
        return self.server.requests[-1].body

    @property
    def sent(self) -> list[tuple[str, object]]:
        """The last request's messages."""
        return [(message["role"], message.get("content")) for message in self.body["messages"]]


@pytest.fixture
def nb(shell: InteractiveShell, model: Loopback) -> Notebook:
    shell.run_cell('%config LLMMagics.model = "openai:m"')
    return Notebook(shell, model)


SETTINGS = {
    "--temperature 0.5": ("temperature", 0.5),
    "--temperature 0": ("temperature", 0),
    "--max-tokens 7": ("max_tokens", 7),
    "--reasoning-effort low": ("reasoning_effort", "low"),
    "-m openai:other": ("model", "other"),
    "-t sky --tool-choice required": ("tool_choice", "required"),
}


@pytest.mark.parametrize(("options", "setting"), SETTINGS.items(), ids=SETTINGS)
def test_settings_are_sent(nb: Notebook, options: str, setting: tuple[str, object]):
    assert nb.ask(options).success

    assert nb.body[setting[0]] == setting[1]


def test_what_is_not_said_is_not_sent(nb: Notebook):
    nb.ask()

    assert not {"temperature", "max_tokens", "reasoning_effort", "tools", "tool_choice"} & nb.body.keys()


def test_the_system_is_told_first_and_for_the_rest_of_the_chat(nb: Notebook):
    nb.run('%config LLMMagics.system = "Be kind."')
    nb.ask()
    assert nb.sent[0] == ("system", "Be kind.")
    nb.ask('-s "Be brief."', "Second?")
    assert nb.sent[0] == ("system", "Be brief.")
    nb.ask("", "Third?")
    assert nb.sent[0] == ("system", "Be brief.")
    nb.ask('-s "Be loud."', "Fourth?")
    nb.ask("", "Fifth?")
    assert nb.sent[0] == ("system", "Be loud.")
    nb.ask("--fresh", "Sixth?")
    assert nb.sent == [("system", "Be kind."), ("user", "Sixth?")]


def test_an_empty_system_is_none(nb: Notebook):
    nb.run('%config LLMMagics.system = "Be kind."')

    nb.ask("-s ''", "First?")
    nb.ask("", "Second?")

    assert [role for role, _ in nb.sent] == ["user", "assistant", "user"]


def test_tools_are_named_and_called(nb: Notebook):
    nb.names["both"] = [sky, tool(name="other")(sky)]

    nb.ask("-t both -t current_datetime", "Well?", Reply([tool_call()]), says("Clear."))

    assert [each["function"]["name"] for each in nb.body["tools"]] == ["sky", "other", "get_current_datetime"]
    assert nb.sent[-1] == ("tool", "clear in Oslo")
    assert nb.names["_"] == "Clear."
    assert [call.name for call in nb.names["_"].tool_calls] == ["sky"]


def test_the_rounds_of_tools_have_a_limit(nb: Notebook, capsys: pytest.CaptureFixture):
    result = nb.ask("-t sky --max-steps 1", "Well?", Reply([tool_call()]), Reply([tool_call()]))

    assert not result.success
    assert "MaxToolIterationsExceededError: The model still called tools after 1 round." in capsys.readouterr().out
    nb.ask("", "And?")  # what was said stays valid for a provider
    assert [role for role, _ in nb.sent] == ["user", "assistant", "tool", "assistant", "tool", "assistant", "user"]


class Aliased(LLMTool):
    """A tool of another name that takes calls of `sky`, and wants approval."""

    descriptor = {"type": "function", "function": {"name": "skies", "description": "The sky.", "parameters": {}}}  # noqa: RUF012
    approval = True

    def matches(self, name: str) -> bool:
        return name in ("sky", "skies")

    def run(self, city: str) -> str:
        return sky(city)


@pytest.mark.parametrize("options", ["-t sky --approve", "-t strict", "-t aliased"])
@pytest.mark.parametrize(("policy", "told"), [("deny", "no one can be asked"), ("allow", "clear in Oslo")])
def test_where_nobody_can_be_asked_the_policy_decides(nb: Notebook, options: str, policy: str, told: str):
    nb.names["strict"] = tool(name="sky", approval=True)(sky)
    nb.names["aliased"] = Aliased()
    nb.run(f'%config LLMMagics.approval = "{policy}"')

    nb.ask(options, "Well?", Reply([tool_call()]), says("So."))

    assert told in nb.sent[-1][1]


def test_an_object_is_asked_for_and_kept(nb: Notebook, capsys: pytest.CaptureFixture):
    nb.ask("--as Trip -o trip", "A trip.", says('{"city": "Oslo",', ' "days": 3}'))

    assert nb.names["trip"].object == Trip(city="Oslo", days=3)
    assert re.search(r"<table.*Oslo", nb.names["trip"]._repr_html_())
    assert "field" not in capsys.readouterr().out  # no table: it would say the same again
    assert nb.body["response_format"]["type"] == "json_schema"


ROWS = '{"value": [{"city": "Oslo", "days": 3}, {"city": "Rome", "days": 2}]}'


def test_a_list_of_models_becomes_a_data_frame_and_a_table(nb: Notebook, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MOJENTIC_NB_DISPLAY", "static")

    with capture_output() as captured:
        nb.ask("--as list[Trip]", "Trips.", says(ROWS))

    pd.testing.assert_frame_equal(nb.names["_"].object, pd.DataFrame({"city": ["Oslo", "Rome"], "days": [3, 2]}))
    answer, table = captured.outputs
    assert "tokens" in answer.data["text/plain"]
    assert table.data["text/plain"].split() == ["city", "days", "Oslo", "3", "Rome", "2"]


@pytest.mark.parametrize(
    ("kind", "said", "shown"),
    [
        ("Trip", '{"city": "<b>", "days": 3}', "<td>"),
        ("str", f'{{"value": "{"x" * 600}"}}', f">{'x' * 499}…<"),
        ("list[int]", '{"value": [1, 2]}', "value"),
        ("int", '{"value": 4}', "4"),
        ("list[Trip]", '{"value": []}', "No rows."),
        ("Journey", '{"first": {"city": "Oslo", "days": 3}}', "Hurried, whose text can"),
    ],
)
def test_any_object_is_a_table(nb: Notebook, monkeypatch, kind: str, said: str, shown: str):
    monkeypatch.setenv("MOJENTIC_NB_DISPLAY", "static")

    with capture_output() as captured:
        nb.ask(f"--as {kind}", "So?", says(said))

    html = captured.outputs[-1].data["text/html"]
    assert "What the model wrote" in captured.outputs[0].data["text/html"]
    assert shown.strip("<>") in html
    assert "<b>" not in html
    assert not isinstance(nb.names["_"].object, pd.DataFrame)  # not even of no rows: their columns are not known


def test_an_object_that_failed_is_no_empty_table(nb: Notebook, monkeypatch):
    monkeypatch.setenv("MOJENTIC_NB_DISPLAY", "static")

    with capture_output() as captured:
        result = nb.ask("--as list[Trip]", "So?", says('{"value": [1]}'), says('{"value": [2]}'))

    assert "didn't match `list[Trip]` (0: Input should be an object), twice." in str(result.error_in_exec)
    assert len(captured.outputs) == 1
    assert "No rows." not in str(captured.outputs[0].data)


def test_a_time_that_is_up_ends_the_answer_and_says_so(nb: Notebook, capsys: pytest.CaptureFixture):
    result = nb.ask("--timeout 0.3", "Well?", paused("Once"))

    out = capsys.readouterr().out
    assert result.success
    assert "Once\nNote: Stopped: `--timeout` of 0.3 s reached.\nopenai:m" in out
    assert "≈6 tokens in, ≈1 out" in out
    assert "stopped after ≈1 token" in out
    assert nb.names["_"].finish_reason == "cancelled"


def test_a_time_that_is_up_before_the_answer_is_shown_says_so_too(nb: Notebook, capsys: pytest.CaptureFixture):
    nb.ask("--timeout 1e-9", "Well?", paused("Once"))

    assert "Note: Stopped: `--timeout` of 1e-09 s reached.\n" in capsys.readouterr().out


def test_the_clock_is_stopped_with_the_answer(nb: Notebook):
    nb.ask("--timeout 3600")

    for clock in (thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)):
        clock.join(30)
        assert not clock.is_alive()


CODE = "So:\n```python\nx = 1\n```\nand\n```\ny = 2\n```\nnot\n```sh\nls\n```\n~~~ {.Python}\nz = 3\n~~~\n"
HIDING = "```python\nadmin\u200b = 'a\u202e' # \U0001f469\u200d\U0001f4bb \u26a0\ufe0f\n```"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (CODE, "x = 1\n\ny = 2\n\nz = 3"),
        (HIDING, "admin\ufffd = 'a\ufffd' # \U0001f469\ufffd\U0001f4bb \u26a0\ufe0f"),
        ("Nothing to run.", None),
        ("```py\r\nx = 1\r\n```\r\n", "x = 1"),
        ("````py\n```\nx = 1\n`````", "```\nx = 1"),
        ("```py\nx = 1\n~~~\n``", None),
        ("- So:\n  ```py\n  if x:\n      y\n  ```", "if x:\n    y"),
    ],
)
def test_code_goes_into_a_new_cell(nb: Notebook, monkeypatch, said: str, code: str | None):
    given: list[str] = []
    monkeypatch.setattr(nb.shell, "set_next_input", given.append)

    nb.ask("--code", "Well?", says(said))

    assert given == ([code] if code else [])


@pytest.mark.parametrize("piece", ["```x\n", "~~~\n```\n", "~", "`", "```\n"])
def test_code_is_found_in_time_among_many_fences(piece: str):
    """Each fence that nothing closes was once looked for to the end of the answer: 20 s for 100 kB."""
    began = time.process_time()

    find_code(piece * 20_000)

    assert time.process_time() - began < 2


def fenced(code: str) -> Reply:
    return says(f"```python\n{code}\n```")


def test_an_answer_without_code_says_so(nb: Notebook, capsys: pytest.CaptureFixture):
    nb.ask("--code", "Well?", says("Nothing to run."))

    assert capsys.readouterr().out.endswith("\nThe answer has no Python code to insert.\n")


def test_code_is_not_inserted_twice(nb: Notebook, monkeypatch, capsys: pytest.CaptureFixture):
    """A kernel can't change the cell that it inserted, so a run of the same cell says what became of it."""
    given: list[str] = []
    monkeypatch.setattr(nb.shell, "set_next_input", given.append)
    monkeypatch.setattr(nb.shell, "kernel", SimpleNamespace(_allow_stdin=False), raising=False)
    told = []
    for code in ("x = 1", "x = 1", "x = 1", "x = 2"):
        nb.server.play(fenced(code))
        nb.shell.run_cell("%%llm --code --view text\nWell?", cell_id="a")
        told.append(capsys.readouterr().out.splitlines()[4:])
    nb.server.play(fenced("x = 2"))
    nb.shell.run_cell("%%llm --code --view text\nWell?", cell_id="b")

    assert given == ["x = 1", "x = 1", "x = 2", "x = 2"]
    assert told == [
        [],
        ["The code is already in the cell that was inserted before. If you deleted it, run this cell again."],
        [],
        ["The new code is in a new cell. Delete the cell below it, which has the previous answer's code."],
    ]


def test_a_picture_is_sent_by_path_and_by_expression(nb: Notebook, tmp_path):
    from PIL import Image

    picture = Image.new("RGB", (2, 2))
    picture.save(tmp_path / "a.png")
    nb.names.update(picture=picture, folder=tmp_path)

    nb.ask(f"-i {tmp_path}/a.png -i picture -i 'folder / \"a.png\"' -i http://127.0.0.1/b.png", "What is it?")

    kinds = [part["type"] for part in nb.sent[-1][1]]
    assert kinds.count("image_url") == 4
    assert nb.sent[-1][1][-1]["image_url"]["url"] == "http://127.0.0.1/b.png"


def test_a_dry_run_sends_nothing_and_tells_all(nb: Notebook, capsys: pytest.CaptureFixture):
    nb.ask("-t sky", "First?", Reply([tool_call()]), says("Clear."))
    capsys.readouterr()
    count = len(nb.server.requests)

    nb.run("%%llm --dry-run -s Kindly -t sky --temperature 0 -i http://x/a.png\nTwice 3 is {{ 2 * 3 }}\x1b[31m.")

    out = capsys.readouterr().out
    assert len(nb.server.requests) == count
    for told in ("openai:m, about ", "Kindly", "calls sky(", "clear in Oslo", "Twice 3 is 6␛", "http://x/a.png"):
        assert told in out
    assert "sky: Look at the sky." in out
    assert "temperature=0.0" in out
    assert "tool_choice" not in out


def test_a_dry_run_tells_the_schema_of_the_answer_and_counts_it(nb: Notebook, capsys: pytest.CaptureFixture):
    nb.run("%%llm --dry-run\nTrips.")
    bare = capsys.readouterr().out
    nb.run("%%llm --dry-run --as list[Trip] -t sky --tool-choice required\nTrips.")

    out = capsys.readouterr().out
    assert "--- schema of the answer\n{" in out
    assert '"days"' in out
    assert "tool_choice='required'" in out
    about = [int(re.search(r"about (\d+) tokens in 1 message:", each)[1]) for each in (bare, out)]
    assert about[1] > about[0] + 50
    assert "--- " not in bare.replace("--- user", "")


def test_a_dry_run_tells_what_no_longer_fits(nb: Notebook, capsys: pytest.CaptureFixture):
    nb.run("%config LLMMagics.max_context = 50")
    nb.ask("", "First? " + "long " * 50)
    nb.ask("", "Second?")
    nb.run("%%llm --dry-run\nThird?")

    out = capsys.readouterr().out
    assert "in 3 messages:\n(left out, oldest first: 1 exchange; LLMMagics.max_context is 50)\n" in out
    assert "First?" not in out
    assert nb.sent == [("user", "Second?")]


def test_the_answer_is_a_value(nb: Notebook):
    nb.ask("-o answer", "Well?", says("So", " it is."))

    answer = nb.names["answer"]
    assert nb.names["_"] is answer is nb.names["_2" if "_2" in nb.names else "_1"]
    assert answer.upper() == "SO IT IS."
    assert (answer.model, answer.usage.output_tokens, answer.finish_reason) == ("openai:m", 2, "stop")
    assert [message.content for message in answer.messages] == ["Well?", "So it is."]
    assert "1 request" in str(answer.trace)
    assert "So it is." in answer._repr_html_()
    assert "<table" not in answer._repr_html_()
    pickled = pickle.loads(pickle.dumps(answer))  # noqa: S301 (our own)
    for twin in (pickled, copy.copy(answer), copy.deepcopy(answer)):
        assert (twin, twin.usage, twin.messages, twin.events) == (answer, answer.usage, answer.messages, answer.events)


def test_an_answer_that_never_began_leaves_everything_as_it_was(nb: Notebook):
    nb.ask("-o answer", "Well?", says("So."))
    was = nb.names["answer"]

    nb.ask("-o answer", "Now?", Reply(status=404))

    assert nb.names["answer"] is nb.names["_"] is was
    nb.ask("", "And?")
    assert nb.sent == [("user", "Well?"), ("assistant", "So."), ("user", "And?")]


def test_a_cell_is_known_by_its_text_where_it_has_no_id(nb: Notebook, capsys: pytest.CaptureFixture):
    nb.ask("", "First?", says("one"))
    nb.ask("", "Second?", says("two"))
    nb.ask("", "First?", says("three"))

    assert nb.sent == [("user", "First?")]
    nb.ask("", "Third?")
    assert [said for _, said in nb.sent] == ["First?", "three", "Second?", "two", "Third?"]
    nb.run("%llm history")
    stale = [line for line in capsys.readouterr().out.splitlines() if "stale: an earlier cell was run again" in line]
    assert len(stale) == 1
    assert "Second?" in stale[0]


def test_a_cell_is_known_by_its_id(nb: Notebook):
    nb.server.play(says("one"), says("two"))

    nb.shell.run_cell("%%llm\nFirst?", cell_id="a")
    nb.shell.run_cell("%%llm\nFirst, better?", cell_id="a")

    assert nb.sent == [("user", "First, better?")]


@pytest.mark.parametrize("cell_id", ["a", None])
def test_what_one_cell_asks_in_a_loop_are_several_questions(nb: Notebook, cell_id: str | None):
    loop = "for n in 'one', 'two': get_ipython().run_cell_magic('llm', '', n)"
    nb.server.play(*(says("So.") for _ in range(5)))
    nb.shell.run_cell(loop, cell_id=cell_id)
    assert nb.sent == [("user", "one"), ("assistant", "So."), ("user", "two")]

    nb.shell.run_cell(loop, cell_id=cell_id)  # which replaces both
    nb.shell.run_cell("%%llm\nThree?", cell_id="b")

    assert [said for _, said in nb.sent] == ["one", "So.", "two", "So.", "Three?"]


def test_conversations_are_apart(nb: Notebook):
    nb.ask("-c one", "First?", says("one"))
    nb.ask("-c two", "Second?")
    assert nb.sent == [("user", "Second?")]
    nb.ask("--fresh", "Third?")
    assert nb.sent == [("user", "Third?")]
    nb.ask("-c one", "Fourth?")
    assert [said for _, said in nb.sent] == ["First?", "one", "Fourth?"]


def test_an_answer_that_broke_off_stays_and_is_marked(nb: Notebook, capsys: pytest.CaptureFixture):
    nb.ask("-t sky", "First?", Reply([tool_call()]), Reply([sse(chunk("It is"), done=False), Cut()]))
    nb.ask("", "Second?")

    roles = [role for role, _ in nb.sent]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]
    assert all(pair != ("user", "user") for pair in pairwise(roles))
    capsys.readouterr()
    nb.run("%llm history")
    assert "It is" in (first := capsys.readouterr().out.splitlines()[2])
    assert "stopped" in first


def test_an_error_right_after_a_result_leaves_a_valid_history(nb: Notebook):
    nb.ask("-t sky", "First?", Reply([tool_call()]), Reply(status=404))
    nb.ask("", "Second?")

    assert [role for role, _ in nb.sent] == ["user", "assistant", "tool", "assistant", "user"]


def test_a_budget_stops_a_loop(nb: Notebook, capsys: pytest.CaptureFixture):
    nb.run("%config LLMMagics.max_tokens_per_notebook = 4")
    nb.ask("", "First?", says("one", "two"))  # 3 in, 2 out

    for again in ("%%llm\nSecond?", "await get_ipython().magics_manager.registry['LLMMagics'].answer('', 'Second?')"):
        assert not nb.run(again).success
        assert "BudgetExceededError: Token limit reached: 5 of 4 used." in capsys.readouterr().out
    assert len(nb.server.requests) == 1


def interrupted(nb: Notebook, *, awaited: bool) -> None:
    """A cell that is interrupted once its text has begun to come."""
    magics = nb.shell.magics_manager.registry["LLMMagics"]

    class Interrupting(io.StringIO):
        def write(self, text: str) -> int:
            if "Once" in text:
                raise KeyboardInterrupt
            return len(text)

    nb.server.play(paused("Once upon a time."))
    ask = (
        (lambda: asyncio.run(magics.answer("--fresh", "Well?")))
        if awaited
        else (lambda: magics.llm("--fresh", "Well?"))
    )
    with contextlib.redirect_stdout(Interrupting()), pytest.raises(KeyboardInterrupt):
        ask()


ENDINGS = {
    "interrupted": lambda nb: interrupted(nb, awaited=False),
    "interrupted, awaited": lambda nb: interrupted(nb, awaited=True),
    "timeout": lambda nb: nb.ask("--fresh --timeout 0.3", "Well?", paused("Once upon a time.")),
    "broken off": lambda nb: nb.ask("--fresh", "Well?", Reply([sse(chunk("Once upon a time."), done=False), Cut()])),
    "not reported": lambda nb: nb.ask(
        "--fresh", "Well?", Reply([sse(chunk("Once upon a time."), chunk(finish_reason="stop"))])
    ),
}


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
def test_an_answer_without_a_count_is_estimated_in_the_budget(nb: Notebook, capsys: pytest.CaptureFixture, end):
    """2 tokens and 4 for the message in, 5 out; the estimate is marked."""
    nb.run("%config LLMMagics.max_tokens_per_notebook = 11")
    end(nb)
    capsys.readouterr()

    nb.run("%llm usage")
    out = capsys.readouterr().out
    nb.ask("", "Second?")

    assert len(re.findall(r"^(?:In \[\d+\]|openai:m) +≈6 +≈5 +0$", out, re.MULTILINE)) == 2
    assert "BudgetExceededError: Token limit reached: ≈11 of 11 used. Raise `LLM" in capsys.readouterr().out


def test_a_module_is_not_replaced_by_the_answer(nb: Notebook, capsys: pytest.CaptureFixture):
    nb.run("import xml.dom as dom")

    nb.ask("-o dom")

    assert "-o dom would replace the module `xml.dom`. Choose another name." in capsys.readouterr().err
    assert nb.server.requests == []


@pytest.mark.parametrize("end", ENDINGS.values(), ids=ENDINGS)
def test_the_same_estimate_is_told_everywhere(nb: Notebook, end):
    end(nb)

    answer = nb.shell.displayhook._
    assert answer.usage == Usage(6, 5, estimated=True)
    assert "≈6 tokens in, ≈5 out" in answer._repr_html_()


def test_the_tokens_of_a_chat_are_marked_where_some_are_estimated(nb: Notebook, capsys: pytest.CaptureFixture):
    nb.ask("", "Well?", Reply([sse(chunk("Once upon a time."), chunk(finish_reason="stop"))]))
    capsys.readouterr()

    nb.run("%llm chats")

    assert re.search(r"^main +1 +≈11$", capsys.readouterr().out, re.MULTILINE)


def test_a_request_that_was_refused_took_no_tokens(nb: Notebook, capsys: pytest.CaptureFixture):
    nb.ask("", "Well?", Reply([json_error()], 401, "application/json"))
    capsys.readouterr()

    nb.run("%llm usage")

    assert "No tokens have been used." in capsys.readouterr().out


def test_inside_of_another_magic_it_is_a_plain_call(nb: Notebook):
    nb.server.play(says("So."), says("Well."))

    nb.run("%%capture captured\n%%llm\nWell?")
    nb.run("get_ipython().run_cell_magic('llm', '--fresh', 'Well?')")

    assert nb.names["captured"].stdout.startswith("So.\n")
    assert nb.names["_"] == "Well."


def test_an_error_has_one_line_and_its_traceback_is_kept(nb: Notebook, capsys: pytest.CaptureFixture):
    result = nb.ask("", "Well?", Reply([json_error()], 401, "application/json"))
    assert not result.success
    assert len(capsys.readouterr().out.strip().splitlines()) == 2  # how the run went, and why

    nb.run("%tb")

    assert "Traceback (most recent call last)" in capsys.readouterr().out


def test_the_traceback_of_an_expression_is_kept(nb: Notebook, capsys: pytest.CaptureFixture):
    nb.run("def ratio():\n    return 1 / 0")
    nb.run("%%llm\n{{ ratio() }}")
    assert capsys.readouterr().out == "PromptError: {{ ratio() }} failed: ZeroDivisionError: division by zero\n"

    nb.run("%tb")

    assert "return 1 / 0" in re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)


def json_error() -> bytes:
    return b'{"error": {"message": "wrong key"}}'


def test_raw_text_is_shown_as_it_is(nb: Notebook, monkeypatch, capsys: pytest.CaptureFixture):
    monkeypatch.setenv("MOJENTIC_NB_DISPLAY", "static")

    nb.ask("--raw", "Well?", says("**So.**"))

    assert capsys.readouterr().out.startswith("**So.**\n")
