"""``%llm``: its commands, which show and steer what the cells of a notebook ask.

Each is a function that takes the magics and the words after its name, and returns what is to be shown.

``%llm explain``: the question about the error that came last.

What a question would send.
"""

from __future__ import annotations

import json
import linecache
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from difflib import get_close_matches
from inspect import signature
from types import TracebackType
from typing import Any, Protocol

from IPython.core.error import UsageError
from traitlets import TraitError

from mojentic_nb.display import printable
from mojentic_nb.display.render.results import Table
from mojentic_nb.display.surface import kernel
from mojentic_nb.llm import LLMError, LLMMessage, MessageRole, Usage
from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.providers import PROVIDERS, closest, gateway_for
from mojentic_nb.llm.request import Request
from mojentic_nb.llm.tools.function import is_tool
from mojentic_nb.llm.window import Measured, Window, without
from mojentic_nb.tracer import Waterfall

from .ask import Question
from .notebook import MAIN, Exchange, Notebook, marked
from .options import Options, parse, quoted, words
from .prompt import BUILT_IN, PromptError, shortened, tools_in

__all__ = ["COMMANDS", "preview", "run_command"]

LONGEST_TRACEBACK = 6000  # characters; what matters stands at its end


def last_error(unexplained: BaseException | None) -> BaseException:
    """The last error that a cell raised; `unexplained` where that is only why its explanation failed.

    Raises UsageError if there was none.
    """
    error = getattr(sys, "last_value", None)
    if isinstance(error, UsageError | PromptError | LLMError):
        error = unexplained or error
    if error is None:
        raise UsageError("There was no error to explain.")
    return error


def about(error: BaseException, namespace: Mapping[str, Any]) -> str:
    """The question about an error that a cell raised, whose variables are in the `namespace`.

    Of its traceback that is told which begins in the cell: what ran the cell is not of interest.
    """
    frames = within(error.__traceback__, namespace)
    told = "".join(traceback.format_exception(type(error), public(error), frames))[-LONGEST_TRACEBACK:]
    text = f"Explain this error, and how to mend it.\n\n{told}"
    if cell := source(error, frames):
        text += f"\nIt came from this cell:\n\n{cell}"
    return text.replace("{{", r"\{{")


def public(error: BaseException) -> BaseException:
    """Return `error`, or a SyntaxError instead of the private class that Python 3.13 has for a cell that ends early."""
    return SyntaxError(*error.args) if type(error).__name__ == "_IncompleteInputError" else error


def within(frames: TracebackType | None, namespace: Mapping[str, Any]) -> TracebackType | None:
    """The frames from the cell's own on; None if it did not begin to run."""
    while frames and frames.tb_frame.f_globals is not namespace:
        frames = frames.tb_next
    return frames


def source(error: BaseException, frames: TracebackType | None) -> str:
    """The cell that raised the error; "" if it is not known."""
    if frames:
        return "".join(linecache.getlines(frames.tb_frame.f_code.co_filename))
    return "".join(linecache.getlines(error.filename or "")) if isinstance(error, SyntaxError) else ""


class Session(Protocol):
    """What a command needs of the magics."""

    aliases: dict[str, str]
    notebook: Notebook

    def llm(self, line: str, cell: str | None = None) -> Any:  # noqa: ANN401 (as IPython has it)
        """The magic, whose options `explain` takes."""
        ...

    @property
    def namespace(self) -> dict[str, Any]:
        """The user's variables."""
        ...

    def ask(self, said: Options, cell: str) -> None:
        """Show the answer to what the cell asks."""
        ...

    def traits(self, **metadata: Any) -> dict[str, Any]:  # noqa: ANN401 (traitlets')
        """The settings whose metadata match."""
        ...


