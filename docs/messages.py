"""Write `docs/messages.md`, the page of all messages that a user can meet: `python docs/messages.py`.

Each case in `docs/cases` provokes one message from the real parts: an IPython shell with the extension loaded, gateways
that ask a server on the loopback interface, scripted models. The page shows what came out, and the case adds why, and
what to do. So a reworded message needs no more than another run of this script. `--check` compares and writes nothing.
"""

from __future__ import annotations

import atexit
import contextlib
import difflib
import importlib
import io
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs"), str(ROOT / "tests")]

from cases import Case, Group  # noqa: E402
from loopback import Loopback  # noqa: E402

PAGE = ROOT / "docs" / "messages.md"
CHAPTERS = ("asking", "models", "connection", "tools", "conversations", "recordings", "local", "display")
HEAD = """\
# Messages

Every error, warning and notice that you can meet, by what you were doing: what you see, why, and what to do. To find
one, search the page for a few of its words.

A script provokes each message and copies it here, so the texts are exactly what you see. Only names differ: the page's
server is `127.0.0.1:8000`, its folder `/home/ada`, and times are left out. In the examples, `broker` is an `LLMBroker`
and `question` a list of messages.
"""
# What the snippets use without importing it.
PRELUDE = """
import asyncio, os, sys, threading
from pathlib import Path
from pydantic import BaseModel
from mojentic_nb.display import LiveView, Transcript
from mojentic_nb.llm import *
from mojentic_nb.llm.gateways import *
from mojentic_nb.llm.tools import *
from mojentic_nb.tracer import TracerSystem

def scripted(*steps, **options):
    return LLMBroker("script", ScriptedGateway(steps), **options)

def calls(name="f", **arguments):
    return [ToolCallEnd(LLMToolCall(id="1", name=name, arguments=arguments)), StepFinish("tool_calls")]

def result(run):
    list(run)
    print(next(m.content for m in run.messages if m.role is MessageRole.Tool))

QUESTION = [LLMMessage("Which rivers are longest?")]
"""


class Reader:
    """Sits at a shell, meets messages, and writes down what it sees."""

    def __init__(self) -> None:
        from IPython.core.interactiveshell import InteractiveShell

        self.server = Loopback()
        self.shell = InteractiveShell.instance()
        self.shell.showtraceback = lambda *_, **__: None  # `run` shows the error's own line
        self.shell.InteractiveTB.set_mode("Minimal")  # which takes a tenth of the time
        self.lost: list[str] = []  # cases whose message didn't come
        self.names: dict[str, object] = {}
        exec(PRELUDE, self.names)  # noqa: S102 (our own text)

    def close(self) -> None:
        """Leave no thread and no history behind."""
        self.server.close()
        self.shell.history_manager.end_session()
        atexit.unregister(self.shell.atexit_operations)
        type(self.shell).clear_instance()

    def meet(self, case: Case) -> str:
        """Provoke the message of `case` and return its text."""
        self.server.replies.clear()
        self.server.play(*case.replies())
        self.shell.user_ns.clear()
        self.shell.init_user_ns()
        self.shell.user_ns |= self.names | {"URL": self.server.url, "__name__": "__main__"}
        with (
            tempfile.TemporaryDirectory() as folder,
            contextlib.chdir(folder),
            environment(self.server.url),
            self.extension(),
        ):
            self.run(case.given)
            seen = self.run(case.code)
        lines = [line for line in seen.splitlines() if re.search(case.pick, line)]
        if not lines:
            self.lost.append(f"{case.code!r} shows no message like {case.pick!r}, but:\n{seen}")
        text = "\n".join(lines).strip().replace(os.path.realpath(folder), "/home/ada")
        text = "\n".join(map(untimed, text.splitlines()))
        return text.replace(self.server.url.removeprefix("http://"), "127.0.0.1:8000")

    def run(self, code: str) -> str:
        """Run a cell and return what it prints, warns of and raises."""
        seen = io.StringIO()

        def warned(message: Warning | str, category: type[Warning], *_: object) -> None:
            print(f"{category.__name__}: {message}", file=seen)

        with contextlib.redirect_stdout(seen), contextlib.redirect_stderr(seen), warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.simplefilter("always", RuntimeWarning)
            warnings.filterwarnings("always", category=DeprecationWarning, module="__main__")
            warnings.showwarning = warned
            result = self.shell.run_cell(code, store_history=True)
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            print(f"{type(error).__name__}: {error}".removesuffix(": "), file=seen)
        return re.sub(r"^Out\[\d+\]: ", "", seen.getvalue(), flags=re.MULTILINE)

    @contextlib.contextmanager
    def extension(self) -> Iterator[None]:
        """Load the extension, as new as at the start of a notebook, and unload it."""
        self.shell.run_line_magic("load_ext", "mojentic_nb")
        try:
            yield
        finally:
            if "mojentic_nb" in self.shell.extension_manager.loaded:  # a case may have unloaded it
                self.shell.run_line_magic("unload_ext", "mojentic_nb")


def untimed(line: str) -> str:
    """Return a line without those parts of a status that say how long something took."""
    parts = line.split(" · ")
    return line if len(parts) == 1 else " · ".join(part for part in parts if not re.search(r"\d (s|tokens/s)$", part))


@contextlib.contextmanager
def environment(url: str) -> Iterator[None]:
    """Set the environment of a user whose providers are all at `url`."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("OPENAI_", "ANTHROPIC_", "OLLAMA_", "MOJENTIC_NB_")) or name.upper().endswith("_PROXY"):
            del os.environ[name]
    os.environ |= {
        "OPENAI_API_KEY": "sk-of-ada",
        "OPENAI_BASE_URL": f"{url}/v1",
        "ANTHROPIC_API_KEY": "sk-of-ada",
        "ANTHROPIC_BASE_URL": url,
        "OLLAMA_HOST": url,
        "NO_PROXY": "127.0.0.1",
    }
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def groups() -> list[Group]:
    """Return the groups of cases in the order of the page."""
    return [group for name in CHAPTERS for group in importlib.import_module(f"cases.{name}").GROUPS]


def entry(case: Case, text: str) -> str:
    """Write one message in Markdown."""
    fence = "````" if "```" in text else "```"
    code = re.sub(r"scripted\([^()]*\)", "broker", case.code.strip()).replace("QUESTION", "question")
    when = case.when or f"`{code}`"
    return f"{fence}text\n{text}\n{fence}\n\n- **When:** {when}\n- **Why:** {case.why}\n- **What to do:** {case.do}\n"


def page() -> str:
    """Provoke all messages and return the page."""
    parts = [HEAD]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["IPYTHONDIR"] = folder
        os.environ["NO_COLOR"] = "1"
        reader = Reader()
        try:
            for group in groups():
                parts += [f"## {group.title}\n", *([f"{group.text}\n"] if group.text else [])]
                parts += [entry(case, reader.meet(case)) for case in group.cases]
        finally:
            reader.close()
    if reader.lost:
        sys.exit("\n".join(reader.lost))
    return "\n".join(parts)


def main() -> None:
    """Write the page, or with --check exit with 1 where it isn't what the script writes."""
    written = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(written, encoding="utf-8")
        return
    old = PAGE.read_text("utf-8") if PAGE.exists() else ""
    if changes := list(difflib.unified_diff(old.splitlines(), written.splitlines(), "saved", "provoked", lineterm="")):
        sys.exit("\n".join([*changes, "", "Run `python docs/messages.py`."]))


if __name__ == "__main__":
    main()
