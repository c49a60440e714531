"""A real JupyterLab, and a hand on it in a real browser."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
from playwright.sync_api import Locator, Page

START = 120.0  # seconds for JupyterLab to serve
SETTINGS = {"@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False}}
NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
LOAD, ASK, ASK_AGAIN, PYTHON, CHECK = 2, 4, 8, 12, 14  # the cells of the quickstart
OPEN = "--no-browser --ServerApp.port_retries=0 --IdentityProvider.token= --LabApp.expose_app_in_browser=True"


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def own_folders(home: Path) -> dict[str, str]:
    """An environment in which Jupyter keeps everything below `home`, with settings that show no pop-ups."""
    for name, values in SETTINGS.items():
        path = home / "lab" / "settings" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    return {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "lab" / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "lab" / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
    }


@contextlib.contextmanager
def serving(
    command: list[str], port: int, *, cwd: Path, log: Path, env: dict[str, str], patience: float = START
) -> Iterator[str]:
    """Run `command` until JupyterLab serves at `port`; its address. Ends it, kernels and all, in the end."""
    url = f"http://127.0.0.1:{port}"
    with log.open("w") as output:
        server = subprocess.Popen(
            command, cwd=cwd, env={**os.environ, **env}, stdout=output, stderr=output, start_new_session=True
        )
    try:
        deadline = time.monotonic() + patience
        while not answers(f"{url}/api/status"):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


@contextlib.contextmanager
def serving_notebooks(home: Path) -> Iterator[str]:
    """A JupyterLab that keeps everything below `home` and serves copies of the notebooks: its address."""
    port = free_port()
    command = [sys.executable, "-m", "jupyterlab", "--allow-root", f"--ServerApp.port={port}", *OPEN.split()]
    copies = shutil.copytree(NOTEBOOKS, home / "notebooks")
    with serving(command, port, cwd=copies, log=home / "lab.log", env=own_folders(home)) as url:
        yield url


def write_notebook(path: Path, sources: list[str]) -> None:
    """Write a notebook with these code cells."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


def answers(url: str) -> bool:
    """Whether there is a server that answers at `url`."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5):
            return True
    except OSError:
        return False


class Lab:
    """JupyterLab in a browser's page."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def open(self, notebook: str) -> None:
        """Open `notebook` without its saved outputs, and wait for its kernel."""
        self.page.goto(f"{self.url}/doc/tree/{notebook}?reset")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        self.page.evaluate("async () => { await window.jupyterapp.restored }")
        self.page.wait_for_function(f"() => {SESSION}?.session?.kernel?.status === 'idle'", timeout=60_000)
        self.command("notebook:clear-all-cell-outputs")

    def run_all(self) -> None:
        """Start to run all cells."""
        self.command("notebook:run-all-cells")

    def command(self, name: str) -> None:
        """Start a command of JupyterLab, without waiting for its end."""
        self.page.evaluate("name => { window.jupyterapp.commands.execute(name) }", name)

    def run(self, index: int) -> None:
        """Start to run the cell with that index."""
        self.page.evaluate(f"index => {{ {NOTEBOOK}.content.activeCellIndex = index }}", index)
        self.command("notebook:run-cell")

    def wait_until_done(self, index: int, timeout: float = 120_000) -> None:
        """Wait until the cell with that index has run; `timeout` is in milliseconds."""
        self.page.wait_for_function(
            f"""index => {{
                const cell = {NOTEBOOK}.content.widgets[index].model;
                return cell.executionCount > 0 && cell.executionState !== 'running'
            }}""",
            arg=index,
            timeout=timeout,
        )

    def running(self, index: int) -> bool:
        """Whether the cell with that index is running."""
        return (self.cell(index).locator(".jp-InputPrompt").text_content() or "").strip() == "[*]:"

    def cell(self, index: int) -> Locator:
        """The cell with that index."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def output(self, index: int) -> Locator:
        """The outputs of the cell with that index."""
        return self.cell(index).locator(".jp-OutputArea-output")

    def show(self, index: int) -> None:
        """Scroll to the cell with that index, and wait until it is drawn: what is out of sight has no text."""
        self.cell(index).scroll_into_view_if_needed()
        self.page.wait_for_function(
            "part => part.checkVisibility({ contentVisibilityAuto: true })",
            arg=self.cell(index).locator(".jp-Cell-inputWrapper").element_handle(),
        )

    def text(self, index: int) -> str:
        """The text that the cell with that index has put out so far."""
        self.show(index)
        return "\n".join(self.output(index).all_inner_texts())

    def shut_down(self) -> None:
        """End the notebook's kernel."""
        self.page.evaluate(f"async () => {{ await {SESSION}?.shutdown() }}")


NOTEBOOK = "window.jupyterapp.shell.currentWidget"
SESSION = f"{NOTEBOOK}?.context?.sessionContext"
