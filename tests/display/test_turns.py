"""One view that several runs want at once, from real threads with event loops of their own."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Coroutine, Generator, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from paced import CALLS, END, QUESTION, PacedGateway, Step, asking, call, text

from mojentic_nb.display.live import LiveView
from mojentic_nb.llm import LLMBroker, LLMMessage
from mojentic_nb.llm.concurrency import in_background
from mojentic_nb.llm.events import ModelEvent
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.llm.request import Request
from mojentic_nb.llm.tools import tool

REFUSED = r"^This `LiveView` is still showing another run. Wait for its end, or make another view.$"
PATIENCE = 30  # seconds
APP = re.compile(r"^## In an application\n.*?^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Loop:
    """An event loop in a thread of its own, as a subshell of a kernel has it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.loop.run_forever()
        self.loop.close()

    def start(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Begin to run `work` there."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def call(self, function, *arguments: object) -> None:
        """Call `function` there, within the loop."""

        async def called() -> None:
            function(*arguments)

        self.start(called()).result(PATIENCE)

    def close(self) -> None:
        """End it as ipykernel does: what runs there is left as it is."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE)


@pytest.fixture
def loops() -> Iterator[list[Loop]]:
    loops = [Loop() for _ in range(3)]
    yield loops
    for loop in loops:
        if not loop.loop.is_closed():
            loop.close()


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "go"


def shown(view: LiveView) -> list[str]:
    """The text that the view shows."""
    return [block["text"] for block in view.transcript.state()["blocks"] if block["kind"] == "text"]


def until_shown(view: LiveView, said: str) -> None:
    """Wait until the view shows that text."""
    seen = threading.Event()
    while said not in shown(view):
        seen.wait(0.005)


class Journal(PacedGateway):
    """Writes down when each question begins to be answered, and when its answer has ended."""

    def __init__(self, *steps: Step) -> None:
        super().__init__(*steps)
        self.lines: list[str] = []

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        asked = request.messages[0].content
        self.lines.append(f"{asked} begins")
        yield from super().stream(request)
        self.lines.append(f"{asked} ends")


def test_the_documented_app_answers_all_that_is_asked_meanwhile(loops: list[Loop], gate: Path, project: Path):
    """Ten questions come while one answer streams, from callbacks in three threads with loops of their own."""
    found = APP.search((project / "docs" / "widgets.md").read_text("utf-8"))
    app: dict[str, Any] = {each.__name__: each for each in (LiveView, LLMBroker, LLMMessage, ScriptedGateway)}
    exec(found[1], app)  # noqa: S102 (our own docs)
    journal = Journal([*text("a0"), gate, END], *([*text(f"a{number}"), END] for number in range(1, 11)))
    app["broker"].adapter = journal
    tasks: set[asyncio.Task[None]] = set()

    for number in range(11):
        loops[number % 3].call(setattr, app["question"], "value", f"q{number}")
        tasks |= app["running"]
    gate.touch()
    for task in tasks:
        for loop in loops:
            if task.get_loop() is loop.loop:
                loop.start(ended(task)).result(PATIENCE)

    assert journal.lines == [f"q{number} {what}" for number in range(11) for what in ("begins", "ends")]
    assert shown(app["answer"]) == ["a10"]
    assert not app["running"]


async def ended(task: asyncio.Task[None]) -> None:
    """Wait for the task; raise what it raised."""
    await task


def test_who_stops_waiting_does_not_keep_the_others_waiting(loops: list[Loop], gate: Path):
    """One task is cancelled, and one's loop is closed under it, as that of a subshell that is deleted."""
    view = LiveView()
    broker = asking([*text("one"), gate, END], [*text("two"), END])
    tasks: list[Future[None]] = []
    for loop in (loops[0], loops[0], loops[1], loops[2]):
        tasks.append(loop.start(view.awatch(broker.astream(QUESTION))))
        loop.call(lambda: None)  # it is in the line now
    until_shown(view, "one")

    tasks[1].cancel()
    loops[1].close()
    gate.touch()
    tasks[0].result(PATIENCE)
    tasks[3].result(PATIENCE)

    assert shown(view) == ["two"]


def test_a_run_whose_loop_was_closed_gives_its_turn_away(loops: list[Loop], tmp_path: Path):
    view = LiveView()
    broker = asking([*text("one"), tmp_path / "never", END], [*text("two"), END], [*text("three"), END])
    lost = broker.astream(QUESTION)
    loops[0].start(view.awatch(lost))
    until_shown(view, "one")
    waiting = loops[1].start(view.awatch(broker.astream(QUESTION)))
    loops[1].call(lambda: None)  # it is in the line now
    in_thread = in_background(lambda: view.watch(broker.stream(QUESTION)))

    loops[0].close()
    waiting.result(PATIENCE)
    in_thread.result(PATIENCE)

    lost.cancel()
    assert "".join(shown(view)) in ("two", "three")


def test_a_synchronous_run_waits_for_its_turn_in_its_thread(loops: list[Loop], gate: Path):
    view = LiveView()
    broker = asking([*text("one"), gate, END], [*text("two"), END], [*text("three"), END])
    first = loops[0].start(view.awatch(broker.astream(QUESTION)))
    until_shown(view, "one")
    waiting = in_background(lambda: view.watch(broker.stream(QUESTION)))
    last = in_background(lambda: view.watch(broker.stream(QUESTION)))
    assert not waiting.done()

    gate.touch()
    for each in (first, waiting, last):
        each.result(PATIENCE)

    assert shown(view) == ["three"]


def test_a_notice_before_the_first_run_is_kept_for_it():
    view = LiveView()
    broker = asking([*text("one"), END], [*text("two"), END])

    view.notice("info", "Early.")
    view.watch(broker.stream(QUESTION))
    first = [block["text"] for block in view.transcript.state()["blocks"]]
    view.notice("info", "Late.")
    view.watch(broker.stream(QUESTION))

    assert first == ["Early.", "one"]
    assert shown(view) == ["two"]
    assert len(view.transcript.state()["blocks"]) == 1


def test_where_a_turn_would_never_come_it_is_refused(gate: Path):
    """In the thread that shows the other run, and in a tool of that run, whichever thread it runs in."""
    view = LiveView()
    refused: list[str] = []
    broker = asking([*call("look"), CALLS], [*text("one"), gate, END])

    def look() -> str:
        """Look at something in the same view."""
        with pytest.raises(RuntimeError, match=REFUSED) as caught:
            view.watch(asking([END]).stream(QUESTION))
        refused.append(str(caught.value))
        return "nothing"

    async def alook() -> str:
        """The same, asynchronously."""
        with pytest.raises(RuntimeError, match=REFUSED):
            await view.awatch(asking([END]).astream(QUESTION))
        return look()

    async def both() -> None:
        first = asyncio.create_task(view.awatch(broker.astream(QUESTION, [tool(name="look")(alook)])))
        while "one" not in shown(view):
            assert not first.done(), first
            await asyncio.sleep(0)
        for show in (view.watch, view.show):
            with pytest.raises(RuntimeError, match=REFUSED):
                show(asking([END]).stream(QUESTION))
        gate.touch()
        await first

    asyncio.run(both())
    view.watch(asking([*call("look"), CALLS], [*text("two"), END]).stream(QUESTION, [look]))

    assert len(refused) == 2
    assert shown(view) == ["two"]
