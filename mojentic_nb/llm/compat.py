"""The interface that Mojentic's programs know, both ways: our gateways have it, and theirs work here through it."""

from __future__ import annotations

import inspect
import json
from abc import ABC, abstractmethod
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
    """A whole answer: its `content`, the calls in it, its reasoning, and `object` where one was asked for.

    `finish_reason` says why it ended: *length* and *content_filter* mean that it isn't whole.
    """

    content: str | None = None
    object: SerializeAsAny[BaseModel] | None = None
    tool_calls: list[LLMToolCall] = Field(default_factory=list)
    thinking: str | None = None
    finish_reason: str | None = None


class StreamingResponse(BaseModel):
    """A piece of an answer: of its content, of its reasoning, or whole calls."""

    content: str | None = None
    tool_calls: list[LLMToolCall] | None = None
    thinking: str | None = None


class MojenticCalls(ABC):
    """Gives a gateway Mojentic's methods, over its own :meth:`stream`."""

    @abstractmethod
    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Send `request` and yield the model's events."""

    def can_stream(self, model: str) -> bool:  # noqa: ARG002 (for a gateway that knows better)
        """Whether `model` can stream."""
        return True

    def complete_stream(
        self,
        model: str,
        messages: Sequence[Message],
        tools: Sequence[Tool] | None = None,
        config: CompletionConfig | None = None,
        **settings: Any,  # noqa: ANN401 (Mojentic's, by name)
    ) -> Iterator[StreamingResponse]:
        """Ask once, and iterate the pieces of the answer; tools are offered, not run."""
        return pieces_of(self._events(one_request(model, messages, tools, config, settings)))

    def complete(
        self,
        model: str,
        messages: Sequence[Message],
        object_model: type[BaseModel] | None = None,
        tools: Sequence[Tool] | None = None,
        config: CompletionConfig | None = None,
        **settings: Any,  # noqa: ANN401
    ) -> LLMGatewayResponse:
        """Ask once, and return the whole answer; with an `object_model` as an instance of it, too."""
        events = list(self._events(one_request(model, messages, tools, config, settings, object_model)))
        pieces = list(pieces_of(events))
        content = "".join(piece.content or "" for piece in pieces)
        return LLMGatewayResponse(
            content=content or None,
            object=object_model.model_validate_json(content) if object_model else None,
            tool_calls=[call for piece in pieces for call in piece.tool_calls or ()],
            thinking="".join(piece.thinking or "" for piece in pieces) or None,
            finish_reason=next(event.finish_reason for event in events if isinstance(event, StepFinish)),
        )

    def _events(self, request: Request) -> Iterator[ModelEvent]:
        """The events of an answer, which has to come to its end."""
        event: ModelEvent | None = None
        for event in self.stream(request):
            if isinstance(event, Notice):
                event.warn()
            yield event
        if not isinstance(event, StepFinish):
            raise IncompleteStreamError("The answer broke off before its end: ask again.")


def pieces_of(events: Iterable[ModelEvent]) -> Iterator[StreamingResponse]:
    """The events as Mojentic's pieces."""
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
    """The request for Mojentic's arguments; `config` comes before `settings`."""
    config = config or CompletionConfig(**{name: value for name, value in settings.items() if value is not None})
    return Request(model, tuple(checked_messages(messages)), config, tuple(tools or ()), object_model)


class MojenticGateway:
    """A gateway that was written for Mojentic, with ``complete_stream`` and ``complete``, seen as one of ours.

    Where a `whole` answer will do it is asked by ``complete``, as in Mojentic.
    """

    def __init__(self, gateway: Any, *, whole: bool) -> None:  # noqa: ANN401 (anything that has the methods)
        self._gateway = gateway
        self._streams = hasattr(gateway, "complete_stream")
        self._whole = hasattr(gateway, "complete") if whole else not self._streams

    def can_stream(self, model: str) -> bool:  # noqa: ARG002 (its answer is for all models)
        """Whether the gateway streams."""
        return self._streams

    def stream(self, request: Request) -> Generator[ModelEvent, None, None]:
        """Ask through the gateway, and yield what its answer tells."""
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
                for said in getattr(piece, "tool_calls", None) or ():
                    call = read_call(said, f"call_{len(request.messages)}_{len(calls)}")
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
    """`gateway` as one of ours, for an answer that streams or for a `whole` one. Raises TypeError for what is none."""
    if isinstance(gateway, type):
        raise TypeError(f"{gateway.__name__} is a class: give an instance of it, as in {gateway.__name__}().")
    if not any(hasattr(gateway, method) for method in ("stream", "complete_stream", "complete")):
        raise TypeError(f"{gateway!r} is no gateway: it has neither stream nor complete_stream nor complete.")
    ours: Gateway = gateway if hasattr(gateway, "stream") else MojenticGateway(gateway, whole=whole)
    return ours


def arguments(method: Callable[..., Any], request: Request) -> dict[str, Any]:
    """What `method` takes of all that Mojentic's broker passes; a setting that is unset only if it has to be there."""
    config = request.config
    parameters = signature_of(method).parameters
    always = {
        "model": request.model,
        "messages": list(request.messages),
        "config": config,
    }
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
    taken: dict[str, Any] = {name: value for name, value in always.items() if takes_all or name in parameters}
    for name, value in if_set.items():
        required = name in parameters and parameters[name].default is inspect.Parameter.empty
        if required or (value is not None and (takes_all or name in parameters)):
            taken[name] = value
    return taken


def offered(request: Request, *, takes_choice: bool) -> tuple[list[Tool] | None, str | None]:
    """The tools, and the choice among them. Mojentic knows none, so a gateway `takes_choice` only where it says so.

    Raises :class:`~mojentic_nb.llm.errors.ConfigurationError` where it doesn't, and a call has to come of it.
    """
    choice = chosen(request)
    if is_forced(choice) and not takes_choice:
        raise ConfigurationError(
            f"This gateway can't make a model call a tool: leave out tool_choice={choice!r}, or ask another gateway."
        )
    if choice == "none" and not takes_choice:
        return None, None
    return list(request.tools) or None, choice


def text_of(piece: Any) -> str | None:  # noqa: ANN401 (whatever the gateway makes)
    """The text of a piece, or of a whole answer; an object that the gateway has read already is put back into JSON."""
    if (read := getattr(piece, "object", None)) is not None:
        return str(read.model_dump_json(by_alias=True))
    return getattr(piece, "content", None)


def read_call(said: Any, otherwise: str) -> LLMToolCall:  # noqa: ANN401 (an SDK's object, or one of ours)
    """The call that a gateway reports in one of the ways that providers' SDKs do."""
    function = getattr(said, "function", said)
    call_id = getattr(said, "id", None) or otherwise
    if isinstance(function.arguments, str):
        return parse_call(call_id, function.name, function.arguments)
    return parse_call(call_id, function.name, json.dumps(function.arguments, default=str))
