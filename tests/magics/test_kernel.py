"""`%%llm` in a real kernel, on the embedded model."""

from __future__ import annotations

import os
import re
import signal

import psutil
import pytest
from clicks import needs_clicks
from jupyter_client.manager import KernelManager
from loopback import Hold, Loopback, Reply, chunk, completion, sse, tool_call

LONG = "%%llm -m local -o story\nTell me a very long story about the sea."
BRIEF = "%%llm -m local --max-tokens 8\nHello"

SHOWN = ("stream", "display_data", "update_display_data", "execute_result", "error", "comm_open", "comm_msg")


class Kernel:
    """A running kernel, asked as a front end does."""

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(60)

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.manager.provisioner.pid)

    def start(self, code: str, *, watched: bool = True) -> str:
        """Run a cell; `watched` as JupyterLab does, else as nbclient does. Returns the request's id."""
        return self.client.execute(code, allow_stdin=watched, stop_on_error=False)

    def messages(self, request: str):
        """The messages of a cell, until it is done."""
        while True:
            message = self.client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return
            if message["msg_type"] in SHOWN:
                yield message

    def run(self, code: str, *, watched: bool = True) -> list[dict]:
        return list(self.messages(self.start(code, watched=watched)))

    def answer(self, text: str) -> str:
        """Answer the question that ``input()`` asks next; the question."""
        question = self.client.get_stdin_msg(timeout=60)["content"]["prompt"]
        self.client.input(text)
        return question

    def value(self, code: str) -> str:
        """What the cell shows as its value."""
        return self.run(code)[-1]["content"]["data"]["text/plain"]

    def models(self) -> list[psutil.Process]:
        """The model processes that this kernel has started."""
        return [child for child in self.process.children() if "serve.py" in " ".join(child.cmdline())]

    def descendants(self) -> list[psutil.Process]:
        """All processes that come from this kernel: the models, and who watches over them."""
        return self.process.children(recursive=True)

    def close(self, *, now: bool = True) -> None:
        """End it, `now` without letting it say what was covered."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=now)


@pytest.fixture
def kernel():
    """A kernel of the test's own, with the extension loaded, for a test that kills it or needs a second one."""
    kernel = Kernel()
    kernel.run("%load_ext mojentic_nb")
    yield kernel
    kernel.close()


@pytest.fixture(scope="module")
def running():
    """A kernel that tests share: starting one takes seconds."""
    kernel = Kernel()
    yield kernel
    kernel.close(now=False)


@pytest.fixture
def shared(running: Kernel) -> Kernel:
    """That kernel, with the extension loaded anew."""
    running.run(ANEW)
    return running


ANEW = """
import os
shell = get_ipython()
shell.autoawait = True
shell.config.pop("LLMMagics", None)
for name in [name for name in os.environ if name.startswith(("OPENAI_", "MOJENTIC_NB_"))]:
    del os.environ[name]
%reload_ext mojentic_nb
"""


def text(messages: list[dict]) -> str:
    """What the live view of a cell was told of the answer."""
    deltas = [message["content"]["data"] for message in messages if message["msg_type"] == "comm_msg"]
    ops = [op for data in deltas if data["method"] == "custom" for op in data["content"].get("ops", ())]
    pieces = [op[2]["text"] for op in ops if op[0] == "block" and op[2]["kind"] == "text"]
    return "".join([*pieces, *(op[3] for op in ops if op[0] == "append" and op[2] == "text")])


def saved(messages: list[dict]) -> dict:
    """The saved answer."""
    kinds = ("display_data", "update_display_data")
    return [message["content"]["data"] for message in messages if message["msg_type"] in kinds][-1]


def begun(messages):
    """Wait until the answer of a cell has begun; all messages until then."""
    found = []
    while not text(found):
        found.append(next(messages))
    return found


