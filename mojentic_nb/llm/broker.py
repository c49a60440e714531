"""The broker: one model at one gateway, ready to be asked."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from typing import Any, TypedDict, Unpack

from .compat import as_gateway
from .config import CompletionConfig
from .conversation import Conversation
from .gateways.ollama import OllamaGateway
from .openai_messages import Message
from .run import AsyncObjectStream, AsyncRun, ObjectStream, Run, warn_if_incomplete
from .structured import Answer, AnswerType, Object
from .tools.batch import Approve
from .tools.function import ToolChoice, Tools, as_tools, checked_choice
from .tools.runner import ToolRunner
from .tracing import Tracer

__all__ = ["LLMBroker", "Options"]


class Options(TypedDict, total=False):
    """What each method takes by name."""

    model: str | None
    tool_choice: ToolChoice | None
    approve: Approve | None


class AllOptions(Options, total=False):
    """The same, and Mojentic's four single settings with the id for the tracer, which it takes by position."""

    temperature: float | None
    num_ctx: int | None
    num_predict: int | None
    max_tokens: int | None
    correlation_id: str | None


class LLMBroker:
    """Asks `model` at `gateway`, by default Ollama. The caller's messages are never changed.

    A gateway is one of :mod:`mojentic_nb.llm.gateways`, any object with a method ``stream``
    (:class:`~mojentic_nb.llm.request.Gateway`), or one that was written for Mojentic, with ``complete_stream`` or
    ``complete``. A request that fails for a reason that may pass is sent again up to `max_retries` times, before the
    first token only. `tracer` is told of all that happens. `tool_runner` runs the model's calls, by default several at
    once. `tokenizer` is kept for programs written for Mojentic; tokens are counted as the provider reports them.

    Each method takes `messages`, which are :class:`~mojentic_nb.llm.LLMMessage` or dicts in the form of OpenAI's API,
    and `tools` that the model may call: plain functions, or objects with a `descriptor` and ``run``. The broker runs
    them and goes on until the model is done. Then come, by position as in Mojentic or by name, `config`, a
    :class:`~mojentic_nb.llm.CompletionConfig`; one by one `temperature`, `num_ctx`, `num_predict` and `max_tokens`,
    which only count without a `config`; and `correlation_id`, for the tracer. By name each method takes

    - `tool_choice`, for the first request: *auto*, *none*, *required* (the model has to call some tool), or the name
      of the tool that it has to call;
    - `approve`, which is called with each call before it runs, and decides: True lets it run, False or a reason (told
      to the model) doesn't; it may be ``async``;
    - `model`, in place of the broker's.

    Each call raises TypeError for an argument of the wrong kind; ValueError for no messages, an empty one of the
    user's, two tools of one name, or a `tool_choice` that can't be met; and NotImplementedError where the answer can't
    stream. Other errors (:class:`~mojentic_nb.llm.errors.LLMError`) are raised while the answer is read.

    An answer that a limit of tokens or a filter ended is a warning, once a call, of the methods that return or iterate
    its text alone (:class:`~mojentic_nb.llm.errors.IncompleteAnswerWarning`). Runs have a `finish_reason` instead.
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
        as_gateway(self.adapter)  # raises where it is none
        if tracer is not None and (isinstance(tracer, type) or not hasattr(tracer, "begin")):
            raise TypeError(f"{tracer!r} is no tracer: give a mojentic_nb.tracer.TracerSystem(), or None.")
        if isinstance(self.tool_runner, type) or not hasattr(self.tool_runner, "arun"):
            raise TypeError(f"{tool_runner!r} is no tool runner: give a ToolRunner(), or None.")

    def stream(  # noqa: PLR0917 (as in Mojentic)
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
    ) -> Run:
        """Ask, and get the run whose events can be iterated."""
        asked = with_settings(options, temperature, num_ctx, num_predict, max_tokens, correlation_id)
        self._check_streaming(asked)
        return self._run(self._conversation(messages, tools, config, asked))

    def astream(  # noqa: PLR0917 (as in Mojentic)
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
    ) -> AsyncRun:
        """Ask, and get the run whose events can be iterated with ``async for``."""
        asked = with_settings(options, temperature, num_ctx, num_predict, max_tokens, correlation_id)
        self._check_streaming(asked)
        return self._arun(self._conversation(messages, tools, config, asked))

    def generate_stream(  # noqa: PLR0913, PLR0917 (as in Mojentic)
        self,
        messages: Sequence[Message],
        tools: Tools | None = None,
        config: CompletionConfig | None = None,
        temperature: float | None = None,
        num_ctx: int | None = None,
        num_predict: int | None = None,
        max_tokens: int | None = None,
        correlation_id: str | None = None,
        *,
        object_model: object = None,
        **options: Unpack[Options],
    ) -> Iterator[str]:
        """Ask, and iterate the text of the answer as it comes."""
        asked = with_settings(options, temperature, num_ctx, num_predict, max_tokens, correlation_id)
        check_text(object_model)
        self._check_streaming(asked)
        return self._run(self._conversation(messages, tools, config, asked)).text(warn=True)

    def agenerate_stream(  # noqa: PLR0913, PLR0917 (as in Mojentic)
        self,
        messages: Sequence[Message],
        tools: Tools | None = None,
        config: CompletionConfig | None = None,
        temperature: float | None = None,
        num_ctx: int | None = None,
        num_predict: int | None = None,
        max_tokens: int | None = None,
        correlation_id: str | None = None,
        *,
        object_model: object = None,
        **options: Unpack[Options],
    ) -> AsyncIterator[str]:
        """Ask, and iterate the text of the answer with ``async for``."""
        asked = with_settings(options, temperature, num_ctx, num_predict, max_tokens, correlation_id)
        check_text(object_model)
        self._check_streaming(asked)
        return self._arun(self._conversation(messages, tools, config, asked)).text(warn=True)

    def generate(  # noqa: PLR0917 (as in Mojentic)
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
    ) -> str:
        """Ask, and return the whole answer."""
        asked = with_settings(options, temperature, num_ctx, num_predict, max_tokens, correlation_id)
        run = self._run(self._conversation(messages, tools, config, asked), whole=True)
        answer = "".join(run.text())
        warn_if_incomplete(run.conversation)
        return answer

    def agenerate(  # noqa: PLR0917 (as in Mojentic)
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
    ) -> Coroutine[Any, Any, str]:
        """Ask, and return the whole answer, asynchronously."""
        asked = with_settings(options, temperature, num_ctx, num_predict, max_tokens, correlation_id)
        return whole_text(self._arun(self._conversation(messages, tools, config, asked), whole=True))

    def generate_object(  # noqa: PLR0913, PLR0917 (as in Mojentic)
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
    ) -> Object:
        """Ask for a value of the type `object_model`, and return it.

        That is a pydantic model, or any other type that pydantic has a schema for (``list[Row]``, a dataclass). If the
        answer does not fit, the model is asked once more; if the second does not fit either, raises
        :class:`~mojentic_nb.llm.errors.BadRequestError`.
        """
        asked = with_settings(options, temperature, num_ctx, num_predict, max_tokens, correlation_id)
        answer = Answer(AnswerType(object_model))
        conversation = self._conversation(messages, tools, config, asked, answer)
        return ObjectStream(conversation, self._run(conversation, whole=True), answer).read()

    def agenerate_object(  # noqa: PLR0913, PLR0917 (as in Mojentic)
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
    ) -> Coroutine[Any, Any, Object]:
        """The same, asynchronously."""
        asked = with_settings(options, temperature, num_ctx, num_predict, max_tokens, correlation_id)
        answer = Answer(AnswerType(object_model))
        conversation = self._conversation(messages, tools, config, asked, answer)
        return AsyncObjectStream(conversation, self._arun(conversation, whole=True), answer).read()

    def stream_object(  # noqa: PLR0913, PLR0917 (as in Mojentic)
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
    ) -> ObjectStream[Object]:
        """Ask for a value of the type `object_model`, and iterate what there is of it as it comes."""
        asked = with_settings(options, temperature, num_ctx, num_predict, max_tokens, correlation_id)
        self._check_streaming(asked, otherwise="generate_object()")
        answer = Answer(AnswerType(object_model))
        conversation = self._conversation(messages, tools, config, asked, answer)
        return ObjectStream(conversation, self._run(conversation), answer)

    def astream_object(  # noqa: PLR0913, PLR0917 (as in Mojentic)
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
    ) -> AsyncObjectStream[Object]:
        """The same for ``async for``."""
        asked = with_settings(options, temperature, num_ctx, num_predict, max_tokens, correlation_id)
        self._check_streaming(asked, otherwise="generate_object()")
        answer = Answer(AnswerType(object_model))
        conversation = self._conversation(messages, tools, config, asked, answer)
        return AsyncObjectStream(conversation, self._arun(conversation), answer)

    def _run(self, conversation: Conversation, *, whole: bool = False) -> Run:
        return Run(as_gateway(self.adapter, whole=whole), conversation, self.tool_runner)

    def _arun(self, conversation: Conversation, *, whole: bool = False) -> AsyncRun:
        return AsyncRun(as_gateway(self.adapter, whole=whole), conversation, self.tool_runner)

    def _check_streaming(self, options: AllOptions, otherwise: str = "generate()") -> None:
        """Raise NotImplementedError where the answer can't stream."""
        model = options.get("model") or self.model
        gateway = as_gateway(self.adapter)
        if hasattr(gateway, "can_stream") and not gateway.can_stream(model):
            raise NotImplementedError(f"{model!r} can't stream at {self.adapter!r}: use {otherwise} instead.")

    def _conversation(
        self,
        messages: Sequence[Message],
        tools: Tools | None,
        config: CompletionConfig | None,
        options: AllOptions,
        answer: Answer[Any] | None = None,
    ) -> Conversation:
        if unknown := set(options) - AllOptions.__annotations__.keys():
            known = ["config", *AllOptions.__annotations__]
            raise TypeError(f"{min(unknown)!r} isn't an option. The options are: {', '.join(known)}.")
        approve = options.get("approve")
        if approve is not None and not callable(approve):
            raise TypeError(f"approve is called with each call and decides: give a function, not {approve!r}.")
        usable = as_tools(tools)
        return Conversation(
            options.get("model") or self.model,
            messages,
            config_of(config, options),
            tools=usable,
            tool_choice=checked_choice(options.get("tool_choice"), usable),
            approve=approve,
            answer=answer,
            tracer=self.tracer,
            correlation_id=options.get("correlation_id") or str(uuid.uuid4()),
            max_retries=self.max_retries,
        )


