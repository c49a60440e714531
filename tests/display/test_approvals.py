"""What a person approves of is what runs: `LiveView` in a real kernel, by a front end's messages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clicks import needs_clicks

from .conftest import Frontend

TOOLS = """
import asyncio, threading, time
from mojentic_nb.llm import LLMToolCall, StepFinish, ToolCallDelta, ToolCallEnd, ToolCallStart, tool

ran = []

@tool
def delete(path: str, times: int = 1, force: bool = False) -> str:
    ran.append(("delete", path, times, force))
    return "gone"

class Drop(PacedTool):
    def __init__(self):
        super().__init__("drop", None)
    def run(self, table, cascade=True):
        ran.append(("drop", table, cascade))
        return "dropped"

def made(id, name, streamed=None, **arguments):
    return [
        ToolCallStart(id, name),
        ToolCallDelta(id, json.dumps(arguments) if streamed is None else streamed),
        ToolCallEnd(LLMToolCall(id=id, name=name, arguments=arguments)),
    ]

def inner():
    return asking([*made("1", "delete", path="/inner"), CALLS], [*text("Inner."), END])

def outer(name):
    return asking([*made("1", name, path="/outer"), CALLS], [*text("Outer."), END])

view = LiveView()
"""


@pytest.fixture
def frontend(frontend: Frontend) -> Frontend:
    """The kernel, with tools in it."""
    frontend.run(TOOLS)
    return frontend


def waiting(frontend: Frontend, block: int) -> dict:
    """The block as the page has it at the moment when it waits for a click."""
    frontend.read_until("comm_msg", "'approval'")
    blocks = dict(enumerate(frontend.snapshots()[-1]["state"]["blocks"]))
    for op in (op for delta in frontend.deltas() for op in delta["ops"]):
        match op:
            case ["block", index, made]:
                blocks[index] = dict(made)
            case ["append", index, field, piece]:
                blocks[index][field] += piece
            case ["set", index, fields]:
                blocks[index].update(fields)
    assert blocks[block]["state"] == "approval"
    return blocks[block]


@needs_clicks
@pytest.mark.parametrize(
    ("call", "shown", "ran"),
    [
        (
            "made('1', 'delete', path='/x', times='2')",
            {"path": "/x", "times": 2, "force": False},
            ("delete", "/x", 2, False),
        ),
        (
            "made('1', 'delete', '{\"path\": \"/harmless\"}', path='/x')",
            {"path": "/x", "times": 1, "force": False},
            ("delete", "/x", 1, False),
        ),
        ("made('1', 'drop', table='t')", {"table": "t", "cascade": True}, ("drop", "t", True)),
    ],
    ids=["coerced", "streamed otherwise", "a class"],
)
def test_what_the_card_shows_is_what_runs(frontend: Frontend, call: str, shown: dict, ran: tuple):
    frontend.start(
        "def approve(call):\n"
        "    shown = view.approve(call)\n"
        "    call.arguments.clear()\n"
        "    return shown\n"
        f"broker = asking([*{call}, CALLS], [*text('Well.'), END])\n"
        "await view.ashow(broker.astream(QUESTION, [delete, Drop()], approve=approve))\n"
        "print(ran)"
    )
    block = waiting(frontend, 0)
    frontend.decide(0)
    frontend.finish()

    assert json.loads(block["arguments"]) == shown
    assert frontend.printed() == f"{[ran]}\n"


@needs_clicks
@pytest.mark.parametrize(("approved", "state"), [(True, "done"), (False, "denied")])
def test_a_click_decides_about_a_call(frontend: Frontend, approved: bool, state: str):
    frontend.start(
        "broker = asking([*made('1', 'delete', path='/x'), CALLS], [*text('Well.'), END])\n"
        "await view.ashow(broker.astream(QUESTION, [delete], approve=view.approve))\n"
        "print(view.transcript.state()['blocks'][0]['state'])"
    )
    waiting(frontend, 0)
    frontend.decide(1, approved=not approved)
    frontend.click(type="decision", run=-1, block=0, approved=not approved)
    frontend.decide(0, approved=approved)
    frontend.decide(0, approved=not approved)
    frontend.finish()

    assert frontend.printed() == f"{state}\n"


@needs_clicks
def test_two_calls_of_one_id_are_two_questions(frontend: Frontend):
    frontend.start(
        "broker = asking([*made('1', 'delete', path='/x'), *made('1', 'delete', path='/y'), CALLS], [END])\n"
        "await view.ashow(broker.astream(QUESTION, [delete], approve=view.approve))\n"
        "print([block['state'] for block in view.transcript.state()['blocks']], ran)"
    )
    waiting(frontend, 1)
    frontend.decide(1)
    frontend.decide(0, approved=False)
    frontend.finish()

    assert frontend.printed() == "['denied', 'done'] [('delete', '/y', 1, False)]\n"


@needs_clicks
def test_who_asks_twice_about_one_call_is_denied(frontend: Frontend):
    frontend.start(
        "async def approve(call):\n"
        "    first, second = await asyncio.gather(view.approve(call), view.approve(call))\n"
        "    print(first, second)\n"
        "    return first is True and second is True\n"
        "broker = asking([*made('1', 'delete', path='/x'), CALLS], [END])\n"
        "await view.ashow(broker.astream(QUESTION, [delete], approve=approve))"
    )
    waiting(frontend, 0)
    frontend.decide(0)
    frontend.finish()

    assert frontend.printed() == "True someone is already deciding about it\n"


NESTED = {
    "async": "async def ask(path: str):\n    return await inner().agenerate(QUESTION, [delete], approve=view.approve)",
    "thread": "def ask(path: str):\n    return inner().generate(QUESTION, [delete], approve=view.approve)",
    "a thread of its own": (
        "async def ask(path: str):\n"
        "    return await asyncio.to_thread(inner().generate, QUESTION, [delete], approve=view.approve)"
    ),
    "reported": "def ask(path: str):\n    yield from inner().stream(QUESTION, [delete], approve=view.approve)",
    "a view": (
        "async def ask(path: str):\n"
        "    view = LiveView()\n"
        "    await view.ashow(inner().astream(QUESTION, [delete], approve=view.approve))"
    ),
    "a view in a thread": (
        "def ask(path: str):\n"
        "    view = LiveView()\n"
        "    view.show(inner().stream(QUESTION, [delete], approve=view.approve))"
    ),
}


@needs_clicks
@pytest.mark.parametrize("approved", [True, False])
@pytest.mark.parametrize("ask", NESTED.values(), ids=NESTED.keys())
def test_an_inner_calls_question_is_on_a_card_in_its_tools_card(frontend: Frontend, ask: str, approved: bool):
    """Its id is that of the tool's own call."""
    frontend.start(
        f"{ask}\n"
        "await view.ashow(outer('ask').astream(QUESTION, [ask]))\n"
        "print([(block['name'], block['parent'], block['state']) for block in view.transcript.state()['blocks']"
        " if block['kind'] == 'tool'], ran)"
    )
    block = waiting(frontend, 1)
    frontend.decide(0)
    frontend.decide(1, approved=approved)
    frontend.finish()

    assert (block["name"], block["parent"]) == ("delete", 0)
    assert json.loads(block["arguments"]) == {"path": "/inner", "times": 1, "force": False}
    (ask_card, delete_card, *_), ran = eval(frontend.printed().replace("] [", "], [", 1))  # noqa: S307 (ours)
    assert ask_card == ("ask", None, "done")
    assert delete_card == ("delete", 0, "done" if approved else "denied")
    assert ran == [("delete", "/inner", 1, False)] * approved


