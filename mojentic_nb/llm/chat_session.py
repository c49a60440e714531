"""A conversation: each question is sent with the messages before it that fit into the context window."""

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
from .incomplete import warn_if_incomplete
from .message_composers import MessageBuilder
from .messages import LLMMessage, MessageRole
from .openai_messages import Message, is_empty, read_message
from .run import AsyncRun, Run
from .tools.batch import Approve
from .tools.function import ToolChoice, Tools
from .window import FittingGateway, Measured, Tokenizer, Window, append_message, check_follows

__all__ = ["ChatSession"]

Query = str | Message | MessageBuilder


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its reply: the run's `conversation`, gateway, and `events` while somebody can read them."""

    conversation: Conversation
    gateway: FittingGateway
    events: Callable[[], object | None]

    @property
    def under_way(self) -> bool:
        """Whether more of the reply may arrive."""
        stopped = self.conversation.cancellation.cancelled and not self.gateway.asked
        return not self.conversation.ended and not stopped and self.events() is not None


class ChatSession:
    """A conversation with the model of `llm`, a broker.

    `system_prompt` tells the model how to behave; None or "" sends none. `tools`, `approve` (which decides on each
    call) and `tool_choice` (for the first request of each question) are those of the broker's methods. `config`, or
    Mojentic's single `temperature`, has the settings.

    Before a request that would take more than `max_context` tokens, the oldest exchanges are left out until it fits,
    each with the question and everything that answers it; the system prompt and the last question always stay.
    :mod:`mojentic_nb.llm.window` says how tokens are counted; `tokenizer_gateway`, anything with a method ``encode``,
    makes its estimates. If the model refuses the request as too long, it is sent once more without the older half. If
    the model refuses again, nothing is left out of :attr:`messages`, and its
    :class:`~mojentic_nb.llm.errors.ContextWindowError` is raised.

    Methods that return or iterate text alone warn if the reply is incomplete, as the broker's do. However a reply ends,
    the part that arrived is kept, and :attr:`messages` is a history that providers accept. A question that failed
    without a reply isn't kept: ask it again.

    You may change `llm`, `tools`, `config`, `approve`, `tool_choice` and `max_context`; changes count from the next
    question. Raises TypeError if `llm` isn't a broker, and ValueError for a `max_context` below 1.
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
            raise TypeError(f"A session needs a broker, as in ChatSession(LLMBroker(model, gateway)), not {llm!r}.")
        if max_context < 1:
            raise ValueError(f"`max_context` must be at least 1 token, not {max_context}.")
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
        """The messages that are still sent, up to date at any time; a new list each time."""
        return self._state()[0]

    @property
    def tokens(self) -> int:
        """How many tokens the messages take: the provider's count, and an estimate for newer messages."""
        return self._window.size(*self._state())

    def send(self, query: Query) -> str:
        """Ask, and return the whole reply. Raises :class:`~mojentic_nb.llm.errors.LLMError`."""
        run = self.stream(query)
        answer = "".join(run.text())
        warn_if_incomplete(run.conversation)
        return answer

    def send_stream(self, query: Query) -> Iterator[str]:
        """Ask, and iterate the reply's text as it arrives; ending the iteration early ends the reply."""
        return self.stream(query).text(warn=True)

    def stream(self, query: Query) -> Run:
        """Ask, and return the run, whose events you can iterate; the session follows it.

        Raises RuntimeError while another run of the session is under way, and TypeError or ValueError for an invalid
        query.
        """
        with self._lock:
            broker, gateway, messages = self._asking(query)
            run = broker.stream(messages, self.tools, self.config, approve=self.approve, tool_choice=self.tool_choice)
            self._exchange = Exchange(run.conversation, gateway, weakref.ref(iter(run)))
            return run

    async def asend(self, query: Query) -> str:
        """Ask, and return the whole reply, asynchronously."""
        run = self.astream(query)
        answer = "".join([piece async for piece in run.text()])
        warn_if_incomplete(run.conversation)
        return answer

    def asend_stream(self, query: Query) -> AsyncIterator[str]:
        """Ask, and iterate the reply's text with ``async for``."""
        return self.astream(query).text(warn=True)

    def astream(self, query: Query) -> AsyncRun:
        """Ask, and return the run, whose events you can iterate with ``async for``; the session follows it."""
        with self._lock:
            broker, gateway, messages = self._asking(query)
            run = broker.astream(messages, self.tools, self.config, approve=self.approve, tool_choice=self.tool_choice)
            self._exchange = Exchange(run.conversation, gateway, weakref.ref(aiter(run)))
            return run

    def insert_message(self, message: Message) -> None:
        """Add a message at the end, without asking.

        Two messages from the user in a row become one. Raises ValueError for an empty message from the user, for a
        result without its call, and for anything but the result if a call waits for one; RuntimeError while a reply is
        under way.
        """
        with self._lock:
            self._settle()
            inserted = read_message(message, self._messages)
            if is_empty(inserted):
                raise ValueError("The message is empty. Give it text or an image.")
            check_follows(self._messages, inserted)
            self._messages = append_message(self._messages, inserted.model_copy(deep=True))

    @property
    def _window(self) -> Window:
        return Window(self.max_context, self.tokenizer_gateway)

    def _asking(self, query: Query) -> tuple[LLMBroker, FittingGateway, list[LLMMessage]]:
        """Return a broker for one question, its gateway, and the messages to send."""
        question = as_question(query)
        self._settle()
        check_follows(self._messages, question)
        everything = append_message(self._messages, question)
        excess = self._window.excess(everything, self._measured)
        messages, measured = self._window.cut(everything, self._measured, excess)
        broker = copy(self.llm)
        broker.adapter = gateway = FittingGateway(as_gateway(self.llm.adapter), self._window, measured)
        return broker, gateway, messages

    def _settle(self) -> None:
        """Add the last run's messages to the conversation; raise RuntimeError while it is under way."""
        if self._exchange is not None and self._exchange.under_way:
            raise RuntimeError("The session's last reply isn't complete. Read it to its end, or close its run.")
        self._messages, self._measured = self._state()
        self._exchange = None

    def _state(self) -> tuple[list[LLMMessage], Measured]:
        """Return the current messages, and their known size."""
        if self._exchange is None or not self._exchange.gateway.asked:
            return list(self._messages), self._measured
        conversation, gateway = self._exchange.conversation, self._exchange.gateway
        if not conversation.ended and not self._exchange.under_way:
            conversation.leave()  # a dropped asynchronous run learns it only when the loop runs
        messages = conversation.messages
        if conversation.ended and messages[-1].role is not MessageRole.Assistant:
            if conversation.finish_reason is None and messages[-1].role is MessageRole.User:
                return list(self._messages), self._measured  # asking failed
            messages.append(LLMMessage(role=MessageRole.Assistant, content=""))
        return self._window.cut(messages, gateway.measured, gateway.left_out)


def as_question(query: Query) -> LLMMessage:
    """Return the message that `query` is or makes."""
    match query:
        case str():
            question = LLMMessage(content=query)
        case MessageBuilder():
            question = query.build()
        case LLMMessage() | Mapping():
            question = read_message(query).model_copy(deep=True)
        case _:
            raise TypeError(f"A query must be text, a user's message or a MessageBuilder, not {query!r}.")
    if question.role is not MessageRole.User:
        raise TypeError(f"A query must be the user's, not the {question.role.value}'s. Use insert_message() instead.")
    if is_empty(question):
        raise ValueError("The query is empty. Give it text or an image.")
    return question