def run_command(magics: Session, line: str) -> object:
    """Run the command that `line` names. Raises UsageError for one that isn't there."""
    try:
        name, *rest = words(line) or ["help"]
    except ValueError as error:
        raise UsageError(f"The %llm line can't be read: {error}.") from error
    if name not in COMMANDS:
        raise UsageError(f"%llm has no command `{name}`. {meant(magics, name, rest)}")
    command = COMMANDS[name]
    try:
        signature(command).bind(magics, *rest)
    except TypeError as error:
        raise UsageError(f"%llm {name} can't take that: {summary(command)}") from error
    return command(magics, *rest)


MEANT = {
    **dict.fromkeys(("budget", "cost", "costs", "price", "spent", "tokens"), "usage"),
    **dict.fromkeys(("clear", "clean", "delete", "new", "reset", "restart"), "forget"),
    **dict.fromkeys(("options", "set", "settings"), "config"),
    **dict.fromkeys(("log", "messages", "show"), "history"),
    **dict.fromkeys(("error", "fix", "why"), "explain"),
    **dict.fromkeys(("list", "ls"), "models"),
    **dict.fromkeys(("timeline", "waterfall"), "trace"),
    "conversations": "chats",
    "functions": "tools",
}
QUESTION = "A question goes into a cell that begins with %%llm."


def meant(magics: Session, name: str, rest: list[str]) -> str:
    """What may have been meant by `name`, which is no command, with the words after it."""
    word = name.lower()
    provider, colon, _ = name.partition(":")
    if provider == "replay":
        return f"To replay a recording, begin a cell with `%%llm -m {name if colon else 'replay:FILE'}`."
    if provider in PROVIDERS or name in magics.aliases:
        whole = colon or name == "local" or name in magics.aliases
        return f"To ask this model, begin a cell with `%%llm -m {name}{'' if whole else ':MODEL'}`." + (
            "" if whole else f" `%llm models {name}` lists its models."
        )
    if name.startswith("-") or name.endswith("?") or len(rest) > 2:
        return QUESTION
    if found := MEANT.get(word) or next(iter(get_close_matches(word, COMMANDS, 1)), None):
        return f"Did you mean `%llm {found}`? {QUESTION}"
    return f"The commands are {', '.join(COMMANDS)}. {QUESTION}"


def summary(command: Callable[..., object]) -> str:
    """What a command does, in a line."""
    return (command.__doc__ or "").strip().partition("\n")[0]


def show_help(_: Session) -> Table:
    """%llm help lists the commands."""
    return Table(
        ("Questions go into cells that begin with %%llm; %%llm? lists their options.",),
        [(summary(command),) for command in COMMANDS.values()],
    )


def models(magics: Session, provider: str = "") -> Table:
    """%llm models [PROVIDER] lists the models that can be asked now."""
    if provider and provider not in PROVIDERS:
        close = f" Did you mean `%llm models {closest(provider)}`?" if closest(provider) in PROVIDERS else ""
        raise UsageError(f"There is no provider {provider!r}: there are {', '.join(PROVIDERS)}.{close}")
    rows: list[tuple[str, str]] = [(name, f"alias of {spec}") for name, spec in magics.aliases.items() if not provider]
    for name in [provider] if provider else PROVIDERS:
        rows += models_of(name)
    magics.notebook.models |= {name: None for name, note in rows if not note}
    return Table(("model", ""), rows)


def models_of(provider: str) -> Iterator[tuple[str, str]]:
    """The models of a provider, or why there are none."""
    try:
        with closing(gateway_for(provider)) as gateway:
            for model in gateway.get_available_models():
                yield f"{provider}:{model}" if provider != "local" else provider, ""
    except LLMError as error:
        yield f"{provider}:", str(error)


def tools(magics: Session) -> Table:
    """%llm tools lists the tools and functions that -t can name."""
    own = [(name, described(value), "yours") for name, value in tools_in(magics.namespace).items()]
    built_in = [(name, described_built_in(name), "built in") for name in BUILT_IN]
    return Table(("tool", "what it does", ""), [*own, *built_in])


