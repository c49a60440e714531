"""Functions as a cell or a module defines them, whose hints name what doesn't exist."""

from __future__ import annotations

import sys
from typing import Any

FUTURE = "from __future__ import annotations\n"
IMPORTS = [FUTURE, ""] if sys.version_info >= (3, 14) else [FUTURE]  # from 3.14 on, hints are never evaluated at once


def define(imports: str, source: str) -> dict[str, Any]:
    """Run `source` after the `imports`, and return its names."""
    names: dict[str, Any] = {}
    exec(compile(imports + source, "cell", "exec", dont_inherit=True), names)  # noqa: S102 (our own text)
    return names
