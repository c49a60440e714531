"""The parameters of a function: a JSON schema of them for the model, and checking the model's arguments against it.

The schema is simplified so that all providers and models read it.
"""

from __future__ import annotations

import functools
import inspect
import json
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import (
    Annotated,
    Any,
    Unpack,
    get_args,
    get_origin,
    get_type_hints,
)

import typing_extensions
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, to_jsonable_python

from mojentic_nb.llm.signatures import signature_of
from mojentic_nb.llm.text import join_surrogates
from mojentic_nb.llm.typed_dicts import replace_typed_dicts
from mojentic_nb.llm.validation import complaint

__all__ = ["Bound", "Parameters", "defaults_of", "innermost", "underlying"]


def inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return `schema` with each reference replaced by its definition, unless a definition contains itself.

    Ollama drops references and other unknown parts of a tool's schema, and a small model doesn't follow references.
    """
    definitions = {f"#/$defs/{name}": definition for name, definition in schema.get("$defs", {}).items()}
    try:
        return {key: replaced(value, definitions, ()) for key, value in schema.items() if key != "$defs"}
    except RecursionError:
        return schema


def replaced(value: Any, definitions: dict[str, Any], inside: tuple[str, ...]) -> Any:  # noqa: ANN401 (JSON)
    """Return `value` with its references replaced. Raises RecursionError for one that it is `inside` already."""
    if isinstance(value, list):
        return [replaced(item, definitions, inside) for item in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    union = isinstance(value.get("oneOf"), list)  # whose discriminator refers to definitions as well
    own = {
        key: replaced(item, definitions, inside)
        for key, item in value.items()
        if not (union and key == "discriminator") and not (key == "$ref" and item == reference)
    }
    if reference is None:
        return own
    if reference in inside:
        raise RecursionError(reference)
    return {**replaced(definitions[reference], definitions, (*inside, reference)), **own}


NO_JSON = (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, TypeError)


@dataclass(frozen=True, slots=True)
class Bound:
    """Checked arguments: `positional` and `by_name` as the function gets them, `shown` as JSON, with the defaults."""

    positional: list[object]
    by_name: dict[str, object]
    shown: dict[str, object]


class Parameters:
    """The parameters of `function` as a JSON schema, with `descriptions` for those whose hints have none.

    Raises TypeError for a function whose parameters a model can't give: ``*args``, a hint that can't be resolved, or
    one that no JSON matches.
    """

    def __init__(self, function: Callable[..., object], descriptions: Mapping[str, str]) -> None:
        parameters = list(taken_by(function))
        self._taken = [parameter for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD]
        others = next((parameter for parameter in parameters if parameter.kind is parameter.VAR_KEYWORD), None)
        hints = resolved(function, parameters)
        try:
            # Names that no argument has, and a field can have; the model sees the alias.
            fields: dict[str, Any] = {
                f"field {number}": field(parameter, hints[parameter.name], descriptions.get(parameter.name))
                for number, parameter in enumerate(self._taken)
            }
            self._description = descriptions.get(others.name) if others else None
            base = taking_others(hints[others.name]) if others else OnlyThese
            self._model: type[BaseModel] = create_model("Arguments", __base__=base, **fields)
            self.schema: dict[str, Any] = self._schema()
        except (PydanticUserError, TypeError) as error:
            unfit = [
                f"`{name}` ({inspect.formatannotation(hint)})" for name, hint in hints.items() if not fits_json(hint)
            ]
            what = f"parameter{'s' * (len(unfit) > 1)} {', '.join(unfit)}"
            why = f"JSON can't represent its {what}. Use another type."
            if not isinstance(error, NO_JSON):
                why = f"{str(error).splitlines()[0]} (its {what})"
            raise TypeError(f"{named(function)} can't be a tool: {why}") from error

    def _schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments."""
        schema = inlined(self._model.model_json_schema(schema_generator=Untitled))
        schema.pop("title", None)
        for parameter in self._taken:
            if (default := json_default(parameter)) is not MISSING:
                schema["properties"][parameter.name]["default"] = default
        if self._description:
            others = schema["additionalProperties"]
            schema["additionalProperties"] = (others if isinstance(others, dict) else {}) | {
                "description": self._description
            }
        return schema

    def bind(self, arguments: Mapping[str, object]) -> Bound:
        """Check a model's arguments. Raises ValueError, in one line that the model reads, if they don't match."""
        try:
            # As JSON, which they came as: a date is a text, even if a model is strict.
            text = json.dumps(arguments, ensure_ascii=False, default=to_jsonable_python)
            valid = self._model.model_validate_json(join_surrogates(text))
        except ValidationError as error:
            names = ", ".join(parameter.name for parameter in self._taken) or "none"
            raise ValueError(complaint(error, f"The arguments are: {names}.")) from error
        positional: list[object] = []
        others: dict[str, object] = dict(valid.__pydantic_extra__ or {})
        by_name: dict[str, object] = {}
        shown: dict[str, object] = {}
        for number, parameter in enumerate(self._taken):
            given = vars(valid)[f"field {number}"]
            value = parameter.default if given is MISSING else given
            if parameter.kind is parameter.POSITIONAL_ONLY:
                positional.append(value)
            elif given is not MISSING:
                by_name[parameter.name] = value
            shown[parameter.name] = in_json(value)
        shown |= {name: in_json(value) for name, value in others.items() if name not in shown}
        return Bound(positional, by_name | others, shown)


class OnlyThese(BaseModel):
    """Arguments of a function without ``**kwargs``."""

    # A model may write a number instead of a text of digits.
    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)


