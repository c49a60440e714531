"""What the gateways over HTTP share: they keep connections, and send a request again without what a model refuses.

What a model refuses is remembered, so the next request to it is sent without.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from mojentic_nb.llm.compat import MojenticCalls
from mojentic_nb.llm.errors import LLMError
from mojentic_nb.llm.events import ModelEvent, Notice
from mojentic_nb.llm.messages import LLMMessage
from mojentic_nb.llm.request import Request

from .keys import Key
from .transport import Lines, LoopLines
from .wire.decoding import Paused

__all__ = ["AdaptiveGateway"]

# How servers say that a model reads no images. Some say it with status 404 or 500. An image that is too large, of the
# wrong format or behind a link that can't be read is refused in other words.
NO_IMAGES = re.compile(
    r"image_url is only supported by certain models"  # OpenAI, Azure
    r"|does(?:n't| not) support (?:the )?(?:images\b(?! \w)|image (?:input|field|content))"  # Ollama, Bedrock, …
    r"|image inputs? (?:modality )?(?:is|are) not (?:supported|enabled)"  # llama.cpp, Mistral, Gemini, xAI
    r"|endpoints found that support image"  # OpenRouter
    r"|missing data required for image input"  # Ollama
    r"|is not a multimodal model|at most 0 image"  # vLLM
    r"|unsupported content(?: part type\W+image_url|\[\]\.type)"  # llama.cpp
    r"|unknown variant \W?image_url"  # DeepSeek
    # DeepSeek and Groq, of a content in parts, which it is for images only.
    r"|ChatCompletionRequestContent|invalid type: sequence, expected a string|content must be a string",
    re.IGNORECASE,
)
IMAGE = "(an image)"  # for the content of a message that has only images


class AdaptiveGateway(MojenticCalls):
    """A gateway over connections that it keeps.

    A subclass sets `_host`, `_key`, `_lines`, `_async_lines` and `_blind`, the models that read no images.
    """

    _host: str
    _key: Key
    _lines: Lines[Any]
    _async_lines: LoopLines[Any]
    _blind: set[str]

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Ask for a completion and yield its events as its bytes arrive."""
        while True:
            request, left_out = self._readable(request)
            yield from left_out
            notices: Sequence[Notice] = ()
            try:
                yield from self._attempt(request)
                return
            except Paused as pause:
                request = pause.request
            except LLMError as error:
                adapted = self._adapted(request, error)
                if adapted is None:
                    raise self._key.clean(error)  # noqa: B904 (its cause is kept)
                notices = adapted
            yield from notices

    async def astream(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The same, asynchronously."""
        while True:
            request, left_out = self._readable(request)
            for notice in left_out:
                yield notice
            notices: Sequence[Notice] = ()
            try:
                async with aclosing(self._aattempt(request)) as events:
                    async for event in events:
                        yield event
                return
            except Paused as pause:
                request = pause.request
            except LLMError as error:
                adapted = self._adapted(request, error)
                if adapted is None:
                    raise self._key.clean(error)  # noqa: B904 (its cause is kept)
                notices = adapted
            for notice in notices:
                yield notice

    def close(self) -> None:
        """Close the connections that are kept for further requests; a client of the user's own stays as it is."""
        self._lines.close()

    async def aclose(self) -> None:
        """Close those of the running event loop as well, which else are closed with it."""
        self.close()
        await self._async_lines.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._host!r})"

    @abstractmethod
    def _attempt(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Send `request` once."""

    @abstractmethod
    def _aattempt(self, request: Request) -> AsyncGenerator[ModelEvent, None]:
        """The same, asynchronously."""

    def _adapted(self, request: Request, error: LLMError) -> Sequence[Notice] | None:
        """Learn from `error` what the model refuses: notices to give before the next attempt, None if it is no use."""
        if image_count(request) and NO_IMAGES.search(str(error)):
            self._blind.add(request.model)
            return ()
        return None

    def _sees(self, model: str) -> bool:
        """Whether `model` reads images, as far as is known."""
        return model not in self._blind

    def _readable(self, request: Request) -> tuple[Request, Sequence[Notice]]:
        """`request`, without images if the model reads none, and the notice of that."""
        count = image_count(request)
        if not count or self._sees(request.model):
            return request, ()
        images = "1 image was" if count == 1 else f"{count} images were"
        notice = Notice(f"{images} left out: {request.model} reads text only.")
        return replace(request, messages=tuple(map(without_images, request.messages))), [notice]


def image_count(request: Request) -> int:
    """How many images there are in the messages."""
    return sum(len(message.image_paths or ()) for message in request.messages)


def without_images(message: LLMMessage) -> LLMMessage:
    """`message` as a model reads it that reads text only."""
    if not message.image_paths:
        return message
    return message.model_copy(update={"content": message.content or IMAGE, "image_paths": None})
