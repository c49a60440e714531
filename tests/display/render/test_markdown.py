"""A model's Markdown as HTML."""

from __future__ import annotations

import html
import re
import sys
import time
from urllib.parse import unquote

import pytest
from display.render.test_html import CALLED, result
from display.runs import PIECES
from display.views import transcript_of
from fuzzing import examples
from hypothesis import given

from mojentic_nb.display.render.html import as_html
from mojentic_nb.display.render.markdown import render_markdown
from mojentic_nb.display.render.sanitize import link_to_image
from mojentic_nb.llm import TextDelta

# Pieces of texts that were made to be slow.
SLOW = ["*http://a* ", "<http://a", "[a](", "[](", "![", "**a*", "_a__", "~~a~", "`a``b", "> a\n", "- a\n"]
SLOW += ["|a|\n|-|\n", "$a", "$$", "$$ ", "\\(", "\\begin{a}\n", "&amp;", "&#", "<!--", "[a]: b\n", "a\n", "://"]
SLOW += ["\u200d", "| a ", "```\n", "a_b_"]


def shown(text: str) -> str:
    """The HTML of `text` without styles and directions."""
    return re.sub(r' (class|dir|rel)="[^"]*"', "", render_markdown(text)).strip()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*a* **b** ~~c~~ `d<`", "<p><em>a</em> <strong>b</strong> <s>c</s> <code>d&lt;</code></p>"),
        ("# One", "<h1>One</h1>"),
        ("3. x", '<ol start="3">\n<li>x</li>\n</ol>'),
        ("- [ ] a\n- [x] *b*\n- [y] c", "<ul>\n<li>☐ a</li>\n<li>☑ <em>b</em></li>\n<li>[y] c</li>\n</ul>"),
        ("- [ ](x) \n- ", "<ul>\n<li>[ ](x)</li>\n<li></li>\n</ul>"),
        ("[a](https://x.y 't')", '<p><a href="https://x.y" title="t">a</a></p>'),
        ("see https://x.y/a_b_c.", '<p>see <a href="https://x.y/a_b_c">https://x.y/a_b_c</a>.</p>'),
        ("www.x.y and a@b.c", "<p>www.x.y and a@b.c</p>"),
        ("[a $b$](https://x.y)", '<p><a href="https://x.y">a <span>$b$</span></a></p>'),
        ("[a](javascript:x)", "<p>[a](javascript:x)</p>"),
        ("[a](/api)", "<p>[a](/api)</p>"),
        ("<b>x</b>", "<p>&lt;b&gt;x&lt;/b&gt;</p>"),
        ("[a]: https://x.y 'z'", "<p>[a]: <a href=\"https://x.y\">https://x.y</a> 'z'</p>"),
        ("![a](https://x.y/z.png)", '<p><a href="https://x.y/z.png">[image at x.y: a]</a></p>'),
        ("![](https://x.y/z.png)", '<p><a href="https://x.y/z.png">[image at x.y]</a></p>'),
        ("![a](z.png)", "<p>![a](z.png)</p>"),
        ("![a](https://[)", "<p>[a]</p>"),
        ("![](mailto:x)", "<p>[image]</p>"),
        ("a\x1b[31mb\u202ec", "<p>a␛[31mb�c</p>"),
        ("    code", "<div><pre>code\n</pre></div>"),
        ("```text\na\n```", "<div><div>text</div><pre>a\n</pre></div>"),
        ("```\na", "<div><pre>a</pre></div>"),
    ],
)
def test_markdown_is_rendered(text: str, expected: str):
    assert shown(text) == expected


def test_a_table_keeps_the_cells_that_are_too_many():
    made = shown("| a | b |\n|---|--:|\n| 1 | 2 | 3 | `x` |\n| 4 |")

    assert re.findall("<t[hd]>(.*?)</t[hd]>", made) == ["a", "b", "1", "2 | 3 | `x`", "4", ""]
    assert 'class="mnb-head mnb-right"' in render_markdown("| a |\n|--:|\n")