def described_built_in(name: str) -> str:
    """What a built-in tool does, or why it can't be had."""
    try:
        return described(BUILT_IN[name]())
    except ConfigurationError as error:
        return str(error)


def described(tool: Any) -> str:  # noqa: ANN401 (a tool or a function)
    """The first line of what a tool or a function says of itself."""
    said = tool.descriptor["function"].get("description", "") if is_tool(tool) else tool.__doc__ or ""
    return shortened(str(said).strip().partition("\n")[0], 100)


def history(magics: Session, chat: str = MAIN) -> Table:
    """%llm history [CHAT] shows a conversation, by default the notebook's."""
    rows = [
        (number, exchange.model, question_of(exchange), exchange.answer, ", ".join(exchange.marks))
        for number, exchange in enumerate(known_chat(magics, chat), start=1)
    ]
    return Table(("", "model", "question", "answer", ""), rows, "Nothing was said yet.")


def question_of(exchange: Exchange) -> str:
    """The question, in short."""
    return shortened(" ".join((exchange.messages[0].content or "").split()), 100)


def chats(magics: Session) -> Table:
    """%llm chats lists the conversations."""
    rows = [
        (name, len(chat.exchanges), total(exchange.usage for exchange in chat.exchanges))
        for name, chat in magics.notebook.chats.items()
        if chat.exchanges
    ]
    return Table(("chat", "exchanges", "tokens"), rows, "There is no conversation yet.")


def forget(magics: Session, chat: str = MAIN) -> None:
    """%llm forget [CHAT] forgets a conversation, by default the notebook's."""
    count = len(known_chat(magics, chat))
    magics.notebook.chats.pop(chat, None)
    print(f"Forgot {count} {'exchange' if count == 1 else 'exchanges'} of {chat}.")


def known_chat(magics: Session, name: str) -> list[Exchange]:
    """The exchanges of a conversation. Raises UsageError for a name that no cell has used."""
    chats = magics.notebook.chats
    if name != MAIN and name not in chats:
        raise UsageError(f"There is no chat {name!r}: there are {', '.join(sorted({MAIN, *chats}))}.")
    return list(chats[name].exchanges)


def usage(magics: Session) -> Table:
    """%llm usage shows the tokens that each cell and each model took; ≈ marks estimates, as of interrupted answers."""
    rows: list[tuple[object, ...]] = []
    for cell, taken in magics.notebook.ledger.by(lambda entry: entry.cell).items():
        rows.append((cell, *counts(taken)))
    for model, taken in magics.notebook.ledger.by(lambda entry: entry.model).items():
        rows.append((model, *counts(taken)))
    return Table(("cell or model", "in", "out", "cached"), rows, "No tokens were used yet.")


def trace(magics: Session) -> Waterfall | None:
    """%llm trace shows when the requests and tool calls of the last answer began and ended."""
    waterfall = magics.notebook.tracer.waterfall()
    if kernel() is not None:
        return waterfall
    print(waterfall)
    return None


def explain(magics: Session, *line: str) -> None:
    """%llm explain asks about the last error, with the cell that raised it; takes the options of %%llm."""
    notebook = magics.notebook
    notebook.unexplained = last_error(notebook.unexplained)
    said = parse(magics.llm, " ".join(map(quoted, line)))
    magics.ask(replace(said, fresh=not said.chat), about(notebook.unexplained, magics.namespace))
    if not said.dry_run:
        notebook.unexplained = None


def alias(magics: Session, name: str = "", *spec: str) -> Table:
    """%llm alias [NAME SPEC] names a model: SPEC is PROVIDER:MODEL [--base-url URL] [--key-variable NAME]."""
    if name and not spec:
        raise UsageError(f"What does {name!r} stand for? Write %llm alias {name} PROVIDER:MODEL.")
    if spec:
        try:
            magics.aliases = {**magics.aliases, name: " ".join(map(quoted, spec))}
        except TraitError as error:
            raise UsageError(str(error)) from error
    return Table(("alias", "model"), list(magics.aliases.items()), "There are no aliases.")


