"""Take the pictures of the README and the docs anew, from a real JupyterLab: `make pictures`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from chromium import ARGUMENTS, executable  # noqa: E402
from lab import ASK, LOAD, Lab, serving_notebooks, write_notebook  # noqa: E402
from magic_pictures import PICTURES, magic  # noqa: E402


def quickstart(page: Page, url: str) -> None:
    """Take the quickstart's first answer, half written."""
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
    """Take the waterfall of three questions to the embedded model, the last two asked at once, with a tool."""
    write_notebook(notebooks / "tracing.ipynb", CELLS)
    lab = Lab(page, url)
    lab.open("tracing.ipynb")
    lab.run_all()
    lab.wait_until_done(1)
    lab.output(1).first.screenshot(path=PICTURES / "waterfall.png")
    lab.shut_down()


APPLICATION = """\
import asyncio
import time

import ipywidgets

from mojentic_nb.display import LiveView
from mojentic_nb.llm import LLMBroker, LLMMessage, LLMToolCall, StepFinish, TextDelta, ToolCallEnd
from mojentic_nb.llm.gateways import ScriptedGateway


def weather(city: str) -> dict:
    return {"city": city, "celsius": 21, "sky": "clear"}


def paced(text):
    for word in text.split(" "):
        yield TextDelta(word + " ")
        time.sleep(0.05)
    yield StepFinish("stop")


call = LLMToolCall(id="call_1", name="weather", arguments={"city": "Paris"})
told = \"\"\"It is **21 °C** in Paris, under a clear sky.

| time | outside |
|---|---|
| noon | a walk along the river |
| evening | a table on the terrace |

Take a light jacket for the evening: it cools down after sunset.\"\"\"
broker = LLMBroker("scripted", ScriptedGateway([[ToolCallEnd(call), StepFinish("tool_calls")], paced(told)]))
running = set()


def submitted(change):
    run = broker.astream([LLMMessage(content=change["new"])], tools=[weather])
    task = asyncio.get_running_loop().create_task(answer.awatch(run))
    running.add(task)
    task.add_done_callback(running.discard)"""
SHOWN = """\
question = ipywidgets.Text(placeholder="Ask something", continuous_update=False)
answer = LiveView("scripted")
question.observe(submitted, "value")
ipywidgets.VBox([question, answer])"""


def application(page: Page, url: str, notebooks: Path) -> None:
    """Take the application of docs/widgets.md, in the middle of an answer."""
    write_notebook(notebooks / "application.ipynb", [APPLICATION, SHOWN])
    lab = Lab(page, url)
    lab.open("application.ipynb")
    lab.run_all()
    lab.wait_until_done(1)
    output = lab.output(1).first
    field = output.locator("input[type=text]")
    field.fill("How is Paris?")
    field.press("Enter")
    output.get_by_text("Take a light jacket").wait_for()
    output.screenshot(path=PICTURES / "widgets.png")
    lab.shut_down()


SCRIPTED = """\
from mojentic_nb.display import LiveView
from mojentic_nb.llm import (
    LLMBroker, LLMMessage, LLMToolCall, ReasoningDelta, StepFinish, TextDelta,
    ToolCallDelta, ToolCallEnd, ToolCallStart, Usage,
)
from mojentic_nb.llm.gateways import ScriptedGateway

call = LLMToolCall(id="1", name="rainfall", arguments={"city": "Bergen", "year": 2025})
asks = [
    ReasoningDelta("The user wants numbers, so look them up."), ToolCallStart("1", "rainfall"),
    ToolCallDelta("1", call.json_arguments()), ToolCallEnd(call), StepFinish("tool_calls", Usage(180, 24)),
]
answer = [TextDelta(piece) for piece in TEXT.splitlines(keepends=True)] + [StepFinish("stop", Usage(260, 96, 128))]


def rainfall(city: str, year: int) -> dict:
    return {"city": city, "year": year, "mm": 2495, "wettest": "October"}


broker = LLMBroker("a-script", ScriptedGateway([asks, answer]))
run = broker.astream([LLMMessage(content="How wet was Bergen?")], [rainfall])
await LiveView("a-script").ashow(run)
"""
TEXT = """\
Bergen had **2,495 mm** in 2025, about $4.2$ times as much as London:

| | mm | wettest |
|:--|--:|:--|
| Bergen | 2,495 | October |
| London | 601 | November |

```python
ratio = 2495 / 601  # wet, by any measure
```
"""


def themes(page: Page, url: str, notebooks: Path) -> None:
    """Take a saved answer with an open card, in the light and the dark theme and in a narrow window."""
    write_notebook(notebooks / "answer.ipynb", [f"TEXT = {TEXT!r}\n{SCRIPTED}"])
    lab = Lab(page, url)
    lab.open("answer.ipynb")
    lab.run(0)
    lab.wait_until_done(0)
    answer = lab.output(0).first
    answer.locator("summary").filter(has_text="rainfall").click()
    for name, theme, width in [("light", "Light", 900), ("dark", "Dark", 900), ("narrow", "Light", 420)]:
        page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", f"JupyterLab {theme}"
        )
        page.set_viewport_size({"width": width, "height": 1200})
        page.wait_for_timeout(1500)  # for the theme's style sheets, whose loading fires no event
        answer.screenshot(path=PICTURES / f"view-{name}.png")
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
            application(page, url, Path(home) / "notebooks")
            page = browser.new_page(viewport={"width": 1000, "height": 1200}, device_scale_factor=2)
            magic(page, url, Path(home) / "notebooks")
            themes(page, url, Path(home) / "notebooks")
        browser.close()


if __name__ == "__main__":
    main()
