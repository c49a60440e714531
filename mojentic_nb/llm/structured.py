"""Answers that are objects: the type that you asked for, reading a reply as a value of it, and drafts while it arrives.

Providers and gateways take a pydantic model whose JSON is an object. Any other type (a list, a union, a number) is sent
as a model with one field, ``value``, and taken out of it again. What a provider can't guarantee is checked when the
reply is read. If it doesn't match, the model is asked once more, with the errors, if that can help.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import json
import re
import types
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property, partial
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    TypeGuard,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import AliasChoices, BaseModel, RootModel, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError
from pydantic.fields import FieldInfo
from pydantic_core import from_json, to_json
from typing_extensions import is_typeddict  # of pydantic, which before Python 3.12 wants its TypedDict

from .errors import BadRequestError
from .events import FinishReason, Retry
from .request import rooted
from .typed_dicts import replace_typed_dicts

__all__ = ["MISSING", "Answer", "AnswerType", "Drafts", "Object", "is_model"]

Draft = Callable[[Any], Any]
MISSING = object()
SEQUENCES: dict[object, Callable[[list[Any]], Any]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    collections.abc.Sequence: list,
    collections.abc.Iterable: list,
}
MAPPINGS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


def is_model(kind: object) -> TypeGuard[type[BaseModel]]:
    """Return whether it is a pydantic model."""
    return isinstance(kind, type) and get_origin(kind) is None and issubclass(kind, BaseModel)


class Drafts:
    """Makes, for a type, the function that turns JSON into a draft: the value so far, or MISSING if it hasn't begun.

    A draft isn't validated. Models, dataclasses and TypedDicts have the fields that have arrived; the others are None,
    or their default. A value that isn't complete (half a date) is MISSING. The functions never raise.
    """

    def __init__(self) -> None:
        self._fields: dict[object, dict[str, Field]] = {}

    def of(self, kind: Any) -> Draft:  # noqa: ANN401 (any type)
        """Return the function that drafts values of the type `kind`."""
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return self.of(arguments[0])
        if has_fields(kind):
            return partial(self._structure, kind)  # which finds its fields later, since it may contain itself
        if origin in (Union, types.UnionType):
            arms = sorted(arguments, key=lambda arm: arm is not str)  # a number would accept a text of digits
            return partial(self._union, [(arm, self.of(arm)) for arm in arms])
        if origin in SEQUENCES or (origin is tuple and arguments[-1] is ...):
            return items(self.of(arguments[0]), SEQUENCES.get(origin, tuple))
        if origin in MAPPINGS:
            return entries(self.of(arguments[1]))
        if kind in (Any, object):
            return lambda value: value
        if kind is str:
            return lambda value: value if isinstance(value, str) else MISSING
        return complete(kind)

    def _structure(self, kind: Any, value: object) -> object:  # noqa: ANN401
        try:
            arrived = self._arrived(kind, value)
            if is_typeddict(kind):
                return arrived
            if not is_model(kind):
                waiting = [field.name for field in dataclasses.fields(kind) if field.init and is_required(field)]
                return kind(**(dict.fromkeys(waiting) | arrived))
            if issubclass(kind, RootModel) and not arrived:
                return MISSING
            waiting = [name for name, field in kind.model_fields.items() if field.is_required()]
            return kind.model_construct(_fields_set=set(arrived), **(dict.fromkeys(waiting) | arrived))
        except Exception:  # noqa: BLE001 (the type's own code, which may not expect that fields are missing)
            return MISSING

    def _arrived(self, kind: Any, value: object) -> dict[str, Any]:  # noqa: ANN401
        """Return the drafts of the fields that have begun. Raises TypeError for JSON that has no fields."""
        if is_model(kind) and issubclass(kind, RootModel):
            value = {"root": value}
        if not isinstance(value, dict):
            raise TypeError
        drafts = {
            name: field.draft(value[key])
            for name, field in self._fields_of(kind).items()
            for key in [each for each in field.keys if each in value][:1]
        }
        return {name: draft for name, draft in drafts.items() if draft is not MISSING}

    def _fields_of(self, kind: Any) -> dict[str, Field]:  # noqa: ANN401
        if kind not in self._fields:
            if is_model(kind):
                hints = {name: (keys_of(name, field), field.annotation) for name, field in kind.model_fields.items()}
            else:
                hints = {name: ((name,), hint) for name, hint in get_type_hints(kind).items()}
            self._fields[kind] = {name: Field(keys, hint, self.of(hint)) for name, (keys, hint) in hints.items()}
        return self._fields[kind]

    def _union(self, arms: list[tuple[Any, Draft]], value: object) -> object:
        """Return the draft of the first arm that may hold `value`."""
        drafts = (draft(value) for arm, draft in arms if self._may_hold(arm, value))
        return next((draft for draft in drafts if draft is not MISSING), MISSING)

    def _may_hold(self, kind: Any, value: object) -> bool:  # noqa: ANN401
        """Return whether a JSON object has only fields of `kind`, and none of its tags (Literals) is another's."""
        if not isinstance(value, dict) or not has_fields(kind):
            return True
        fields = self._fields_of(kind)
        if is_model(kind) and issubclass(kind, RootModel):
            arms = get_args(fields["root"].hint) or (fields["root"].hint,)
            return any(self._may_hold(arm, value) for arm in arms)
        tags = [field for field in fields.values() if get_origin(field.hint) is Literal]
        return value.keys() <= {key for field in fields.values() for key in field.keys} and all(
            tag.draft(value[key]) is not MISSING for tag in tags for key in tag.keys if key in value
        )


