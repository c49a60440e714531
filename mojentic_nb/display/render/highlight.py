"""Code as HTML with its syntax in colour, as in the front end's own editor."""

from __future__ import annotations

import html
import re
from functools import cache
from importlib import import_module

from pygments.lexer import Lexer
from pygments.token import Comment, Generic, Keyword, Literal, Name, Number, Operator

from mojentic_nb.llm.text import printable, printable_json

__all__ = ["highlight"]

LONGEST_CODE = 20_000  # characters; lexers can be made slow, and nobody needs colour in so much code
ENDLESS = re.compile(r"[^\n]{500}|\S{100}")  # many lexers take time by the square of a line's or a word's length
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

# Kinds of tokens and their styles; the first match counts.
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


def highlight(text: str, language: str) -> str:
    """Highlight code for ``<pre>``, in one colour if its language is unknown."""
    language = language.lower()
    text = printable_json(text) if language == "json" else printable(text)
    lexer = LEXERS.get(ALIASES.get(language, language))
    if lexer is None or len(text) > LONGEST_CODE or (language != "json" and ENDLESS.search(text)):
        return html.escape(text)
    pieces: list[tuple[str, str]] = []
    for token, piece in make_lexer(*lexer).get_tokens(text):
        kind = find_kind(token)
        if pieces and (pieces[-1][0] == kind or not piece.strip()):
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + piece)
        else:
            pieces.append((kind, piece))
    shown = ((kind, html.escape(piece)) for kind, piece in pieces)
    return "".join(f'<span class="mnb-code-{kind}">{piece}</span>' if kind else piece for kind, piece in shown)


@cache
def make_lexer(module: str, name: str) -> Lexer:
    """Make a lexer that keeps the text as it is."""
    lexer: Lexer = getattr(import_module(f"pygments.lexers.{module}"), name)(stripnl=False, ensurenl=False)
    return lexer


@cache
def find_kind(token: tuple[str, ...]) -> str:
    """Find the kind of a token; "" for one in the text's own colour."""
    return next((name for kind, name in KINDS if token[: len(kind)] == kind), "")
