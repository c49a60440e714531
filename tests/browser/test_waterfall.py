"""A waterfall in a notebook that nobody trusts: what JupyterLab's sanitizer leaves of it."""

from __future__ import annotations

import nbformat
import pytest
from playwright.sync_api import Page

from mojentic_nb.tracer import LLMResponseTracerEvent, ToolCallTracerEvent, Waterfall

HOSTILE = "<img src=x onerror='window.hacked = true'>"
EVENTS = [
    LLMResponseTracerEvent(1.0, model="a-model", duration=1, time_to_first_token=0.5, finish_reason="tool_calls"),
    ToolCallTracerEvent(2.0, tool_name="slow", arguments={}, result="", duration=1),
    ToolCallTracerEvent(
        1.5, tool_name=HOSTILE, arguments={}, result=HOSTILE, is_error=True, outcome="failed", duration=0.5
    ),
    LLMResponseTracerEvent(4.0, model="a-model", duration=2, time_to_first_token=1.5, finish_reason="stop"),
]
SAVE = """
content => window.jupyterapp.serviceManager.contents.save(
    'foreign.ipynb', {type: 'notebook', format: 'json', content})
"""
BARS = """
() => [...document.querySelectorAll('.jp-OutputArea-output tbody tr')].map(row => {
    const bar = row.querySelector('td > div > div:last-child')
    if (!bar) return null
    const whole = bar.parentElement.getBoundingClientRect(), part = bar.getBoundingClientRect()
    const name = row.querySelector('th').getBoundingClientRect()
    return [(part.left - whole.left) / whole.width, part.width / whole.width, name.right <= whole.left + 1,
            getComputedStyle(bar.lastElementChild).backgroundColor]
}).filter(Boolean)
"""
BLUE, GREEN, RED = "rgb(59, 130, 196)", "rgb(47, 158, 110)", "rgb(214, 69, 69)"


@pytest.fixture
def untrusted(served: str, page: Page) -> Page:
    """A notebook from elsewhere, with a waterfall among its saved outputs, as JupyterLab shows it."""
    output = nbformat.v4.new_output("display_data", {"text/html": Waterfall(EVENTS)._repr_html_()})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("tracer", outputs=[output])])
    page.goto(f"{served}/lab?reset")
    page.wait_for_function("window.jupyterapp !== undefined")
    page.evaluate(SAVE, notebook)
    page.goto(f"{served}/doc/tree/foreign.ipynb?reset")
    page.wait_for_selector(".jp-OutputArea-output table", timeout=60_000)
    return page


def test_the_bars_are_there_and_nothing_runs(untrusted: Page):
    bars = untrusted.evaluate(BARS)

    assert [(pytest.approx(left, abs=0.01), pytest.approx(width, abs=0.01)) for left, width, *_ in bars] == [
        (0, 0.25),
        (0.25, 0.25),
        (0.25, 0.125),
        (0.5, 0.5),
    ]
    assert [(apart, colour) for *_, apart, colour in bars] == [(True, BLUE), (True, GREEN), (True, RED), (True, BLUE)]
    assert untrusted.locator(".jp-OutputArea-output").get_by_text(HOSTILE).count() == 1
    assert untrusted.evaluate("window.hacked") is None
