"""Answers that are objects: the type that the caller asked for, and how an answer's text is read as a value of it.

Providers and gateways want a pydantic model whose JSON is an object. A type that is none (a list, a union, a number) is
sent as a model with one field, ``value``, and taken out of it again. What a provider can't hold a model to is checked
when the answer is read; the model is asked once more, and told what is wrong, where that can help.

What there is of a value while its JSON still arrives: the type's own instances, with fields that are missing.

A draft is made along the type, without validation: of a model, a dataclass or a TypedDict what has arrived, and the
fields that it still waits for are None. A value that is no value of its type yet (half a date) counts as missing.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import json
import re
import types
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any, Generic, Literal, TypeGuard, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import AliasChoices, BaseModel, RootModel, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError
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
    """Whether it is a pydantic model."""
    return isinstance(kind, type) and get_origin(kind) is None and issubclass(kind, BaseModel)


class Drafts:
    """Finds for a type what makes drafts of its values from JSON's; a draft is MISSING where there is nothing yet."""

    def __init__(self) -> None:
        self._known: dict[object, Draft] = {}

    def of(self, kind: Any) -> Draft:  # noqa: ANN401 (any type)
        """What makes drafts of the type `kind`; it never raises."""
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Annotated:
            return self.of(arguments[0])
        if is_model(kind) or dataclasses.is_dataclass(kind) or is_typeddict(kind):
            return self._structure(kind)
        if kind in (Any, object):
            return lambda value: value
        if kind is str:
            return lambda value: value if isinstance(value, str) else MISSING
        if origin in (Union, types.UnionType):
            return Choice([self.of(arm) for arm in sorted(arguments, key=lambda arm: arm is not str)])
        if origin in SEQUENCES or (origin is tuple and arguments[-1] is ...):
            return Items(self.of(arguments[0]), SEQUENCES.get(origin, tuple))
        if origin in MAPPINGS:
            return entries(self.of(arguments[1]))
        return whole(kind)

    def _structure(self, kind: Any) -> Draft:  # noqa: ANN401
        """A draft of something with fields, which may hold itself."""
        if kind not in self._known:
            try:
                fields = {} if is_model(kind) else get_type_hints(kind)
            except NameError:  # of a type that is not defined where it looks for it
                return whole(kind)
            structure = Root(kind) if is_model(kind) and issubclass(kind, RootModel) else Structure(kind)
            self._known[kind] = structure
            if is_model(kind):
                for name, field in kind.model_fields.items():
                    structure.add(name, keys_of(name, field), field.annotation, self.of(field.annotation))
            for name, annotation in fields.items():
                structure.add(name, (name,), annotation, self.of(annotation))
        return self._known[kind]


class Structure:
    """Makes drafts of a model, a dataclass or a TypedDict."""

    def __init__(self, kind: Any) -> None:  # noqa: ANN401
        self._kind = kind
        self._fields: dict[str, tuple[tuple[str, ...], Draft]] = {}
        self._tags: list[str] = []

    def add(self, name: str, keys: tuple[str, ...], annotation: object, draft: Draft) -> None:
        """Take in a field, which stands in JSON under one of `keys`."""
        self._fields[name] = keys, draft
        if get_origin(annotation) is Literal:
            self._tags.append(name)

    def __call__(self, value: object) -> object:
        """The draft of a JSON object."""
        return self._made(self._arrived(value)) if isinstance(value, dict) else MISSING

    def fit(self, value: Mapping[str, Any]) -> int:
        """How many fields of a JSON object are this one's; -1 if it is an object of another type."""
        arrived = self._arrived(value)
        there = [name for name, (keys, _) in self._fields.items() if any(key in value for key in keys)]
        return -1 if any(tag in there and tag not in arrived for tag in self._tags) else len(there)

    def _arrived(self, value: Mapping[str, Any]) -> dict[str, Any]:
        drafts = {
            name: draft(value[key])
            for name, (keys, draft) in self._fields.items()
            for key in [each for each in keys if each in value][:1]
        }
        return {name: draft for name, draft in drafts.items() if draft is not MISSING}

    def _made(self, arrived: dict[str, Any]) -> object:
        if is_typeddict(self._kind):
            return arrived
        try:
            if is_model(self._kind):
                fields = self._kind.model_fields
                waiting = dict.fromkeys(name for name in fields if fields[name].is_required())
                return self._kind.model_construct(_fields_set=set(arrived), **{**waiting, **arrived})
            return built(self._kind, arrived)
        except Exception:  # noqa: BLE001 (the type's own code, which did not expect that fields are missing)
            return MISSING


