"""Tools for a small model: prompts that it understands, and reading its calls.

The model writes a call as JSON under the tool's schema, after a few examples, which even a small model follows. A
result becomes part of the user's message, and examples show how to answer from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from mojentic_nb.llm.events import ModelEvent, TextDelta
from mojentic_nb.llm.gateways.wire.chat_completions import ChatDecoder
from mojentic_nb.llm.messages import LLMMessage, MessageRole
from mojentic_nb.llm.request import Request, Tool, chosen, is_forced, tool_name

from .examples import EXAMPLES, answers_like

__all__ = ["CallDecoder", "ChoiceDecoder", "answer_request", "call_request", "callable_tools", "plain_request"]

CALL_TOKENS = 512  # a small model may never end a string
INFORMATION = "\n\nUse this information: "
ONE = "Text: {text}\n\nExtract the arguments of the function {signature} from the text, as JSON."
SEVERAL = "Functions:\n{signatures}\n\nText: {text}\n\nWhich function does the text need? Call it, as JSON."


def callable_tools(request: Request) -> tuple[Tool, ...]:
    """Return the tools of which the choice forces a call; none if it doesn't."""
    choice = chosen(request)
    if not is_forced(choice):
        return ()
    named = tuple(tool for tool in request.tools if tool_name(tool) == choice)
    return named or request.tools


def plain_request(request: Request) -> Request:
    """Return `request` without tools; earlier results are in the user's messages."""
    return replace(request, messages=tuple(fold_results(request.messages)), tools=(), tool_choice=None)


def answer_request(request: Request) -> Request:
    """Return `request`, which ends with a tool's result, without tools, after examples of replies to results."""
    plain = plain_request(request)
    system = [message for message in plain.messages if message.role is MessageRole.System]
    rest = [message for message in plain.messages if message.role is not MessageRole.System]
    results = takewhile(lambda message: message.role is MessageRole.Tool, reversed(request.messages))
    examples = [
        message
        for question, result, answer in answers_like([message.content or "" for message in results])
        for message in exchange(f"{question}{INFORMATION}{result}", answer)
    ]
    return replace(plain, messages=(*system, *examples, *rest))


def call_request(request: Request, tools: Sequence[Tool]) -> Request:
    """Return the request for a call of one of `tools` that fits the user's last message."""
    asked = plain_request(request)
    texts = [message.content or "" for message in asked.messages if message.role is MessageRole.User]
    functions = [tool.descriptor["function"] for tool in tools]
    text = texts[-1] if texts else ""
    messages = one_prompt(text, functions[0]) if len(tools) == 1 else several_prompt(text, functions)
    schema = arguments_schema(functions[0]) if len(tools) == 1 else choice_schema(functions)
    form = {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}}
    limit = request.config.token_limit or CALL_TOKENS
    config = request.config.model_copy(update={"response_format": form, "max_tokens": limit, "num_predict": None})
    return replace(asked, messages=tuple(messages), config=config, object_model=None)


def fold_results(messages: Iterable[LLMMessage]) -> list[LLMMessage]:
    """Return `messages` without calls; their results are in the user's message that led to them."""
    folded: list[LLMMessage] = []
    introduced = False
    for message in messages:
        if message.role is MessageRole.Tool:
            if not folded or folded[-1].role is not MessageRole.User:
                folded.append(LLMMessage(content=""))
            start = "\n" if introduced else INFORMATION
            content = f"{folded[-1].content or ''}{start}{information(message)}".lstrip()
            folded[-1] = folded[-1].model_copy(update={"content": content})
            introduced = True
        elif not message.tool_calls or (message.content or "").strip():
            folded.append(message.model_copy(update={"tool_calls": None}))
            introduced = False
    return folded


def information(message: LLMMessage) -> str:
    """Return a tool's result with its call, without which a small model doesn't understand a bare number."""
    call = message.tool_calls[0] if message.tool_calls else None
    if call is None:
        return message.content or ""
    arguments = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in call.arguments.items())
    return f"{signature(call.name, arguments)} = {message.content or ''}"


def one_prompt(text: str, function: Mapping[str, Any]) -> list[LLMMessage]:
    """Return the prompt for the arguments of one function."""
    prompt: list[LLMMessage] = []
    for example in EXAMPLES:
        asked = ONE.format(text=example.text, signature=signature(example.name, example.arguments))
        prompt += exchange(asked, json.dumps(example.arguments))
    return [*prompt, LLMMessage(content=ONE.format(text=text, signature=signature_of(function)))]