async def whole_text(run: AsyncRun) -> str:
    """Read the whole answer, and warn the caller if it is incomplete."""
    answer = "".join([piece async for piece in run.text()])
    warn_if_incomplete(run.conversation)
    return answer


def config_of(config: CompletionConfig | None, options: AllOptions) -> CompletionConfig:
    """The `config`, else the one that the single settings among `options` make."""
    settings: dict[str, Any] = {
        name: options[name]
        for name in ("temperature", "num_ctx", "num_predict", "max_tokens")
        if options.get(name) is not None
    }
    if config is None:
        return CompletionConfig(**settings)
    if not isinstance(config, CompletionConfig):
        raise TypeError(f"config is a CompletionConfig, as in CompletionConfig(temperature=0.2), not {config!r}.")
    if settings:
        warnings.warn(
            f"config is given as well, so {', '.join(settings)} has no effect: put it into the config.",
            DeprecationWarning,
            stacklevel=4,
        )
    return config


def with_settings(
    options: Options,
    temperature: float | None,
    num_ctx: int | None,
    num_predict: int | None,
    max_tokens: int | None,
    correlation_id: str | None,
) -> AllOptions:
    """Add what was given by position to `options`."""
    return {
        **options,
        "temperature": temperature,
        "num_ctx": num_ctx,
        "num_predict": num_predict,
        "max_tokens": max_tokens,
        "correlation_id": correlation_id,
    }


def check_text(object_model: object) -> None:
    """Raise NotImplementedError where an object is asked for of a method that streams text."""
    if object_model is not None:
        raise NotImplementedError("generate_stream() streams text: use stream_object() for an object that grows.")
