"""The options of a ``%%llm`` line, and the models that aliases name.

A line is split into words as IPython does it, which leaves backslashes alone.
"""

from __future__ import annotations

import builtins
import re
import threading
from argparse import ArgumentTypeError
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from keyword import iskeyword
from typing import Any, get_args
from urllib.parse import urlsplit

from IPython.core.error import UsageError
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.utils.process import arg_split  # type: ignore[attr-defined]

from mojentic_nb.display.surface import SURFACES
from mojentic_nb.llm import CompletionConfig
from mojentic_nb.llm.config import ReasoningEffort
from mojentic_nb.llm.gateways.keys import NO_KEY, Key
from mojentic_nb.llm.providers import PROVIDERS

__all__ = ["EFFORTS", "FLAGS", "CellOptions", "Model", "parse", "quote", "split_words", "with_options"]


def split_words(line: str) -> list[str]:
    """Split `line` into words and remove the quotes around them. Raises ValueError for an unclosed quote."""
    return [unquote(word) for word in arg_split(line)]


def unquote(word: str) -> str:
    """Return `word` without the quotes around it."""
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word


def quote(word: str) -> str:
    """Return `word` as a line spells it. A word with both kinds of quotes in it can't be spelled."""
    if word and not re.search(r"[\s\"']", word):
        return word
    mark = "'" if '"' in word else '"'
    return f"{mark}{word}{mark}"


EFFORTS: tuple[str, ...] = get_args(ReasoningEffort)


# IPython keeps inputs and outputs under these names, and breaks or drops any other value they get.
# https://ipython.readthedocs.io/en/stable/interactive/reference.html#input-caching-system
RESERVED = re.compile(r"_*|__\w+__|_i?\d+|_i{1,3}|_(ih|oh|dh)|_exit_code|In|Out|get_ipython|exit|quit")


def variable(text: str) -> str:
    """Read the name of a variable, which neither Python nor IPython uses itself."""
    name = unquote(text)
    if not name.isidentifier() or iskeyword(name):
        raise ArgumentTypeError(f"`{name}` isn't a variable name")
    if hasattr(builtins, name) or RESERVED.fullmatch(name):
        raise ArgumentTypeError(f"`{name}` belongs to Python or IPython. Choose another name")
    return name


def duration(text: str) -> float:
    """Read a positive number of seconds."""
    seconds = float(text)
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        raise ArgumentTypeError(f"{text} is out of range. Give a number of seconds greater than 0")
    return seconds


ARGUMENTS = (
    argument("-m", "--model", metavar="PROVIDER:MODEL", type=unquote, help="The model to ask, or its alias."),
    argument("-s", "--system", metavar="TEXT", type=unquote, help="The system message, for the rest of this chat."),
    argument(
        "-t",
        "--tool",
        metavar="NAME",
        type=unquote,
        action="append",
        help="Tools the model may call, separated by commas: functions, tools, lists of tools, or built-in tools.",
    ),
    argument("--tool-choice", metavar="CHOICE", type=unquote, help="auto, none, required, or the tool to call."),
    argument("--approve", action="store_true", help="Ask you before each tool call."),
    argument(
        "-c", "--chat", metavar="NAME", type=unquote, help="The conversation to continue instead of the main one."
    ),
    argument("--fresh", action="store_true", help="Ask outside any conversation."),
    argument("-o", "--out", metavar="NAME", type=variable, help="A variable for the answer, which _ holds as well."),
    argument("--as", dest="as_", metavar="MODEL", type=unquote, help="The answer's type: a pydantic model or list[…]."),
    argument("-i", "--image", metavar="EXPR", type=unquote, action="append", help="An image: path, URL or expression."),
    argument("--temperature", type=float, metavar="T", help="Randomness; 0 always picks the likeliest token."),
    argument("--max-tokens", type=int, metavar="N", help="End the answer after N tokens."),
    argument("--reasoning-effort", choices=EFFORTS, help="How much to reason before the answer."),
    argument("--max-steps", type=int, metavar="N", help="The most rounds of tool calls; 10 by default."),
    argument("--timeout", type=duration, metavar="SECONDS", help="End the answer after this many seconds."),
    argument("--code", action="store_true", help="Insert the answer's code in a new cell below."),
    argument("--view", choices=SURFACES, help="How to show the answer; auto fits the front end."),
    argument("--raw", action="store_true", help="Show the answer as plain text instead of Markdown."),
    argument("--dry-run", action="store_true", help="Show what would be sent, and send nothing."),
)
FLAGS = tuple(flag for added in ARGUMENTS for flag in added.args if flag.startswith("--"))
SETTINGS = {  # of a completion, by the names that the options have
    "temperature": "temperature",
    "max_tokens": "max_tokens",
    "reasoning_effort": "reasoning_effort",
    "max_steps": "max_tool_iterations",
}


