"""The messages of a conversation: what is sent to a model, and what it replies."""

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

from .validation import complaint, suggestion

__all__ = ["LLMMessage", "LLMToolCall", "MessageRole"]


class MessageRole(Enum):
    """Who wrote a message."""

    System = "system"
    User = "user"
    Assistant = "assistant"
    Tool = "tool"

    @classmethod
    def _missing_(cls, value: object) -> MessageRole | None:
        return cls.System if value == "developer" else None  # OpenAI's newer name for it


class LLMToolCall(BaseModel):
    """A tool call that a model requested. `error` says why its arguments can't be read, if they can't."""

    id: str | None = None
    name: str
    arguments: dict[str, Any]
    error: str | None = None
    _origin: LLMToolCall | None = PrivateAttr(None)
    _checked: dict[str, Any] | None = PrivateAttr(None)

    def json_arguments(self) -> str:
        """Return the arguments as JSON text."""
        return json.dumps(self.arguments, ensure_ascii=False)

    @property
    def origin(self) -> LLMToolCall:
        """The call in the conversation, if this is the copy that `approve` gets; otherwise the call itself."""
        return self._origin or self

    def with_checked(self, arguments: dict[str, Any]) -> LLMToolCall:
        """Return a copy for `approve`, with the arguments that the tool will get."""
        copied = self.model_copy(update={"arguments": deepcopy(arguments)})
        copied._origin, copied._checked = self.origin, arguments  # noqa: SLF001 (it is of the same class)
        return copied

    def as_checked(self) -> LLMToolCall:
        """Return the call with the arguments that the tool gets, even if someone has changed those of this copy."""
        return self if self._checked is None else self.origin.with_checked(self._checked)


class Fields(BaseModel):
    """An object that was read from JSON. It has the fields of the original, but not its class."""

    model_config = ConfigDict(extra="allow")


class LLMMessage(BaseModel):
    """One message of a conversation, ``LLMMessage("Hello")``. It is the user's unless `role` says otherwise.

    An assistant's `tool_calls` are the calls that it requested. A tool's message answers the one call in its own
    `tool_calls`; its `content` is the result, and it may have images as well. `image_paths` are files, ``http(s)``
    links or ``data:`` URIs. `thinking` is an assistant's visible reasoning, `reasoning_details` the form in which its
    provider wants that reasoning back. `is_error` marks the result of a call that failed or was denied: Anthropic's
    models see it, other APIs have no field for it. The `role` *developer* is the system's.

    An `object` is sent as JSON if there is no `content`. After a round trip through JSON it has the same fields, but
    no longer its class.

    Raises ValueError for an unknown field or a value of the wrong type.
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
                raise ValueError(f"Invalid message: {complaint(error, hint)}") from error

    @field_validator("object", mode="before")
    @classmethod
    def _read_object(cls, value: Any) -> Any:  # noqa: ANN401 (an object, or JSON)
        if isinstance(value, dict):
            return Fields.model_validate(value)
        return RootModel[Any](value) if isinstance(value, list | str | int | float) else value