def several_prompt(text: str, functions: Sequence[Mapping[str, Any]]) -> list[LLMMessage]:
    """Return the prompt for a call of one of several functions."""
    known = "\n".join(f"{signature(each.name, each.arguments)}: {each.description}" for each in EXAMPLES)
    prompt: list[LLMMessage] = []
    for example in EXAMPLES:
        asked = SEVERAL.format(text=example.text, signatures=known)
        prompt += exchange(asked, json.dumps({example.name: example.arguments}))
    offered = "\n".join(f"{signature_of(function)}: {function.get('description', '')}" for function in functions)
    return [*prompt, LLMMessage(content=SEVERAL.format(text=text, signatures=offered))]


def signature(name: str, parameters: Iterable[str]) -> str:
    """Return a function's signature as programs write it."""
    return f"{name}({', '.join(parameters)})"


def signature_of(function: Mapping[str, Any]) -> str:
    """Return the signature of a tool's function."""
    return signature(function["name"], arguments_schema(function)["properties"])


def exchange(question: str, answer: str) -> list[LLMMessage]:
    """Return an example of a question and its reply."""
    return [LLMMessage(content=question), LLMMessage(role=MessageRole.Assistant, content=answer)]


def arguments_schema(function: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a function's required arguments; a small model would make up the others."""
    schema = {"type": "object", **(function.get("parameters") or {})}
    properties = schema.get("properties", {})
    wanted = schema.get("required") or [
        name for name, value in properties.items() if "required" not in schema and "default" not in value
    ]
    kept = {name: value for name, value in properties.items() if name in wanted}
    return {**schema, "properties": kept, "required": list(kept), "additionalProperties": False}


def choice_schema(functions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the schema of ``{"name": {arguments}}`` for each of `functions`."""
    definitions: dict[str, Any] = {}
    choices = []
    for function in functions:
        name = function["name"]
        # Definitions belong to the root of the document, and two tools may define the same name.
        text = json.dumps(arguments_schema(function)).replace('"#/$defs/', f'"#/$defs/{name}.')
        schema = json.loads(text)
        definitions |= {f"{name}.{key}": value for key, value in schema.pop("$defs", {}).items()}
        choices.append(
            {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}
        )
    return {"anyOf": choices, **({"$defs": definitions} if definitions else {})}


class CallDecoder(ChatDecoder):
    """Reads a call of the tool `name` from a streamed reply that is its arguments."""

    def __init__(self, turn: int, name: str) -> None:
        super().__init__(turn)
        self._name: str | None = name

    def read(self, body: dict[str, Any]) -> Sequence[ModelEvent]:
        """Return the events of one chunk."""
        events: list[ModelEvent] = []
        for event in super().read(body):
            if isinstance(event, TextDelta):
                events += self._written(event.delta)
            else:
                events.append(event)
        return events

    def _written(self, text: str) -> Iterable[ModelEvent]:
        """Return the events of a piece of the reply's text."""
        name, self._name = self._name, None
        return self._calls.feed(index=0, call_id=None, name=name, arguments=text)


class ChoiceDecoder(CallDecoder):
    """Reads a call from a streamed reply of the form ``{"name": {arguments}}``."""

    OPENING = re.compile(r'\s*\{\s*("(?:[^"\\]|\\.)*")\s*:\s*(?=\S)')

    def __init__(self, turn: int) -> None:
        super().__init__(turn, "")
        self._waiting = ""

    def _written(self, text: str) -> Iterable[ModelEvent]:
        self._waiting += text
        if self._name == "":
            opening = self.OPENING.match(self._waiting)
            if not opening:
                return ()
            self._name = json.loads(opening[1])
            self._waiting = self._waiting[opening.end() :]
        # The last brace isn't part of the arguments, so braces wait until something else follows.
        end = len(self._waiting.rstrip("} \n\t\r"))
        ready, self._waiting = self._waiting[:end], self._waiting[end:]
        return super()._written(ready)

    def finish(self) -> Iterable[ModelEvent]:
        """Return the events at the end of the response."""
        if self._name == "":  # it broke off before the name
            return super().finish()
        return [*super()._written(self._waiting.rstrip().removesuffix("}")), *super().finish()]
