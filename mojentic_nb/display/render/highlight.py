"""Code as HTML with its syntax in colours, those of the front end's own editor."""

from __future__ import annotations

import html
import re
from functools import cache
from importlib import import_module

from pygments.lexer import Lexer
from pygments.token import Comment, Generic, Keyword, Literal, Name, Number, Operator

from mojentic_nb.llm.text import printable, printable_json

__all__ = ["highlighted"]

LONGEST_CODE = (
    20_000  # characters; a lexer is slow on what was made to be slow, and nobody reads colours in so much code
)
ENDLESS = re.compile(r"[^\n]{500}|\S{100}")  # for many lexers the time grows with the square of a line or a word
LEXERS = {
    "bash": ("shell", "BashLexer"),
    "c": ("c_cpp", "CLexer"),
    "cpp": ("c_cpp", "CppLexer"),
    "css": ("css", "CssLexer"),
    "diff": ("diff", "DiffLexer"),
    "go": ("go", "GoLexer"),
    "html": ("html", "HtmlLexer"),
    "ini": ("configs", "IniLexer"),
    "java": ("jvm", "JavaLexer"),
    "javascript": ("javascript", "JavascriptLexer"),
    "json": ("data", "JsonLexer"),
    "julia": ("julia", "JuliaLexer"),
    "latex": ("markup", "TexLexer"),
    "python": ("python", "PythonLexer"),
    "r": ("r", "SLexer"),
    "rust": ("rust", "RustLexer"),
    "sql": ("sql", "SqlLexer"),
    "toml": ("configs", "TOMLLexer"),
    "typescript": ("javascript", "TypeScriptLexer"),
    "xml": ("html", "XmlLexer"),
    "yaml": ("data", "YamlLexer"),
}
ALIASES = {"sh": "bash", "shell": "bash", "zsh": "bash", "console": "bash", "c++": "cpp", "js": "javascript"}
ALIASES |= {"ts": "typescript", "py": "python", "python3": "python", "ipython": "python", "rs": "rust", "yml": "yaml"}
ALIASES |= {"tex": "latex", "svg": "xml"}

# Kinds of tokens and the styles of their code, the first that fits.
KINDS = [
    (Comment, "comment"),
    (Keyword.Constant, "atom"),
    (Keyword, "keyword"),
    (Operator.Word, "keyword"),
    (Name.Function, "def"),
    (Name.Class, "def"),
    (Name.Builtin, "builtin"),
    (Name.Tag, "property"),
    (Name.Attribute, "attribute"),
    (Name.Decorator, "meta"),
    (Number, "number"),
    (Literal, "string"),
    (Generic.Deleted, "error"),
    (Generic.Inserted, "string"),
]


def highlighted(text: str, language: str) -> str:
    """`text` for the inside of ``<pre>``; in one colour if its language is not a usual one."""
    language = language.lower()
    text = printable_json(text) if language == "json" else printable(text)
    lexer = LEXERS.get(ALIASES.get(language, language))
    if lexer is None or len(text) > LONGEST_CODE or (language != "json" and ENDLESS.search(text)):
        return html.escape(text)
    pieces: list[tuple[str, str]] = []
    for token, piece in made(*lexer).get_tokens(text):
        kind = kind_of(token)
        if pieces and (pieces[-1][0] == kind or not piece.strip()):
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + piece)
        else:
            pieces.append((kind, piece))
    shown = ((kind, html.escape(piece)) for kind, piece in pieces)
    return "".join(f'<span class="mnb-code-{kind}">{piece}</span>' if kind else piece for kind, piece in shown)


@cache
def made(module: str, name: str) -> Lexer:
    """A lexer that keeps the text as it is."""
    lexer: Lexer = getattr(import_module(f"pygments.lexers.{module}"), name)(stripnl=False, ensurenl=False)
    return lexer


@cache
def kind_of(token: tuple[str, ...]) -> str:
    """The kind of a token; "" for one that has the text's own colour."""
    return next((name for kind, name in KINDS if token[: len(kind)] == kind), "")
