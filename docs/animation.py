"""Film a real run in a real JupyterLab, for the README: `make pictures`.

Frames are taken as fast as the browser gives them, and are shown for as long as they stood.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
FILM = ROOT / "docs" / "pictures" / "run.webp"
sys.path.insert(0, str(ROOT / "tests"))

from chromium import ARGUMENTS, executable  # noqa: E402
from lab import NOTEBOOK, Lab, serving_notebooks, write_notebook  # noqa: E402

WIDTH, HEIGHT = 860, 720
LAST = 3.0  # seconds that the last frame stands
MOST = 2_000_000  # bytes

CELLS = [
    "%load_ext mojentic_nb",
    """\
%%llm -m local --max-tokens 120
Name three rules for a good chart, as a list. Be brief.""",
    '''\
import time

def price_of(item: str) -> str:
    """Look up the price of an item."""
    time.sleep(1.5)  # as a database would take
    return f"{item}: 4.20 €"''',
    """\
%%llm -m local --fresh --tool price_of --tool-choice price_of --approve
What does the item "espresso" cost?""",
]
LOAD, ASK, DEFINE, TOOL = range(len(CELLS))


def film(page: Page, url: str) -> list[tuple[float, bytes]]:
    """The run's frames, and when each was taken."""
    frames: list[tuple[float, bytes]] = []
    lab = Lab(page, url)
    lab.open("film.ipynb")
    for cell in range(len(CELLS)):
        lab.run(cell)
        approved = cell != TOOL
        while not done(lab, cell):
            frames.append((time.monotonic(), page.screenshot(type="png")))
            approve = page.get_by_role("button", name="Approve")
            if not approved and approve.count():
                hold(page, frames, 1.2)
                approve.click()
                approved = True
        if cell in (ASK, TOOL):
            hold(page, frames, 1.0)
    lab.shut_down()
    return frames


def done(lab: Lab, cell: int) -> bool:
    """Whether that cell has run."""
    return bool(lab.page.evaluate(f"{NOTEBOOK}.content.widgets[{cell}].model.executionCount > 0")) and not lab.running(
        cell
    )


def hold(page: Page, frames: list[tuple[float, bytes]], seconds: float) -> None:
    """Go on filming for that long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        frames.append((time.monotonic(), page.screenshot(type="png")))


def save(frames: list[tuple[float, bytes]]) -> None:
    """Write the film; frames in which nothing changed are one."""
    times, pictures = zip(*frames, strict=True)
    kept = [n for n in range(len(frames)) if n == 0 or pictures[n] != pictures[n - 1]]
    ends = [*(times[n] for n in kept[1:]), times[-1] + LAST]
    images = [Image.open(io.BytesIO(pictures[n])).convert("RGB") for n in kept]
    durations = [round(1000 * (end - times[n])) for n, end in zip(kept, ends, strict=True)]
    images[0].save(FILM, save_all=True, append_images=images[1:], duration=durations, loop=0, quality=60, method=4)
    size = FILM.stat().st_size
    print(f"{FILM.relative_to(ROOT)}: {len(images)} frames, {sum(durations) / 1000:.0f} s, {size / 1e6:.2f} MB")
    if size > MOST:
        sys.exit("The film is too large: take fewer frames.")


def main() -> None:
    """Film it."""
    chromium = executable()
    with tempfile.TemporaryDirectory() as home, serving_notebooks(Path(home)) as url, sync_playwright() as playwright:
        write_notebook(Path(home) / "notebooks" / "film.ipynb", CELLS)
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        frames = film(page, url)
        browser.close()
    save(frames)


if __name__ == "__main__":
    main()
