"""Reading messages in the form of OpenAI's Chat Completions API, in which many programs keep them.

Fields that are None are ignored. `refusal` and the transcript of `audio` are the text if there is no other; `name` and
`annotations` mean nothing to other providers and are ignored.
https://platform.openai.com/docs/api-reference/chat/create#chat-create-messages
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .arguments import parse_call
from .events import FinishReason
from .messages import LLMMessage, LLMToolCall, MessageRole

__all__ = ["FINISH_REASONS", "Message", "checked_messages", "is_empty", "read_call", "read_message", "read_messages"]

# Servers have several names for them; an unknown one is a stop.
FINISH_REASONS: dict[str, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",  # Mistral's, for the context's end
    "content_filter": "content_filter",
    "safety": "content_filter",  # Gemini's
    "sensitive": "content_filter",  # Zhipu's
}

Message = LLMMessage | Mapping[str, Any]
"""A message, or a dict in the form of OpenAI's API or with the fields of :class:`~mojentic_nb.llm.LLMMessage`."""


def checked_messages(messages: object) -> list[LLMMessage]:
    """Read the messages of a request.

    Raises TypeError unless they are messages, and ValueError if there are none, if one is from the user and empty, or
    if a dict is invalid.
    """
    read = read_messages(messages)
    if not read:
        raise ValueError('`messages` is empty. Pass at least one message, as in [LLMMessage("Hello")].')
    for number, message in enumerate(read, 1):
        if is_empty(message):
            raise ValueError(f"Message {number} of {len(read)} is the user's and is empty. Give it text or an image.")
    return read


def is_empty(message: LLMMessage) -> bool:
    """Return whether `message` is the user's and has nothing to send."""
    content = (message.content or "").strip() or message.image_paths or message.object is not None
    return message.role is MessageRole.User and not content


def read_messages(messages: object) -> list[LLMMessage]:
    """Read each message. Raises TypeError for anything else, and ValueError for an invalid dict."""
    if isinstance(messages, str | Mapping | LLMMessage) or not isinstance(messages, Iterable):
        raise TypeError('Messages are a list of LLMMessage, as in [LLMMessage("Hello")].')
    read: list[LLMMessage] = []
    for message in messages:
        read.append(read_message(message, read))
    return read


def read_message(message: object, before: Sequence[LLMMessage] = ()) -> LLMMessage:
    """Read one message; a tool's message answers a call in those `before` it."""
    if isinstance(message, LLMMessage):
        return message
    if not isinstance(message, Mapping):
        raise TypeError(f'A message is an LLMMessage, as in LLMMessage("Hello"), or a dict, not {message!r}.')
    fields = {str(name): value for name, value in message.items() if value is not None}
    name, call_id = fields.pop("name", ""), fields.pop("tool_call_id", None)
    refusal, audio = fields.pop("refusal", None), fields.pop("audio", None)
    fields.pop("annotations", None)
    if isinstance(fields.get("content"), list):
        fields |= read_parts(fields["content"])
    spoken = audio.get("transcript") if isinstance(audio, Mapping) else None
    fields["content"] = fields.get("content") or refusal or spoken
    if isinstance(fields.get("tool_calls"), list):
        fields["tool_calls"] = [read_call(call) for call in fields["tool_calls"]]
    elif call_id is not None:
        fields["tool_calls"] = [answered_call(str(call_id), str(name), before)]
    return LLMMessage(**fields)


def read_parts(parts: Iterable[object]) -> dict[str, Any]:
    """Read the text and images of a content that is a list of parts."""
    texts: list[str] = []
    images: list[str] = []
    for part in parts:
        match part:
            case str(text) | {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
                texts.append(text)
            case {"type": "image_url", "image_url": str(url) | {"url": str(url)}}:
                images.append(checked_url(url))
            case _:
                kind = part.get("type") if isinstance(part, Mapping) else part
                raise ValueError(f"A message's part can't be {kind!r}. Give parts of type text or image_url.")
    return {"content": "\n".join(texts), **({"image_paths": images} if images else {})}


def checked_url(url: str) -> str:
    """Return the `url` of an image, not of a file: the dict may have another author."""
    if not url.startswith(("http://", "https://", "data:")):
        raise ValueError(f"An image_url is an http(s) link or a data: URI, not {url[:60]!r}. Put files in image_paths.")
    return url


def read_call(call: object) -> object:
    """Read a call in OpenAI's form; return anything else as it is."""
    match call:
        case {"function": {"name": str(name), "arguments": arguments}, **more}:
            text = arguments if isinstance(arguments, str) else json.dumps(arguments)
            return parse_call(str(more.get("id") or ""), name, text)
    return call


def answered_call(call_id: str, name: str, before: Sequence[LLMMessage]) -> LLMToolCall:
    """Return the call with that id in the messages `before`, or one without arguments."""
    calls = [call for message in before if message.role is MessageRole.Assistant for call in message.tool_calls or ()]
    known = (call for call in reversed(calls) if call.id == call_id)
    return next(known, None) or LLMToolCall(id=call_id, name=name, arguments={})
