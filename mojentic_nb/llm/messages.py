"""What is said to a model and what it says: the messages of a conversation."""

from __future__ import annotations

import json
from copy import deepcopy
from enum import Enum
from typing import TYPE_CHECKING, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    RootModel,
    SerializeAsAny,
    ValidationError,
    field_validator,
)

from .text import mended
from .validation import complaint, suggestion

__all__ = ["LLMMessage", "LLMToolCall", "MessageRole", "is_empty", "nests_deeper", "parsed_call"]

DEEPEST = 100  # levels in arguments; pydantic reads 200, and Python as many as the version and its stack allow
TOO_DEEP = f"The arguments are nested more than {DEEPEST} levels deep"


class MessageRole(Enum):
    """Who speaks."""

    System = "system"
    User = "user"
    Assistant = "assistant"
    Tool = "tool"

    @classmethod
    def _missing_(cls, value: object) -> MessageRole | None:
        return cls.System if value == "developer" else None  # OpenAI's newer name for it


class LLMToolCall(BaseModel):
    """A model's wish that a tool be run. `error` says why its arguments can't be read, if they can't."""

    id: str | None = None
    name: str
    arguments: dict[str, Any]
    error: str | None = None
    _origin: LLMToolCall | None = PrivateAttr(None)
    _checked: dict[str, Any] | None = PrivateAttr(None)

    def json_arguments(self) -> str:
        """The arguments as JSON text."""
        return json.dumps(self.arguments, ensure_ascii=False)

    @property
    def origin(self) -> LLMToolCall:
        """The call in the conversation, where this is the copy of it that somebody is asked to approve; else itself."""
        return self._origin or self

    def with_checked(self, arguments: dict[str, Any]) -> LLMToolCall:
        """Return a copy to ask about, with the arguments that the tool gets."""
        copied = self.model_copy(update={"arguments": deepcopy(arguments)})
        copied._origin, copied._checked = self.origin, arguments  # noqa: SLF001 (it is of the same class)
        return copied

    def as_checked(self) -> LLMToolCall:
        """Return the call with the arguments that the tool gets, whatever became of those of this copy."""
        return self if self._checked is None else self.origin.with_checked(self._checked)


class Fields(BaseModel):
    """An object that was read from JSON: it has the fields, but not the class."""

    model_config = ConfigDict(extra="allow")


class LLMMessage(BaseModel):
    """One message of a conversation, ``LLMMessage("Hello")``; from the user unless `role` says otherwise.

    An assistant's `tool_calls` are what it asked for. A tool's message answers the one call in its own `tool_calls`,
    with the result as its `content`, and may have images as well. `image_paths` are files, ``http(s)`` links or
    ``data:`` URIs. `thinking` is an assistant's visible reasoning, `reasoning_details` what its provider wants back of
    it, word for word. `is_error` marks the result of a call that failed or was denied: Anthropic's models see it, other
    APIs have no field for it. The `role` *developer* is the system's.

    An `object` is sent as JSON where there is no `content`. A message that is read from JSON has one with the same
    fields, whose class isn't known any more.

    Raises ValueError, in one line, for an unknown field or a value of the wrong type.
    """

    model_config = ConfigDict(extra="forbid")

    role: MessageRole = MessageRole.User
    content: str | None = None
    thinking: str | None = None
    object: SerializeAsAny[BaseModel] | None = None
    tool_calls: list[LLMToolCall] | None = None
    image_paths: list[str] | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    is_error: bool = Field(default=False, exclude_if=lambda failed: not failed)

    if TYPE_CHECKING:

        def __init__(
            self,
            content: str | None = None,
            *,
            role: MessageRole | str = MessageRole.User,
            thinking: str | None = None,
            object: BaseModel | None = None,  # noqa: A002 (Mojentic's name)
            tool_calls: list[LLMToolCall] | None = None,
            image_paths: list[str] | None = None,
            reasoning_details: list[dict[str, Any]] | None = None,
            is_error: bool = False,
        ) -> None: ...

    else:

        def __init__(self, content=None, /, **fields) -> None:  # noqa: ANN001, ANN003 (above)
            if content is not None:
                fields = {"content": content, **fields}
            try:
                super().__init__(**fields)
            except ValidationError as error:
                hint = suggestion(error, list(type(self).model_fields))
                raise ValueError(f"The message can't be made: {complaint(error, hint)}") from error

    @field_validator("object", mode="before")
    @classmethod
    def _read_object(cls, value: Any) -> Any:  # noqa: ANN401 (an object, or JSON)
        if isinstance(value, dict):
            return Fields.model_validate(value)
        return RootModel[Any](value) if isinstance(value, list | str | int | float) else value


def is_empty(message: LLMMessage) -> bool:
    """Whether `message` is from the user and has nothing to send."""
    said = (message.content or "").strip() or message.image_paths or message.object is not None
    return message.role is MessageRole.User and not said


def parsed_call(call_id: str, name: str, arguments: str) -> LLMToolCall:
    """The complete call; what can't be read of its arguments is its error, for the model to mend."""
    try:
        value: Any = json.loads(arguments) if arguments.strip() else {}
        if isinstance(value, str):  # JSON within JSON, as some models write it
            value = json.loads(value)
        if "\\ud" in arguments.lower():  # an escape may be half a character, which no request can carry
            value = json.loads(mended(json.dumps(value, ensure_ascii=False)))
        json.dumps(value, allow_nan=False)  # nor can it carry NaN and Infinity, which Python reads
    except ValueError as error:
        return unreadable_call(call_id, name, f"The arguments are no JSON ({error}): {shown(arguments)}")
    except RecursionError:  # at a depth that differs between versions of Python
        return unreadable_call(call_id, name, f"{TOO_DEEP}: {shown(arguments)}")
    if nests_deeper(value, DEEPEST):
        return unreadable_call(call_id, name, f"{TOO_DEEP}: {shown(arguments)}")
    if value is None:
        value = {}
    if not isinstance(value, dict):
        return unreadable_call(call_id, name, f"The arguments are no object: {shown(arguments)}")
    return LLMToolCall(id=call_id, name=name, arguments=value)


def nests_deeper(value: object, levels: int) -> bool:
    """Whether lists and objects stand within each other on more than so many levels."""
    held = [value]
    for _ in range(levels):
        held = [
            inner
            for outer in held
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
        ]
    return any(isinstance(each, (dict, list)) for each in held)


def unreadable_call(call_id: str, name: str, error: str) -> LLMToolCall:
    """A call whose arguments can't be read."""
    return LLMToolCall(id=call_id, name=name, arguments={}, error=error)


def shown(text: str) -> str:
    """The beginning of `text`."""
    return text if len(text) <= 200 else f"{text[:200]}…"
