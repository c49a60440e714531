"""Take the pictures of the README and the docs anew, from a real JupyterLab: `make pictures`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
sys.path.insert(0, str(ROOT / "tests"))

from chromium import ARGUMENTS, executable  # noqa: E402
from lab import ASK, LOAD, Lab, serving_notebooks  # noqa: E402


def quickstart(page: Page, url: str) -> None:
    """The quickstart's first answer, half written."""
    lab = Lab(page, url)
    lab.open("01_quickstart.ipynb")
    lab.run(LOAD)
    lab.run(ASK)
    lab.output(ASK).first.wait_for()
    page.wait_for_function("output => output.innerText.length > 600", arg=lab.output(ASK).first.element_handle())
    lab.cell(ASK).scroll_into_view_if_needed()
    page.screenshot(path=PICTURES / "quickstart.png")
    lab.wait_until_done(ASK)
    lab.shut_down()


CELLS = [
    """\
from concurrent.futures import ThreadPoolExecutor

from mojentic_nb.llm import LLMBroker, LLMMessage
from mojentic_nb.llm.gateways import LocalGateway
from mojentic_nb.tracer import TracerSystem

tracer = TracerSystem()
gateway = LocalGateway()
broker = LLMBroker(gateway.model, gateway, tracer=tracer)


def count_primes(limit: int) -> int:
    \"""Count the prime numbers below a limit.\"""
    sieve = bytearray([1]) * limit
    for number in range(2, int(limit**0.5) + 1):
        for multiple in range(number * number, limit, number):
            sieve[multiple] = 0
    return sum(sieve) - 2


def ask(text, **options):
    return broker.generate([LLMMessage(content=text)], correlation_id="primes", **options)


def ask_below(limit):
    question = f"How many prime numbers are there below {limit}?"
    return ask(question, tools=[count_primes], tool_choice="required")


ask("What is a prime number?", max_tokens=60)
with ThreadPoolExecutor() as pool:
    answers = list(pool.map(ask_below, [2_000_000, 4_000_000]))""",
    'tracer.waterfall("primes")',
]


def waterfall(page: Page, url: str, notebooks: Path) -> None:
    """The waterfall of three questions to the embedded model; the last two, with a tool, were asked at once."""
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), notebooks / "tracing.ipynb")
    lab = Lab(page, url)
    lab.open("tracing.ipynb")
    lab.run_all()
    lab.wait_until_done(1)
    lab.output(1).first.screenshot(path=PICTURES / "waterfall.png")
    lab.shut_down()


def main() -> None:
    """Take them all."""
    chromium = executable()
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        with serving_notebooks(Path(home)) as url:
            quickstart(browser.new_page(viewport={"width": 1000, "height": 760}), url)
            page = browser.new_page(viewport={"width": 1280, "height": 760}, device_scale_factor=2)
            waterfall(page, url, Path(home) / "notebooks")
        browser.close()


if __name__ == "__main__":
    main()