class Root(Structure):
    """Makes drafts of a model that is nothing but its root."""

    def __call__(self, value: object) -> object:
        """The draft of the root's value."""
        arrived = self._arrived({"root": value})
        return self._made(arrived) if arrived else MISSING

    def fit(self, value: Mapping[str, Any]) -> int:
        """How well a JSON object fits what is in the root."""
        return fit_of(self._fields["root"][1], value)


class Choice:
    """Makes drafts of a union: of the arm that an object looks most like, else of the first that takes the value."""

    def __init__(self, arms: list[Draft]) -> None:
        self._arms = arms

    def __call__(self, value: object) -> object:
        """The draft of any value."""
        arms = self._arms
        if isinstance(value, dict):
            fits = [(fit_of(arm, value), arm) for arm in arms]
            arms = [arm for fit, arm in sorted(fits, key=lambda each: -each[0]) if fit >= 0]
        return next((draft for arm in arms if (draft := arm(value)) is not MISSING), MISSING)

    def fit(self, value: Mapping[str, Any]) -> int:
        """How well a JSON object fits the arm that it fits best."""
        return max(fit_of(arm, value) for arm in self._arms)


def fit_of(draft: Draft, value: Mapping[str, Any]) -> int:
    """How many fields of a JSON object are known to `draft`; -1 if the object is certainly none of its type."""
    return draft.fit(value) if isinstance(draft, Structure | Choice) else 0


class Items:
    """Makes drafts of a list, or of what else is written as one.

    What has not changed since the last list keeps its draft: else those of a long list would take the square of its
    length.
    """

    def __init__(self, draft: Draft, collected: Callable[[list[Any]], Any]) -> None:
        self._draft = draft
        self._collected = collected
        self._last: tuple[list[Any], list[Any]] = [], []

    def __call__(self, value: object) -> object:
        """The draft of a JSON array."""
        if not isinstance(value, list):
            return MISSING
        before, made = self._last
        changed = next((place for place, old in enumerate(before) if value[place : place + 1] != [old]), len(before))
        made = [*made[:changed], *map(self._draft, value[changed:])]
        self._last = value, made
        try:
            return self._collected([item for item in made if item is not MISSING])
        except TypeError:  # drafts that can't be in a set
            return MISSING


def entries(draft: Draft) -> Draft:
    """Drafts of a dictionary, whose keys stay text."""

    def make(value: object) -> object:
        if not isinstance(value, dict):
            return MISSING
        return {key: made for key, item in value.items() if (made := draft(item)) is not MISSING}

    return make


def whole(kind: Any) -> Draft:  # noqa: ANN401 (any type)
    """Drafts of a type of which there are no halves: a number, a date, one of an enumeration."""
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


def built(kind: Any, arrived: Mapping[str, Any]) -> object:  # noqa: ANN401 (a dataclass)
    """An instance of a dataclass, made without its own code."""
    made = object.__new__(kind)
    for field in dataclasses.fields(kind):
        value = arrived.get(field.name, None if field.default is dataclasses.MISSING else field.default)
        if field.default_factory is not dataclasses.MISSING and field.name not in arrived:
            value = field.default_factory()
        object.__setattr__(made, field.name, value)
    return made


def keys_of(name: str, field: FieldInfo) -> tuple[str, ...]:
    """The names that a model's field may have in JSON."""
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    return (*(choice for choice in choices if isinstance(choice, str)), name)


Object = TypeVar("Object")

TOLD = 20  # errors of one answer that the model is told of
ADVICE = {
    "length": "it was cut off, raise max_tokens",
    "content_filter": "it was filtered or refused, ask in other words",
}


