"""Take the pictures of docs/magic.md, one for each thing that `%%llm` can do; `pictures.py` runs this."""

from __future__ import annotations

from pathlib import Path

from lab import NOTEBOOK, Lab, write_notebook
from loopback import Loopback, Reply, chunk, completion, sse
from playwright.sync_api import Page

__all__ = ["PICTURES", "magic"]

PICTURES = Path(__file__).parent / "pictures"
SETUP = """\
%load_ext mojentic_nb
%env OPENAI_API_KEY=none
%env NO_PROXY=127.0.0.1
%llm alias played openai:played --base-url {url}
%config LLMMagics.model = "played"

import pandas as pd
from pydantic import BaseModel

sales = pd.DataFrame({{"city": ["Oslo", "Rome", "Lima"], "units": [120, 80, 45]}})


def temperature(city: str) -> str:
    \"""The temperature in a city.\"""
    return f"21.5 °C in {{city}}"


class Trip(BaseModel):
    city: str
    days: int
"""
CELLS = {
    "answer": "%%llm -m local --fresh\nWhat makes a good chart?",
    "values": "%%llm --fresh --dry-run\nWhich city should we look at first, and why?\n\n{{ sales }}",
    "tool": "%%llm --fresh -t temperature\nDo I need a coat in Oslo today?",
    "approval": "%%llm --fresh -t temperature --approve\nDo I need a coat in Oslo today?",
    "as": "%%llm --fresh --as list[Trip] -o trips\nPlan three short trips in Europe.",
    "code": "%%llm --fresh --code\nHow do I get the share of each city in {{ sales }}?",
    "first": "%%llm\nWhich city sells most?\n\n{{ sales }}",
    "second": "%%llm\nBy how much?",
    "history": "%llm history",
    "usage": "%llm usage",
    "trace": "%llm trace",
    "mistake": 'sales["price"].mean()',
    "explain": "%llm explain",
    "error": "%%llm\nWhat do you make of {{ slaes }}?",
    "completion": "%%llm --t",
}
CALL = {"index": 0, "id": "call_1", "type": "function"}
CALL["function"] = {"name": "temperature", "arguments": '{"city": "Oslo"}'}
CALLING = sse(
    {"choices": [{"index": 0, "delta": {"tool_calls": [CALL]}, "finish_reason": None}]},
    chunk(finish_reason="tool_calls"),
)
COAT = completion("**No.** ", "At 21.5 °C ", "a light jacket ", "for the evening will do.")
TRIPS = completion(
    '{"value": [',
    '{"city": "Oslo", "days": 3}',
    ', {"city": "Rome", "days": 2}',
    ', {"city": "Porto", "days": 4}]}',
)
SHARES = completion(
    "Divide by the sum:\n\n", '```python\nsales.assign(share=sales["units"] / sales["units"].sum())\n```'
)
MOST = completion("**Oslo**, with 120 units.")
MARGIN = completion("By 40 units, ", "which is half as much again as Rome.")
MOST_AGAIN = completion("Oslo does: 120 of 245 units.")
COLUMN = completion("There is no column `price` in `sales`: ", "it has `city` and `units`. ", "Did you mean `units`?")
ANSWERS = [CALLING, COAT, CALLING, COAT, TRIPS, SHARES, MOST, MARGIN, MOST_AGAIN, COLUMN]


