"""Read signatures whose annotations name unknown types, and give a method the parameters of another one."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from typing_extensions import Format  # of pydantic; Python has it from 3.14 on

__all__ = ["signature_of", "with_parameters_of"]

P = ParamSpec("P")
Owner = TypeVar("Owner")
Question = TypeVar("Question")
Result = TypeVar("Result")

# Python 3.14 evaluates annotations when they are read (PEP 649), so reading them may raise NameError.
REFERENCES: dict[str, Any] = {"annotation_format": Format.FORWARDREF} if sys.version_info >= (3, 14) else {}


def signature_of(function: Callable[..., object]) -> inspect.Signature:
    """Return the signature of `function`; annotations that can't be evaluated stay references."""
    return inspect.signature(function, **REFERENCES)


def with_parameters_of(
    prepare: Callable[Concatenate[Owner, P], Question],
) -> Callable[[Callable[[Owner, Question], Result]], Callable[Concatenate[Owner, P], Result]]:
    """Give a method the parameters of `prepare`. The method itself gets what `prepare` returns."""

    def decorate(method: Callable[[Owner, Question], Result]) -> Callable[Concatenate[Owner, P], Result]:
        @wraps(method)
        def ask(self: Owner, /, *args: P.args, **options: P.kwargs) -> Result:
            return method(self, prepare(self, *args, **options))

        returns = inspect.signature(method).return_annotation
        vars(ask)["__signature__"] = inspect.signature(prepare).replace(return_annotation=returns)
        return ask

    return decorate
