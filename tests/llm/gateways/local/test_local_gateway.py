"""The embedded model, for real: llama.cpp runs SmolLM2 in a process of its own."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import IO

import psutil
import pytest
from driving import BOTH, begin, events_of
from loopback import PATIENCE

from mojentic_nb.llm import CompletionConfig, Event, LLMBroker, LLMMessage, Notice, TextDelta
from mojentic_nb.llm.errors import ConfigurationError, ContextWindowError, LLMError, ProviderUnavailableError
from mojentic_nb.llm.gateways import LocalGateway, local
from mojentic_nb.llm.gateways.local import process
from mojentic_nb.llm.gateways.local.model_file import SMOLLM2

QUESTION = [LLMMessage(content="What makes a good chart?")]
FILE = SMOLLM2.path()
BRIEF = CompletionConfig(temperature=0, max_tokens=20)


@pytest.fixture(scope="module")
def gateway():
    """The embedded model, running."""
    with LocalGateway() as gateway:
        yield gateway


def ask(gateway: LocalGateway, config: CompletionConfig = BRIEF) -> str:
    return LLMBroker(gateway.model, gateway).generate(QUESTION, config=config)


def gone(pid: int) -> bool:
    """Whether the process with that id ends, now or soon."""
    try:
        return not psutil.wait_procs([psutil.Process(pid)], PATIENCE)[1]
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize("how", BOTH)
def test_an_image_is_left_out(gateway: LocalGateway, how: str):
    """llama.cpp says of itself that the model reads text only, so no request with an image is sent."""
    asked = [LLMMessage(content="What is this?", image_paths=["data:image/png;base64,iVBORw0KGgo="])]

    events = events_of(begin(LLMBroker(gateway.model, gateway, max_retries=0), how, asked, config=BRIEF))

    assert events[0] == Notice(f"1 image was left out: {gateway.model} reads text only.")
    assert any(isinstance(event, TextDelta) for event in events)


def test_a_real_model_answers_piece_by_piece(gateway: LocalGateway):
    run = LLMBroker(gateway.model, gateway).stream(QUESTION, config=BRIEF)

    pieces = list(run.text())

    assert gateway.model == "SmolLM2-135M-Instruct"
    assert len(pieces) > 10
    assert "chart" in "".join(pieces)
    assert run.finish_reason == "length"
    assert run.usage.output_tokens == 20


def test_one_process_answers_all_requests(gateway: LocalGateway):
    ask(gateway)
    pid = gateway.process.pid

    assert ask(gateway) == ask(gateway)
    assert gateway.process.pid == pid != os.getpid()


def test_threads_that_ask_at_once_get_one_process():
    barrier = threading.Barrier(4)

    def start(gateway: LocalGateway) -> int:
        barrier.wait(PATIENCE)
        return gateway._start()[0].pid

    with LocalGateway() as gateway, ThreadPoolExecutor(4) as threads:
        pids = {pid.result() for pid in [threads.submit(start, gateway) for _ in range(4)]}
        answers = {answer.result() for answer in [threads.submit(ask, gateway) for _ in range(4)]}

        assert pids == {gateway.process.pid}
        assert len(answers) == 1


def test_what_native_code_prints_does_not_disturb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    script = process.SCRIPT.read_text()
    noisy = script.replace("    import xllamacpp\n", "    import xllamacpp\n    os.write(1, b'noise')\n")
    assert noisy != script
    monkeypatch.setattr(process, "SCRIPT", tmp_path / "serve.py")
    process.SCRIPT.write_text(noisy)

    with LocalGateway() as gateway:
        assert ask(gateway)


def test_two_gateways_share_nothing(gateway: LocalGateway):
    ask(gateway)
    with LocalGateway() as other:
        ask(other)

        assert other.process.pid != gateway.process.pid
        assert other.process.url != gateway.process.url
        assert other.process.api_key != gateway.process.api_key


def fetch(gateway: LocalGateway, path: str, *, key: str | None = None, origin: str = "http://evil.example"):
    request = urllib.request.Request(gateway.process.url + path, headers={"origin": origin})  # noqa: S310
    if key:
        request.add_header("authorization", f"Bearer {key}")
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=PATIENCE)


@pytest.mark.parametrize("path", ["/health", "/v1/health"])
def test_anybody_may_ask_whether_the_server_is_up_and_learns_no_more(gateway: LocalGateway, path: str):
    """llama.cpp keeps these open, as docs/security.md says."""
    ask(gateway)

    with fetch(gateway, path) as answer:
        assert json.load(answer) == {"status": "ok"}


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/api/tags", "/metrics", "/slots", "/props", "/"])
def test_the_server_is_closed_to_whoever_lacks_the_key(gateway: LocalGateway, path: str):
    ask(gateway)

    for key in [None, "wrong"]:
        with pytest.raises(urllib.error.HTTPError) as refusal:
            fetch(gateway, path, key=key)
        assert refusal.value.code in (401, 404)
        refusal.value.close()


def test_no_web_page_may_read_its_answers(gateway: LocalGateway):
    ask(gateway)

    with fetch(gateway, "/v1/models", key=gateway.process.api_key) as answer:
        headers = answer.headers

    assert not headers["access-control-allow-origin"]
    assert headers["access-control-allow-credentials"] in (None, "false")


def test_the_embedded_model_samples_so_that_it_does_not_repeat_itself(gateway: LocalGateway):
    ask(gateway)

    with fetch(gateway, "/props", key=gateway.process.api_key) as answer:
        settings = json.load(answer)["default_generation_settings"]["params"]

    assert settings["repeat_penalty"] == pytest.approx(1.1)
    assert settings["temperature"] == pytest.approx(0.2)


def test_the_embedded_model_does_not_go_on_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(local, "EMBEDDED_MAX_TOKENS", 8)

    with LocalGateway() as gateway:
        run = LLMBroker(gateway.model, gateway).stream(QUESTION)
        list(run)

        assert (run.finish_reason, run.usage.output_tokens) == ("length", 8)
        assert len(ask(gateway)) > 8


def test_it_talks_on_the_loopback_interface_alone(gateway: LocalGateway):
    run = LLMBroker(gateway.model, gateway).stream(QUESTION)
    next(iter(run))

    connections = psutil.Process(gateway.process.pid).net_connections()

    assert {at.laddr.ip for at in connections} == {"127.0.0.1"}
    assert {at.raddr.ip for at in connections if at.raddr} == {"127.0.0.1"}
    run.close()


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_a_proxy_in_the_environment_is_passed_by(monkeypatch: pytest.MonkeyPatch, proxy: str):
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"]:
        monkeypatch.setenv(name, proxy)
    monkeypatch.delenv("NO_PROXY")

    with LocalGateway() as gateway:
        assert ask(gateway)


def test_the_key_is_not_to_be_seen(gateway: LocalGateway):
    ask(gateway)

    seen = psutil.Process(gateway.process.pid)

    assert gateway.process.api_key not in " ".join([*seen.cmdline(), *seen.environ().values(), repr(gateway)])


def test_the_process_gets_no_keys_and_leaves_no_core(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    with LocalGateway() as gateway:
        assert ask(gateway)
        process = psutil.Process(gateway.process.pid)

        assert "canary" not in process.environ().values()
        assert process.environ().keys() >= {"PATH", "OMP_NUM_THREADS"}
        assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)


def test_a_model_file_that_has_changed_is_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "mojentic_nb" / "models").mkdir(parents=True)
    file = tmp_path / "mojentic_nb" / "models" / SMOLLM2.file_name
    shutil.copy(FILE, file)
    with LocalGateway() as gateway:
        assert gateway.model_path == file
        file.unlink()
        file.write_bytes(b"GGUF")

        with pytest.raises(ConfigurationError, match="isn't the published one any more. Make a new LocalGateway"):
            ask(gateway)


def test_a_context_that_is_full_says_so(gateway: LocalGateway):
    with pytest.raises(ContextWindowError, match="too long for 'SmolLM2-135M-Instruct'. Send less"):
        LLMBroker(gateway.model, gateway).generate([LLMMessage(content="word " * 9000)])


def test_memory_does_not_grow_with_each_question(gateway: LocalGateway):
    def ask_at_length(subject: str) -> int:
        question = [LLMMessage(content=f"{subject} " * 400)]
        LLMBroker(gateway.model, gateway).generate(question, config=CompletionConfig(max_tokens=1))
        return psutil.Process(gateway.process.pid).memory_info().rss

    first = ask_at_length("sea")

    assert max(map(ask_at_length, ["sun", "moon", "stars"])) < first + 20_000_000


def test_the_process_ends_with_the_gateway():
    gateway = LocalGateway()
    ask(gateway)
    pid = gateway.process.pid

    del gateway
    gc.collect()

    assert gone(pid)


def test_after_close_the_next_request_starts_another():
    with LocalGateway() as gateway:
        ask(gateway)
        first = gateway.process.pid
        gateway.close()
        gateway.close()

        assert gone(first)
        assert ask(gateway)


def test_it_is_closed_asynchronously_too():
    gateway = LocalGateway()

    async def use() -> int:
        await LLMBroker(gateway.model, gateway).agenerate(QUESTION, config=BRIEF)
        pid = gateway.process.pid
        await gateway.aclose()
        await gateway.aclose()
        return pid

    assert gone(asyncio.run(use()))
    assert gateway.process is None


@pytest.mark.parametrize("how", BOTH)
def test_a_process_that_dies_in_the_middle_is_an_error_and_the_next_request_works(how: str):
    with LocalGateway() as gateway:
        run = begin(LLMBroker(gateway.model, gateway), how, QUESTION)
        texts = []

        def kill(event: Event) -> None:
            if isinstance(event, TextDelta):
                texts.append(event.delta)
                os.kill(gateway.process.pid, signal.SIGKILL)

        with pytest.raises(ProviderUnavailableError, match=r"killed by signal 9.*Ask again") as failure:
            events_of(run, kill)

        assert failure.value.reason.endswith("in the middle of the reply (killed by signal 9).")
        assert failure.value.partial.content == "".join(texts) != ""
        assert run.messages[-1].content == "".join(texts)
        assert ask(gateway)


PARENT = """
import os, signal, sys, time
from mojentic_nb.llm import LLMBroker, LLMMessage
from mojentic_nb.llm.gateways import LocalGateway, local
gateway = LocalGateway()
pieces = LLMBroker(gateway.model, gateway).generate_stream([LLMMessage(content="Tell me a long story.")])
next(pieces)
{fork}
print(gateway.process.pid, flush=True)
{end}
"""
FORK = """
if not os.fork():
    time.sleep(60)  # a child, as multiprocessing makes it: it holds the model's pipe open
