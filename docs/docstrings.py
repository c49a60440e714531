"""Turns docstrings into Markdown for the reference: Sphinx's roles become links, its literal blocks code.

A trait shows its help, and methods of the broker the parameters that they share. A name is looked up as Python would,
from the documented object outwards; one without a page on the site stays plain code.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|meth|func|attr|data|mod|exc):`(~?)([\w.]+)`")
LITERAL = re.compile(r"::$(?=\n\n {4})", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrites the docstrings of a package after all of it is read."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Rewrite the docstrings of `pkg`."""
        for described in objects(pkg):
            if isinstance(described, griffe.Attribute):
                move_help(described)
            if isinstance(described, griffe.Function):
                take_parameters(described)
            if described.docstring:
                described.docstring.value = rewrite(described.docstring.value, described)


def objects(root: griffe.Object) -> Iterator[griffe.Object]:
    """Iterate over `root` and everything defined in it."""
    yield root
    for member in root.members.values():
        if isinstance(member, griffe.Object):
            yield from objects(member)


def move_help(attribute: griffe.Attribute) -> None:
    """Move a trait's help from its value to its docstring."""
    for call in ast.walk(ast.parse(str(attribute.value))):
        for keyword in call.keywords if isinstance(call, ast.Call) else ():
            if keyword.arg == "help":
                attribute.docstring = griffe.Docstring(ast.literal_eval(keyword.value), parent=attribute)
                call.keywords.remove(keyword)
                attribute.value = ast.unparse(call)
                return


def take_parameters(method: griffe.Function) -> None:
    """Give a method with the decorator ``@with_parameters_of(other)`` the parameters of that other method."""
    for decorator in method.decorators:
        if (named := re.fullmatch(r"with_parameters_of\((\w+)\)", str(decorator.value))) and method.parent:
            method.parameters = method.parent.members[named[1]].parameters


def rewrite(text: str, described: griffe.Object) -> str:
    """Return the docstring `text` in Markdown."""
    return ROLE.sub(lambda role: link(role[2], short=bool(role[1]), described=described), LITERAL.sub(":", text))


def link(name: str, *, short: bool, described: griffe.Object) -> str:
    """Return a link to `name`, or plain code if the site has no page for it."""
    shown = name.rpartition(".")[2] if short else name.lstrip(".")
    return f'<autoref optional identifier="{path_of(name, described)}"><code>{shown}</code></autoref>'


def path_of(name: str, described: griffe.Object) -> str:
    """Return the full path of what `name` means in the docstring of `described`."""
    first = name.partition(".")[0]
    scope: griffe.Object | None = described
    while scope:
        if first and first in scope.members:
            return f"{scope.path}.{name}"
        scope = scope.parent
    return name
