"""The page of messages shows every message that a user can meet, as the package words it today."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_architecture import MODULES

PAGE = Path(__file__).parents[1] / "docs" / "messages.md"
SENTENCE = re.compile(r"(?s)[A-Z\0`'-].*\s.*[.?!:\0`]")
HELP = {"help", "metavar", "description"}  # arguments whose texts are shown where options are listed


@dataclass(frozen=True)
class Message:
    """A message in the source; `pieces` are its words between what is filled in."""

    module: str
    line: int
    pieces: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.module}:{self.line}: {'…'.join(self.pieces)}"

    @property
    def pattern(self) -> str:
        """What matches it with anything filled in."""
        return ".*?".join(re.escape(" ".join(piece.split())).replace(r"\ ", r"\s+") for piece in self.pieces)


def text_of(node: ast.expr) -> str | None:
    """The text of a literal, with \\0 for what is filled in."""
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.JoinedStr(values):
            return "".join(each.value if isinstance(each, ast.Constant) else "\0" for each in values)
    return None


def messages_of(module: str) -> Iterator[Message]:
    """The messages in a module's source: what is raised, warned or noticed, and all other sentences."""
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    raised: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in HELP:
            silent |= {id(each) for each in ast.walk(node)}
        if isinstance(node, ast.JoinedStr):
            silent |= {id(each) for each in node.values}
        if isinstance(node, ast.Call) and re.search("Error|Warning|warn$|[Nn]otice$", ast.unparse(node.func)):
            raised |= {id(each) for argument in node.args for each in ast.walk(argument)}
    for node in ast.walk(tree):
        text = text_of(node) if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in silent else None
        words = re.findall(r"[^\W\d_]{2,}", text or "")
        if text and len(words) >= 3 and (id(node) in raised or SENTENCE.fullmatch(text)):
            yield Message(module, node.lineno, tuple(text.split("\0")))


SHOWN = [
    " ".join(text.split())
    for _, text in re.findall(r"^(`{3,})text\n(.*?)^\1$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
]
# What isn't a message to a user, by the module or by a part of the text, and why.
NO_MESSAGES = {
    "mojentic_nb.llm.gateways.local.examples": "the embedded model reads it",
    "mojentic_nb.llm.gateways.local.tools": "the embedded model reads it",
    "mojentic_nb.llm.tools.current_datetime": "a tool's description, which the model reads",
    "Turn a relative date": "a tool's description, which the model reads",
    "The relative date, as it was": "a tool's description, which the model reads",
    "The day from which it": "a tool's description, which the model reads",
    "The date on '": "a tool's result, which the model reads",
    "mojentic_nb.llm.tools.phrases": "regular expressions",
    "You are a helpful assistant": "a system prompt, which the model reads",
    "Answer with nothing but JSON": "the second question for an object, which the model reads",
    "Explain this error": "the question of `%llm explain`, which the model reads",
    " rows and \0 columns": "a table in a prompt, which the model reads",
    "A name appears twice": "caught where it is raised: it tells whether JSON is canonical",
    "It isn't a file": "caught by the same module, whose error quotes it",
    "Nothing to show": "each table that can be empty has words of its own",
}


def is_a_message(message: Message) -> bool:
    """Whether a user can meet it."""
    text = "\0".join(message.pieces)
    return not any(known == message.module or known in text for known in NO_MESSAGES)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_message_is_on_the_page(module: str):
    """A message that is missing needs a case in docs/cases, and another run of docs/messages.py."""
    messages = filter(is_a_message, messages_of(module))

    assert [str(each) for each in messages if not any(re.search(each.pattern, text) for text in SHOWN)] == []


def test_every_exception_is_needed():
    messages = [each for module in MODULES for each in messages_of(module)]
    texts = {each.module for each in messages} | {"\0".join(each.pieces) for each in messages}

    assert [known for known in NO_MESSAGES if not any(known in text for text in texts)] == []


def test_the_page_is_what_its_script_writes(project: Path):
    checked = subprocess.run(
        [sys.executable, project / "docs" / "messages.py", "--check"], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stderr
