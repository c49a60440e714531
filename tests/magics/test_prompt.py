r"""What a cell's text turns into: ``{{ expression }}`` and nothing else is replaced, once."""

from __future__ import annotations

import base64
import inspect
import io
import json
import subprocess
import sys
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.display import Image as ShownImage
from PIL import Image as Pillow

from mojentic_nb.magics.prompt import BUDGET, PromptError, compose

mpl.use("agg")


class Tricky:
    """A value whose text looks like an expression, and whose attributes say more than they should."""

    hidden = "no business of a model's"

    def __str__(self) -> str:
        return "{{ n }} \\{{ n }} {n} $n"


NAMES = {"n": 3, "text": "{{ n }}", "a": "alpha", "rows": [{"x": 1}, {"x": 2}], "tricky": Tricky()}

UNTOUCHED = {
    "plain": "Why is the sky blue?",
    "JSON": '{"a": {"b": [{}, {"c": {}}]}}',
    "minified JSON that ends in braces": '{"a":{"b":{"c":1}}}',
    "LaTeX": r"\frac{n}{2} and \sqrt{\frac{a}{n}} and $\binom{n}{k}$",
    "LaTeX with two braces": r"{{n}\choose{k}} and \mathbf{{A}_{n}}",
    "an f-string": 'f"{n} and {a!r:>{n}}"',
    "str.format": '"{0} {n} {}".format(n)',
    "a set and a dict": "{n} {'n': n} { n }",
    "JSX": "<p style={{color: 'red'}}>{n}</p>",
    "a conversion, as in an f-string": "{{n!r}} {{n:>3}}",
    "shell and templates": "${n} $n %(n)s {% if n %} {# n #} <%= n %>",
    "braces that nothing closes": "{{ n",
    "braces that nothing opens": "n }}",
    "no expression": "{{}}",
    "two single braces": "{ {n} }",
    "text": "{{Deep Learning for Everyone}}",
}

REPLACED = {
    "a name": ("{{ n }}", "3"),
    "without spaces": ("{{n}}", "3"),
    "several": ("{{ n }}{{ a }} {{n}}", "3alpha 3"),
    "in JSON": ('{"n": {{ n }}, "d": {}}', '{"n": 3, "d": {}}'),
    "in LaTeX": (r"\frac{ {{n}} }{2}", r"\frac{ 3 }{2}"),
    "a call": ("{{ a.upper() }}", "ALPHA"),
    "a dict in the expression": ('{{ {"a": {"b": n}}["a"]["b"] }}', "3"),
    "a dict at its end": ("{{ {'a': {'b': n}}}}", "{'a': {'b': 3}}"),
    "a string with braces in the expression": ("{{ '}}' + a }}", "}}alpha"),
    "a comprehension": ("{{ sum(row['x'] for row in rows) }}", "3"),
    "a lambda": ("{{ (lambda x: x + n)(1) }}", "4"),
    "several lines": ("{{ (n +\n  1) }}", "4"),
    "three braces": ("{{{n}}}", "{3}"),
    "a value with an expression in it": ("{{ text }}", "{{ n }}"),
    "a value with all kinds of braces": ("{{ tricky }}", "{{ n }} \\{{ n }} {n} $n"),
    "no format string": ("{tricky.hidden} {{ '{0.hidden}' }}", "{tricky.hidden} {0.hidden}"),
    "escaped": (r"\{{ n }} {{ n }}", "{{ n }} 3"),
    "escaped twice": (r"\\{{ n }}", r"\{{ n }}"),
    "None": ("{{ None }}", "None"),
}


@pytest.mark.parametrize("text", UNTOUCHED.values(), ids=UNTOUCHED)
def test_braces_that_are_no_expression_pass_as_they_are(text: str):
    assert compose(text, NAMES).content == text


@pytest.mark.parametrize(("text", "content"), REPLACED.values(), ids=REPLACED)
def test_expressions_are_replaced_by_their_values_once(text: str, content: str):
    assert compose(text, NAMES).content == content


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{{ n }} {{ nobody }}",
            r"'nobody' isn't defined, in {{ nobody }}. Define it first. Write \{{ for two plain braces.",
        ),
        ("{{ n.nothing }}", "{{ n.nothing }} failed: AttributeError: 'int' object has no attribute 'nothing'"),
        ("{{ n / 0 }}", "{{ n / 0 }} failed: ZeroDivisionError: division by zero"),
        ("{{ n + }}", r"{{ n + }} isn't a Python expression. Write \{{ for two plain braces."),
        ("{{ n = 4 }}", r"{{ n = 4 }} isn't a Python expression. Write \{{ for two plain braces."),
        ("{{ }}", r"{{ }} isn't a Python expression. Write \{{ for two plain braces."),
        ("{{ (n +\n  nobody) }}", "'nobody' isn't defined, in {{ (n + nobody) }}. Define it first."),
    ],
)
def test_an_expression_without_a_value_is_named_in_one_line(text: str, message: str):
    with pytest.raises(PromptError) as failure:
        compose(text, NAMES)

    assert str(failure.value).startswith(message)
    assert "\n" not in str(failure.value)


