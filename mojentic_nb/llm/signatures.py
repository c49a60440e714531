"""Signatures of functions whose annotations may name unknown types."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

from typing_extensions import Format  # of pydantic; Python has it from 3.14 on

__all__ = ["signature_of"]

# Python 3.14 evaluates annotations when they are read (PEP 649), so reading them may raise NameError.
REFERENCES: dict[str, Any] = {"annotation_format": Format.FORWARDREF} if sys.version_info >= (3, 14) else {}


def signature_of(function: Callable[..., object]) -> inspect.Signature:
    """Return the signature of `function`; annotations that can't be evaluated stay references."""
    return inspect.signature(function, **REFERENCES)