class Cells:
    """The notebook's cells, by name."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def at(self, name: str) -> int:
        """Return the index of a cell, after the one that `--code` inserted."""
        (index,) = [
            index
            for index in range(self.lab.page.locator(".jp-Notebook .jp-Cell").count())
            if self.source(index) == CELLS[name]
        ]
        return index

    def source(self, index: int) -> str:
        """Return the text of the cell with that index."""
        return str(
            self.lab.page.evaluate(f"index => {NOTEBOOK}.content.widgets[index].model.sharedModel.source", index)
        )

    def run(self, *names: str) -> None:
        """Run those cells one after the other."""
        for name in names:
            self.clear(self.at(name))
            self.lab.run(self.at(name))
            self.lab.wait_until_done(self.at(name))

    def clear(self, index: int) -> None:
        """Clear the number of the cell with that index, to wait until it has run again."""
        self.lab.page.evaluate(
            f"""index => {{
                {NOTEBOOK}.content.activeCellIndex = index;
                return window.jupyterapp.commands.execute("notebook:clear-cell-output")
            }}""",
            index,
        )

    def take(self, name: str, cells: int = 1) -> None:
        """Take a picture of so many cells from the named one on."""
        wanted = [self.lab.cell(self.at(name) + offset) for offset in range(cells)]
        for cell in wanted:
            cell.scroll_into_view_if_needed()
        found = [box for cell in wanted if (box := cell.bounding_box())]
        top, left = found[0]["y"], found[0]["x"]
        size = {"width": found[0]["width"], "height": found[-1]["y"] + found[-1]["height"] - top}
        self.lab.page.screenshot(path=PICTURES / f"magic-{name}.png", clip={"x": left, "y": top, **size})


def magic(page: Page, url: str, notebooks: Path) -> None:
    """Let the embedded model answer the first question, and a server play the model of the others."""
    server = Loopback()
    server.play(*(Reply([body]) for body in ANSWERS))
    write_notebook(notebooks / "magic.ipynb", [SETUP.format(url=server.url), *CELLS.values()])
    lab = Lab(page, url)
    lab.open("magic.ipynb")
    lab.run(0)
    lab.wait_until_done(0)
    cells = Cells(lab)
    answers(page, cells)
    conversation(cells)
    complete(page, cells)
    lab.shut_down()
    server.close()


def answers(page: Page, cells: Cells) -> None:
    """Take what one cell can ask for, and how to stop it."""
    answer = cells.lab.cell(cells.at("answer"))
    cells.lab.run(cells.at("answer"))
    page.wait_for_function("view => view.innerText.length > 600", arg=answer.locator(".mnb").element_handle())
    cells.take("answer")
    answer.get_by_role("button", name="Stop").click()
    cells.lab.wait_until_done(cells.at("answer"))
    answer.screenshot(path=PICTURES / "magic-stop.png")
    cells.run("values")
    cells.take("values")
    cells.run("tool")
    cells.lab.output(cells.at("tool")).locator("summary").first.click()
    cells.take("tool")
    cells.lab.run(cells.at("approval"))
    approve = cells.lab.cell(cells.at("approval")).get_by_role("button", name="Approve")
    approve.wait_for()
    cells.take("approval")
    approve.click()
    cells.lab.wait_until_done(cells.at("approval"))
    cells.run("as")
    cells.take("as")
    cells.run("code")
    cells.lab.run(cells.at("code") + 1)
    cells.lab.wait_until_done(cells.at("code") + 1)
    cells.lab.output(cells.at("code") + 1).last.scroll_into_view_if_needed()
    cells.take("code", cells=2)


def conversation(cells: Cells) -> None:
    """Take what the commands show after two questions, of which the first was asked again."""
    cells.run("first", "second", "first", "history", "usage", "trace", "mistake", "explain", "error")
    for name in ("history", "usage", "trace", "explain", "error"):
        cells.take(name)


def complete(page: Page, cells: Cells) -> None:
    """Take what the Tab key offers on the magic's line."""
    cell = cells.lab.cell(cells.at("completion"))
    cell.locator(".cm-content").click()
    page.keyboard.press("End")
    page.keyboard.press("Tab")
    page.locator(".jp-Completer").wait_for()
    boxes = [cell.bounding_box(), page.locator(".jp-Completer").bounding_box()]
    top, bottom = boxes[0]["y"], boxes[1]["y"] + boxes[1]["height"]
    clip = {"x": boxes[0]["x"], "y": top, "width": boxes[0]["width"], "height": bottom - top + 12}
    page.screenshot(path=PICTURES / "magic-completion.png", clip=clip)
