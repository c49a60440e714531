"""Attacks on whoever reads a saved answer, in a real browser."""

from __future__ import annotations

import nbformat
import pytest
from display.attacks import ATTACKS, COPY, exported, said_everywhere
from display.views import transcript_of
from livelab import LiveLab
from nbformat.v4 import new_code_cell, new_notebook, new_output
from playwright.sync_api import Locator, Page, Route, expect

from mojentic_nb.display.render.html import as_html
from mojentic_nb.llm import TextDelta

# As an output in JupyterLab, the answer has elements before and after it.
PAGE = """<!doctype html><html><head><title>Notebook</title><meta charset="utf-8">
<script>window.hits = 0; window.pwned = () => { window.hits += 1 }</script></head>
<body style="margin: 0; font: 14px sans-serif">
<main id="main"><button id="before" style="position: relative; width: 300px; height: 40px">Before</button>
<div id="output" style="width: 700px">%s</div><p id="after">After</p></main></body></html>"""

INSPECT = """() => {
    const find = id => Document.prototype.getElementById.call(document, id);
    const output = find('output');
    const wrong = [];
    const say = (...words) => wrong.push(words.join(' '));
    if (window.hits) say('a script ran');
    if (document.title !== 'Notebook') say('the title is', document.title);
    if (document.head.children.length !== 3) say('the head is', document.head.innerHTML);
    const outside = [...document.querySelectorAll('body, body *')].filter(node => !output?.contains(node));
    const names = outside.map(node => node.id || node.tagName).join(' ');
    if (names !== 'BODY main before after') say('outside there are', names);
    if (output?.children.length !== 1) say('the output has', output?.children.length, 'elements');
    const box = find('before').getBoundingClientRect();
    if (document.elementFromPoint(box.x + 150, box.y + 20)?.id !== 'before') say('the page is covered');
    if (box.width !== 300 || box.height !== 40 || box.x + box.y !== 0) say('the page has moved');
    if (!find('after')?.checkVisibility({visibilityProperty: true})) say('the page is hidden');
    for (const name of ['jupyterapp', 'pwned']) if (window[name] instanceof Node) say(name, 'is shadowed');
    if (document.getElementById instanceof Node) say('getElementById is shadowed');
    const allowed = new Set(('A B BLOCKQUOTE BR CODE DETAILS DIV EM H1 H2 H3 H4 H5 H6 HR IMG LI OL P PRE S SMALL SPAN '
        + 'STRONG SUMMARY TABLE TBODY TD TH THEAD TR U UL').split(' '));
    const attributes = new Set(['style', 'dir', 'href', 'rel', 'title', 'open', 'src', 'alt', 'start', 'target']);
    for (const node of output?.querySelectorAll('*') ?? []) {
        if (!allowed.has(node.tagName)) say('there is a', node.tagName);
        for (const {name} of node.attributes) if (!attributes.has(name)) say('there is the attribute', name);
        if (/fixed|absolute|sticky/.test(node.style.position)) say(node.tagName, 'is', node.style.position);
        if (/(url|image-set|[^a-z]expression) *[(]/i.test(node.getAttribute('style') ?? '')) say('a style loads');
        if (node.tagName === 'A' && node.href && !/^(https?|mailto):/.test(node.href)) say('a link to', node.href);
        if (node.tagName === 'IMG' && !node.src.startsWith('data:image/')) say('an image from', node.src);
    }
    if (!output?.innerText.includes('The end is here.')) say('text is lost');
    return [...new Set(wrong)].slice(0, 20);
}"""


@pytest.fixture
def requests(page: Page) -> list[str]:
    """What the page asks the network for; it gets nothing."""
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route("**/*", refuse)
    return asked


def findings(page: Page, output: str) -> list[str]:
    """What is wrong in a page with that output, all of which is opened, hovered and focused."""
    page.set_content(PAGE % output, wait_until="load")
    page.evaluate(
        """() => {
            for (const node of [...document.querySelectorAll('#output *')].slice(0, 2000)) {
                if (node.tagName === 'DETAILS') node.open = true;
                for (const kind of ['mouseover', 'focus', 'toggle', 'load']) node.dispatchEvent(new Event(kind));
            }
        }"""
    )
    page.evaluate("() => new Promise(done => setTimeout(done, 0))")
    return page.evaluate(INSPECT)


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_stays_text(page: Page, requests: list[str], name: str):
    """It runs nothing, loads nothing, and changes nothing outside the answer."""
    text = ATTACKS[name]

    found = findings(page, as_html(transcript_of(said_everywhere(text), text[:5_000])))

    assert found == []
    assert requests == []


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("script", "a script ran"),
        ("img-onerror", "a script ran"),
        ("focus-tabindex", "a script ran"),
        ("style-overlay", "the page is covered"),
        ("style-hide", "the page is hidden"),
        ("id-clobber", "jupyterapp is shadowed"),
        ("heading-close", "outside there are BODY main before P after"),
        ("textarea", "the page is hidden"),
        ("form", "there is a FORM"),
        ("style-attribute-url", "a style loads"),
    ],
)
def test_an_attack_that_succeeds_is_noticed(page: Page, requests: list[str], name: str, finding: str):
    found = findings(page, f"<div>{ATTACKS[name]}<p>The end is here.</p></div>")

    assert any(finding in one for one in found), found