@dataclass(frozen=True, slots=True)
class CellOptions:
    """The options of a ``%%llm`` line; None and empty where the line doesn't give them."""

    model: str | None
    system: str | None
    tools: tuple[str, ...]
    tool_choice: str | None
    approve: bool
    chat: str | None
    fresh: bool
    out: str | None
    as_: str | None
    images: tuple[str, ...]
    config: CompletionConfig
    timeout: float | None
    code: bool
    view: str | None
    raw: bool
    dry_run: bool


def with_options(magic: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a magic with these options, and list them in its help."""
    decorated: Callable[..., Any] = reduce(lambda decorated, add: add(decorated), reversed(ARGUMENTS), magic)
    return magic_arguments("%llm")(decorated)  # type: ignore[no-any-return]


def parse(magic: Callable[..., Any], line: str) -> CellOptions:
    """Read the options on `line`. Raises UsageError, in one line, for a mistake."""
    try:
        given = vars(parse_argstring(magic, line))
    except ValueError as error:  # an unclosed quote
        raise UsageError(f"The %%llm line can't be read: {error}.") from error
    except UsageError as error:
        raise UsageError(f"{error}. The question goes below the %%llm line; %%llm? lists its options.") from error
    if given["fresh"] and given["chat"]:
        raise UsageError(f"--fresh asks outside any conversation, and -c {given['chat']} in one. Use only one of them.")
    names = given.pop("tool")
    tools = tuple(name.strip() for each in names or () for name in each.split(",") if name.strip())
    if names and not tools:
        raise UsageError("-t doesn't name a tool. %llm tools lists the tools.")
    if given["tool_choice"] is not None and not tools:
        raise UsageError(f"--tool-choice {given['tool_choice']} needs tools. Name them with -t.")
    settings = {setting: given.pop(option) for option, setting in SETTINGS.items()}
    return CellOptions(tools=tools, images=tuple(given.pop("image") or ()), config=read_config(settings), **given)


def read_config(settings: dict[str, Any]) -> CompletionConfig:
    """Read the settings of the completion. Raises UsageError for a value out of range."""
    try:
        return CompletionConfig(**{name: value for name, value in settings.items() if value is not None})
    except ValueError as error:
        setting, _, problem = str(error).partition(" ")
        option = next(option for option, name in SETTINGS.items() if name == setting)
        raise UsageError(f"--{option.replace('_', '-')} {problem}") from error


FORM = "PROVIDER:MODEL [--base-url URL] [--key-variable NAME]"
FIELDS = {"--base-url": "base_url", "--key-variable": "key_variable"}
ON_THIS_MACHINE = ("local", "replay")


@dataclass(frozen=True, slots=True)
class Model:
    """A model's full name, and the address and the key's environment variable if they aren't its provider's."""

    name: str
    base_url: str | None = None
    key_variable: str | None = None

    @classmethod
    def read(cls, alias: str, spec: str) -> Model:
        """Read the model that `alias` names. Raises UsageError, which never repeats what may be a key."""
        if not alias or ":" in alias or alias in PROVIDERS:
            raise UsageError(f"{alias!r} can't be an alias. Choose a name without a colon that isn't a provider's.")
        try:
            name, *rest = split_words(spec)
            fields = {FIELDS[option]: value for option, value in zip(rest[::2], rest[1::2], strict=True)}
        except (ValueError, KeyError) as error:
            raise UsageError(f"The alias {alias!r} can't be read. Write it as {FORM}.") from error
        model = cls(name, **fields)
        model._check(alias)
        return model

    def _check(self, alias: str) -> None:
        """Raise UsageError for a name, an address or a key that can't be right."""
        provider, _, model = self.name.partition(":")
        if provider not in (*PROVIDERS, "replay") or not (model or provider == "local"):
            raise UsageError(f"The alias {alias!r} doesn't name a model. Write it as {FORM}.")
        if provider in ON_THIS_MACHINE and (self.base_url or self.key_variable):
            raise UsageError(f"The alias {alias!r} names a model on this machine, which needs no address and no key.")
        variable = self.key_variable
        if variable is not None and not (variable.isidentifier() and variable.isupper()):
            raise UsageError(
                f"--key-variable of the alias {alias!r} takes the name of an environment variable, not the key itself."
            )
        if self.base_url is not None:
            check_address(alias, self.base_url)

    @property
    def key(self) -> Key | None:
        """The key; None to use the provider's own. Raises UsageError if the environment variable isn't set.

        The provider's own key is for the provider alone: another address gets a key only if the alias names one.
        """
        if self.key_variable is None:
            return Key(NO_KEY) if self.base_url else None
        if not (key := Key.in_environment(self.key_variable)):
            raise UsageError(f"The environment variable {self.key_variable} isn't set. Set it outside the notebook.")
        return key


def check_address(alias: str, url: str) -> None:
    """Raise UsageError for an invalid address, or one that holds a password."""
    try:
        address = urlsplit(url)
    except ValueError:
        address = urlsplit("")
    if address.scheme not in ("http", "https") or not address.hostname:
        raise UsageError(f"The address of the alias {alias!r} is invalid. Begin it with http:// or https://.")
    if address.password or address.username:
        raise UsageError(
            f"The address of the alias {alias!r} holds a user name or a password. Keep keys in the environment."
        )
