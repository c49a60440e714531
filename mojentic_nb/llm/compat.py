"""Compatibility with Mojentic, both ways: its programs can call our gateways, and its gateways work here.

:class:`MojenticCalls` is a base class of each public gateway, and :func:`as_gateway` adapts a gateway that has only
Mojentic's methods.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

from pydantic import BaseModel, Field, SerializeAsAny

from .arguments import parse_call
from .config import CompletionConfig
from .errors import ConfigurationError, IncompleteStreamError
from .events import (
    FinishReason,
    ModelEvent,
    Notice,
    ReasoningDelta,
    StepFinish,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
)
from .messages import LLMToolCall
from .openai_messages import FINISH_REASONS, Message, checked_messages
from .request import Gateway, Request, Tool, chosen, is_forced
from .signatures import signature_of

__all__ = ["LLMGatewayResponse", "MojenticCalls", "MojenticGateway", "StreamingResponse", "as_gateway"]


class LLMGatewayResponse(BaseModel):
    """A whole reply: its `content`, tool calls and reasoning, and the `object` if one was asked for.

    `finish_reason` says why it ended; *length* and *content_filter* mean that it is incomplete.
    """

    content: str | None = None
    object: SerializeAsAny[BaseModel] | None = None
    tool_calls: list[LLMToolCall] = Field(default_factory=list)
    thinking: str | None = None
    finish_reason: str | None = None


class StreamingResponse(BaseModel):
    """A piece of a reply: of its content, of its reasoning, or whole tool calls."""

    content: str | None = None
    tool_calls: list[LLMToolCall] | None = None
    thinking: str | None = None


class MojenticCalls:
    """Gives a gateway Mojentic's methods, over its own method ``stream``."""

    def can_stream(self, model: str) -> bool:  # noqa: ARG002 (for a gateway that knows better)
        """Return whether `model` can stream."""
        return True

    def complete_stream(
        self: Gateway,
        model: str,
        messages: Sequence[Message],
        tools: Sequence[Tool] | None = None,
        config: CompletionConfig | None = None,
        **settings: Any,  # noqa: ANN401 (Mojentic's, by name)
    ) -> Iterator[StreamingResponse]:
        """Send one request, and iterate the pieces of the reply. Tool calls in it don't run."""
        return pieces_of(stream_whole(self, one_request(model, messages, tools, config, settings)))

    def complete(
        self: Gateway,
        model: str,
        messages: Sequence[Message],
        object_model: type[BaseModel] | None = None,
        tools: Sequence[Tool] | None = None,
        config: CompletionConfig | None = None,
        **settings: Any,  # noqa: ANN401
    ) -> LLMGatewayResponse:
        """Send one request, and return the whole reply, with an instance of `object_model` if that is given."""
        events = list(stream_whole(self, one_request(model, messages, tools, config, settings, object_model)))
        pieces = list(pieces_of(events))
        content = "".join(piece.content or "" for piece in pieces)
        return LLMGatewayResponse(
            content=content or None,
            object=object_model.model_validate_json(content) if object_model else None,
            tool_calls=[call for piece in pieces for call in piece.tool_calls or ()],
            thinking="".join(piece.thinking or "" for piece in pieces) or None,
            finish_reason=next(event.finish_reason for event in events if isinstance(event, StepFinish)),
        )


def stream_whole(gateway: Gateway, request: Request) -> Iterator[ModelEvent]:
    """Yield the events of a reply; raise IncompleteStreamError if it has no end."""
    event: ModelEvent | None = None
    for event in gateway.stream(request):
        if isinstance(event, Notice):
            event.warn()
        yield event
    if not isinstance(event, StepFinish):
        raise IncompleteStreamError("The reply broke off before its end. Ask again.")


def pieces_of(events: Iterable[ModelEvent]) -> Iterator[StreamingResponse]:
    """Yield the events as Mojentic's pieces."""
    for event in events:
        match event:
            case TextDelta(delta):
                yield StreamingResponse(content=delta)
            case ReasoningDelta(delta) if delta:
                yield StreamingResponse(thinking=delta)
            case ToolCallEnd(call):
                yield StreamingResponse(tool_calls=[call])


def one_request(
    model: str,
    messages: Sequence[Message],
    tools: Sequence[Tool] | None,
    config: CompletionConfig | None,
    settings: dict[str, Any],
    object_model: type[BaseModel] | None = None,
) -> Request:
    """Return the request for Mojentic's arguments; a `config` overrides `settings`."""
    config = config or CompletionConfig(**{name: value for name, value in settings.items() if value is not None})
    return Request(model, tuple(checked_messages(messages)), config, tuple(tools or ()), object_model)