def test_text_begins_on_the_side_of_its_direction_and_what_is_in_a_list_on_the_lists():
    made = render_markdown("- שלום\n\n  עולם\n\n> שלום\n\nText\n\n| a |\n|---|\n")

    assert re.findall('<([a-z]+)[^>]* dir="auto"', made) == ["ul", "blockquote", "p", "th"]
    assert made.count('class="mnb-start"') == made.count("<p")
    assert 'class="mnb-head mnb-start"' in made


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("a $x_1 * y_2$ b", "$x_1 * y_2$"),
        (r"a \(x_1 \\ y_2\) b", r"\(x_1 \\ y_2\)"),
        (r"a \[x_1\] b", r"\[x_1\]"),
        ("a $$x_1$$ b", "$$x_1$$"),
        ("$$\na_1 \\\\\n- b_2\n\n# c\n$$", "$$\na_1 \\\\\n- b_2\n\n# c\n$$"),
        ("text\n\\[\na_1 \\\\ *b*\n\\]", "\\[\na_1 \\\\ *b*\n\\]"),
        ("\\begin{align*}\nx &= 1\\\\\n\\end{align*}", "\\begin{align*}\nx &amp;= 1\\\\\n\\end{align*}"),
        (r"$\$5$", r"$\$5$"),
    ],
)
def test_a_formula_is_left_to_the_typesetter(text: str, formula: str):
    """Alone in its element, so that what the typesetter sees is what was seen here."""
    assert f">{formula}</" in shown(text)


@pytest.mark.parametrize(
    "text",
    [
        "costs $5 and $6",
        "$ x $",
        "$x $",
        "a$",
        "$$",
        "$$$$",
        r"\(",
        r"\\(x\\)",
        r"\$x\$",
        "$a `b$c`",
        "$$\nx",
        "\\begin{align}\nx",
        "\\[\n\nx",
        "    $$\n    x\n    $$",
        "$x$5",
    ],
)
def test_what_is_no_formula_is_none_for_the_typesetter(text: str):
    """It looks for a formula between signs in one stretch of text, of code only its surroundings."""
    made = re.sub("<pre>.*?</pre>|<code>.*?</code>", "<>", shown(text), flags=re.DOTALL)

    for stretch in map(html.unescape, re.split("<[^>]*>", made)):
        assert not re.search(r"\$.*\$|\\\(.*\\\)|\\\[.*\\\]|\\begin", stretch, re.DOTALL)


@pytest.mark.parametrize(
    "text",
    [
        r"$\href{javascript:x}{y}$",
        r"$$\style{a}{b}$$",
        r"\(\cssId{a}{b}\)",
        "\\begin{align}\n\\require{html}\n\\end{align}",
        r"$\def\sum{x}$",
        r"$\newcommand{\int}{x}$",
        r"$\DeclareMathOperator{\sin}{cos}$",
        r"$\smash{\rlap{x}}$",
        r"$\mathllap{x}$",
        r"$\raise 3em{x}$",
        r"$\lower3em x$",
        r"$\moveleft 3em x$",
        r"$\skew{900}{x}y$",
        r"$\kern-99em x$",
        r"$\hspace {  -99 em} x$",
        r"$\mskip -900,5mu x$",
        r"$\rule[-9cm]{9cm}{9in}$",
        r"$x\\ [-99em]y$",
        "$" + r"\hspace{5em}" * 5 + "$",
        "$" + r"\!" * 200 + "x$",
        "$" + r"\negthinspace" * 200 + "x$",
        "$" + r"\frac{1}{" * 50 + "x" + "}" * 50 + "$",
        "$" + r"\sqrt" * 50 + " x$",
        "$" + r"\frac1" * 50 + " x$",
        "$" + r"\displaystyle" * 50 + " x$",
        "$" + r"\left(" * 50 + "x" + r"\right)" * 50 + "$",
        "$" + r"\dyad{" * 20 + "x" + "}" * 20 + "$",
        r"$\mathchoice{a}{b}{c}{d}$",
        r"$\mathtip{a}{b}$",
    ],
)
def test_a_formula_that_could_do_harm_is_shown_as_code(text: str):
    """One that would reach out of its element, move what it draws, or nest without end."""
    assert f"<code>{text}</code>" in shown(text)


@pytest.mark.parametrize(
    "text",
    [
        r"$\left( \displaystyle \deficit \right)$",
        r"$\int_0^1 \! x \, dx \quad \hspace{1cm} \mathrm{25 cm} = 300 mm$",
        r"$\begin{matrix} \frac{a}{b} & \sqrt{c} \\[6pt] \hat x & \vec y \end{matrix}$",
        r"$\rule{0pt}{2ex} \genfrac{}{}{0pt}{}{n}{k}$",
        "$" + r"\hat x + " * 50 + "y$",
        "$" + r"\displaystyle a & " * 50 + "y$",
        r"$\{" * 5 + r"x \right\} \}$",
    ],
)
def test_a_harmless_formula_is_a_formula(text: str):
    assert "<code>" not in shown(text)