def config(magics: Session) -> Table:
    """%llm config shows the settings; %config LLMMagics.NAME = VALUE changes one."""
    rows = [(name, getattr(magics, name), trait.help) for name, trait in magics.traits(config=True).items()]
    return Table(("setting", "value", "what it is"), [(n, repr(v), h) for n, v, h in rows])


def counts(usage: Usage) -> tuple[str, ...]:
    """What stands in a table of tokens."""
    parts = (usage.input_tokens, usage.output_tokens, usage.cached_tokens)
    return tuple(marked(tokens, estimated=usage.estimated) for tokens in parts)


def total(usages: Iterable[Usage]) -> str:
    """All tokens, in and out."""
    usage = sum(usages, Usage())
    return marked(usage.input_tokens + usage.output_tokens, estimated=usage.estimated)


COMMANDS: dict[str, Callable[..., object]] = {
    "help": show_help,
    "models": models,
    "tools": tools,
    "history": history,
    "chats": chats,
    "forget": forget,
    "usage": usage,
    "trace": trace,
    "explain": explain,
    "alias": alias,
    "config": config,
}


def preview(question: Question, max_context: int) -> str:
    """All that would be sent, as text, and about how many tokens it takes; at most `max_context` of the conversation.

    Raises UsageError for what can't be asked.
    """
    request = question.begin(lambda _: False).run.conversation.request()
    return printable("\n".join(lines(question.name, request, Window(max_context))), joiners=True) if request else ""


def lines(name: str, request: Request, window: Window) -> Iterator[str]:
    """What `request` would send to the model called `name`, line by line."""
    left_out = window.excess(request.messages, Measured())
    messages = without(request.messages, left_out)
    tools = [listed(tool.descriptor["function"]) for tool in request.tools]
    schema = [dumped(request.schema)] if request.schema else []
    tokens = window.estimate_request(replace(request, messages=tuple(messages)))
    yield f"This would go to {name}, about {tokens} tokens in {counted(len(messages), 'message')}:"
    if left_out:
        yield f"({counted(left_out, 'exchange')}, the oldest, left out: LLMMagics.max_context is {window.limit})"
    for message in messages:
        yield from section(message.role.value, told(message))
    yield from section("tools", tools)
    yield from section("the answer's schema", schema)
    yield from section("settings", settings(request))


def section(title: str, content: Iterable[str]) -> Iterator[str]:
    """The lines of `content` under a title; none if it is empty."""
    if found := list(content):
        yield from ("", f"--- {title}", *found)


def listed(function: dict[str, Any]) -> str:
    """A tool, in a line."""
    return f"{function['name']}: {function.get('description', '')} {dumped(function.get('parameters', {}))}"


def settings(request: Request) -> Iterator[str]:
    """What else is said with the request, in a line."""
    said = request.config.model_dump(exclude_unset=True)
    if request.tool_choice:
        said["tool_choice"] = request.tool_choice
    if said:
        yield ", ".join(f"{name}={value!r}" for name, value in said.items())


def dumped(value: object) -> str:
    """`value` as JSON."""
    return json.dumps(value, ensure_ascii=False, default=str)


def counted(count: int, what: str) -> str:
    """So many of them."""
    return f"{count} {what}{'s' * (count != 1)}"


def told(message: LLMMessage) -> Iterator[str]:
    """One message."""
    if message.content:
        yield message.content
    if message.role is MessageRole.Assistant:
        for call in message.tool_calls or ():
            yield f"calls {call.name}({call.json_arguments()})"
    for number, path in enumerate(message.image_paths or (), start=1):
        yield f"[image {number}: {path if len(path) < 200 else f'{path[:40]}…, {len(path)} characters'}]"
