"""Completions on a ``%%llm`` or ``%llm`` line: options, commands, models, tools, conversations, aliases."""

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
from .prompt import BUILT_IN, user_tools

if TYPE_CHECKING:
    from .magic import LLMMagics

__all__ = ["Matcher", "matcher_for"]

Matcher = Callable[[CompletionContext], SimpleMatcherResult]


def matcher_for(magics: LLMMagics) -> Matcher:
    """Make the function that IPython asks for completions; it offers none outside the magic's own line."""
    name = magics.magic_name

    @context_matcher()
    def llm_matcher(context: CompletionContext) -> SimpleMatcherResult:
        lines = context.full_text.split("\n")[: context.cursor_line + 1]
        line = lines[-1][: context.cursor_position]
        words = line.split(" ")
        fragment = words[-1]
        offered: Iterable[str] = ()
        if len(lines) == 1 and words[0] == f"%%{name}":
            offered = offer_options(magics, words[1:-1], fragment)
        elif line.lstrip().startswith(f"%{name} "):
            offered = offer_commands(magics, line.split()[1:] if not fragment else line.split()[1:-1])
        found = [SimpleCompletion(text, type="option") for text in offered if text.startswith(fragment)]
        return {"completions": found, "matched_fragment": fragment, "suppress": bool(found)}

    matcher: Matcher = llm_matcher
    return matcher


def offer_options(magics: LLMMagics, words: list[str], fragment: str) -> Iterable[str]:
    """Offer what may follow these words of a ``%%llm`` line, in place of the `fragment`."""
    match words[-1:]:
        case ["-m" | "--model"]:
            return offer_models(magics)
        case ["-t" | "--tool"]:
            before = fragment[: fragment.rfind(",") + 1]
            return [before + name for name in (*user_tools(magics.namespace), *BUILT_IN)]
        case ["-c" | "--chat"]:
            return list(magics.notebook.chats)
        case ["--tool-choice"]:
            return ["auto", "none", "required", *user_tools(magics.namespace)]
        case ["--reasoning-effort"]:
            return EFFORTS
        case ["--view"]:
            return SURFACES
        case ["--as"]:
            return [name for name, value in magics.namespace.items() if is_model(value) and value is not BaseModel]
    return FLAGS


def offer_commands(magics: LLMMagics, words: list[str]) -> Iterable[str]:
    """Offer what may follow these words of a ``%llm`` line."""
    match words:
        case []:
            return COMMANDS
        case ["models"]:
            return PROVIDERS
        case ["history" | "forget"]:
            return list(magics.notebook.chats)
    return ()


def offer_models(magics: LLMMagics) -> list[str]:
    """Offer the models that this session knows, without asking a provider."""
    known = [*magics.aliases, magics.model, "local", *magics.notebook.models, *(f"{name}:" for name in PROVIDERS[1:])]
    return list(dict.fromkeys(filter(None, known)))