class Field(NamedTuple):
    """A field of a structure: its `keys` in JSON, its type hint, and how to draft it."""

    keys: tuple[str, ...]
    hint: Any
    draft: Draft


def items(draft: Draft, collect: Callable[[list[Any]], Any]) -> Draft:
    """Draft a list, or another type that is written as one.

    Items that haven't changed since the last list keep their draft, so that a long list doesn't cost the square of its
    length.
    """
    before: list[Any] = []
    drafts: list[Any] = []

    def make(value: object) -> object:
        nonlocal before, drafts
        if not isinstance(value, list):
            return MISSING
        changed = next((place for place, old in enumerate(before) if value[place : place + 1] != [old]), len(before))
        before, drafts = value, [*drafts[:changed], *map(draft, value[changed:])]
        try:
            return collect([item for item in drafts if item is not MISSING])
        except TypeError:  # drafts that can't be in a set
            return MISSING

    return make


def entries(draft: Draft) -> Draft:
    """Draft a dictionary. Its keys stay text."""

    def make(value: object) -> object:
        if not isinstance(value, dict):
            return MISSING
        return {key: made for key, item in value.items() if (made := draft(item)) is not MISSING}

    return make


def complete(kind: Any) -> Draft:  # noqa: ANN401 (any type)
    """Draft a type whose values can't be partial: a number, a date, an enumeration."""
    try:
        adapter = TypeAdapter[Any](kind)
    except Exception:  # noqa: BLE001 (a type that is known only within its model)
        return lambda _: MISSING

    def make(value: object) -> object:
        try:
            return adapter.validate_json(to_json(value))
        except Exception:  # noqa: BLE001 (of a validator's own code, too)
            return MISSING

    return make


def has_fields(kind: object) -> bool:
    """Return whether it is a pydantic model, a dataclass or a TypedDict."""
    return is_model(kind) or dataclasses.is_dataclass(kind) or is_typeddict(kind)


def is_required(field: dataclasses.Field[Any]) -> bool:
    """Return whether a dataclass's field has no default."""
    return field.default is field.default_factory is dataclasses.MISSING


def keys_of(name: str, field: FieldInfo) -> tuple[str, ...]:
    """Return the names that a model's field may have in JSON."""
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return (*(choice for choice in choices if isinstance(choice, str)), name)


Object = TypeVar("Object")

MOST_PROBLEMS = 20  # of one reply that the model reads


