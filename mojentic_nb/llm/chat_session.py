"""A conversation that goes on: each question is asked with what was said before it, as far as that fits."""

from __future__ import annotations

import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass

from .broker import LLMBroker
from .compat import as_gateway
from .config import CompletionConfig
from .conversation import Conversation
from .message_composers import MessageBuilder
from .messages import LLMMessage, MessageRole, is_empty
from .openai_messages import Message, read_message
from .run import AsyncRun, Run, warn_if_incomplete
from .tools.batch import Approve
from .tools.function import ToolChoice, Tools
from .window import FittingGateway, Measured, Tokenizer, Window, check_follows, followed_by

__all__ = ["ChatSession"]

Query = str | Message | MessageBuilder


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question on its way: its run's `conversation` and gateway, and its `events` while somebody can read them."""

    conversation: Conversation
    gateway: FittingGateway
    events: Callable[[], object | None]

    @property
    def under_way(self) -> bool:
        """Whether an answer may still come."""
        stopped = self.conversation.cancellation.cancelled and not self.gateway.asked
        return not self.conversation.ended and not stopped and self.events() is not None


class ChatSession:
    """A conversation with the model of `llm`, a broker.

    `system_prompt` says how the model is to behave; None or "" says nothing. `tools` are what it may call, `approve`
    decides on each call, and `tool_choice` says whether each question has to begin with one, as with the broker.
    `config`, or Mojentic's single `temperature`, says how answers are made.

    Before a request that would take more than `max_context` tokens the oldest exchanges are left out, whole (a question
    with all that answers it), until it fits; the system prompt and the last question always stay. Tokens are counted as
    in :mod:`mojentic_nb.llm.window`; `tokenizer_gateway`, anything with a method ``encode``, is for its estimate. A
    model that can read less than that, and refuses, is asked once more with the older half left out. If it refuses
    again, nothing is left out of :attr:`messages`, and its :class:`~mojentic_nb.llm.errors.ContextWindowError` is
    raised.

    Methods that return or iterate text alone warn if the answer is incomplete, as the broker's do. However an answer
    ends, what was seen of it is kept, and :attr:`messages` is a history that providers accept. A
    question of which nothing came, because asking failed, is not kept: ask it again.

    `llm`, `tools`, `config`, `approve`, `tool_choice` and `max_context` may be changed; what they are counts from the
    next question. Raises TypeError where `llm` is no broker, and ValueError for a `max_context` below 1.
    """

    def __init__(  # noqa: PLR0913, PLR0917 (as in Mojentic)
        self,
        llm: LLMBroker,
        system_prompt: str | None = "You are a helpful assistant.",
        tools: Tools | None = None,
        max_context: int = 32768,
        tokenizer_gateway: Tokenizer | None = None,
        config: CompletionConfig | None = None,
        temperature: float | None = None,
        *,
        approve: Approve | None = None,
        tool_choice: ToolChoice | None = None,
    ) -> None:
        if not isinstance(llm, LLMBroker):
            raise TypeError(f"A session wants a broker, as in ChatSession(LLMBroker(model, gateway)), not {llm!r}.")
        if max_context < 1:
            raise ValueError(f"max_context is a number of tokens, at least 1, not {max_context}.")
        self.llm = llm
        self.tools = tools
        self.max_context = max_context
        self.tokenizer_gateway = tokenizer_gateway
        self.config = config or CompletionConfig(temperature=temperature)
        self.approve = approve
        self.tool_choice = tool_choice
        self._messages: list[LLMMessage] = []
        self._measured = Measured()
        self._exchange: Exchange | None = None
        self._lock = threading.Lock()
        if system_prompt:
            self.insert_message(LLMMessage(role=MessageRole.System, content=system_prompt))

    @property
    def messages(self) -> list[LLMMessage]:
        """All that was said and is still sent, right at any time; a new list each time."""
        return self._state()[0]

    @property
    def tokens(self) -> int:
        """How many tokens that takes: as the provider counted, and an estimate of what has come since."""
        return self._window.size(*self._state())

    def send(self, query: Query) -> str:
        """Ask, and return the whole answer. Raises :class:`~mojentic_nb.llm.errors.LLMError`."""
        run = self.stream(query)
        answer = "".join(run.text())
        warn_if_incomplete(run.conversation)
        return answer

    def send_stream(self, query: Query) -> Iterator[str]:
        """Ask, and iterate the answer's text as it comes; ending the iteration early ends the answer."""
        return self.stream(query).text(warn=True)

    def stream(self, query: Query) -> Run:
        """Ask, and get the run whose events can be iterated; the session follows it.

        Raises RuntimeError where another run of the session is under way, and TypeError or ValueError for a query that
        can't be asked.
        """
        with self._lock:
            broker, gateway, messages = self._asking(query)
            run = broker.stream(messages, self.tools, self.config, approve=self.approve, tool_choice=self.tool_choice)
            self._exchange = Exchange(run.conversation, gateway, weakref.ref(iter(run)))
            return run

    async def asend(self, query: Query) -> str:
        """Ask, and return the whole answer, asynchronously."""
        run = self.astream(query)
        answer = "".join([piece async for piece in run.text()])
        warn_if_incomplete(run.conversation)
        return answer

    def asend_stream(self, query: Query) -> AsyncIterator[str]:
        """Ask, and iterate the answer's text with ``async for``."""
        return self.astream(query).text(warn=True)

    def astream(self, query: Query) -> AsyncRun:
        """Ask, and get the run whose events can be iterated with ``async for``; the session follows it."""
        with self._lock:
            broker, gateway, messages = self._asking(query)
            run = broker.astream(messages, self.tools, self.config, approve=self.approve, tool_choice=self.tool_choice)
            self._exchange = Exchange(run.conversation, gateway, weakref.ref(aiter(run)))
            return run

    def insert_message(self, message: Message) -> None:
        """Add a message at the end, without asking.

        Two of the user's in a row become one. Raises ValueError for a user's message with nothing in it, for a result
        without its call, and for anything but the result where a call waits for it; RuntimeError while an answer is on
        its way.
        """
        with self._lock:
            self._settle()
            inserted = read_message(message, self._messages)
            if is_empty(inserted):
                raise ValueError("The message is empty. Give it text or an image.")
            check_follows(self._messages, inserted)
            self._messages = followed_by(self._messages, inserted.model_copy(deep=True))

    @property
    def _window(self) -> Window:
        return Window(self.max_context, self.tokenizer_gateway)

    def _asking(self, query: Query) -> tuple[LLMBroker, FittingGateway, list[LLMMessage]]:
        """A broker for one question, the gateway that it asks, and what is asked."""
        question = as_question(query)
        self._settle()
        check_follows(self._messages, question)
        everything = followed_by(self._messages, question)
        excess = self._window.excess(everything, self._measured)
        messages, measured = self._window.cut(everything, self._measured, excess)
        broker = copy(self.llm)
        broker.adapter = gateway = FittingGateway(as_gateway(self.llm.adapter), self._window, measured)
        return broker, gateway, messages

    def _settle(self) -> None:
        """Make what came of the last run part of the conversation; raise RuntimeError while it is under way."""
        if self._exchange is not None and self._exchange.under_way:
            raise RuntimeError("The session's last answer is still on its way: read it to its end, or close its run.")
        self._messages, self._measured = self._state()
        self._exchange = None

    def _state(self) -> tuple[list[LLMMessage], Measured]:
        """The messages as they are now, and what is known of their size."""
        if self._exchange is None or not self._exchange.gateway.asked:
            return list(self._messages), self._measured
        conversation, gateway = self._exchange.conversation, self._exchange.gateway
        if not conversation.ended and not self._exchange.under_way:
            conversation.leave()  # an asynchronous run that was dropped is not told before the loop comes to it
        messages = conversation.messages
        if conversation.ended and messages[-1].role is not MessageRole.Assistant:
            if conversation.finish_reason is None and messages[-1].role is MessageRole.User:
                return list(self._messages), self._measured  # asking failed
            messages.append(LLMMessage(role=MessageRole.Assistant, content=""))
        return self._window.cut(messages, gateway.measured, gateway.left_out)


def as_question(query: Query) -> LLMMessage:
    """The message that `query` is or makes."""
    match query:
        case str():
            question = LLMMessage(content=query)
        case MessageBuilder():
            question = query.build()
        case LLMMessage() | Mapping():
            question = read_message(query).model_copy(deep=True)
        case _:
            raise TypeError(f"A query is a text, a user's message or a MessageBuilder, not {query!r}.")
    if question.role is not MessageRole.User:
        raise TypeError(f"A query is the user's, not the {question.role.value}'s. Use insert_message() for others.")
    if is_empty(question):
        raise ValueError("The query is empty: say something, or show an image.")
    return question
