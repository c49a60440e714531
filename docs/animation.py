"""Film a real run in a real JupyterLab, for the README: `make pictures`.

Frames are taken ten times a second, and are shown for as long as they stood. Only where nothing comes for a while, as
while a model is loaded, time passes faster; the status line in the film shows the real one.
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

WIDTH, HEIGHT = 860, 700
EVERY = 0.1  # seconds from one frame to the next
PATIENCE, FASTER = 0.7, 8  # after so many seconds without a change, play so many times as fast
LAST = 3.0  # seconds to show the last frame
MOST = 2_000_000  # bytes

CELLS = [
    "%load_ext mojentic_nb",
    """\
%%llm -m local
What makes a good chart? Answer in two sentences.""",
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
SAID = f"cell => {NOTEBOOK}.content.widgets[cell].node.querySelector('.mnb-blocks')?.innerText ?? ''"
# The parts of JupyterLab around the notebook, which the film leaves out.
UNCLUTTERED = [("application:toggle-side-tabbar", {"side": side}) for side in ("left", "right")]
UNCLUTTERED += [("statusbar:toggle", {})]


class Film:
    """Collects the frames of a page, and when to show each."""

    def __init__(self, page: Page) -> None:
        self.frames: list[tuple[float, bytes]] = []
        self._page = page
        self._taken = self._changed = time.monotonic()
        self._shown = 0.0  # seconds from the film's beginning
        self._said = ""

    def go_on(self, seconds: float, cell: int | None = None) -> None:
        """Film that long, and faster while the answer in `cell` doesn't change."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            said = "" if cell is None else self._page.evaluate(SAID, cell)
            if said != self._said or cell is None:
                self._said, self._changed = said, now
            self._shown += (now - self._taken) / (FASTER if now - self._changed > PATIENCE else 1)
            self._taken = now
            self.frames.append((self._shown, self._page.screenshot(type="png")))
            time.sleep(max(0.0, min(end, now + EVERY) - time.monotonic()))


def film(page: Page, url: str) -> list[tuple[float, bytes]]:
    """Return the run's frames, and when to show each."""
    lab = Lab(page, url)
    lab.open("film.ipynb")
    for command, arguments in UNCLUTTERED:
        page.evaluate("([command, given]) => window.jupyterapp.commands.execute(command, given)", [command, arguments])
    camera = Film(page)
    for cell in range(len(CELLS)):
        lab.run(cell)
        approved = cell != TOOL
        while not done(lab, cell):
            camera.go_on(EVERY, cell)
            approve = page.get_by_role("button", name="Approve")
            if not approved and approve.count():
                approve.scroll_into_view_if_needed()
                camera.go_on(2.0)
                approve.click()
                approved = True
        if cell in (ASK, TOOL):
            camera.go_on(1.0)
    lab.shut_down()
    return camera.frames


def done(lab: Lab, cell: int) -> bool:
    """Return whether that cell has run."""
    return bool(lab.page.evaluate(f"{NOTEBOOK}.content.widgets[{cell}].model.executionCount > 0")) and not lab.running(
        cell
    )


def save(frames: list[tuple[float, bytes]]) -> None:
    """Write the film, with equal frames joined into one."""
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