def taking_others(hint: Any) -> type[BaseModel]:  # noqa: ANN401 (a type hint)
    """Return the class of arguments of a function with ``**kwargs``, each of which must match `hint`."""
    if get_origin(hint) in (Unpack, typing_extensions.Unpack):  # the hints of single ones, which are not checked
        hint = Any
    fields = {
        "__annotations__": {"__pydantic_extra__": dict[str, hint]},
        "__module__": __name__,
        "model_config": ConfigDict(extra="allow", coerce_numbers_to_str=True),
    }
    return types.new_class("TakingOthers", (BaseModel,), exec_body=lambda namespace: namespace.update(fields))


class Untitled(GenerateJsonSchema):
    """JSON schemas whose fields have no titles, which would only repeat their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 (pydantic's)
        """Never."""
        return False


MISSING = object()


def defaults_of(function: Callable[..., object]) -> dict[str, object]:
    """Return the defaults of a function's parameters, as JSON; none if Python doesn't know the parameters."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {each.name: in_json(each.default) for each in parameters if each.default is not each.empty}


def in_json(value: object) -> object:
    """Return an argument as JSON, for a person. Anything that JSON can't express is text."""
    try:
        said = to_jsonable_python(value, by_alias=True, bytes_mode="base64", fallback=repr)
        json.dumps(said)
    except Exception:  # noqa: BLE001 (of the value's own code)
        return f"<{type(value).__name__}>"
    return said


def json_default(parameter: inspect.Parameter) -> object:
    """Return a parameter's default as JSON; `MISSING` if there is none, or JSON can't express it."""
    if parameter.default is parameter.empty:
        return MISSING
    try:
        default = to_jsonable_python(parameter.default)
        json.dumps(default, allow_nan=False)
    except (PydanticSerializationError, TypeError, ValueError):
        return MISSING
    return default


def field(parameter: inspect.Parameter, hint: Any, description: str | None) -> tuple[Any, FieldInfo]:  # noqa: ANN401
    """Return the type and the field for a parameter."""
    metadata = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    described = [item.description for item in metadata if isinstance(item, FieldInfo) and item.description]
    described += [item for item in metadata if isinstance(item, str)]
    if parameter.default is None:
        hint = hint | None if hint is not Any else Any
    settings: dict[str, Any] = {"alias": parameter.name, "description": next(iter(described), description)}
    if parameter.default is parameter.empty:
        return hint, Field(..., **settings)
    return hint, Field(default_factory=lambda: MISSING, **settings)  # the function has its own default


def fits_json(hint: Any) -> bool:  # noqa: ANN401
    """Whether JSON has a way to say what `hint` wants."""
    try:
        TypeAdapter(hint).json_schema()
    except (PydanticUserError, TypeError):
        return False
    return True


def taken_by(function: Callable[..., object]) -> Iterator[inspect.Parameter]:
    """Return the parameters that the model gives. Raises TypeError if they can't be known."""
    try:
        signature = signature_of(function)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"The parameters of {named(function)} are unknown. Wrap it in a function with type hints."
        ) from error
    fixed = function.keywords if isinstance(function, functools.partial) else {}
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            raise TypeError(
                f"{named(function)} can't be a tool: a model can't give *{parameter.name}. Use a list instead."
            )
        if parameter.name not in fixed:
            yield parameter


def resolved(function: Callable[..., object], parameters: list[inspect.Parameter]) -> dict[str, Any]:
    """Return the hint of each parameter, `Any` without one. Raises TypeError for a hint with an unknown name."""
    hints: dict[str, Any] = {}
    target = inspect.unwrap(underlying(function))
    scope, local = getattr(target, "__globals__", {}), local_names(target)
    for parameter in parameters:
        hint = Any if parameter.annotation is parameter.empty else parameter.annotation
        annotated = types.SimpleNamespace(__annotations__={parameter.name: hint})
        try:
            hint = get_type_hints(annotated, scope, local, include_extras=True)[parameter.name]
            hints[parameter.name] = replace_typed_dicts(hint)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise TypeError(f"The hint of {parameter.name!r} in {named(function)} can't be resolved: {why}") from error
    return hints


def local_names(target: object) -> dict[str, object]:
    """Return the names that a function sees and that aren't global: its closure, and those of its defining scope."""
    code = getattr(target, "__code__", None)
    if code is None:
        return {}
    frame: types.FrameType | None = sys._getframe()  # noqa: SLF001 (pydantic, too, looks there for local types)
    while frame and not within(frame.f_code, code):
        frame = frame.f_back
    return {**closed_over(target), **(frame.f_locals if frame else {})}


def within(outer: types.CodeType, code: types.CodeType) -> bool:
    """Whether `code` is that of a function which is defined in `outer`, in a class of it, or deeper."""
    inner = [constant for constant in outer.co_consts if isinstance(constant, types.CodeType)]
    return any(constant is code or within(constant, code) for constant in inner)


def closed_over(function: Any) -> dict[str, object]:  # noqa: ANN401 (any with a __code__)
    """The variables of other functions that a function uses, as far as they have values."""
    found: dict[str, object] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # it has none yet: the function's own name, where it calls itself
            found[name] = cell.cell_contents
    return found


def innermost(function: Any) -> Any:  # noqa: ANN401 (any callable)
    """What a partial, or an object that wraps a function, calls in the end."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif hasattr(function, "__wrapped__") and not isinstance(function, types.FunctionType | types.MethodType):
            function = function.__wrapped__
        else:
            return function


def underlying(function: object) -> Any:  # noqa: ANN401
    """Return the function that has the hints and the docstring."""
    function = innermost(function)
    return getattr(function, "__func__", function) if inspect.isroutine(function) else type(function).__call__


def named(function: object) -> str:
    """Return a function's name, for an error."""
    return f"{getattr(underlying(function), '__qualname__', repr(function))}()"