@given(st.text(), st.text(alphabet="{}\\ n\n'\"[]()"))
def test_a_value_comes_out_as_it_is_whatever_is_around_it(value: str, around: str):
    quoted = around.replace("\\", "").replace("{{", "").replace("}}", "").rstrip("{")

    assert compose(f"{quoted} {{{{ value }}}} {quoted}", {"value": value}).content == f"{quoted} {value} {quoted}"


def test_many_braces_take_no_time():
    text = "{{" + "a }}" * 20_000

    assert compose("x {" + text, NAMES).content == "x {" + text
    assert compose(json.dumps({"a": {}}) * 20_000, {}).content == json.dumps({"a": {}}) * 20_000


def test_the_namespace_is_not_changed():
    names = dict(NAMES)

    compose("{{ (n := 5) }} {{ n }}", names)

    assert names == NAMES


FRAME = pd.DataFrame({"city": ["Paris", "Rome"], "rain": [0.5, 0.25]})


def test_a_table_is_told_by_its_columns_and_rows():
    told = compose("{{ frame }}", {"frame": FRAME}).content

    assert told == (
        "DataFrame with 2 rows and 2 columns: city (str), rain (float64)\nall rows:\ncity,rain\nParis,0.5\nRome,0.25"
    ).replace("str", str(FRAME.dtypes["city"]))


def test_an_index_that_says_something_is_told():
    assert "city,rain\nParis,0.5" in compose("{{ frame }}", {"frame": FRAME.set_index("city")}).content


def test_a_column_is_told_like_a_table():
    assert compose("{{ s }}", {"s": FRAME["rain"]}).content == (
        "Series with 2 rows and 1 columns: rain (float64)\nall rows:\nrain\n0.5\n0.25"
    )


def test_tables_of_polars_too():
    told = compose("{{ frame }}", {"frame": pl.DataFrame({"city": ["Paris"]})}).content

    assert told == "DataFrame with 1 rows and 1 columns: city (String)\nall rows:\ncity\nParis"


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"n": range(100_000)}),
        pd.DataFrame({f"column {n}": ["x" * 200] * 50 for n in range(50)}),
        pd.DataFrame({"text": ["x" * 100_000]}),
        pd.DataFrame({"n": []}),
    ],
)
def test_a_table_stays_within_its_budget(frame: pd.DataFrame):
    told = compose("{{ frame }}", {"frame": frame}).content

    assert len(told) < 1.5 * BUDGET
    assert f"with {len(frame)} rows" in told


def test_what_has_still_to_be_awaited_is_told_and_closed():
    async def later() -> None:
        """Nothing."""

    coroutine = later()

    with pytest.raises(PromptError, match=r"^\{\{ value \}\} is a coroutine. Await it in its own cell first, then"):
        compose("{{ value }}", {"value": coroutine})

    assert inspect.getcoroutinestate(coroutine) == "CORO_CLOSED"  # else Python warns


def test_columns_of_one_name_are_all_told():
    told = compose("{{ frame }}", {"frame": pd.DataFrame([[1, 0.5]], columns=["a", "a"])}).content

    assert "2 columns: a (int64), a (float64)" in told


class Lazy:
    """A table whose size is not known."""

    shape = (None, 2)
    head = to_csv = None

    def __str__(self) -> str:
        return "some rows"


class Cube:
    """What has a head and a shape and is no table."""

    shape = (2, 2, 2)
    head = None

    def __str__(self) -> str:
        return "a cube"


@pytest.mark.parametrize("value", [Lazy(), Cube(), SimpleNamespace(shape=2, head=1, to_csv=1)])
def test_what_is_only_like_a_table_is_text(value: object):
    assert compose("{{ value }}", {"value": value}).content == str(value)


def test_the_first_rows_stand_for_a_long_table():
    assert "the first 40:\nn\n0\n1\n" in compose("{{ frame }}", {"frame": pd.DataFrame({"n": range(1000)})}).content
    wide = pd.DataFrame({"text": ["x" * 600] * 50})
    assert "\nthe first 5:\n" in compose("{{ frame }}", {"frame": wide}).content


