"""Take the pictures of the README and the docs anew, from a real JupyterLab: `make pictures`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

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


def main() -> None:
    """Take them all."""
    chromium = executable()
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        with serving_notebooks(Path(home)) as url:
            quickstart(browser.new_page(viewport={"width": 1000, "height": 760}), url)
        browser.close()


if __name__ == "__main__":
    main()
