"""``%llm``: its commands, which show and steer what the cells of a notebook ask.

Each is a function that takes the magics and the words after its name, and returns what is to be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from difflib import get_close_matches
from inspect import signature
from typing import Any, Protocol

from IPython.core.error import UsageError
from traitlets import TraitError

from mojentic_nb.display.render.table import Table
from mojentic_nb.display.surface import kernel
from mojentic_nb.llm import LLMError, Usage
from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.providers import PROVIDERS, gateway_for
from mojentic_nb.llm.tools.function import is_tool
from mojentic_nb.tracer import Waterfall

from .chats import Exchange
from .explain import about, last_error
from .line import quoted, words
from .metering import Spent, marked
from .notebook import MAIN, Notebook
from .options import Options, parse
from .tools import BUILT_IN, tools_in
from .values import shortened

__all__ = ["COMMANDS", "run_command"]


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
        raise UsageError(f"There is no provider {provider!r}: there are {', '.join(PROVIDERS)}.")
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
    for cell, spent in magics.notebook.ledger.by(lambda entry: entry.cell).items():
        rows.append((cell, *counts(spent)))
    for model, spent in magics.notebook.ledger.by(lambda entry: entry.model).items():
        rows.append((model, *counts(spent)))
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


def counts(spent: Spent) -> tuple[str, ...]:
    """What stands in a table of tokens."""
    usage = spent.usage
    parts = (usage.input_tokens, usage.output_tokens, usage.cached_tokens)
    return tuple(marked(tokens, estimated=spent.estimated) for tokens in parts)


def total(usages: Iterator[Usage]) -> int:
    """All tokens, in and out."""
    return sum(spent.input_tokens + spent.output_tokens for spent in usages)


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
