"""``%llm``: the commands that show and control what the cells of a notebook ask.

Each command is a function of the session and the words after its name. It returns what to show. The first line of its
docstring is its help.
"""

from __future__ import annotations

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

from mojentic_nb.display.surface import kernel
from mojentic_nb.llm import LLMError, Usage
from mojentic_nb.llm.errors import ConfigurationError
from mojentic_nb.llm.providers import PROVIDERS, closest, gateway_for
from mojentic_nb.llm.tools.function import is_tool
from mojentic_nb.tracer import Waterfall

from .notebook import MAIN, CellExchange, Notebook, mark_estimate
from .options import CellOptions, parse, quote, split_words
from .prompt import BUILT_IN, PromptError, shorten, user_tools
from .tables import Table

__all__ = ["COMMANDS", "run_command"]


class Session(Protocol):
    """What a command needs of the magics."""

    aliases: dict[str, str]
    notebook: Notebook

    def llm(self, line: str, cell: str | None = None) -> Any:  # noqa: ANN401 (as in IPython)
        """The magic, whose options `explain` takes."""
        ...

    @property
    def namespace(self) -> dict[str, Any]:
        """The user's variables."""
        ...

    def ask(self, options: CellOptions, cell: str) -> None:
        """Show the answer to the question in `cell`."""
        ...

    def traits(self, **metadata: Any) -> dict[str, Any]:  # noqa: ANN401 (as in traitlets)
        """The settings with this metadata."""
        ...


def run_command(session: Session, line: str) -> object:
    """Run the command on `line`. Raises UsageError for an unknown command, or words that it doesn't take."""
    try:
        name, *rest = split_words(line) or ["help"]
    except ValueError as error:
        raise UsageError(f"The %llm line can't be read: {error}.") from error
    if name not in COMMANDS:
        raise UsageError(f"%llm has no command `{name}`. {suggest(session, name, rest)}")
    command = COMMANDS[name]
    try:
        signature(command).bind(session, *rest)
    except TypeError as error:
        raise UsageError(f"%llm {name} doesn't take these words. Usage: {usage_of(command)}") from error
    return command(session, *rest)


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


def suggest(session: Session, name: str, rest: list[str]) -> str:
    """Suggest what to write instead of the unknown command `name` and the words after it."""
    word = name.lower()
    provider, colon, _ = name.partition(":")
    if provider == "replay":
        return f"To replay a recording, begin a cell with `%%llm -m {name if colon else 'replay:FILE'}`."
    if provider in PROVIDERS or name in session.aliases:
        whole = colon or name == "local" or name in session.aliases
        return f"To ask this model, begin a cell with `%%llm -m {name}{'' if whole else ':MODEL'}`." + (
            "" if whole else f" `%llm models {name}` lists its models."
        )
    if name.startswith("-") or name.endswith("?") or len(rest) > 2:
        return QUESTION
    if found := MEANT.get(word) or next(iter(get_close_matches(word, COMMANDS, 1)), None):
        return f"Did you mean `%llm {found}`? {QUESTION}"
    return f"The commands are {', '.join(COMMANDS)}. {QUESTION}"


def usage_of(command: Callable[..., object]) -> str:
    """Return the line that says how to use a command, and what it does."""
    return (command.__doc__ or "").strip().partition("\n")[0]


def show_help(_: Session) -> Table:
    """%llm help lists the commands."""
    return Table(
        ("Questions go into cells that begin with %%llm; %%llm? lists their options.",),
        [(usage_of(command),) for command in COMMANDS.values()],
    )


def models(session: Session, provider: str = "") -> Table:
    """%llm models [PROVIDER] lists the models that you can ask now."""
    if provider and provider not in PROVIDERS:
        close = f" Did you mean `%llm models {closest(provider)}`?" if closest(provider) in PROVIDERS else ""
        raise UsageError(f"Unknown provider {provider!r}. The providers are {', '.join(PROVIDERS)}.{close}")
    rows: list[tuple[str, str]] = [(name, f"alias of {spec}") for name, spec in session.aliases.items() if not provider]
    for name in [provider] if provider else PROVIDERS:
        rows += models_of(name)
    session.notebook.models |= {name: None for name, note in rows if not note}
    return Table(("model", ""), rows)


def models_of(provider: str) -> Iterator[tuple[str, str]]:
    """Yield the models of a provider, or why it has none."""
    try:
        with closing(gateway_for(provider)) as gateway:
            for model in gateway.get_available_models():
                yield f"{provider}:{model}" if provider != "local" else provider, ""
    except LLMError as error:
        yield f"{provider}:", str(error)


def tools(session: Session) -> Table:
    """%llm tools lists the tools and functions that -t can name."""
    own = [(name, describe(value), "yours") for name, value in user_tools(session.namespace).items()]
    built_in = [(name, describe_built_in(name), "built in") for name in BUILT_IN]
    return Table(("tool", "what it does", ""), [*own, *built_in])


def describe_built_in(name: str) -> str:
    """Describe a built-in tool, or say what it lacks."""
    try:
        return describe(BUILT_IN[name]())
    except ConfigurationError as error:
        return str(error)


def describe(tool: Any) -> str:  # noqa: ANN401 (a tool or a function)
    """Return the first line of a tool's or a function's description."""
    text = tool.descriptor["function"].get("description", "") if is_tool(tool) else tool.__doc__ or ""
    return shorten(str(text).strip().partition("\n")[0], 100)


def history(session: Session, chat: str = MAIN) -> Table:
    """%llm history [CHAT] shows a conversation, by default the notebook's."""
    rows = [
        (number, exchange.model, *exchange.beginnings, ", ".join(exchange.marks))
        for number, exchange in enumerate(known_chat(session, chat), start=1)
    ]
    return Table(("", "model", "question", "answer", ""), rows, "The conversation is empty.")


