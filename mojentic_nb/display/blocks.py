"""The parts of a transcript as JSON: blocks, the status, and the operations that build them in a view.

These types are the contract between Python and the view in the browser; :mod:`.transcript` says what they mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import SEEK_END, StringIO
from typing import Any, Literal, NotRequired, TypedDict

from mojentic_nb.llm.text import join_surrogates

__all__ = [
    "LEVELS",
    "Block",
    "Blocks",
    "Failure",
    "NoticeBlock",
    "Op",
    "Part",
    "ReasoningBlock",
    "State",
    "Status",
    "TextBlock",
    "ToolBlock",
    "ToolState",
    "merge",
]

Op = list[Any]
"""``["block", index, block]`` adds a block (`index` is the count of those before it),
``["append", index, field, delta]`` makes a text longer, ``["set", index, fields]`` and
``["status", fields]`` replace values, a whole text among them."""

LEVELS = ("info", "warning", "error")
"""The levels of notices."""

ToolState = Literal["streaming", "waiting", "approval", "running", "done", "failed", "denied", "timed_out", "cancelled"]
"""The states of a tool call: its arguments stream, it waits to run, a person is asked, it runs, and how it ended."""


class TextBlock(TypedDict):
    """A stretch of the answer: Markdown, or source text in the language `source` from which something else is made.

    In each kind of block, `parent` is the index of the tool block whose tool asked a model for it; None in the answer
    to the person.
    """

    kind: Literal["text"]
    parent: int | None
    text: str
    source: NotRequired[str]


class ReasoningBlock(TypedDict):
    """A stretch of visible reasoning, in Markdown; `seconds` is its duration, None while it goes on."""

    kind: Literal["reasoning"]
    parent: int | None
    text: str
    started: float
    seconds: float | None


class NoticeBlock(TypedDict):
    """A sentence of ours, as plain text: an error, a retry, why the answer isn't complete."""

    kind: Literal["notice"]
    parent: int | None
    level: Literal["info", "warning", "error"]
    text: str


class Part(TypedDict):
    """A part of what a person sees of a tool's result.

    *json* is indented JSON text, *text* plain text, *markdown* Markdown; *table* and *html* are HTML that is safe to
    insert; an *image* is a ``data:`` URL of a PNG, JPEG, GIF, WebP or SVG for the ``src`` of an ``<img>``.
    """

    type: Literal["json", "text", "markdown", "table", "html", "image"]
    text: NotRequired[str]
    html: NotRequired[str]
    src: NotRequired[str]
    alt: NotRequired[str]


class Failure(TypedDict):
    """Why a call has no result, as plain text: the exception's class, "" without one, its message and its traceback."""

    type: str
    message: str
    traceback: str | None


class ToolBlock(TypedDict):
    """A tool call.

    `arguments` is their JSON text so far, `summary` their short form for the header once they are complete. From the
    moment when a person is asked (*approval*), they are the arguments that the tool receives. `started` is the
    transcript's time in seconds at which the tool began to run, `seconds` its duration. `progress` is its last report.
    `display` is what a person sees of the result. `output` is what the model read, None if that is the same.
    """

    kind: Literal["tool"]
    parent: int | None
    id: str
    name: str
    arguments: str
    summary: str
    state: ToolState
    started: float | None
    seconds: float | None
    progress: str | None
    display: list[Part] | None
    output: str | None
    error: Failure | None


Block = TextBlock | ReasoningBlock | ToolBlock | NoticeBlock


class Status(TypedDict):
    """The status of the run.

    `output_tokens` is the provider's count, and for the current request the number of pieces; `chunks` is the number
    of all pieces so far. Unknown tokens are 0 and unknown rates None. `estimated` is True if the provider didn't
    report all tokens. `seconds` is the transcript's time. `finish` says why the answer ended, "" before that and
    after a normal end.
    """

    model: str
    state: Literal["waiting", "streaming", "tools", "done", "stopped", "failed"]
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    estimated: bool
    chunks: int
    seconds: float
    first_token_seconds: float | None
    tokens_per_second: float | None
    finish: str


class State(TypedDict):
    """A whole transcript."""

    blocks: list[Block]
    status: Status


class Blocks:
    """A list of blocks that records the operations on it; :meth:`take_ops` returns those since the last time.

    Text grows in place, in any number of pieces.
    """

    def __init__(self) -> None:
        self._blocks: list[dict[str, Any]] = []
        self._texts: list[StringIO] = []
        self._ops: list[Op] = []

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return the fields of a block, with only the first piece of its growing text."""
        return self._blocks[index]

    def add(self, **block: object) -> int:
        """Add a block, and return its index."""
        block = {name: join_surrogates(value) if isinstance(value, str) else value for name, value in block.items()}
        text = StringIO()
        text.write(str(block.get(growing_field(block), "")))
        self._blocks.append(block)
        self._texts.append(text)
        self._ops.append(["block", len(self._blocks) - 1, dict(block)])
        return len(self._blocks) - 1

    def append(self, index: int, delta: str) -> None:
        """Append `delta` to the text of a block, or to a call's arguments."""
        if delta:
            delta = join_surrogates(delta)
            self._texts[index].write(delta)
            self._ops.append(["append", index, growing_field(self._blocks[index]), delta])

    def set(self, index: int, **fields: object) -> None:
        """Replace fields of a block, except the growing text."""
        changed = {name: value for name, value in fields.items() if self._blocks[index][name] != value}
        if changed:
            self._blocks[index].update(changed)
            self._ops.append(["set", index, changed])

    def replace(self, index: int, text: str) -> None:
        """Replace the growing text of a block."""
        text = join_surrogates(text)
        if text != self.text(index):
            self._texts[index] = StringIO(text)
            self._texts[index].seek(0, SEEK_END)
            self._ops.append(["set", index, {growing_field(self._blocks[index]): text}])

    def text(self, index: int) -> str:
        """Return the text of a block so far."""
        return self._texts[index].getvalue()

    def take_ops(self) -> list[Op]:
        """Return the operations since the last time."""
        ops, self._ops = self._ops, []
        return ops

    def state(self) -> list[Block]:
        """Return copies of all blocks."""
        return [self.block(index) for index in range(len(self._blocks))]

    def block(self, index: int) -> Block:
        """Return a copy of one block."""
        block = self._blocks[index]
        return {**block, growing_field(block): self.text(index)}  # type: ignore[return-value]


def growing_field(block: dict[str, Any]) -> str:
    """Return the name of the field of `block` that grows."""
    return "arguments" if block["kind"] == "tool" else "text"


def merge(ops: Iterable[Op]) -> list[Op]:
    """Return fewer operations with the same effect: appends to one text joined, repeated values dropped, status last.

    `ops` themselves don't change.
    """
    result: list[Op] = []
    pieces: list[list[str]] = []
    status: dict[str, Any] = {}
    for op in ops:
        match op:
            case ["append", index, field, delta]:
                if result and result[-1][:3] == ["append", index, field]:
                    pieces[-1].append(delta)
                    continue
                result.append(["append", index, field])
                pieces.append([delta])
            case ["set", index, fields]:
                if result and result[-1][:2] == ["set", index]:
                    result[-1][2].update(fields)
                    continue
                result.append(["set", index, dict(fields)])
            case ["status", fields]:
                status.update(fields)
            case _:
                result.append(op)
    joined = iter(pieces)
    result = [[*op, "".join(next(joined))] if op[0] == "append" else op for op in result]
    return [*result, ["status", status]] if status else result
