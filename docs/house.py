"""Measure how the house is built, and print it: `python docs/house.py`.

A ``%%llm`` cell asks a server on the loopback interface, in a real kernel, with every line of the package traced. A
file counts on the way *down* if it runs between the cell's start and the arrival of the request's bytes at the server,
on the way *up* if it runs between the first byte of the reply and the message that takes its text to the page. Code
that runs at import does not count. The same question without `await` shows the *stack*: the files whose functions wait
for the reply, each called by the one before. All other numbers are read from the source.
"""

from __future__ import annotations

import ast
import json
import pkgutil
import re
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mojentic_nb"
sys.path.insert(0, str(ROOT / "tests"))

CORE = ("messages", "events", "request", "conversation", "run", "broker")  # of mojentic_nb/llm
MOST = {"down": 15, "up": 15, "core": 1_100}
BLOCKING = "shell = get_ipython(); shell.run_cell_magic('llm', '-m openai:gpt-5-mini', 'What is a fjord?')"
QUESTION = "%%llm -m openai:gpt-5-mini\nWhat is the capital of Norway?"
ANSWER = "Oslo"
PAUSE = 0.3  # seconds between the request's bytes and the reply's, for what still runs


class Way:
    """Records which files run in each phase of a question: *down*, *waiting*, *up*, *after*.

    It traces lines, not calls: the caller of a generator continues without being called again.
    """

    def __init__(self) -> None:
        self.phase = ""
        self.files: dict[str, list[str]] = {}

    def trace(self, frame: FrameType, event: str, _: object) -> Callable[..., Any] | None:
        """Follow the frames of the package (a trace function, as `sys.settrace` expects)."""
        name = frame.f_code.co_filename
        if not name.startswith(str(PACKAGE)) or frame.f_code.co_name == "<module>":
            return None
        if event == "line":
            files = self.files.setdefault(self.phase, [])
            if (file := str(Path(name).relative_to(PACKAGE))) not in files:
                files.append(file)
        return self.trace

    def stack(self) -> Iterator[bytes]:
        """Note the main thread's stack, which waits for the reply, and yield one that ends the run."""
        frame: FrameType | None = sys._current_frames()[threading.main_thread().ident or 0]  # noqa: SLF001 (documented)
        names = []
        while frame:
            names.append(frame.f_code.co_filename)
            frame = frame.f_back
        files = [str(Path(name).relative_to(PACKAGE)) for name in reversed(names) if name.startswith(str(PACKAGE))]
        self.files["stack"] = list(dict.fromkeys(files))
        yield b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"

    def reply(self) -> Iterator[bytes]:
        """Yield the bytes of the reply; the server asks for them when it has read the request."""
        from loopback import chunk, sse

        self.phase = "waiting"
        time.sleep(PAUSE)
        self.phase = "up"
        yield b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        yield sse(chunk(ANSWER), done=False)
        time.sleep(PAUSE)
        yield sse(chunk(finish_reason="stop"))


WAY = Way()


def begin() -> None:
    """Prepare the kernel that runs this: start the server, import everything, and trace the cells that follow."""
    import os

    from IPython import get_ipython
    from loopback import Loopback, Reply

    for module in pkgutil.walk_packages([str(PACKAGE)], "mojentic_nb."):
        if not module.name.endswith("__main__"):
            __import__(module.name)
    server = Loopback()
    server.play(Reply(WAY.reply(), status=None), Reply(WAY.stack(), status=None))
    os.environ |= {"OPENAI_API_KEY": "sk-house", "OPENAI_BASE_URL": server.url, "NO_PROXY": "127.0.0.1"}
    shell = get_ipython()
    shell.run_line_magic("load_ext", "mojentic_nb")
    send = shell.kernel.session.send

    def watched(stream: object, message: object, content: object = None, *args: Any, **kwargs: Any) -> object:
        if message == "comm_msg" and WAY.phase == "up" and ANSWER in str(content):
            WAY.phase = "after"
        return send(stream, message, content, *args, **kwargs)

    shell.kernel.session.send = watched
    shell.events.register("pre_run_cell", start)
    threading.settrace(WAY.trace)  # of threads that start from now on


def start(info: Any) -> None:
    """Trace the cell if it asks a question."""
    WAY.phase = "down" if "%%llm" in info.raw_cell else ""
    sys.settrace(WAY.trace if WAY.phase else None)