def test_a_burst_arrives_whole_each_character_once_and_in_few_messages(shared: Kernel, server: Loopback):
    words = [f"word{i} " for i in range(20_000)]
    server.play(Reply([completion(*words)]))
    shared.run(f"%env OPENAI_BASE_URL={server.url}\n%env OPENAI_API_KEY=none")

    messages = shared.run("%%llm -m openai:m\nTell me.")

    assert text(messages) == "".join(words)
    assert len(messages) < 1000  # Jupyter's server discards what comes at more than 1,000 a second
    assert "20,000 out" in saved(messages)["text/plain"]


def test_an_interrupt_stops_the_generation_and_keeps_the_answer(shared: Kernel):
    messages = shared.messages(shared.start(LONG))
    first = begun(messages)

    shared.manager.interrupt_kernel()
    rest = list(messages)

    assert saved(rest)["text/plain"].startswith(text([*first, *rest]).strip())
    assert "stopped after" in saved(rest)["text/plain"]
    (error,) = [message["content"] for message in rest if message["msg_type"] == "error"]
    assert error["ename"] == "KeyboardInterrupt"
    assert error["traceback"] == ["KeyboardInterrupt"]
    assert shared.value(SLOT_GOES_IDLE) == "True"
    assert shared.value("6 * 7") == "42"
    assert shared.value("len(story) > 0, story.finish_reason") == "(True, 'cancelled')"
    assert "SmolLM2" in saved(shared.run(BRIEF))["text/plain"]


SLOT_GOES_IDLE = """
import json, time, urllib.request
def busy():
    (gateway,) = get_ipython().magics_manager.registry["LLMMagics"].notebook.local.values()
    process = gateway.process
    request = urllib.request.Request(process.url + "/slots", headers={"authorization": "Bearer " + process.api_key})
    return json.load(urllib.request.urlopen(request))[0]["is_processing"]
deadline = time.monotonic() + 20
while busy() and time.monotonic() < deadline:
    time.sleep(0.05)
not busy()
"""


def test_an_error_is_one_line_and_the_kernel_goes_on(shared: Kernel):
    (error,) = shared.run("%%llm -m local:/no/such.gguf\nHello")

    (line,) = error["content"]["traceback"]
    assert line.startswith("ConfigurationError: Can't read the model file /no/such.gguf")
    assert shared.value("6 * 7") == "42"


def test_a_model_that_crashes_does_not_take_the_kernel_along(shared: Kernel):
    messages = shared.messages(shared.start(LONG))
    begun(messages)

    shared.models()[0].send_signal(signal.SIGSEGV)
    (error,) = [message for message in messages if message["msg_type"] == "error"]

    assert error["content"]["ename"] == "ProviderUnavailableError"
    assert "killed by signal 11" in error["content"]["evalue"]
    assert "SmolLM2" in saved(shared.run(BRIEF))["text/plain"]


@pytest.mark.parametrize("generating", [True, False])
def test_a_killed_kernel_leaves_no_model_behind(kernel: Kernel, generating: bool):
    messages = kernel.messages(kernel.start(LONG if generating else BRIEF))
    begun(messages) if generating else list(messages)
    assert len(kernel.models()) == 1
    processes = kernel.descendants()

    os.kill(kernel.process.pid, signal.SIGKILL)
    _, left = psutil.wait_procs(processes, 5)

    assert left == []


def test_a_restarted_kernel_leaves_no_model_behind(shared: Kernel):
    shared.run(BRIEF)
    processes = shared.descendants()

    shared.manager.restart_kernel()

    assert processes
    assert not psutil.wait_procs(processes, 5)[1]
    shared.client.wait_for_ready(60)


def test_two_notebooks_share_nothing(shared: Kernel, kernel: Kernel):
    for each in (shared, kernel):
        each.run(BRIEF)

    assert len(shared.models()) == len(kernel.models()) == 1
    assert shared.models() != kernel.models()


@pytest.fixture
def asked(shared: Kernel, server: Loopback) -> Kernel:
    """A kernel whose model is the server."""
    server.play(*(Reply([completion("So", " it is.")]) for _ in range(3)))
    shared.run(f"%env OPENAI_BASE_URL={server.url}\n%env OPENAI_API_KEY=none\n%config LLMMagics.model = 'openai:m'")
    return shared


