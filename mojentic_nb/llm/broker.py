"""The broker: one model at one gateway, ready to be asked."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, TypedDict, Unpack

from .compat import as_gateway
from .config import SETTINGS, CompletionConfig, config_of
from .conversation import Conversation
from .gateways.ollama import OllamaGateway
from .incomplete import warn_if_incomplete
from .object_stream import AsyncObjectStream, ObjectStream
from .openai_messages import Message
from .run import AsyncRun, Run
from .signatures import with_parameters_of
from .structured import Answer, AnswerType, Object
from .tools.batch import Approve
from .tools.function import ToolChoice, Tools, as_tools, checked_choice
from .tools.runner import ToolRunner
from .tracing import Tracer

__all__ = ["LLMBroker", "Options"]


class Options(TypedDict, total=False):
    """What each method takes by name only."""

    model: str | None
    tool_choice: ToolChoice | None
    approve: Approve | None


class LLMBroker:
    """Asks `model` at `gateway`, by default Ollama. Your messages are never changed.

    A gateway is one of :mod:`mojentic_nb.llm.gateways`, any object with a method ``stream``
    (:class:`~mojentic_nb.llm.request.Gateway`), or one written for Mojentic, with ``complete_stream`` or ``complete``.
    A request that fails for a passing reason is retried up to `max_retries` times, before the first token only.
    `tracer` records everything that happens. `tool_runner` runs the model's calls, by default several at once.
    `tokenizer` is kept for programs written for Mojentic; tokens are counted as the provider reports them.

    Each method takes `messages`, which are :class:`~mojentic_nb.llm.LLMMessage` or dicts in the form of OpenAI's API,
    and `tools` that the model may call: plain functions, or objects with a `descriptor` and ``run``. The broker runs
    the calls and goes on until the model is done. Then follow, by position as in Mojentic or by name, `config`, a
    :class:`~mojentic_nb.llm.CompletionConfig`; `temperature`, `num_ctx`, `num_predict` and `max_tokens`, which count
    only without a `config`; and `correlation_id`, for the tracer. By name each method takes

    - `tool_choice`, for the first request: *auto*, *none*, *required* (the model must call some tool), or the name of
      the tool that it must call;
    - `approve`, a function, maybe ``async``, that is called with each tool call before it runs. True lets the call run;
      False or a reason, which the model reads, doesn't;
    - `model`, in place of the broker's.

    Each call raises TypeError for an argument of the wrong kind; ValueError for no messages, an empty message of the
    user's, two tools of one name, or a `tool_choice` that can't be met; and NotImplementedError if the model can't
    stream. Other errors (:class:`~mojentic_nb.llm.errors.LLMError`) are raised while the answer is read.

    If a token limit or a filter ended the answer, methods that return or iterate text alone issue an
    :class:`~mojentic_nb.llm.errors.IncompleteAnswerWarning`, once a call. Runs have a `finish_reason` instead.
    """

    def __init__(
        self,
        model: str,
        gateway: Any = None,  # noqa: ANN401 (anything that has the methods)
        tokenizer: object = None,
        tracer: Tracer | None = None,
        tool_runner: ToolRunner | None = None,
        *,
        max_retries: int = 4,
    ) -> None:
        self.model = model
        self.adapter = OllamaGateway() if gateway is None else gateway
        self.tokenizer = tokenizer
        self.tracer = tracer
        self.tool_runner = ToolRunner() if tool_runner is None else tool_runner
        self.max_retries = max_retries
        as_gateway(self.adapter)  # raises TypeError if it isn't one
        if tracer is not None and (isinstance(tracer, type) or not hasattr(tracer, "begin")):
            raise TypeError(f"{tracer!r} isn't a tracer. Pass a mojentic_nb.tracer.TracerSystem(), or None.")
        if isinstance(self.tool_runner, type) or not hasattr(self.tool_runner, "arun"):
            raise TypeError(f"{tool_runner!r} isn't a tool runner. Pass a ToolRunner(), or None.")

    def _text(  # noqa: PLR0917 (as in Mojentic)
        self,
        messages: Sequence[Message],
        tools: Tools | None = None,
        config: CompletionConfig | None = None,
        temperature: float | None = None,
        num_ctx: int | None = None,
        num_predict: int | None = None,
        max_tokens: int | None = None,
        correlation_id: str | None = None,
        **options: Unpack[Options],
    ) -> Conversation:
        """Return the conversation of a method that asks for text."""
        config = config_of(config, temperature, num_ctx, num_predict, max_tokens)
        return self._conversation(messages, tools, config, correlation_id, options)

    def _object(  # noqa: PLR0913, PLR0917 (as in Mojentic)
        self,
        messages: Sequence[Message],
        object_model: type[Object],
        config: CompletionConfig | None = None,
        temperature: float | None = None,
        num_ctx: int | None = None,
        num_predict: int | None = None,
        max_tokens: int | None = None,
        correlation_id: str | None = None,
        *,
        tools: Tools | None = None,
        **options: Unpack[Options],
    ) -> tuple[Conversation, Answer[Object]]:
        """Return the conversation of a method that asks for an object, and what the answer is to be."""
        config = config_of(config, temperature, num_ctx, num_predict, max_tokens)
        answer = Answer(AnswerType(object_model))
        return self._conversation(messages, tools, config, correlation_id, options, answer), answer

    @with_parameters_of(_text)
    def stream(self, conversation: Conversation) -> Run:
        """Ask, and return the run: iterate it for its events."""
        self._check_streaming(conversation)
        return self._run(conversation)

    @with_parameters_of(_text)
    def astream(self, conversation: Conversation) -> AsyncRun:
        """Ask, and return the run: iterate it for its events with ``async for``."""
        self._check_streaming(conversation)
        return self._arun(conversation)

    @with_parameters_of(_text)
    def generate_stream(self, conversation: Conversation) -> Iterator[str]:
        """Ask, and iterate the answer's text as it arrives."""
        self._check_streaming(conversation)
        return self._run(conversation).text(warn=True)

    @with_parameters_of(_text)
    def agenerate_stream(self, conversation: Conversation) -> AsyncIterator[str]:
        """Ask, and iterate the answer's text with ``async for``."""
        self._check_streaming(conversation)
        return self._arun(conversation).text(warn=True)

    @with_parameters_of(_text)
    def generate(self, conversation: Conversation) -> str:
        """Ask, and return the whole answer."""
        text = "".join(self._run(conversation, whole=True).text())
        warn_if_incomplete(conversation, stacklevel=4)
        return text

    @with_parameters_of(_text)
    async def agenerate(self, conversation: Conversation) -> str:
        """Ask, and return the whole answer, asynchronously."""
        text = "".join([piece async for piece in self._arun(conversation, whole=True).text()])
        warn_if_incomplete(conversation)
        return text

    @with_parameters_of(_object)
    def generate_object(self, asked: tuple[Conversation, Answer[Object]]) -> Object:
        """Ask for a value of the type `object_model`, and return it.

        The type is a pydantic model, or any other that pydantic has a schema for (``list[Row]``, a dataclass). If the
        reply doesn't match it, the model is asked once more; if the second reply doesn't match either, this raises
        :class:`~mojentic_nb.llm.errors.BadRequestError`.
        """
        conversation, answer = asked
        return ObjectStream(conversation, self._run(conversation, whole=True), answer).read()

    @with_parameters_of(_object)
    async def agenerate_object(self, asked: tuple[Conversation, Answer[Object]]) -> Object:
        """The same, asynchronously."""
        conversation, answer = asked
        return await AsyncObjectStream(conversation, self._arun(conversation, whole=True), answer).read()

    @with_parameters_of(_object)
    def stream_object(self, asked: tuple[Conversation, Answer[Object]]) -> ObjectStream[Object]:
        """Ask for a value of the type `object_model`, and iterate it as it grows."""
        conversation, answer = asked
        self._check_streaming(conversation, otherwise="generate_object()")
        return ObjectStream(conversation, self._run(conversation), answer)

    @with_parameters_of(_object)
    def astream_object(self, asked: tuple[Conversation, Answer[Object]]) -> AsyncObjectStream[Object]:
        """The same for ``async for``."""
        conversation, answer = asked
        self._check_streaming(conversation, otherwise="generate_object()")
        return AsyncObjectStream(conversation, self._arun(conversation), answer)

    def _conversation(
        self,
        messages: Sequence[Message],
        tools: Tools | None,
        config: CompletionConfig,
        correlation_id: str | None,
        options: Options,
        answer: Answer[Any] | None = None,
    ) -> Conversation:
        unknown = min(options.keys() - Options.__annotations__, default=None)
        if unknown == "object_model":
            raise NotImplementedError("This method returns text: use stream_object() or generate_object() instead.")
        if unknown:
            known = ", ".join(["config", *Options.__annotations__, *SETTINGS, "correlation_id"])
            raise TypeError(f"{unknown!r} isn't an option. The options are: {known}.")
        approve = options.get("approve")
        if approve is not None and not callable(approve):
            raise TypeError(f"`approve` must be a function that decides about a tool call, not {approve!r}.")
        usable = as_tools(tools)
        return Conversation(
            options.get("model") or self.model,
            messages,
            config,
            tools=usable,
            tool_choice=checked_choice(options.get("tool_choice"), usable),
            approve=approve,
            answer=answer,
            tracer=self.tracer,
            correlation_id=correlation_id or str(uuid.uuid4()),
            max_retries=self.max_retries,
        )

    def _run(self, conversation: Conversation, *, whole: bool = False) -> Run:
        return Run(as_gateway(self.adapter, whole=whole), conversation, self.tool_runner)

    def _arun(self, conversation: Conversation, *, whole: bool = False) -> AsyncRun:
        return AsyncRun(as_gateway(self.adapter, whole=whole), conversation, self.tool_runner)

    def _check_streaming(self, conversation: Conversation, otherwise: str = "generate()") -> None:
        """Raise NotImplementedError if the model can't stream."""
        gateway = as_gateway(self.adapter)
        if hasattr(gateway, "can_stream") and not gateway.can_stream(conversation.model):
            raise NotImplementedError(f"{conversation.model!r} can't stream at {self.adapter!r}. Use {otherwise}.")