def ask() -> dict[str, list[str]]:
    """Ask a question in a new kernel and return the files that it passes, by phase."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel()
    printed: list[str] = []

    def hook(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])
        elif message["msg_type"] == "error":
            printed.append("\n".join(message["content"]["traceback"]) + "\n")

    try:
        folders = [str(ROOT), str(ROOT / "docs"), str(ROOT / "tests")]
        setup = f"import sys; sys.path[:0] = {folders}; import house; house.begin()"
        for cell in (setup, QUESTION, BLOCKING, "import json; print('WAY', json.dumps(house.WAY.files))"):
            client.execute_interactive(cell, allow_stdin=True, stop_on_error=False, output_hook=hook, timeout=60)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    found = re.search(r"^WAY (.*)$", "".join(printed), re.MULTILINE)
    if not found or not all(f'"{phase}"' in found[1] for phase in ("after", "stack")):
        raise RuntimeError("The question got no answer:\n" + "".join(printed))
    return json.loads(found[1])


def lines_of(path: Path) -> int:
    """Count the lines of a file."""
    return len(path.read_text("utf-8").splitlines())


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of nodes that reach each other."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        queue = [start]
        while queue:
            for other in graph.get(queue.pop(), set()) - found:
                found.add(other)
                queue.append(other)
        return found

    reach = {node: reached(node) for node in graph}
    groups = {frozenset({node, *(other for other in reach[node] if node in reach.get(other, ()))}) for node in graph}
    return sorted(sorted(group) for group in groups if len(group) > 1)


def between_folders(imports: dict[str, set[str]], paths: dict[str, Path]) -> dict[str, set[str]]:
    """Return which folders each folder imports from, except those around it and inside it."""
    graph: dict[str, set[str]] = {}
    for name, others in imports.items():
        here = paths[name].parent
        for there in {paths[other].parent for other in others}:
            if not (here.is_relative_to(there) or there.is_relative_to(here)):
                graph.setdefault(str(here.relative_to(ROOT)), set()).add(str(there.relative_to(ROOT)))
    return graph


def import_lines(path: Path) -> int:
    """Count the lines that the import statements of a file take."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return sum(
        node.end_lineno - node.lineno + 1
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom) and node.end_lineno
    )


def show(title: str, value: object, most: int | None = None) -> None:
    """Print one number and its target."""
    wanted = "" if most is None else f"  (at most {most:,}: {'yes' if int(str(value)) <= most else 'NO'})"
    print(f"{title:<34}{value:>8,}{wanted}" if isinstance(value, int) else f"{title:<34}{value:>8}{wanted}")


def listed(lines: Iterable[str]) -> None:
    """Print details below a number."""
    for line in lines:
        print(f"    {line}")


def main() -> None:
    """Measure and print."""
    import test_architecture as architecture

    way = ask()
    for phase in ("down", "up"):
        show(f"files on the way {phase}", len(way[phase]), MOST[phase])
        folders = Counter(file.partition("/")[0] for file in way[phase])
        listed([", ".join(f"{folder} {count}" for folder, count in folders.items()), *way[phase]])
    show("files on the stack, of those down", len(way["stack"]))
    listed(way["stack"])
    other = [file for file in way["after"] if file not in way["down"] + way["up"]]
    show("more files until it is saved", len(other))
    listed(other)

    sizes = {name: lines_of(PACKAGE / "llm" / f"{name}.py") for name in CORE}
    show("lines of the core", sum(sizes.values()), MOST["core"])
    listed([", ".join(f"{name} {size}" for name, size in sizes.items())])

    up = [
        f"{name} -> {other}"
        for name, others in architecture.IMPORTS.items()
        for other in sorted(others - {"mojentic_nb"})
        if name != "mojentic_nb" and architecture.rank(other) > architecture.rank(name)
    ]
    show("arrows up", len(up), 0)
    found = circles(architecture.IMPORTS)
    show("circles between files", len(found), 0)
    torn = circles(between_folders(architecture.IMPORTS, architecture.MODULES))
    show("circles between folders", len(torn), 0)
    listed([*up, *map(" <-> ".join, [*found, *torn])])

    lengths = sorted(lines_of(path) for path in architecture.MODULES.values())
    imports = sum(import_lines(path) for path in architecture.MODULES.values())
    show("lines of the package", sum(lengths))
    show("files", len(lengths))
    show("median file", int(statistics.median(lengths)))
    show("files under 50 lines", sum(length < 50 for length in lengths))
    show("files over 500 lines", sum(length > 500 for length in lengths))
    show("lines of imports", imports)
    show("their share", f"{imports / sum(lengths):.1%}")


if __name__ == "__main__":
    main()