"""


def test_the_process_ends_with_the_program_while_it_loads(tmp_path: Path):
    """A load keeps Python's threads from running, here by a sleep that holds the interpreter's lock as long."""
    program = f"""
import os, signal, sys, threading, time
from pathlib import Path
from mojentic_nb.llm.gateways.local import LocalGateway, process
script = process.SCRIPT.read_text()
slow = script.replace("    return xllamacpp.Server(params)", "    import ctypes; ctypes.PyDLL(None).sleep(60)")
assert slow != script
process.SCRIPT = Path({str(tmp_path / "serve.py")!r})
process.SCRIPT.write_text(slow)
threading.Thread(target=LocalGateway()._start, daemon=True).start()
time.sleep(2)
import psutil
print(psutil.Process().children()[0].pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    said = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=False).stdout

    assert gone(int(said))


@pytest.mark.parametrize("fork", ["", FORK], ids=["alone", "with a forked child"])
@pytest.mark.parametrize(
    "end",
    ["os.kill(os.getpid(), signal.SIGKILL)", "os.abort()", "os._exit(3)", "sys.exit()", "raise KeyboardInterrupt"],
)
def test_the_process_ends_with_the_program_however_that_ends(end: str, fork: str):
    program = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(end=end, fork=fork)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    pid = int(program.stdout.readline())
    try:
        assert gone(pid)
    finally:
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()
        program.stdout.close()


