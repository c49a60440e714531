"""What the tab key offers on a ``%%llm`` line: options, models, tools, conversations, aliases."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher
from pydantic import BaseModel

from mojentic_nb.display.surface import SURFACES
from mojentic_nb.llm.providers import PROVIDERS
from mojentic_nb.llm.structured import is_model

from .commands import COMMANDS
from .options import EFFORTS, FLAGS
from .prompt import BUILT_IN, tools_in

if TYPE_CHECKING:
    from .magic import LLMMagics

__all__ = ["Matcher", "matcher_for"]

Matcher = Callable[[CompletionContext], SimpleMatcherResult]


def matcher_for(magics: LLMMagics) -> Matcher:
    """What IPython asks for completions; it has none outside of the magic's own line."""
    name = magics.magic_name

    @context_matcher()
    def llm_matcher(context: CompletionContext) -> SimpleMatcherResult:
        lines = context.full_text.split("\n")[: context.cursor_line + 1]
        line = lines[-1][: context.cursor_position]
        words = line.split(" ")
        fragment = words[-1]
        offered: Iterable[str] = ()
        if len(lines) == 1 and words[0] == f"%%{name}":
            offered = options_after(magics, words[1:-1], fragment)
        elif line.lstrip().startswith(f"%{name} "):
            offered = commands_after(magics, line.split()[1:] if not fragment else line.split()[1:-1])
        found = [SimpleCompletion(text, type="option") for text in offered if text.startswith(fragment)]
        return {"completions": found, "matched_fragment": fragment, "suppress": bool(found)}

    matcher: Matcher = llm_matcher
    return matcher


def options_after(magics: LLMMagics, words: list[str], fragment: str) -> Iterable[str]:
    """What may follow these words of a ``%%llm`` line, in place of the `fragment`."""
    match words[-1:]:
        case ["-m" | "--model"]:
            return models(magics)
        case ["-t" | "--tool"]:
            before = fragment[: fragment.rfind(",") + 1]
            return [before + name for name in (*tools_in(magics.namespace), *BUILT_IN)]
        case ["-c" | "--chat"]:
            return list(magics.notebook.chats)
        case ["--tool-choice"]:
            return ["auto", "none", "required", *tools_in(magics.namespace)]
        case ["--reasoning-effort"]:
            return EFFORTS
        case ["--view"]:
            return SURFACES
        case ["--as"]:
            return [name for name, value in magics.namespace.items() if is_model(value) and value is not BaseModel]
    return FLAGS


def commands_after(magics: LLMMagics, words: list[str]) -> Iterable[str]:
    """What may follow these words of a ``%llm`` line."""
    match words:
        case []:
            return COMMANDS
        case ["models"]:
            return PROVIDERS
        case ["history" | "forget"]:
            return list(magics.notebook.chats)
    return ()


def models(magics: LLMMagics) -> list[str]:
    """The models that this session knows of, without asking anyone."""
    known = [*magics.aliases, magics.model, "local", *magics.notebook.models, *(f"{name}:" for name in PROVIDERS[1:])]
    return list(dict.fromkeys(filter(None, known)))
