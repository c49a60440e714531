from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

TESTS = Path(__file__).parents[1]
SETUP = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(TESTS)!r})
from paced import *
from mojentic_nb.display.live import LiveView
"""
PATIENCE = 60  # seconds

Message = dict[str, Any]


class Frontend:
    """A kernel, and what a front end does with it. `messages` are those of the last cell, as far as they were read."""

    def __init__(self) -> None:
        self.manager, self.client = start_new_kernel()
        self.messages: list[Message] = []

    def start(self, code: str, *, watched: bool = True) -> None:
        """Begin to run a cell; `watched` says whether there is someone who can answer ``input()``."""
        self.messages = []
        self._asked = self.client.execute(code, allow_stdin=watched)

    def read_until(self, kind: str, text: str = "") -> Message:
        """Read the cell's messages up to one of that kind with `text` somewhere in it."""
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            self.messages.append(message)
            if message["msg_type"] == kind and text in str(message["content"]):
                return message

    def finish(self) -> list[Message]:
        """Read the cell's messages to the end: all of them."""
        while self.read_until("status", "idle")["parent_header"].get("msg_id") != self._asked:
            pass  # it was a click's
        while self.client.get_shell_msg(timeout=PATIENCE)["parent_header"].get("msg_id") != self._asked:
            pass
        return self.messages

    def run(self, code: str, *, watched: bool = True) -> list[Message]:
        """Run a cell; its messages."""
        self.start(code, watched=watched)
        return self.finish()

    def subshell(self) -> str | None:
        """Make a subshell; its id. Before version 7, ipykernel has but the main shell, which is None."""
        if int(version("ipykernel").partition(".")[0]) < 7:
            return None
        control = self.client.control_channel
        control.send(self.client.session.msg("create_subshell_request"))
        return control.get_msg(timeout=PATIENCE)["content"]["subshell_id"]

    def run_in(self, code: str, subshell: str | None) -> None:
        """Run a cell in that subshell, or in the main shell."""
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": False}
        message = self.client.session.msg("execute_request", content)
        message["header"]["subshell_id"] = subshell
        self._asked = message["header"]["msg_id"]
        self.client.shell_channel.send(message)
        self.finish()

    def click(self, **content: object) -> None:
        """Send what the page's view sends."""
        (opened, *_) = self.of("comm_open", "anywidget")
        data = {"method": "custom", "content": content}
        message = self.client.session.msg("comm_msg", {"comm_id": opened["comm_id"], "data": data})
        self.client.shell_channel.send(message)

    def decide(self, block: int, *, approved: bool = True) -> None:
        """Click on the card of that block."""
        self.click(type="decision", run=self.snapshots()[-1]["run"], block=block, approved=approved)

    def of(self, kind: str, text: str = "") -> list[Message]:
        """The contents of the messages of that kind with `text` somewhere in them."""
        contents = [message["content"] for message in self.messages if message["msg_type"] == kind]
        return [content for content in contents if text in str(content)]

    def printed(self) -> str:
        """What the cell wrote to standard output."""
        return "".join(content["text"] for content in self.of("stream"))

    def deltas(self) -> list[dict[str, Any]]:
        """What the view was told, in turn."""
        return [content["data"]["content"] for content in self.of("comm_msg", "'seq'") if "content" in content["data"]]

    def snapshots(self) -> list[dict[str, Any]]:
        """The snapshots that the view got."""
        states = [content["data"] for content in self.of("comm_msg", "_snapshot")]
        return [data["state"]["_snapshot"] for data in states]

    def saved(self) -> dict[str, str]:
        """What the cell's output was replaced by in the end."""
        (content,) = self.of("update_display_data")
        return content["data"]


@pytest.fixture(scope="module")
def kernel() -> Iterator[Frontend]:
    """A kernel that is set up."""
    frontend = Frontend()
    frontend.run(SETUP)
    yield frontend
    frontend.client.stop_channels()
    frontend.manager.shutdown_kernel()


@pytest.fixture
def frontend(kernel: Frontend, tmp_path: Path) -> Frontend:
    """The kernel, with `gates` in it as a folder for this test."""
    kernel.run(f"gates = Path({str(tmp_path)!r})")
    return kernel