def test_where_a_process_cannot_fork_a_thread_watches():
    """As on Windows: the script in an interpreter that has no fork."""
    without = "import os, runpy, sys; del os.fork; sys.modules['resource'] = None"
    program = f"{without}; runpy.run_path({str(process.SCRIPT)!r}, run_name='__main__')"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with LocalGateway() as gateway, subprocess.Popen([sys.executable, "-c", program], **pipes) as serving:
        serving.stdin.write(json.dumps({**asdict(gateway._options), "api_key": "key"}).encode() + b"\n")
        serving.stdin.flush()
        assert b'"url"' in serving.stdout.readline()

        serving.stdin.close()

        assert serving.wait(PATIENCE) == 0


def test_a_process_that_lives_has_no_death_to_tell(gateway: LocalGateway):
    ask(gateway)

    assert gateway.process.death() is None


def test_it_answers_asynchronously_too(gateway: LocalGateway):
    broker = LLMBroker(gateway.model, gateway)

    assert asyncio.run(broker.agenerate(QUESTION, config=BRIEF)) == ask(gateway)


def test_its_one_model_is_listed(gateway: LocalGateway):
    assert gateway.get_available_models() == ["SmolLM2-135M-Instruct"]


def model(path: Path, size: int | None = None) -> Path:
    """The first `size` bytes of the embedded model as a file of its own."""
    path.write_bytes(SMOLLM2.path().read_bytes()[:size])
    return path