def chats(session: Session) -> Table:
    """%llm chats lists the conversations."""
    rows = [
        (name, len(chat.exchanges), total(exchange.usage for exchange in chat.exchanges))
        for name, chat in session.notebook.chats.items()
        if chat.exchanges
    ]
    return Table(("chat", "exchanges", "tokens"), rows, "No conversations yet.")


def forget(session: Session, chat: str = MAIN) -> None:
    """%llm forget [CHAT] forgets a conversation, by default the notebook's."""
    count = len(known_chat(session, chat))
    session.notebook.chats.pop(chat, None)
    print(f"Forgot {count} {'exchange' if count == 1 else 'exchanges'} of {chat}.")


def known_chat(session: Session, name: str) -> list[CellExchange]:
    """Return the exchanges of a conversation. Raises UsageError for a name that no cell has used."""
    chats = session.notebook.chats
    if name != MAIN and name not in chats:
        raise UsageError(f"Unknown chat {name!r}. The chats are {', '.join(sorted({MAIN, *chats}))}.")
    return list(chats[name].exchanges)


def usage(session: Session) -> Table:
    """%llm usage counts the tokens by cell and by model; ≈ marks estimates, as for stopped answers."""
    ledger = session.notebook.ledger
    by_cell, by_model = ledger.sum_by(lambda entry: entry.cell), ledger.sum_by(lambda entry: entry.model)
    rows = [(name, *counts(used)) for sums in (by_cell, by_model) for name, used in sums.items()]
    return Table(("cell or model", "in", "out", "cached"), rows, "No tokens have been used.")


def counts(usage: Usage) -> Iterator[str]:
    """Yield the columns of a table of tokens."""
    for tokens in (usage.input_tokens, usage.output_tokens, usage.cached_tokens):
        yield mark_estimate(tokens, estimated=usage.estimated)


def total(usages: Iterable[Usage]) -> str:
    """Add up all tokens, in and out."""
    usage = sum(usages, Usage())
    return mark_estimate(usage.input_tokens + usage.output_tokens, estimated=usage.estimated)


def trace(session: Session) -> Waterfall | None:
    """%llm trace shows when the requests and tool calls of the last answer began and ended."""
    waterfall = session.notebook.tracer.waterfall()
    if kernel() is not None:
        return waterfall
    print(waterfall)
    return None


def alias(session: Session, name: str = "", *spec: str) -> Table:
    """%llm alias [NAME SPEC] names a model: SPEC is PROVIDER:MODEL [--base-url URL] [--key-variable NAME]."""
    if name and not spec:
        raise UsageError(f"The alias {name!r} needs a model. Write %llm alias {name} PROVIDER:MODEL.")
    if spec:
        try:
            session.aliases = {**session.aliases, name: " ".join(map(quote, spec))}
        except TraitError as error:
            raise UsageError(str(error)) from error
    return Table(("alias", "model"), list(session.aliases.items()), "No aliases defined.")


def config(session: Session) -> Table:
    """%llm config shows the settings; %config LLMMagics.NAME = VALUE changes one."""
    rows = [(name, repr(getattr(session, name)), trait.help) for name, trait in session.traits(config=True).items()]
    return Table(("setting", "value", "what it is"), rows)


def explain(session: Session, *line: str) -> None:
    """%llm explain asks about the last error, with the cell that raised it; takes the options of %%llm."""
    notebook = session.notebook
    notebook.unexplained = last_error(notebook.unexplained)
    options = parse(session.llm, " ".join(map(quote, line)))
    session.ask(replace(options, fresh=not options.chat), question_about(notebook.unexplained, session.namespace))
    if not options.dry_run:
        notebook.unexplained = None


def last_error(unexplained: BaseException | None) -> BaseException:
    """Return the last error that a cell raised, or `unexplained` if the last error is why its explanation failed.

    Raises UsageError if no cell has raised one.
    """
    error = getattr(sys, "last_value", None)
    if isinstance(error, UsageError | PromptError | LLMError):
        error = unexplained or error
    if error is None:
        raise UsageError("No error to explain: no cell has raised one.")
    return error


LONGEST_TRACEBACK = 6000  # characters, counted from the end, where the error is


def question_about(error: BaseException, namespace: Mapping[str, Any]) -> str:
    """Write the question about an error that a cell raised, whose variables are in the `namespace`.

    Its traceback begins in the cell, without the frames that ran the cell.
    """
    frames = skip_to_cell(error.__traceback__, namespace)
    steps = "".join(traceback.format_exception(type(error), as_public(error), frames))[-LONGEST_TRACEBACK:]
    text = f"Explain this error, and how to fix it.\n\n{steps}"
    if cell := source_of(error, frames):
        text += f"\nThis cell raised it:\n\n{cell}"
    return text.replace("{{", r"\{{")


def as_public(error: BaseException) -> BaseException:
    """Return `error`, or a SyntaxError for the private class that Python 3.13 raises for a cell that ends early."""
    return SyntaxError(*error.args) if type(error).__name__ == "_IncompleteInputError" else error


def skip_to_cell(frames: TracebackType | None, namespace: Mapping[str, Any]) -> TracebackType | None:
    """Skip the frames before the cell's own; None if the cell never began to run."""
    while frames and frames.tb_frame.f_globals is not namespace:
        frames = frames.tb_next
    return frames


def source_of(error: BaseException, frames: TracebackType | None) -> str:
    """Return the cell that raised the error; "" if unknown."""
    if frames:
        return "".join(linecache.getlines(frames.tb_frame.f_code.co_filename))
    return "".join(linecache.getlines(error.filename or "")) if isinstance(error, SyntaxError) else ""


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
