"""Tools that return pictures: the model is shown them, in the way of each provider."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest
from driving import BOTH, events_of
from matplotlib.figure import Figure
from toolbox import Tool, calling, results

from mojentic_nb.display.render.results import parts_of_result
from mojentic_nb.llm import LLMMessage, LLMToolCall, MessageRole
from mojentic_nb.llm.gateways.wire import anthropic_messages, chat_completions, ollama_chat, responses
from mojentic_nb.llm.pictures import draw_picture
from mojentic_nb.llm.request import Request
from mojentic_nb.llm.tools import ToolOutput
from mojentic_nb.llm.tools.results import LARGEST, done

CALL = LLMToolCall(id="call_1", name="plot", arguments={})
RED = np.array([[[255, 0, 0], [0, 255, 0]]] * 3, dtype="uint8")  # 2 wide, 3 high


def figure() -> Figure:
    made = Figure(figsize=(1, 1))
    made.subplots().plot([1, 2])
    return made


def png(image: PIL.Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def opened(uri: str) -> PIL.Image.Image:
    """The image in a ``data:`` URI."""
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    return PIL.Image.open(io.BytesIO(base64.b64decode(data)))


class Shown:
    """What shows itself to Jupyter as PNG."""

    def __init__(self, data: object) -> None:
        self._data = data

    def _repr_png_(self) -> object:
        return self._data


PICTURE = png(PIL.Image.fromarray(RED))
PICTURES: dict[str, Callable[[], object]] = {
    "a figure": figure,
    "its axes": lambda: figure().axes[0],
    "an image": lambda: PIL.Image.fromarray(RED),
    "an array": lambda: RED,
    "an array in another order": lambda: np.asfortranarray(RED),
    "an array with alpha": lambda: np.full((3, 2, 4), 200, dtype="uint8"),
    "a file": lambda: PICTURE,
    "what shows itself": lambda: Shown(PICTURE),
    "what shows itself in base64": lambda: Shown((base64.b64encode(PICTURE).decode(), {"width": 2})),
}


def test_what_has_a_figure_too_deep_within_is_no_picture():
    value = SimpleNamespace(savefig=None)
    for _ in range(10):
        value = SimpleNamespace(figure=value)

    assert draw_picture(value) is None


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("made", PICTURES.values(), ids=PICTURES.keys())
def test_the_model_is_shown_a_picture_that_a_tool_returns(how: str, made: Callable[[], object]):
    run = calling(how, [Tool(made, "plot")])
    (result,) = results(events_of(run))

    assert result.output == "[image 1]"
    assert opened(result.images[0]).size[0] > 0
    assert run.messages[-2].image_paths == list(result.images)
    (part,) = parts_of_result(result)
    assert part["type"] == "image"


def test_an_array_keeps_its_pixels():
    image = opened(done(CALL, np.asfortranarray(RED)).images[0])

    assert np.array_equal(np.asarray(image), RED)


def test_pictures_among_other_values_are_named():
    result = done(CALL, {"mean": 1.5, "plots": [RED, "and", RED]})

    assert result.output == '{"mean": 1.5, "plots": ["[image 1]", "and", "[image 2]"]}'
    assert len(result.images) == 2


def test_who_watches_may_see_what_the_model_does_not():
    assert done(CALL, ToolOutput("a plot", RED)).images == ()


class Broken:
    """A figure that can't be drawn."""

    def savefig(self, *_: object, **__: object) -> None:
        raise OSError("no room")

    def __str__(self) -> str:
        return "broken"


@pytest.mark.parametrize(
    ("value", "output"),
    [
        (Broken(), "broken"),
        (np.zeros((2, 2), dtype="uint8"), "[[0, 0], [0, 0]]"),
        (np.zeros((1, 1, 3)), "[[[0.0, 0.0, 0.0]]]"),
        (np.zeros((0, 1, 3), dtype="uint8"), "[]"),
        (b"text", "dGV4dA=="),
        ([1, 2], "[1, 2]"),
        (Shown(None), None),
        (Shown(b"no image"), None),
    ],
)
def test_what_is_no_picture_is_text(value: object, output: str | None):
    result = done(CALL, value)

    assert result.images == ()
    assert output in (None, result.output)


def test_what_is_too_large_is_left_out_with_a_word_on_it():
    assert done(CALL, PICTURE.ljust(LARGEST + 1, b"x")).output == "[an image of 3,700,001 bytes, which was left out]"
    many = done(CALL, [[RED] * 20, RED])
    assert len(many.images) == 20
    assert "which was left out" in many.output


def asked(encode: Callable[[Request], dict[str, Any]]) -> list[dict[str, Any]]:
    """What a provider gets after two calls, of which the first gave an image."""
    calls = [LLMToolCall(id=f"call_{n}", name="plot", arguments={}) for n in (1, 2)]
    messages = (
        LLMMessage(content="Plot."),
        LLMMessage(role=MessageRole.Assistant, tool_calls=calls),
        LLMMessage(
            role=MessageRole.Tool, content="[image 1]", tool_calls=calls[:1], image_paths=["data:image/png;base64,AAAA"]
        ),
        LLMMessage(role=MessageRole.Tool, content="none", tool_calls=calls[1:]),
        LLMMessage(role=MessageRole.Assistant, content="There."),
        LLMMessage(role=MessageRole.Tool, content="", image_paths=["data:image/png;base64,BBBB"]),
    )
    body = encode(Request("a-model", messages))
    return body.get("messages") or body["input"]


def test_anthropic_has_images_in_the_result():
    _, _, user, _, last = asked(anthropic_messages.encode)

    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    assert user["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "call_1",
            "content": [{"type": "text", "text": "[image 1]"}, {"type": "image", "source": source}],
        },
        {"type": "tool_result", "tool_use_id": "call_2", "content": "none"},
    ]
    assert [block["type"] for block in last["content"][0]["content"]] == ["image"]


def test_responses_has_images_in_the_result():
    first, second = [item for item in asked(responses.encode) if item.get("call_id") and "output" in item][:2]

    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"}
    assert first["output"] == [{"type": "input_text", "text": "[image 1]"}, image]
    assert second["output"] == "none"


def test_chat_completions_has_images_in_a_message_after_the_results():
    messages = asked(chat_completions.encode)

    assert [message["role"] for message in messages] == [
        *("user", "assistant", "tool", "tool", "user"),
        *("assistant", "tool", "user"),
    ]
    assert messages[2]["content"] == "[image 1]"
    assert messages[4]["content"] == [
        {"type": "text", "text": "(The images in the results of the tools: 1 of plot.)"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    assert messages[-1]["content"][0]["text"] == "(The images in the results of the tools: 1 of the tool.)"


def test_ollama_has_images_in_a_message_after_the_results():
    messages = asked(ollama_chat.encode)

    assert [message["role"] for message in messages][2:5] == ["tool", "tool", "user"]
    assert [message.get("images") for message in messages][2:5] == [None, None, ["AAAA"]]
