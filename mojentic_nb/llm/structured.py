"""Answers that are objects: the type that the caller asked for, and how an answer's text is read as a value of it.

Providers and gateways want a pydantic model whose JSON is an object. A type that is none (a list, a union, a number) is
sent as a model with one field, ``value``, and taken out of it again. What a provider can't hold a model to is checked
when the answer is read; the model is asked once more, and told what is wrong, where that can help.
"""

from __future__ import annotations

import inspect
import json
import re
import types
from functools import cached_property
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, RootModel, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic_core import from_json

from .drafts import MISSING, Drafts, is_model
from .errors import BadRequestError
from .events import FinishReason, Retry
from .request import rooted
from .typed_dicts import replace_typed_dicts

__all__ = ["Answer", "AnswerType", "Object"]

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