class AnswerType(Generic[Object]):
    """The type `object_model`, and the pydantic `model` that providers get for it, whose JSON is an object.

    Raises TypeError for anything that isn't a type, or that has no JSON schema.
    """

    def __init__(self, object_model: type[Object]) -> None:
        self.name = name_of(object_model)
        if object_model is BaseModel or inspect.isroutine(object_model):
            raise TypeError(f"`{self.name}` can't be the type of an answer. Use a pydantic model.")
        try:
            self._type = replace_typed_dicts(object_model)
            self._adapter = TypeAdapter[Object](self._type)
            self.model, self._field = model_of(self._type, self.name)
            self.schema = rooted(self.model.model_json_schema())
        except (PydanticUserError, NameError, SyntaxError) as error:  # pydantic takes a text for the name of a type
            # Of a value that is no type, pydantic says how to allow any class, which has no JSON either.
            why = "" if isinstance(error, PydanticSchemaGenerationError) else f" ({str(error).splitlines()[0]})"
            raise TypeError(f"`{self.name}` can't be the type of an answer{why}. Use a pydantic model.") from error

    def read(self, text: str) -> Object:
        """Return the value in a reply: JSON, alone or with a fence or prose around it.

        Raises :class:`pydantic.ValidationError`.
        """
        errors: list[ValidationError] = []
        for candidate in dict.fromkeys([text, self._json_in(text)]):
            try:
                return self._unwrapped(self.model.model_validate_json(candidate))
            except ValidationError as error:
                errors.append(error)
            if self._field == "value":  # a server that doesn't send the model the schema leaves the object out
                with suppress(ValidationError):
                    return self._adapter.validate_json(candidate)
        raise next((error for error in errors if error.errors()[0]["type"] != "json_invalid"), errors[0])

    def draft(self, text: str) -> Object | None:
        """Return the value so far, from the beginning of a reply; None if it hasn't begun."""
        if (start := self._start(text)) is None:
            return None
        try:
            value = from_json(text[start:], allow_partial="trailing-strings")
        except ValueError:
            return None
        draft_model, draft_bare = self._drafts
        if isinstance(value, dict) and (self._field != "value" or "value" in value or not value):
            draft = draft_model(value)
            return None if draft is MISSING else self._unwrapped(draft)
        draft = draft_bare(value)  # with no object around it
        return None if draft is MISSING else draft

    def problems(self, error: ValidationError) -> list[str]:
        """Return what is wrong with a reply, a line for each place."""
        return [
            f"{self._place(details['loc'])}: {' '.join(details['msg'].split())}"
            for details in error.errors(include_url=False, include_input=False, include_context=False)
        ]

    @cached_property
    def _drafts(self) -> tuple[Draft, Draft]:
        drafts = Drafts()
        return drafts.of(self.model), drafts.of(self._type)

    def _unwrapped(self, made: Any) -> Object:  # noqa: ANN401 (an instance of `model`)
        value: Object = made if self._field is None else getattr(made, self._field)
        return value

    def _start(self, text: str) -> int | None:
        """Return where the JSON begins: at an object, or at a list if the type may be one."""
        found = re.search(r"[{\[]" if self._field == "value" else r"\{", text)
        return found.start() if found else None

    def _json_in(self, text: str) -> str:
        """Return the text from the first bracket to the last, all of it if there are none."""
        if (start := self._start(text)) is None:
            return text
        return text[start : text.rfind("}" if text[start] == "{" else "]") + 1] or text

    def _place(self, where: tuple[int | str, ...]) -> str:
        if self._field == "value" and where[:1] == ("value",):
            where = where[1:]
        return ".".join(map(str, where)) or "the answer"


class Answer(Generic[Object]):
    """The one object that a run is to end with: `object`, once it is `there`.

    `error` is why there is none. `correction` is the message that asks the model once more.
    """

    def __init__(self, type_: AnswerType[Object]) -> None:
        self.type = type_
        self.there = False
        self.object: Object | None = None
        self.error: BadRequestError | None = None
        self.correction: str | None = None

    def read(self, text: str, finish_reason: FinishReason) -> Retry | None:
        """Read the object in the model's final reply. Return a Retry if the model is to be asked once more."""
        try:
            self.object = self.type.read(text)
        except ValidationError as error:
            problems = self.type.problems(error)
            mismatch = f"The reply didn't match `{self.type.name}` ({problems[0]})"
            if finish_reason == "stop" and self.correction is None:
                self.correction = self._correction(problems)
                return Retry(1, 0.0, f"{mismatch}.")
            self.error = BadRequestError(f"{mismatch}{self._advice(finish_reason)} The reply is in `error.partial`.")
            self.error.__cause__ = error
        else:
            self.there = True
        return None

    def _advice(self, finish_reason: FinishReason) -> str:
        match finish_reason:
            case "length":
                return ": it was cut off. Raise `max_tokens`."
            case "content_filter":
                return ": it was filtered or refused. Rephrase the question."
        return ", twice. Try another model, or rephrase the question." if self.correction else ". Ask again."

    def _correction(self, problems: list[str]) -> str:
        wrong = "\n".join(f"- {problem}" for problem in problems[:MOST_PROBLEMS])
        schema = json.dumps(self.type.schema, ensure_ascii=False)
        return (
            f"That is not what was asked for:\n{wrong}\nAnswer with nothing but JSON that follows this schema: {schema}"
        )


def model_of(object_model: Any, name: str) -> tuple[type[BaseModel], str | None]:  # noqa: ANN401 (any type)
    """Return a model whose JSON is an object, and the field that has the value, None if the model is `object_model`."""
    model: type[BaseModel] = (
        object_model if is_model(object_model) else create_model(name, __base__=RootModel[object_model])
    )
    if rooted(model.model_json_schema()).get("type") != "object":
        return create_model(name, value=(object_model, ...)), "value"
    return model, None if model is object_model else "root"


def name_of(kind: object) -> str:
    """Return the name of the type `kind`, for a person."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is None or kind is type(None):
        return "None"
    if origin is Annotated:
        return name_of(arguments[0])
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if origin in (Union, types.UnionType):
        return " | ".join(map(name_of, arguments))
    if origin is not None:
        return f"{name_of(origin)}[{', '.join(map(name_of, arguments))}]"
    return "..." if kind is ... else str(getattr(kind, "__name__", repr(kind)))