class AnswerType(Generic[Object]):
    """The type `object_model`, and what stands for it before a provider: `model`, whose JSON is an object.

    Raises TypeError for what is no type, or one that JSON has no schema for.
    """

    def __init__(self, object_model: type[Object]) -> None:
        self.name = name_of(object_model)
        if object_model is BaseModel or inspect.isroutine(object_model):
            raise TypeError(f"An object can't be asked for by {self.name}: give a pydantic model, or another type.")
        try:
            self._type = replace_typed_dicts(object_model)
            self._adapter = TypeAdapter[Object](self._type)
            self.model, self._field = model_of(self._type, self.name)
            self.schema = rooted(self.model.model_json_schema())
        except (PydanticUserError, NameError, SyntaxError) as error:  # a text is taken for the name of a type
            said = str(error).splitlines()[0]
            raise TypeError(f"An object can't be asked for by {self.name} (give a pydantic model): {said}") from error

    def read(self, text: str) -> Object:
        """The value that an answer tells: JSON, alone or with a fence or prose around it.

        Raises :class:`pydantic.ValidationError`.
        """
        errors: list[ValidationError] = []
        for candidate in filter(None, (text, self._json_in(text))):
            try:
                return self._unwrapped(self.model.model_validate_json(candidate))
            except ValidationError as error:
                errors.append(error)
            if self._field == "value":  # a server that sends the model no schema leaves the object out
                try:
                    return self._adapter.validate_json(candidate)
                except ValidationError:
                    pass
        if not errors:
            return self._unwrapped(self.model.model_validate_json(text))  # raises
        raise next((error for error in errors if error.errors()[0]["type"] != "json_invalid"), errors[0])

    def draft(self, text: str) -> Object | None:
        """What there is of the value while the answer's text has come as far as `text`; None before its beginning."""
        if (start := self._start(text)) is None:
            return None
        try:
            value = from_json(text[start:], allow_partial="trailing-strings")
        except ValueError:
            return None
        if isinstance(value, dict) and (self._field != "value" or "value" in value or not value):
            draft = self._draft_model(value)
            return None if draft is MISSING else self._unwrapped(draft)
        draft = self._draft_bare(value)  # with no object around
        return None if draft is MISSING else draft

    def problems(self, error: ValidationError) -> list[str]:
        """What is wrong with an answer, in a line for each place in it."""
        return [
            f"{self._place(details['loc'])}: {' '.join(details['msg'].split())}"
            for details in error.errors(include_url=False, include_input=False, include_context=False)
        ]

    @cached_property
    def _drafts(self) -> Drafts:
        return Drafts()

    @cached_property
    def _draft_model(self) -> Any:  # noqa: ANN401 (a function)
        return self._drafts.of(self.model)

    @cached_property
    def _draft_bare(self) -> Any:  # noqa: ANN401
        return self._drafts.of(self._type)

    def _unwrapped(self, made: Any) -> Object:  # noqa: ANN401 (an instance of `model`)
        value: Object = made if self._field is None else getattr(made, self._field)
        return value

    def _start(self, text: str) -> int | None:
        """Where the JSON begins in `text`: at an object, or at a list where one would do."""
        found = re.search(r"[{\[]" if self._field == "value" else r"\{", text)
        return found.start() if found else None

    def _json_in(self, text: str) -> str | None:
        """What stands between the first and the last bracket, if there is something around it."""
        if (start := self._start(text)) is None:
            return None
        inside = text[start : text.rfind("}" if text[start] == "{" else "]") + 1]
        return inside if inside != text else None

    def _place(self, where: tuple[int | str, ...]) -> str:
        if self._field == "value" and where[:1] == ("value",):
            where = where[1:]
        return ".".join(map(str, where)) or "the answer"


class Answer(Generic[Object]):
    """The one object that a run is to end with: `object`, once it is `there`.

    `error` is why it can't be had, `correction` what the model is to be told when it is asked once more.
    """

    def __init__(self, type_: AnswerType[Object]) -> None:
        self.type = type_
        self.there = False
        self.object: Object | None = None
        self.error: BadRequestError | None = None
        self.correction: str | None = None

    def read(self, text: str, finish_reason: FinishReason) -> Retry | None:
        """Read the model's last word; get a Retry if it is to be asked once more."""
        try:
            self.object = self.type.read(text)
        except ValidationError as error:
            problems = self.type.problems(error)
            if finish_reason == "stop" and self.correction is None:
                self.correction = self._told(problems)
                return Retry(1, 0.0, f"The answer is no {self.type.name} ({problems[0]}).")
            asked = "so was the one before; ask another model, or in other words" if self.correction else "ask again"
            self.error = BadRequestError(
                f"The answer is no {self.type.name} ({problems[0]}): {ADVICE.get(finish_reason, asked)}."
                " It is in the error's partial."
            )
            self.error.__cause__ = error
        else:
            self.there = True
        return None

    def _told(self, problems: list[str]) -> str:
        wrong = "\n".join(f"- {problem}" for problem in problems[:TOLD])
        schema = json.dumps(self.type.schema, ensure_ascii=False)
        return (
            f"That is not what was asked for:\n{wrong}\nAnswer with nothing but JSON that follows this schema: {schema}"
        )


def model_of(object_model: Any, name: str) -> tuple[type[BaseModel], str | None]:  # noqa: ANN401 (any type)
    """A model whose JSON is an object, and the field in which it has the value of `object_model`, if it isn't that."""
    model: type[BaseModel]
    if is_model(object_model):
        model, field = object_model, None
    else:
        model, field = create_model(name, __base__=RootModel[object_model]), "root"
    if rooted(model.model_json_schema()).get("type") != "object":
        model, field = create_model(name, value=(object_model, ...)), "value"
    return model, field


def name_of(kind: object) -> str:
    """What a person calls the type `kind`."""
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
