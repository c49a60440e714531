"""A small table, as text and as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mojentic_nb.llm.text import printable

from .escape import escaped

__all__ = ["Table"]

CELL = "text-align: left; padding: 2px 12px 2px 0; vertical-align: top; white-space: pre-wrap"


@dataclass(frozen=True)
class Table:
    """Rows of texts under a header; a table in a notebook, columns elsewhere. `empty` stands for no rows."""

    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    empty: str = "There is nothing."

    def __repr__(self) -> str:
        if not self.rows:
            return self.empty
        lines = [self.header, *self._texts()]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.header))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    def _repr_html_(self) -> str:
        if not self.rows:
            return f"<p>{escaped(self.empty)}</p>"
        head = "".join(f'<th style="{CELL}">{escaped(name)}</th>' for name in self.header)
        body = "".join(
            "<tr>" + "".join(f'<td style="{CELL}">{escaped(cell, joiners=True)}</td>' for cell in row) + "</tr>"
            for row in self._texts()
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _texts(self) -> list[list[str]]:
        return [[printable(" ".join(str(cell).split()), joiners=True) for cell in row] for row in self.rows]