class MojenticGateway:
    """Adapts a gateway that was written for Mojentic, with ``complete_stream`` and ``complete``.

    A `whole` reply comes from ``complete``, as in Mojentic.
    """

    def __init__(self, gateway: Any, *, whole: bool) -> None:  # noqa: ANN401 (anything that has the methods)
        self._gateway = gateway
        self._streams = hasattr(gateway, "complete_stream")
        self._whole = hasattr(gateway, "complete") if whole else not self._streams

    def can_stream(self, model: str) -> bool:  # noqa: ARG002 (the same for all models)
        """Return whether the gateway streams."""
        return self._streams

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Send `request` through the gateway, and yield the events of its reply."""
        calls: list[LLMToolCall] = []
        finish_reason: FinishReason = "stop"
        with ExitStack() as resources:
            pieces = self._ask(request)
            if hasattr(pieces, "close"):
                resources.callback(pieces.close)
            for piece in pieces:
                finish_reason = FINISH_REASONS.get(str(getattr(piece, "finish_reason", "")), finish_reason)
                if thinking := getattr(piece, "thinking", None):
                    yield ReasoningDelta(thinking)
                if content := text_of(piece):
                    yield TextDelta(content)
                for made in getattr(piece, "tool_calls", None) or ():
                    call = read_call(made, f"call_{len(request.messages)}_{len(calls)}")
                    calls.append(call)
                    yield ToolCallStart(call.id or "", call.name)
                    yield ToolCallDelta(call.id or "", call.json_arguments())
        yield from map(ToolCallEnd, calls)
        yield StepFinish("tool_calls" if calls else finish_reason)

    def _ask(self, request: Request) -> Iterable[Any]:
        if not self._whole:
            pieces: Iterable[Any] = self._gateway.complete_stream(**arguments(self._gateway.complete_stream, request))
            return pieces
        return [self._gateway.complete(**arguments(self._gateway.complete, request))]


def as_gateway(gateway: Any, *, whole: bool = False) -> Gateway:  # noqa: ANN401 (anything that has the methods)
    """Return `gateway`, adapted if it was written for Mojentic, to read a reply as a stream or `whole`.

    Raises TypeError if it isn't a gateway.
    """
    if isinstance(gateway, type):
        raise TypeError(f"{gateway.__name__} is a class. Pass an instance of it, as in {gateway.__name__}().")
    if not any(hasattr(gateway, method) for method in ("stream", "complete_stream", "complete")):
        raise TypeError(f"{gateway!r} isn't a gateway: it has no method stream, complete_stream or complete.")
    ours: Gateway = gateway if hasattr(gateway, "stream") else MojenticGateway(gateway, whole=whole)
    return ours


def arguments(method: Callable[..., Any], request: Request) -> dict[str, Any]:
    """Return the arguments for `method` that Mojentic's broker would pass; unset settings only if they are required."""
    config = request.config
    parameters = signature_of(method).parameters
    always: dict[str, Any] = {"model": request.model, "messages": list(request.messages), "config": config}
    if_set: dict[str, Any] = {
        "object_model": request.object_model,
        "temperature": config.temperature,
        "num_ctx": config.num_ctx,
        "max_tokens": config.max_tokens,
        "num_predict": config.num_predict,
    }
    always["tools"], choice = offered(request, takes_choice="tool_choice" in parameters)
    if "tool_choice" in parameters:
        if_set["tool_choice"] = choice
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    taken = {name: value for name, value in always.items() if takes_all or name in parameters}
    for name, value in if_set.items():
        required = name in parameters and parameters[name].default is inspect.Parameter.empty
        if required or (value is not None and (takes_all or name in parameters)):
            taken[name] = value
    return taken


def offered(request: Request, *, takes_choice: bool) -> tuple[list[Tool] | None, str | None]:
    """Return the tools, and the choice among them for a gateway that `takes_choice`, which Mojentic's don't.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` for one that doesn't, if the choice forces a call.
    """
    choice = chosen(request)
    if is_forced(choice) and not takes_choice:
        raise ConfigurationError(
            f"This gateway can't force a tool call. Leave out tool_choice={choice!r}, or use another gateway."
        )
    if choice == "none" and not takes_choice:
        return None, None
    return list(request.tools) or None, choice


def text_of(piece: Any) -> str | None:  # noqa: ANN401 (whatever the gateway makes)
    """Return the text of a piece or of a whole reply; turn an object that the gateway has read back into JSON."""
    if (read := getattr(piece, "object", None)) is not None:
        return str(read.model_dump_json(by_alias=True))
    return getattr(piece, "content", None)


def read_call(made: Any, default_id: str) -> LLMToolCall:  # noqa: ANN401 (an SDK's object, or one of ours)
    """Return the call that a gateway reports in one of the ways that providers' SDKs do."""
    function = getattr(made, "function", made)
    call_id = getattr(made, "id", None) or default_id
    if isinstance(function.arguments, str):
        return parse_call(call_id, function.name, function.arguments)
    return parse_call(call_id, function.name, json.dumps(function.arguments, default=str))