def figure():
    from matplotlib.figure import Figure

    drawn = Figure()
    drawn.subplots().plot([1, 2])
    return drawn


def png() -> bytes:
    buffer = io.BytesIO()
    Pillow.new("RGB", (2, 2), "red").save(buffer, "PNG")
    return buffer.getvalue()


def plotted() -> dict[str, object]:
    """What plotting functions return."""
    from matplotlib.figure import Figure

    drawn = Figure()
    grid = drawn.subplots(2, 2)
    ax = grid[0, 0]
    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    return {
        "axes": ax,
        "an array of axes": grid,
        "a figure and its axes": (drawn, ax),
        "a dictionary of axes": drawn.subplot_mosaic("AB"),
        "axes in a figure within": drawn.subfigures(1, 2)[0].subplots(),
        "bars": ax.bar([1], [2]),
        "lines": ax.plot([1, 2]),
        "pandas' plot": frame.plot(ax=grid[0, 1]),
        "pandas' boxes": frame.boxplot(ax=grid[1, 0], return_type="dict"),
        "seaborn's grid": SimpleNamespace(figure=drawn, axes=grid),
        "scikit-learn's display": SimpleNamespace(figure_=drawn, ax_=ax),
        "plotly's": SimpleNamespace(to_plotly_json=dict, to_image=lambda **_: png()),
    }


PICTURES = {
    "a figure": figure(),
    **plotted(),
    "PIL's": Pillow.new("RGB", (2, 2), "red"),
    "an array in colours": np.zeros((4, 5, 3), dtype="uint8"),
    "an array with transparency": np.zeros((4, 5, 4), dtype="uint8"),
    "IPython's": ShownImage(data=png()),
    "what shows itself as one": SimpleNamespace(_repr_png_=lambda: (png(), {"width": 2})),
    "in base64": SimpleNamespace(_repr_png_=lambda: base64.b64encode(png()).decode()),
}


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_a_picture_is_attached(picture: object):
    message = compose("What is {{ picture }}?", {"picture": picture})

    (url,) = message.image_paths
    assert message.content == "What is [image 1]?"
    head, _, data = url.partition(",")
    assert head == "data:image/png;base64"
    Pillow.open(io.BytesIO(base64.b64decode(data))).load()


def test_a_jpeg_keeps_its_kind():
    buffer = io.BytesIO()
    Pillow.new("RGB", (2, 2)).save(buffer, "JPEG")

    message = compose("{{ p }}", {"p": SimpleNamespace(_repr_png_=buffer.getvalue)})

    assert message.image_paths[0].startswith("data:image/jpeg;base64,")


def test_pictures_are_numbered_after_those_that_were_given():
    message = compose("{{ p }} and {{ p }}", {"p": PICTURES["PIL's"]}, ["sky.png"])

    assert message.content == "[image 2] and [image 3]"
    assert message.image_paths[0] == "sky.png"
    assert len(message.image_paths) == 3


@pytest.mark.parametrize("value", [np.zeros((4, 4)), np.zeros((4, 4), dtype="uint8"), np.zeros((1, 2, 3))])
def test_an_array_of_numbers_is_text(value: np.ndarray):
    message = compose("{{ v }}", {"v": value})

    assert message.content == str(value)
    assert message.image_paths is None


@pytest.mark.parametrize("value", [pd.DataFrame({"figure": [1]}), [], {}, [1, 2], [figure(), figure()], (1, figure())])
def test_what_is_not_drawn_in_one_figure_is_text(value: object):
    assert compose("{{ v }}", {"v": value}).image_paths is None


def test_a_figure_that_cannot_become_a_picture_says_why():
    """A plotly figure without kaleido; its text would be the whole of its data."""

    def to_image(**_: str) -> bytes:
        raise ValueError("Image export requires the kaleido package.")

    with pytest.raises(PromptError, match="^{{ f }} can't be shown to the model: ValueError: Image export requires"):
        compose("{{ f }}", {"f": SimpleNamespace(to_plotly_json=dict, to_image=to_image)})


def test_what_can_show_itself_as_a_picture_but_does_not_is_text():
    class Plot:
        def _repr_png_(self) -> None:
            return None

        def __str__(self) -> str:
            return "no plot yet"

    assert compose("{{ plot }}", {"plot": Plot()}).content == "no plot yet"


def test_none_of_the_libraries_is_loaded_for_it():

    names = "('pandas', 'polars', 'PIL', 'numpy', 'matplotlib.figure')"
    code = f"import sys, mojentic_nb.magics.prompt; sys.exit(any(name in sys.modules for name in {names}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