def test_of_an_answer_only_so_many_formulas_are_typeset():
    """Those that are too many are code, wherever they stand in the answer."""
    made = as_html(transcript_of([TextDelta("$x$ " * 200), *CALLED, result("", display="."), TextDelta("$x$ " * 200)]))

    assert made.count("<span>$x$</span>") == 300
    assert made.count("<code>$x$</code>") == 100


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("see (https://x.y/a_(b)).", "https://x.y/a_(b)"),
        ("HTTPS://X.y/?a=*b*, then", "HTTPS://X.y/?a=*b"),
        ("*https://x.y*", "https://x.y"),
        ("\u300chttps://x.y/z\u300d\u3002", "https://x.y/z"),
        ("[x](https://x.y)https://x.y", "https://x.y"),
    ],
)
def test_an_address_ends_where_its_sentence_goes_on(text: str, address: str):
    assert f">{address}</a>" in shown(text)


@pytest.mark.parametrize(
    "text", ["https://", "xhttp://a", "http:/a", "https://?a", "ftp://a.b", "http\\://a", "`http://a`"]
)
def test_what_is_no_address_is_no_link(text: str):
    assert "<a" not in shown(text)


@pytest.mark.parametrize(
    ("source", "host"),
    [
        ("https://GOOD.example:443/x.png", "good.example"),
        ("http://good.example:8000", "good.example"),
        ("https://b\u00fccher.example/", "xn--bcher-kva.example"),
        ("https://fa\u00df.example/", "xn--fa-hia.example"),
        ("https://127.0.0.1/", "127.0.0.1"),
        ("https://[::1]:80/", "[::1]"),
        (r"https://evil.example\@good.example/", ""),
        ("https:/\\evil.example/", ""),
        ("https://evil.example@good.example/", ""),
        ("https:///evil.example", ""),
        ("https:/evil.example/", ""),
        ("https:evil.example", ""),
        ("https://good\t.example", ""),
        ("https://go%6fd.example/", ""),
        ("https://2130706433/", ""),
        ("https://0x7f.1/", ""),
        ("https://127.1/", ""),
        ("https://017.0.0.1/", ""),
        ("https://[::1/", ""),
        ("https://good.example:x/", ""),
        ("javascript:alert(1)", ""),
        ("", ""),
    ],
)
def test_a_placeholder_names_the_host_that_a_browser_would_go_to(source: str, host: str):
    """Or none, and then it is no link."""
    made = link_to_image(source, "x")

    if host:
        assert re.sub("<[^>]*>", "", made) == f"[image at {host}: x]"
        assert made.startswith("<a href=")
    else:
        assert made == "[x]"


def work(text: str) -> int:
    """How many calls and lines of Python it takes to render `text`; a machine that is busy makes it no more."""
    count = 0

    def trace(*_: object) -> object:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        render_markdown(text)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("piece", SLOW, ids=map(repr, SLOW))
def test_the_work_grows_with_the_text_and_not_with_its_square(piece: str):
    render_markdown(piece)

    assert work(piece * 400) < 6 * work(piece * 100)


@pytest.mark.parametrize("piece", ["http://a", "https://a.b/" + ")" * 50, "http://a@"])
def test_long_words_of_addresses_take_no_time(piece: str):
    """A regular expression's work is not seen in Python; four times the text took sixteen times the time."""

    def seconds(size: int) -> float:
        began = time.process_time()
        render_markdown(piece * (size // len(piece)))
        return time.process_time() - began

    assert seconds(80_000) < 8 * max(seconds(20_000), 0.05)


@pytest.mark.parametrize("language", ["python", "PY", "json", "bash", "c++", "rust", "html", "yaml"])
def test_code_has_its_syntax_in_colours(language: str):
    made = render_markdown(f"```{language}\nclass = 'x' <b> 1 # y\n```")

    assert 'class="mnb-code-' in made
    assert "class = 'x' <b> 1 # y\n" in html.unescape(re.sub("<[^>]*>", "", made))


def test_code_in_another_language_or_of_great_length_has_one_colour():
    assert "mnb-code-k" not in render_markdown("```klingon\nclass x\n```")
    for code in ("class x: pass\n" * 2_000, "class x: " + "1; " * 200, "class x: " + "_" * 100):
        assert "mnb-code-k" not in render_markdown(f"```python\n{code}\n```")
    assert "mnb-code-string" in render_markdown(f'```json\n"{"word " * 200}"\n```')


def letters(text: str) -> list[str]:
    return sorted(set(re.findall(r"[^\W\d_]", text)))


@given(PIECES)
@examples(200)
def test_no_letter_of_any_text_is_lost(text: str):
    """Those of entities, which stand for others, aside, and the numbers of lists, which count for themselves."""
    text = text.replace("&", "+")

    made = render_markdown(text)

    seen = html.unescape(re.sub("<[^>]*>", "", made)) + unquote(html.unescape(" ".join(re.findall('"([^"]*)"', made))))
    lost = set(letters(text)) - set(letters(seen))
    assert not lost
