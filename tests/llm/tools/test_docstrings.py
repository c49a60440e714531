"""What is read from docstrings, in each of their styles."""

from __future__ import annotations

import pytest

from mojentic_nb.llm.tools.docstrings import Documentation, read_docstring

GOOGLE = """Find a train.

    The next one.

    Args:
        origin (str): where from
        to: where to,
            in full: the station's name

            and its country
        via (list[str], optional): where through
        silent:
        **others: whatever else

    Returns:
        str: no parameter
    """

NUMPY = """
    Find a train.

    The next one.

    Parameters
    ----------
    origin : str
        where from
    to
        where to,
        in full: the station's name

        and its country
    via, via2 : list of str, optional
        where through
    silent : bool

    Other Parameters
    ----------------
    **others
        whatever else

    Returns
    -------
    str
        no parameter
    """

SPHINX = """Find a train.

    The next one.

    :param str origin: where from
    :param to: where to,
        in full: the station's name

        and its country
    :type to: str
    :keyword list[str] via: where through
    :param silent:
    :param \\**others: whatever else
    :returns: no parameter
    :rtype: str
    """

TRAIN = {
    "origin": "where from",
    "to": "where to, in full: the station's name and its country",
    "via": "where through",
    "others": "whatever else",
}


@pytest.mark.parametrize(
    ("text", "more"),
    [(GOOGLE, {}), (NUMPY, {"via2": "where through"}), (SPHINX.replace("\\", ""), {})],
    ids=["google", "numpy", "sphinx"],
)
def test_the_description_and_the_parameters_are_read(text: str, more: dict):
    assert read_docstring(text) == Documentation("Find a train.\n\nThe next one.", TRAIN | more)


PLAIN = [
    (None, ""),
    ("", ""),
    ("One line.", "One line."),
    ("  \n    Two\n    lines.\n    ", "Two\nlines."),
    ("It says: so.\n\nNote: this, too.", "It says: so.\n\nNote: this, too."),
    ("Parameters\nare told elsewhere.", "Parameters\nare told elsewhere."),
    ("Runs.\n\n:func:`other` does more.", "Runs.\n\n:func:`other` does more."),
    ("Runs.\n\nA list:\n\n    a: b\n", "Runs.\n\nA list:\n\n    a: b"),
    ("Runs.\n\nReturns:\n    int: what it returns", "Runs."),
    ("Runs.\n\nReturns\n-------\nint\n    what it returns", "Runs."),
    ("Runs.\n:raises ValueError: never", "Runs."),
    ("Runs.\n\nExample:\n    run(x)\n\nReturns:\n    nothing", "Runs.\n\nExample:\n    run(x)"),
]


@pytest.mark.parametrize(("text", "description"), PLAIN)
def test_a_docstring_with_no_parameters(text: str | None, description: str):
    assert read_docstring(text) == Documentation(description, {})


def test_a_section_that_is_empty_tells_nothing():
    assert read_docstring("Runs.\n\nArgs:") == Documentation("Runs.", {})
    assert read_docstring("Runs.\n\nParameters\n----------") == Documentation("Runs.", {})


def test_two_styles_in_one_docstring():
    text = "Runs.\n\nArgs:\n    a: one of: x, y\n\n:param b: the second"

    assert read_docstring(text) == Documentation("Runs.", {"a": "one of: x, y", "b": "the second"})


def test_lines_between_the_parameters_are_passed_over():
    text = "Runs.\n\nArgs:\n    Some are needed.\n\n    a: the first\nThe end."

    assert read_docstring(text) == Documentation("Runs.", {"a": "the first"})


def test_a_section_of_numpys_ends_where_any_other_begins():
    text = "Runs.\n\nParameters\n----------\na\n    the first\n\nWarnings\n--------\nb\n    no parameter"

    assert read_docstring(text).parameters == {"a": "the first"}
