"""What a person sees of a tool's result."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from dataclasses import dataclass

import matplotlib as mpl
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import HTML, SVG, Markdown
from matplotlib.figure import Figure
from PIL import Image
from pydantic import BaseModel

from mojentic_nb.display import LiveView
from mojentic_nb.display.render.results import LARGEST, describe_failure, is_same_as_output, parts_of_result
from mojentic_nb.display.render.values import LONGEST, one_line, summarize_arguments, to_indented_json
from mojentic_nb.llm import LLMBroker, LLMMessage, LLMToolCall, StepFinish, ToolCallEnd, ToolResult
from mojentic_nb.llm.cancellation import Cancellation
from mojentic_nb.llm.gateways import ScriptedGateway
from mojentic_nb.llm.tools import ToolBatch, ToolRunner
from mojentic_nb.llm.tools.results import done, failed

CALL = LLMToolCall(id="1", name="tool", arguments={})
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def seen(value: object) -> list[dict]:
    """What a person sees of a tool's return value."""
    return parts_of_result(ToolResult(CALL, "told", display=value))


class City(BaseModel):
    name: str


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("sunny", {"type": "text", "text": "sunny"}),
        ("", {"type": "text", "text": ""}),
        ({"a": [1, "é"]}, {"type": "json", "text": '{\n  "a": [\n    1,\n    "é"\n  ]\n}'}),
        (21.5, {"type": "json", "text": "21.5"}),
        (City(name="Paris"), {"type": "json", "text": '{\n  "name": "Paris"\n}'}),
        (Point(3), {"type": "json", "text": '{\n  "x": 3\n}'}),
        (City, {"type": "json", "text": json.dumps(str(City))}),
        (b"abc", {"type": "text", "text": "3 bytes"}),
        (b"RIFF\x24\0\0\0WAVEfmt ", {"type": "text", "text": "16 bytes"}),
        (b"RIFF\0\0\0\0WEBP", {"type": "image", "src": "data:image/webp;base64,UklGRgAAAABXRUJQ", "alt": "image"}),
        (Markdown("*x*"), {"type": "markdown", "text": "*x*"}),
        (HTML("<b>x</b>"), {"type": "html", "html": "<b>x</b>"}),
        (PNG, {"type": "image", "src": f"data:image/png;base64,{base64.b64encode(PNG).decode()}", "alt": "image"}),
    ],
)
def test_a_result_is_shown_by_its_type(value: object, part: dict):
    assert seen(value) == [part]


def test_what_a_runner_kept_no_value_of_is_shown_as_the_model_was_told():
    assert parts_of_result(ToolResult(CALL, '{"a": 1}')) == [{"type": "json", "text": '{\n  "a": 1\n}'}]
    assert parts_of_result(ToolResult(CALL, "12")) == [{"type": "text", "text": "12"}]
    assert parts_of_result(ToolResult(CALL, "[" * 10_000)) == [{"type": "text", "text": "[" * 10_000}]


def test_a_long_result_is_cut_with_a_word_on_it():
    [part] = seen("x" * (LONGEST + 1500))

    assert part["text"] == "x" * LONGEST + "\n… (1,500 more characters)"


def test_a_data_frame_is_a_table_and_a_long_one_has_its_middle_left_out():
    [part] = seen(pd.DataFrame({"city": ["Paris", "<b>Lyon"], "high": [21.5, 23]}))
    assert part["type"] == "table"
    assert re.findall("<td[^>]*>([^<]*)</td>", part["html"]) == ["", "Paris", "21.5", "&lt;b&gt;Lyon", "23.0"]

    [part] = seen(pd.DataFrame({"n": range(100_000)}))
    assert len(re.findall("<tr", part["html"])) < 40
    assert "100000 rows" in part["html"]


def test_a_series_is_a_table():
    [part] = seen(pd.Series([1, 2], name="n"))

    assert part["type"] == "table"
    assert ">n</th>" in part["html"]


def test_a_figure_and_a_picture_are_images():
    figure = Figure()
    figure.subplots().plot([1, 2])

    for value in (figure, Image.new("RGB", (3, 2))):
        [part] = seen(value)
        data = base64.b64decode(part["src"].removeprefix("data:image/png;base64,"))
        assert Image.open(io.BytesIO(data)).format == "PNG"


