"""`typing.TypedDict` for pydantic, which refuses it before Python 3.12.

https://docs.pydantic.dev/latest/errors/usage_errors/#typed-dict-version
"""

from __future__ import annotations

import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import typing_extensions

__all__ = ["replace_typed_dicts"]


def replace_typed_dicts(hint: Any, replaced: dict[Any, Any] | None = None) -> Any:  # noqa: ANN401 (a type hint)
    """Return `hint` with each `typing.TypedDict` in it replaced by its equivalent of `typing_extensions`.

    `replaced` has those that were replaced already, so that a TypedDict may contain itself. Raises NameError for one
    whose own hints can't be resolved.
    """
    replaced = {} if replaced is None else replaced
    if is_typeddict(hint) and type(hint).__module__ == "typing":
        return replaced[hint] if hint in replaced else equivalent(hint, replaced)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal or not arguments:
        return hint
    if origin is Annotated:
        inner = replace_typed_dicts(arguments[0], replaced)
        return hint if inner is arguments[0] else Annotated[(inner, *arguments[1:])]
    new = tuple(replace_typed_dicts(argument, replaced) for argument in arguments)
    if all(one is other for one, other in zip(new, arguments, strict=True)):
        return hint
    if origin in (Union, types.UnionType):
        return Union[new]  # noqa: UP007 (of a tuple)
    return hint.copy_with(new) if hasattr(hint, "copy_with") else types.GenericAlias(origin, new)


def equivalent(typed_dict: Any, replaced: dict[Any, Any]) -> Any:  # noqa: ANN401
    """Return the same TypedDict as a class of `typing_extensions`."""
    made: Any = types.new_class(typed_dict.__name__, (typing_extensions.TypedDict,))
    replaced[typed_dict] = made
    hints = get_type_hints(typed_dict, include_extras=True)
    made.__annotations__ = {name: replace_typed_dicts(hint, replaced) for name, hint in hints.items()}
    made.__required_keys__ = typed_dict.__required_keys__
    made.__optional_keys__ = typed_dict.__optional_keys__
    made.__doc__ = typed_dict.__doc__
    made.__module__ = typed_dict.__module__
    if config := getattr(typed_dict, "__pydantic_config__", None):
        made.__pydantic_config__ = config
    return made