def test_the_answer_streams_while_the_cell_runs(asked: Kernel, server: Loopback):
    hold = Hold()
    server.replies.clear()
    server.play(
        Reply([sse(chunk("A title,"), done=False), hold, sse(chunk(" and axes."), chunk(finish_reason="stop"))])
    )

    messages = asked.messages(asked.start("%%llm\nWhat makes a good chart?"))
    first = begun(messages)
    assert text(first) == "A title,"
    hold.release()

    shown = [*first, *messages]
    kinds = [message["msg_type"] for message in shown]
    assert text(shown) == "A title, and axes."
    assert kinds.count("display_data") == kinds.count("update_display_data") == 1
    assert "openai:m" in saved(shown)["text/html"]
    assert saved(shown)["text/plain"].startswith(text(shown))


def test_the_table_of_an_object_fills_in_while_the_cell_runs(asked: Kernel, server: Loopback):
    hold = Hold()
    server.replies.clear()
    server.play(
        Reply(
            [sse(chunk('{"city": "Oslo"'), done=False), hold, sse(chunk(', "days": 3}'), chunk(finish_reason="stop"))]
        )
    )
    asked.run("import pydantic\nclass Trip(pydantic.BaseModel):\n    city: str\n    days: int")

    messages = asked.messages(asked.start("%%llm --as Trip -o trip\nWhere to?"))
    tables = (each["content"]["data"].get("text/plain", "") for each in messages if each["msg_type"] in TABLES)
    first = next(table for table in tables if "Oslo" in table and "field" in table)
    hold.release()
    last = [table for table in tables if "field" in table][-1]

    assert [line.split() for line in first.splitlines()] == [["field", "value"], ["city", "Oslo"], ["days"]]
    assert [line.split() for line in last.splitlines()] == [["field", "value"], ["city", "Oslo"], ["days", "3"]]
    assert asked.value("trip.object") == "Trip(city='Oslo', days=3)"


TABLES = ("display_data", "update_display_data")


def test_the_trace_is_a_picture(asked: Kernel):
    asked.run("%%llm\nWell?")

    (output,) = asked.run("%llm trace")

    assert output["msg_type"] == "execute_result"
    assert "<table" in output["content"]["data"]["text/html"]


def test_a_run_that_nobody_watches_is_one_static_output(asked: Kernel):
    messages = asked.run("%%llm\nWhat makes a good chart?", watched=False)

    assert [message["msg_type"] for message in messages] == ["display_data"]
    assert set(saved(messages)) == {"text/html", "text/plain"}


def test_the_answer_is_the_cells_value(asked: Kernel):
    asked.run("%%llm -o answer\nWell?")

    assert (
        asked.value("n = len(In) - 2; (_ is answer is Out[n] is globals()[f'_{n}'], str(_))") == "(True, 'So it is.')"
    )


@pytest.mark.parametrize(
    "cell",
    [
        "%%capture captured\n%%llm\nWell?",
        "if True: get_ipython().run_cell_magic('llm', '', 'Well?')",
        "get_ipython().run_cell('%%llm\\nWell?'); None",
    ],
)
def test_inside_of_another_cell_it_is_a_plain_call(asked: Kernel, cell: str):
    assert "error" not in [message["msg_type"] for message in asked.run(cell)]

    assert asked.value("str(get_ipython().displayhook._)") == "'So it is.'"


def test_without_autoawait_it_is_a_plain_call(asked: Kernel):
    asked.run("%autoawait off")

    assert "So it is." in saved(asked.run("%%llm\nWell?"))["text/plain"]


@pytest.mark.parametrize(("view", "kinds"), [("static", ["display_data"]), ("text", ["stream"])])
@pytest.mark.parametrize("way", ["--view {}", "%env MOJENTIC_NB_DISPLAY={}", "%config LLMMagics.view = '{}'"])
def test_how_it_is_shown_can_be_chosen(asked: Kernel, way: str, view: str, kinds: list[str]):
    option = way.format(view)
    if not option.startswith("--"):
        asked.run(option)
        option = ""

    messages = asked.run(f"%%llm {option}\nWell?")

    assert sorted({message["msg_type"] for message in messages}) == kinds


