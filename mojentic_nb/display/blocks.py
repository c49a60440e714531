"""What a transcript is made of, as JSON: blocks, the status, and the operations that build them in a view.

The types here are the contract between Python and a view in the browser; :mod:`.transcript` tells how they are used.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import SEEK_END, StringIO
from typing import Any, Literal, NotRequired, TypedDict

from mojentic_nb.llm.text import mended

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
    "merged",
]

Op = list[Any]
"""``["block", index, block]`` adds a block (`index` is the count of those before it),
``["append", index, field, delta]`` makes a text longer, ``["set", index, fields]`` and
``["status", fields]`` replace values, a whole text among them."""

LEVELS = ("info", "warning", "error")
"""Of notices."""

ToolState = Literal["streaming", "waiting", "approval", "running", "done", "failed", "denied", "timed_out", "cancelled"]
"""Of a tool call: its arguments are still coming; it will run; a person has to approve it; it runs; how it went."""


class TextBlock(TypedDict):
    """A stretch of the answer, in Markdown; with a `source`, in that language, for something else to be made of it.

    In each kind of block, `parent` is the index of the tool block whose tool itself asked a model for this; None in the
    answer that the person asked for.
    """

    kind: Literal["text"]
    parent: int | None
    text: str
    source: NotRequired[str]


class ReasoningBlock(TypedDict):
    """A stretch of visible reasoning, in Markdown; `seconds` is how long it took, None while it goes on."""

    kind: Literal["reasoning"]
    parent: int | None
    text: str
    started: float
    seconds: float | None


class NoticeBlock(TypedDict):
    """A sentence that is not the model's: an error, a retry, why the answer is not whole. Plain text."""

    kind: Literal["notice"]
    parent: int | None
    level: Literal["info", "warning", "error"]
    text: str


class Part(TypedDict):
    """A piece of what a person sees of a tool's result.

    *json* is indented JSON text, *text* plain text, *markdown* Markdown; *table* and *html* are HTML that is safe to
    insert as it is; an *image* is a ``data:`` URI of a PNG, JPEG, GIF, WebP or SVG for the ``src`` of an ``<img>``.
    """

    type: Literal["json", "text", "markdown", "table", "html", "image"]
    text: NotRequired[str]
    html: NotRequired[str]
    src: NotRequired[str]
    alt: NotRequired[str]


class Failure(TypedDict):
    """Why a call has no result, as plain text.

    The exception's class ("" if there was none), what it says, and how it came about; None where that tells nothing.
    """

    type: str
    message: str
    traceback: str | None


class ToolBlock(TypedDict):
    """A tool call.

    `arguments` is the JSON text as far as it has come, `summary` their short form for the header once they are there.
    While a person is asked (*approval*), and from then on, they are what the tool is called with.
    `started` is the transcript's time in seconds at which the tool began to run, `seconds` how long it took.
    `progress` is the last that the tool reported. `display` is what a person sees of the result. `output` is what the
    model was told, None where that is the same as what the person sees.
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
    """How the run goes.

    `output_tokens` is as the provider counts, for a request that is under way the number of pieces; `chunks` is the
    number of all pieces so far. Tokens are 0 and rates None where they are not known. `seconds` is the transcript's
    time. `finish` says in words why the answer ended, "" while it has not and where it simply came to its end.
    """

    model: str
    state: Literal["waiting", "streaming", "tools", "done", "stopped", "failed"]
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int
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
    """A list of blocks that remembers what was done to it: :meth:`taken` gives the operations since it was last asked.

    Text grows in place, however many pieces it comes in.
    """

    def __init__(self) -> None:
        self._blocks: list[dict[str, Any]] = []
        self._texts: list[StringIO] = []
        self._ops: list[Op] = []

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The fields of a block; of its growing text only the first piece."""
        return self._blocks[index]

    def add(self, **block: object) -> int:
        """Add a block; its index."""
        block = {name: mended(value) if isinstance(value, str) else value for name, value in block.items()}
        text = StringIO()
        text.write(str(block.get(growing(block), "")))
        self._blocks.append(block)
        self._texts.append(text)
        self._ops.append(["block", len(self._blocks) - 1, dict(block)])
        return len(self._blocks) - 1

    def append(self, index: int, delta: str) -> None:
        """Let the text of a block, a call's arguments, go on with `delta`."""
        if delta:
            delta = mended(delta)
            self._texts[index].write(delta)
            self._ops.append(["append", index, growing(self._blocks[index]), delta])

    def set(self, index: int, **fields: object) -> None:
        """Replace fields of a block, other than the text that grows."""
        changed = {name: value for name, value in fields.items() if self._blocks[index][name] != value}
        if changed:
            self._blocks[index].update(changed)
            self._ops.append(["set", index, changed])

    def replace(self, index: int, text: str) -> None:
        """Replace the text of a block that grows."""
        text = mended(text)
        if text != self.text(index):
            self._texts[index] = StringIO(text)
            self._texts[index].seek(0, SEEK_END)
            self._ops.append(["set", index, {growing(self._blocks[index]): text}])

    def text(self, index: int) -> str:
        """The text of a block so far."""
        return self._texts[index].getvalue()

    def taken(self) -> list[Op]:
        """What was done since the last time."""
        ops, self._ops = self._ops, []
        return ops

    def state(self) -> list[Block]:
        """The blocks as they are now, each a copy."""
        return [self.block(index) for index in range(len(self._blocks))]

    def block(self, index: int) -> Block:
        """One of them."""
        block = self._blocks[index]
        return {**block, growing(block): self.text(index)}  # type: ignore[return-value]


def growing(block: dict[str, Any]) -> str:
    """The name of the field of `block` that grows."""
    return "arguments" if block["kind"] == "tool" else "text"


def merged(ops: Iterable[Op]) -> list[Op]:
    """`ops` in fewer: appends to the same text joined, values that are replaced again left out, the status last.

    A view that applies these has the same state in the end. `ops` stay as they are.
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
