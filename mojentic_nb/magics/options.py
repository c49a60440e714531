"""The options of a ``%%llm`` line: how they are written, and what they say.

How a magic's line is split into words, and words are put into one: as IPython does, which leaves backslashes.

Names for models, with what it takes to reach them.
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
from mojentic_nb.llm.config import ReasoningEffort
from mojentic_nb.llm.gateways.keys import NO_KEY, Key
from mojentic_nb.llm.providers import PROVIDERS

__all__ = ["EFFORTS", "FLAGS", "Model", "Options", "parse", "quoted", "with_options", "words"]


def words(line: str) -> list[str]:
    """The words of `line`, those in quotes without them. Raises ValueError for a quote that nothing closes."""
    return [unquoted(word) for word in arg_split(line)]


def unquoted(word: str) -> str:
    """`word` without the quotes around it."""
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word


def quoted(word: str) -> str:
    """`word` as it stands in a line; one with both kinds of quotes in it can't."""
    if word and not re.search(r"[\s\"']", word):
        return word
    mark = "'" if '"' in word else '"'
    return f"{mark}{word}{mark}"


EFFORTS: tuple[str, ...] = get_args(ReasoningEffort)


# IPython keeps inputs and outputs under these names, and breaks or drops what else is put there.
# https://ipython.readthedocs.io/en/stable/interactive/reference.html#input-caching-system
RESERVED = re.compile(r"_*|__\w+__|_i?\d+|_i{1,3}|_(ih|oh|dh)|_exit_code|In|Out|get_ipython|exit|quit")


def variable(text: str) -> str:
    """`text` as the name of a variable, unless Python or IPython needs that name."""
    name = unquoted(text)
    if not name.isidentifier() or iskeyword(name):
        raise ArgumentTypeError(f"`{name}` isn't a variable name")
    if hasattr(builtins, name) or RESERVED.fullmatch(name):
        raise ArgumentTypeError(f"`{name}` belongs to Python or IPython. Choose another name")
    return name


def duration(text: str) -> float:
    """`text` as seconds, more than none."""
    seconds = float(text)
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        raise ArgumentTypeError(f"{text} is no time to wait: give seconds, more than 0")
    return seconds


ARGUMENTS = (
    argument("-m", "--model", metavar="PROVIDER:MODEL", type=unquoted, help="The model to ask, or its alias."),
    argument("-s", "--system", metavar="TEXT", type=unquoted, help="What the model is told first, in this chat."),
    argument(
        "-t",
        "--tool",
        metavar="NAME",
        type=unquoted,
        action="append",
        help="Tools the model may call, by name, several with commas: functions, tools, lists of them, built-in ones.",
    ),
    argument(
        "--tool-choice", metavar="CHOICE", type=unquoted, help="auto, none, required, or the tool it has to call."
    ),
    argument("--approve", action="store_true", help="Ask before each call of a tool."),
    argument(
        "-c", "--chat", metavar="NAME", type=unquoted, help="The conversation to go on with, by default the notebook's."
    ),
    argument("--fresh", action="store_true", help="Ask outside any conversation."),
    argument("-o", "--out", metavar="NAME", type=variable, help="The variable that gets the answer; _ has it as well."),
    argument(
        "--as", dest="as_", metavar="MODEL", type=unquoted, help="The pydantic model, or list[MODEL], to answer with."
    ),
    argument(
        "-i",
        "--image",
        metavar="EXPR",
        type=unquoted,
        action="append",
        help="A picture for the model: a path, an address, or an expression.",
    ),
    argument("--temperature", type=float, metavar="T", help="Randomness; 0 always takes the likeliest token."),
    argument("--max-tokens", type=int, metavar="N", help="End the answer after so many tokens."),
    argument("--reasoning-effort", choices=EFFORTS, help="How much to reason before the answer."),
    argument("--max-steps", type=int, metavar="N", help="Rounds of tool calls at most; 10 if not given."),
    argument("--timeout", type=duration, metavar="SECONDS", help="End the answer after so many seconds."),
    argument("--code", action="store_true", help="Put the answer's code into a new cell below."),
    argument("--view", choices=SURFACES, help="How to show the answer; auto fits the front end."),
    argument("--raw", action="store_true", help="Show the answer's text as it is, not as Markdown."),
    argument("--dry-run", action="store_true", help="Show what would be sent, and send nothing."),
)
FLAGS = tuple(flag for added in ARGUMENTS for flag in added.args if flag.startswith("--"))