def test_an_svg_is_an_image_that_runs_nothing():
    [part] = seen(SVG("<svg xmlns='http://www.w3.org/2000/svg' onload='pwned()'></svg>"))

    assert part["type"] == "image"
    assert part["src"].startswith("data:image/svg+xml;base64,")


class Rich:
    """Has the representations that it is given; those that are exceptions are raised."""

    def __init__(self, **representations: object) -> None:
        self.representations = representations

    def __getattr__(self, name: str):
        try:
            value = self.__dict__["representations"][name.strip("_").removeprefix("repr_")]
        except KeyError:
            raise AttributeError(name) from None

        def represent():
            if isinstance(value, Exception):
                raise value
            return value

        return represent

    def __repr__(self) -> str:
        return "Rich()"


@pytest.mark.parametrize(
    ("representations", "kind"),
    [
        ({"html": "<b>x</b>", "png": PNG}, "html"),
        ({"html": ("<b>x</b>", {"isolated": True})}, "html"),
        ({"html": "<script>draw()</script>", "png": PNG}, "image"),
        ({"html": " ", "markdown": "x"}, "markdown"),
        ({"html": "<p>" + "x" * 400_000, "markdown": "x"}, "markdown"),
        ({"html": "<div>" * 2_000 + "x", "markdown": "x"}, "markdown"),
        ({"html": "<br>" * 2_000 + "<p>x</p></i>" * 2_000}, "html"),
        ({"html": ValueError("no"), "markdown": "x"}, "markdown"),
        ({"html": 3, "markdown": 4, "svg": 5, "png": 6, "jpeg": b"x"}, "json"),
        ({"markdown": " ", "svg": " ", "png": "?", "jpeg": "not base64"}, "json"),
        ({"mimebundle": {"text/plain": "x", "image/png": base64.b64encode(PNG).decode()}}, "image"),
        ({"mimebundle": ({"image/png": PNG}, {"width": 3})}, "image"),
        ({"mimebundle": RuntimeError("no"), "jpeg": b"\xff\xd8\xff"}, "image"),
        ({"png": b"\x89PNG\r\n\x1a\n" + b"x" * LARGEST}, "json"),
        ({"svg": "<svg>" + "x" * LARGEST}, "json"),
        ({"savefig": None}, "json"),
    ],
)
def test_a_rich_representation_is_the_first_that_can_be_shown(representations: dict, kind: str):
    [part] = seen(Rich(**representations))

    assert part["type"] == kind


def test_a_list_of_rich_things_is_shown_one_by_one():
    found = seen([Markdown("x"), PNG, "text", {"a": 1}])

    assert [part["type"] for part in found] == ["markdown", "image", "text", "json"]


class Nasty:
    """Raises whatever is asked of it."""

    def __getattr__(self, name: str):
        raise RuntimeError(name)

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class Unwilling(pd.DataFrame):
    def to_html(self, **_) -> str:
        raise RuntimeError("no")

    def _repr_html_(self) -> str:
        raise RuntimeError("no")


class MuteError(ValueError):
    def __str__(self) -> str:
        raise RuntimeError("no")


def test_whatever_a_value_does_something_is_shown():
    endless: list = []
    endless.append(endless)

    for value in (Nasty(), [Nasty()], endless, Unwilling({"a": [1]}), {"a": Nasty()}, float("nan"), {1: {2: object()}}):
        [part] = seen(value)
        assert part["type"] in ("text", "json")
        assert part["text"]
        assert isinstance(one_line(value), str)
    assert is_same_as_output(ToolResult(CALL, "x", display=endless)) is False


def test_no_library_is_imported_for_it():
    before = set(sys.modules)

    seen(Rich(html="<b>x</b>"))

    assert not {name.split(".")[0] for name in set(sys.modules) - before} & {"pandas", "matplotlib", "PIL", "numpy"}
    assert mpl.get_backend()