def test_the_cell_that_the_front_end_names_is_the_one_that_is_replaced(asked: Kernel, server: Loopback):
    for question in ("First?", "First, in other words?"):
        message = asked.client.session.msg(
            "execute_request",
            {"code": f"%%llm\n{question}", "silent": False, "store_history": True, "allow_stdin": True},
            metadata={"cellId": "a"},
        )
        asked.client.shell_channel.send(message)
        list(asked.messages(message["header"]["msg_id"]))

    assert [said["content"] for said in server.requests[-1].body["messages"]] == ["First, in other words?"]


def calling(*then: Reply) -> list[Reply]:
    """Replies that call the tool, and say what came of it."""
    return [Reply([tool_call()]), *then]


@pytest.fixture
def tooled(asked: Kernel, server: Loopback) -> Kernel:
    """A kernel with a tool that the model calls."""
    server.replies.clear()
    server.play(*calling(Reply([completion("So.")])))
    asked.run("def sky(city: str) -> str:\n    return 'clear in ' + city")
    return asked


ASKING = {
    "as text": "%%llm -t sky --approve --view text\nWell?",
    "within another magic": "%%capture\n%%llm -t sky --approve\nWell?",
    "in a call": "if True: get_ipython().run_cell_magic('llm', '-t sky --approve', 'Well?')",
}


@pytest.mark.parametrize(("answer", "told"), [("y", "clear in Oslo"), ("", "The call was denied.")])
@pytest.mark.parametrize("cell", ASKING.values(), ids=ASKING)
def test_where_no_click_arrives_input_asks_whether_a_tool_may_run(tooled, server, cell: str, answer: str, told: str):
    messages = tooled.messages(tooled.start(cell))

    assert tooled.answer(answer) == 'Allow sky({"city": "Oslo"}) to run? [y/N] '

    assert "error" not in [message["msg_type"] for message in messages]
    assert server.requests[-1].body["messages"][-1]["content"] == told


@pytest.mark.parametrize("cell", ASKING.values(), ids=ASKING)
def test_an_interrupt_ends_the_question(tooled: Kernel, server: Loopback, cell: str):
    messages = tooled.messages(tooled.start(cell))
    tooled.client.get_stdin_msg(timeout=60)

    tooled.manager.interrupt_kernel()

    (error,) = [message["content"] for message in messages if message["msg_type"] == "error"]
    assert re.fullmatch("KeyboardInterrupt(: Interrupted by user)?", "\n".join(error["traceback"]))
    assert len(server.requests) == 1
    server.play(Reply([completion("So.")]))
    tooled.run("%%llm\nAnd?")
    roles = [message["role"] for message in server.requests[-1].body["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user"]


@needs_clicks
@pytest.mark.parametrize(("approved", "told"), [(True, "clear in Oslo"), (False, "The call was denied.")])
def test_a_click_decides_where_it_arrives(tooled: Kernel, server: Loopback, approved: bool, told: str):
    messages = tooled.messages(tooled.start("%%llm -t sky --approve\nWell?"))
    found = [next(messages)]
    while not (found[-1]["msg_type"] == "comm_msg" and "'approval'" in str(found[-1]["content"])):
        found.append(next(messages))

    (opened,) = [each["content"] for each in found if each["msg_type"] == "comm_open" and "anywidget" in str(each)]
    states = [
        each["content"]["data"].get("state", {}) for each in found if each["msg_type"] in ("comm_open", "comm_msg")
    ]
    run = [state["_snapshot"] for state in states if "_snapshot" in state][-1]["run"]
    content = {"type": "decision", "run": run, "block": 0, "approved": approved}
    data = {"method": "custom", "content": content}
    click = tooled.client.session.msg("comm_msg", {"comm_id": opened["comm_id"], "data": data})
    tooled.client.shell_channel.send(click)

    assert saved(list(messages))["text/plain"].startswith("✓" if approved else "⊘")
    assert server.requests[-1].body["messages"][-1]["content"] == told