def test_any_other_gguf_file_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "my model.gguf"
    file.symlink_to(SMOLLM2.path())

    with LocalGateway(file) as by_argument:
        assert by_argument.model == "my model"
        assert ask(by_argument)
    monkeypatch.setenv("MOJENTIC_NB_LOCAL_MODEL", str(file))
    with LocalGateway() as by_environment:
        assert by_environment.model == "my model"
        assert ask(by_environment)


def test_a_missing_file():
    with pytest.raises(
        ConfigurationError, match=r"Can't read the model file no/such.gguf \(No such file or directory\)\. Check"
    ):
        LocalGateway("no/such.gguf")


def test_a_file_that_is_no_model(tmp_path: Path):
    (tmp_path / "x.gguf").write_text("hello")

    with pytest.raises(ConfigurationError, match="isn't a GGUF file, the only format that llama.cpp reads"):
        LocalGateway(tmp_path / "x.gguf")


@pytest.mark.parametrize("size", [1_000_000, 60_000_000])
def test_a_model_cut_short(tmp_path: Path, size: int):
    with LocalGateway(model(tmp_path / "short.gguf", size)) as gateway, pytest.raises(ConfigurationError) as failure:
        ask(gateway)

    assert "llama.cpp can't load" in str(failure.value)
    assert "download it again" in str(failure.value)
    assert "\n" not in str(failure.value)


def test_too_little_memory():
    with (
        LocalGateway(n_ctx=10_000_000) as gateway,
        pytest.raises(
            ConfigurationError, match="Not enough memory .* context of 10000000 tokens. Use a smaller `n_ctx`"
        ),
    ):
        ask(gateway)


@pytest.mark.parametrize(
    "option", [{"n_ctx": 0}, {"n_ctx": "abc"}, {"n_threads": 0}, {"port": -1}, {"port": 70_000}, {"n_ctx": 2**31}]
)
def test_an_option_out_of_range(option: dict):
    with pytest.raises(ConfigurationError, match=f"{next(iter(option))}=.* is out of range. Pass an integer from"):
        LocalGateway(**option)


def test_a_context_in_which_nothing_fits():
    """llama.cpp aborts over this one, which must not reach the user as anything but a line."""
    with LocalGateway(n_ctx=1) as gateway, pytest.raises(LLMError) as failure:
        ask(gateway)

    assert "\n" not in str(failure.value)


def test_an_interpreter_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", "/no/python")

    with (
        LocalGateway() as gateway,
        pytest.raises(ConfigurationError, match="Can't start the model's process with '/no/python'"),
    ):
        ask(gateway)


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_process_that_ends_before_it_reads_its_options(size: int, monkeypatch: pytest.MonkeyPatch):
    """Short options are still to be sent when the pipe closes, long ones fail as they are written."""
    false = shutil.which("false")
    launch = process.launch

    def launch_and_wait(errors: IO[bytes]) -> subprocess.Popen[bytes]:
        launched = launch(errors)
        launched.wait()
        return launched

    monkeypatch.setattr(sys, "executable", false)
    monkeypatch.setattr(process, "launch", launch_and_wait)

    with pytest.raises(ConfigurationError, match=r"^llama.cpp can't load a.gguf. It ended with exit code 1: .*$"):
        process.ModelProcess(process.ModelOptions("a.gguf", "x" * size, 512, 1, 0, -1, {}))


def test_a_gateway_whose_constructor_raised_has_a_repr():
    """A traceback shows it."""
    failed = LocalGateway.__new__(LocalGateway)
    with pytest.raises(ConfigurationError):
        failed.__init__("no-such-file.gguf")

    assert repr(failed) == "LocalGateway(None)"


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            LocalGateway(port=port) as gateway,
            pytest.raises(ConfigurationError, match=f"Port {port} is in use. Choose another one"),
        ):
            ask(gateway)


def test_without_the_extra_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)  # as if it were not installed

    with pytest.raises(ConfigurationError, match=r"pip install 'mojentic_nb\[local\]'"):
        LocalGateway()