@pytest.mark.parametrize(
    ("result", "same"),
    [
        (done(CALL, "sunny"), True),
        (done(CALL, {"a": 1}), True),
        (done(CALL, City(name="Paris")), True),
        (done(CALL, 3), True),
        (ToolResult(CALL, "told"), True),
        (ToolResult(CALL, "told", display="shown"), False),
        (ToolResult(CALL, '{"a": 1}', display={"a": 2}), False),
        (done(CALL, Markdown("x")), False),
        (failed(CALL, ValueError("no")), True),
        (failed(CALL, PermissionError("The call was denied."), "denied"), True),
        (ToolResult(CALL, "Asking for approval failed.", is_error=True, display=ValueError("no")), False),
    ],
)
def test_what_the_model_was_told_is_kept_where_it_differs(result: ToolResult, same: bool):
    assert is_same_as_output(result) is same


def test_an_error_is_told_with_the_steps_of_the_tools_own_code():
    def tool(city: str) -> None:
        raise KeyError(city)

    class Raising:
        descriptor = {"type": "function", "function": {"name": "tool", "parameters": {}}}  # noqa: RUF012

        run = staticmethod(tool)

    call = LLMToolCall(id="1", name="tool", arguments={"city": "Orly"})
    [result] = ToolRunner().run(ToolBatch((call,), (Raising(),), None, Cancellation()))

    told = describe_failure(result.display, result.output)

    assert (told["type"], told["message"]) == ("KeyError", "'Orly'")
    assert told["traceback"].count("File ") == 1
    assert "raise KeyError(city)" in told["traceback"]
    assert parts_of_result(result) is None


def test_a_step_in_a_notebooks_cell_is_told_by_the_cells_number():
    shell = InteractiveShell.instance()
    shell.run_cell("def tool(): raise KeyError('Orly')", store_history=True)
    number = shell.execution_count - 1
    broker = LLMBroker("m", ScriptedGateway([[ToolCallEnd(CALL), StepFinish("tool_calls")], "No."]))
    view = LiveView(view="static")

    view.show(broker.stream([LLMMessage(content="Where?")], [shell.user_ns["tool"]]))

    told = view.transcript.block(0)["error"]["traceback"]
    assert f'File "Cell In[{number}]", line 1, in tool' in told
    assert "ipykernel" not in told
    InteractiveShell.clear_instance()


@pytest.mark.parametrize("error", [PermissionError("The call was denied."), TimeoutError("Too late.")])
def test_an_error_that_no_tool_raised_is_told_by_its_message(error: Exception):
    assert describe_failure(error, "x") == {"type": "", "message": str(error), "traceback": None}


def test_an_error_that_can_not_be_told_is_told():
    with pytest.raises(MuteError) as caught:
        raise MuteError

    told = describe_failure(caught.value, "x")

    assert told["type"] == "MuteError"
    assert "RuntimeError" in told["message"]
    assert describe_failure("no exception", "said")["message"] == "said"


def test_what_failed_and_shows_something_else_shows_it():
    result = ToolResult(CALL, "no", is_error=True, display=Markdown("*try* another"))

    assert parts_of_result(result) == [{"type": "markdown", "text": "*try* another"}]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({}, ""),
        ({"city": "Paris", "days": 3}, 'city="Paris", days=3'),
        ({"a": {"b": [None, True]}}, 'a={"b": [null, true]}'),
        ({"text": "line\nline"}, 'text="line\\nline"'),
        ({"x": "y" * 100}, 'x="' + "y" * 76 + "…"),
    ],
)
def test_arguments_fit_in_a_line(arguments: dict, line: str):
    assert summarize_arguments(arguments) == line


@pytest.mark.parametrize(
    ("value", "line"),
    [("a\n b", "a b"), ({"a": 1}, '{"a": 1}'), ((1, 2), "[1, 2]"), (0.5, "0.5"), ("x" * 300, "x" * 199 + "…")],
)
def test_a_value_fits_in_a_line(value: object, line: str):
    assert one_line(value) == line


def test_json_is_indented_and_keeps_its_letters():
    assert to_indented_json({"é": b"\xff"}) == '{\n  "é": "_w=="\n}'