def test_a_request_is_noticed(page: Page, requests: list[str]):
    findings(page, ATTACKS["img-load"])

    assert requests == ["https://leak.invalid/pixel.png"]


def test_the_front_end_is_tested_with_the_same():
    assert COPY.read_text() == exported(), "Renew it: python tests/display/attacks.py"


# Formulas that would write over the card below them: by commands, by lengths, and one that is all right but is moved
# by hand afterwards, as a command would that nobody thought of.
OVER = [
    r"$\rlap{\smash{\lower 4em{\colorbox{white}{/tmp/cache/old.log}}}}$",
    r"$\rule[-30em]{60em}{30em}$",
    r"$x\\[-30em]\colorbox{white}{y}$",
    "$$\n\\begin{matrix}a\\\\[-40em]b\\end{matrix}\n$$",
    r"$\colorbox{white}{\text{moved}}$",
]
COVERED = """card => {
    for (const moved of document.querySelectorAll('mjx-container')) moved.style.transform = 'translateY(60px) scale(9)';
    const { left, top, width, height } = card.getBoundingClientRect();
    const found = [];
    for (let x = 2; x < width - 2; x += width / 40) for (let y = 2; y < height - 2; y += 3) {
        const seen = document.elementFromPoint(left + x, top + y);
        if (seen?.closest('mjx-container')) found.push(seen.outerHTML.slice(0, 80));
    }
    return [...new Set(found)];
}"""


def covering(card: Locator) -> list[str]:
    """What of formulas lies over the card, after each in the page was moved down and made nine times as large."""
    card.scroll_into_view_if_needed()
    return card.evaluate(COVERED)


def test_no_formula_covers_the_card_that_is_to_be_approved(live: LiveLab):
    """Typeset by JupyterLab, live and then saved: what the card shows of the call is what the reader sees."""
    text = "Deleting a cache.\n\n" + "\n\n".join(OVER)
    index = live.cell_running(
        "view = LiveView()\n"
        f"broker = asking([*text({text!r}, 999), *call('delete', path='/home/me/thesis'), CALLS],\n"
        "                 [*text('Well.'), END])\n"
        "await view.ashow(broker.astream(QUESTION, [PacedTool('delete', 'gone')], approve=view.approve))"
    )
    card = live.view(index).locator(".mnb-card")
    expect(card).to_have_attribute("data-state", "approval")
    expect(live.view(index).locator("mjx-container")).to_have_count(1)

    assert covering(card) == []
    card.get_by_role("button", name="Deny").click()
    live.wait_until_done(index)
    saved = live.output(index)
    expect(saved.locator("mjx-container")).to_have_count(1)
    assert covering(saved.locator("details").first) == []


def test_formulas_without_number_or_depth_hold_nothing_up(page: Page, served: str, home):
    """A notebook with them opens: of each answer some are typeset, and the rest is code."""
    deep = "$" + r"\frac{1}{" * 39 + "x" + "}" * 39 + "$"
    answers = ["$x_{1}$ " * 2_000, f"{deep}\n\n" * 200, "$" + r"\frac{1}{" * 150 + "x" + "}" * 150 + "$ $y$"]
    shown = [as_html(transcript_of([TextDelta(answer)])) for answer in answers]
    outputs = [new_output("display_data", {"text/html": html, "text/plain": ""}) for html in shown]
    notebook = new_notebook(cells=[new_code_cell("%%llm", execution_count=1, outputs=outputs)])
    nbformat.write(notebook, home / "notebooks" / "formulas.ipynb")

    page.goto(f"{served}/doc/tree/formulas.ipynb?reset")

    outputs = page.locator(".jp-OutputArea-output")
    expect(outputs.nth(2).locator("mjx-container")).to_have_count(1, timeout=60_000)
    expect(outputs.nth(0).locator("mjx-container")).to_have_count(300)
    expect(outputs.nth(1).locator("mjx-container")).to_have_count(15_000 // len(deep))
