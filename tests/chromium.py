"""Which Chromium the browser tests drive; as a program, makes sure that there is one.

Playwright's own where it is installed, else the system's; where there is neither, Playwright's is downloaded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

SYSTEM = ["chromium", "chromium-browser", "google-chrome"]
# No traffic of the browser's own; as root, as in a container, Chromium's sandbox can't be had.
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
ARGUMENTS = [*QUIET, "--disable-gpu", "--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]


def executable() -> str | None:
    """The path of the Chromium to drive, None where there isn't any."""
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else next(filter(None, map(shutil.which, SYSTEM)), None)


def main() -> None:
    """Say which Chromium the tests will drive, after downloading one if need be."""
    if executable() is None:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    print(executable())


if __name__ == "__main__":
    main()