BUSY = {
    "a tool on the kernel's loop": (
        "async def ask(path: str):\n    return inner().generate(QUESTION, [delete], approve=view.approve)\n"
        "await view.ashow(outer('ask').astream(QUESTION, [ask]))"
    ),
    "a synchronous cell": (
        "async def ask(path: str):\n    return await inner().agenerate(QUESTION, [delete], approve=view.approve)\n"
        "view.show(outer('ask').stream(QUESTION, [ask]))"
    ),
}


@pytest.mark.parametrize(("answer", "state"), [("y", "done"), ("n", "denied")])
@pytest.mark.parametrize("cell", BUSY.values(), ids=BUSY.keys())
def test_where_a_tool_keeps_the_kernel_from_hearing_a_click_input_asks(
    frontend: Frontend, cell: str, answer: str, state: str
):
    frontend.start(f"{cell}\nprint(ran, view.transcript.block(1)['state'])")
    asked = frontend.client.get_stdin_msg(timeout=60)
    frontend.client.input(answer)
    frontend.finish()

    assert asked["content"]["prompt"].startswith('Allow delete({"path": "/inner", "times": 1, "force": false}) to run?')
    assert frontend.printed() == f"{[('delete', '/inner', 1, False)] * (answer == 'y')} {state}\n"


@needs_clicks
def test_a_question_ends_with_the_answer_that_it_is_for(frontend: Frontend, tmp_path: Path):
    """The tool was given up, and goes on in its thread: nobody waits there for ever, and nothing runs."""
    frontend.run(
        "ended, results = threading.Event(), []\n"
        "@tool(timeout=0.2)\n"
        "def ask(path: str):\n"
        "    try:\n"
        "        results.append(inner().generate(QUESTION, [delete], approve=view.approve))\n"
        "        results.append(inner().generate(QUESTION, [delete], approve=view.approve))\n"
        "    finally:\n"
        "        ended.set()\n"
        "await view.ashow(outer('ask').astream(QUESTION, [ask]))\n"
        "print(ended.wait(60), results, ran)"
    )

    assert frontend.printed() == "True ['Inner.', 'Inner.'] []\n"
