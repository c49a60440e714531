"""How many random examples the property tests try: the same ones each time, or more and new ones for ``make fuzz``.

Hypothesis tests have the marker ``fuzz`` (conftest.py adds it). A test with random input of its own gets it by
``@pytest.mark.fuzz`` and multiplies its number of examples by ``FACTOR``.
"""

from __future__ import annotations

import os

from hypothesis import settings

FACTOR = int(os.environ.get("MOJENTIC_NB_FUZZ", "1"))


def examples(count: int) -> settings:
    """Decorate a Hypothesis test so that it tries `count` examples, times the factor of ``make fuzz``."""
    return settings(max_examples=count * FACTOR)
