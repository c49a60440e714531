"""The tests in which a page's click has to reach a cell that still runs."""

from __future__ import annotations

from importlib.metadata import version

import pytest

IPYKERNEL = tuple(int(part) for part in version("ipykernel").split(".")[:2])

needs_clicks = pytest.mark.skipif(
    IPYKERNEL < (7, 4),
    reason="ipykernel before 7.4 keeps what a front end sends to a cell's own shell until the cell has ended",
)
