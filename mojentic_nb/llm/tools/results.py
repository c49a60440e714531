"""The result of a tool call: what the model reads, and what a person sees."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Never

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

from mojentic_nb.llm.events import Event, ToolOutcome, ToolResult
from mojentic_nb.llm.messages import LLMToolCall
from mojentic_nb.llm.pictures import data_uri, draw_picture, image_kind
from mojentic_nb.llm.text import join_surrogates

from .running import Printed

__all__ = ["ToolOutput", "described", "done", "drain", "drained", "failed", "with_printed"]

MOST_PICTURES = 20  # of a result
DEEPEST = 3  # levels of lists and dictionaries in which pictures are looked for
LARGEST = 3_700_000  # bytes: Anthropic takes images of up to 5 MB in base64
ANYTHING = TypeAdapter[Any](Any)


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """What a tool returns that has one thing for the model and another for the person who watches.

    `output` goes to the model, text as it is and all else as JSON; `display` is shown.
    """

    output: object
    display: object


def done(call: LLMToolCall, value: object) -> ToolResult:
    """The result of a call whose tool returned `value`; raises what JSON has no way to say."""
    parts = value if isinstance(value, ToolOutput) else ToolOutput(value, value)
    images: list[str] = []
    output = without_pictures(parts.output, images)
    return ToolResult(call, join_surrogates(as_text(output)), display=parts.display, images=tuple(images))


def without_pictures(value: object, images: list[str], depth: int = DEEPEST) -> object:
    """Return `value` with a name in place of each picture, which is put into `images`."""
    if (picture := drawn(value)) is not None:
        if len(picture) > LARGEST or len(images) == MOST_PICTURES:
            return f"[an image of {len(picture):,} bytes, which was left out]"
        images.append(data_uri(picture))
        return f"[image {len(images)}]"
    match value:
        case list() | tuple() if depth and len(value) <= MOST_PICTURES:
            items = [without_pictures(item, images, depth - 1) for item in value]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        case dict() if depth and len(value) <= MOST_PICTURES:
            named = {key: without_pictures(item, images, depth - 1) for key, item in value.items()}
            return named if any(named[key] is not value[key] for key in value) else value
    return value


def drawn(value: object) -> bytes | None:
    """Return the file of the picture that `value` is; None if it is none, or can't be drawn."""
    try:
        picture = draw_picture(value)
    except Exception:  # noqa: BLE001 (of code that is not ours; the value has a text as well)
        return None
    return picture if picture and image_kind(picture) else None


def failed(call: LLMToolCall, error: BaseException, outcome: ToolOutcome = "failed") -> ToolResult:
    """The result of a call that ended with `error`."""
    said = described(error) if outcome == "failed" else str(error)
    return ToolResult(call, join_surrogates(said), is_error=True, display=error, outcome=outcome)


def with_printed(result: ToolResult, printed: Printed) -> ToolResult:
    """Return the result with what the tool printed and displayed, for the model and for a person."""
    printed.display_figures(result.display)
    if text := printed.text:
        result = replace(result, output=f"{result.output}\n\n[printed]\n{join_surrogates(text)}")
    if displayed := tuple(printed.displayed):
        images = [*result.images, *(each.image for each in displayed if each.image)]
        result = replace(result, images=tuple(images[:MOST_PICTURES]), displayed=displayed)
    return result


def described(error: BaseException) -> str:
    """An error in words: its type, what it says, and what is in it if it is a group."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 (of the error's own code)
        said = "(it has no readable message)"
    if isinstance(error, BaseExceptionGroup):
        said = f"{error.message}: {'; '.join(map(described, error.exceptions))}"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def drained(steps: Generator[object, Never, object]) -> Generator[object, None, object]:
    """Yield what a generator yields; return what it returns, else the last value that it yielded.

    An event of a run that the tool made is no value.
    """
    last = None
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return last if end.value is None else end.value
            if not isinstance(step, Event):
                last = step
            yield step


def drain(steps: Generator[object, Never, object]) -> object:
    """Run a generator to its end; return its result."""
    running = drained(steps)
    while True:
        try:
            next(running)
        except StopIteration as end:
            return end.value


def as_text(value: object) -> str:
    """A tool's value for the model."""
    if isinstance(value, str):
        return value
    try:
        jsonable = in_json(value)
    except UnicodeEncodeError:  # half a character in a key; those in values are replaced
        jsonable = in_json(with_whole_keys(ANYTHING.dump_python(value, fallback=plain)))
    return jsonable if isinstance(jsonable, str) else json.dumps(jsonable, ensure_ascii=False)


def in_json(value: object) -> object:
    """A value as the types that JSON has."""
    return to_jsonable_python(value, fallback=plain, bytes_mode="base64")


def with_whole_keys(value: object) -> object:
    """Return the value without lone surrogates in the keys of its dictionaries."""
    match value:
        case dict():
            return {
                join_surrogates(key) if isinstance(key, str) else key: with_whole_keys(item)
                for key, item in value.items()
            }
        case list() | tuple():
            return [with_whole_keys(item) for item in value]
    return value


def plain(value: object) -> object:
    """An object of a type that is unknown here as what JSON has: NumPy's and pandas' say it of themselves."""
    listed = getattr(value, "tolist", None)
    return listed() if callable(listed) else str(value)