@dataclass(frozen=True, slots=True)
class Options:
    """What a ``%%llm`` line says; None and empty where it says nothing."""

    model: str | None
    system: str | None
    tool: tuple[str, ...]
    tool_choice: str | None
    approve: bool
    chat: str | None
    fresh: bool
    out: str | None
    as_: str | None
    image: tuple[str, ...]
    temperature: float | None
    max_tokens: int | None
    reasoning_effort: str | None
    max_steps: int | None
    timeout: float | None
    code: bool
    view: str | None
    raw: bool
    dry_run: bool

    @property
    def tools(self) -> list[str]:
        """The names of the tools, one by one."""
        return [name.strip() for names in self.tool for name in names.split(",") if name.strip()]

    @property
    def settings(self) -> dict[str, Any]:
        """What they set of a :class:`~mojentic_nb.llm.CompletionConfig`."""
        named = {
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "reasoning_effort": self.reasoning_effort,
            "max_tool_iterations": self.max_steps,
        }
        return {name: value for name, value in named.items() if value is not None}


def with_options(magic: Callable[..., Any]) -> Callable[..., Any]:
    """Give a magic these options, and help that lists them."""
    decorated: Callable[..., Any] = reduce(lambda decorated, add: add(decorated), reversed(ARGUMENTS), magic)
    return magic_arguments("%llm")(decorated)  # type: ignore[no-any-return]


def parse(magic: Callable[..., Any], line: str) -> Options:
    """What `line` says; raises UsageError, in one line, for what it can't mean."""
    try:
        said = vars(parse_argstring(magic, line))
    except ValueError as error:  # a quote that nothing closes
        raise UsageError(f"The %%llm line can't be read: {error}.") from error
    except UsageError as error:
        raise UsageError(f"{error}. The question goes below the %%llm line; %%llm? lists its options.") from error
    for name in ("tool", "image"):
        said[name] = tuple(said[name] or ())
    if said["fresh"] and said["chat"]:
        raise UsageError(f"--fresh asks outside of any conversation, -c {said['chat']} in one: leave one of them out.")
    return Options(**said)


FORM = "PROVIDER:MODEL [--base-url URL] [--key-variable NAME]"
FIELDS = {"--base-url": "base_url", "--key-variable": "key_variable"}
ON_THIS_MACHINE = ("local", "replay")


@dataclass(frozen=True, slots=True)
class Model:
    """A model by its full name, and the address and the environment's key where they are not its provider's."""

    name: str
    base_url: str | None = None
    key_variable: str | None = None

    @classmethod
    def read(cls, alias: str, spec: str) -> Model:
        """What `alias` stands for. Raises UsageError, which never repeats what may be a key."""
        if not alias or ":" in alias or alias in PROVIDERS:
            raise UsageError(f"{alias!r} can't be an alias: give a name with no colon, that is no provider's.")
        try:
            name, *rest = words(spec)
            fields = {FIELDS[option]: value for option, value in zip(rest[::2], rest[1::2], strict=True)}
        except (ValueError, KeyError) as error:
            raise UsageError(f"The alias {alias!r} can't be read: it has to be {FORM}.") from error
        model = cls(name, **fields)
        model._check(alias)
        return model

    def _check(self, alias: str) -> None:
        """Raise UsageError for what can be no model's."""
        provider, _, model = self.name.partition(":")
        if provider not in (*PROVIDERS, "replay") or not (model or provider == "local"):
            raise UsageError(f"The alias {alias!r} stands for no model: it has to be {FORM}.")
        if provider in ON_THIS_MACHINE and (self.base_url or self.key_variable):
            raise UsageError(f"The alias {alias!r} stands for a model on this machine: it has no address and no key.")
        variable = self.key_variable
        if variable is not None and not (variable.isidentifier() and variable.isupper()):
            raise UsageError(
                f"The alias {alias!r} takes the NAME of the environment's variable that has the key, not the key."
            )
        if self.base_url is not None:
            check_address(alias, self.base_url)

    @property
    def key(self) -> Key | None:
        """The key, None where it is the provider's own. Raises UsageError where the environment has none.

        The provider's own key is nobody else's business: another address gets none unless it is named.
        """
        if self.key_variable is None:
            return Key(NO_KEY) if self.base_url else None
        if not (key := Key.in_environment(self.key_variable)):
            raise UsageError(f"There is no key in the environment's {self.key_variable}: set it, outside the notebook.")
        return key


def check_address(alias: str, url: str) -> None:
    """Raise UsageError for an address that can't be one, or has a password in it."""
    try:
        address = urlsplit(url)
    except ValueError:
        address = urlsplit("")
    if address.scheme not in ("http", "https") or not address.hostname:
        raise UsageError(f"The address of the alias {alias!r} can't be one: it has to begin with http:// or https://.")
    if address.password or address.username:
        raise UsageError(
            f"The address of the alias {alias!r} has a name or a password in it: keys go into the environment."
        )
