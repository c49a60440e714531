"""Which formulas of an answer the front end's typesetter may typeset."""

from __future__ import annotations

import re

__all__ = ["Allowance"]

MOST = 15_000  # characters of all formulas of an answer, and the least that one of them counts
LEAST = 50
# Commands with which a formula could link, style or name elements of the page, load extensions, redefine the commands
# of other formulas, or draw over its surroundings.
HARMFUL = re.compile(
    r"\\(href|url|style|class|cssId|data|require|bbox|mmlToken|includegraphics|unicode|csname|html[A-Za-z]*|[egx]?def|let"
    r"|futurelet|(new|renew|provide)(command|environment|tagform)|usetagform|mathtoolsset|Declare[A-Za-z]*|definecolor"
    r"|Newextarrow|global|catcode|enclose|[bx]?cancel(?=\s*\[)|texttip|mathtip|toggle|mathchoice|smash|raise|lower"
    r"|raisebox|moveleft|moveright|(math|text|cramped)?[lrc]lap|skew|MoveEqLeft|xmathstrut|MTFlush[A-Za-z]*)(?![A-Za-z])"
)
# Commands that take lengths, each with the text that may be a length.
SPACING = re.compile(
    r"(?:\\(?:[hm]skip|m?kern|[hmv]space|vskip|[Rr]ule|Space|mathmakebox|shove(?:left|right)|genfrac|above[a-z]*)"
    r"(?![A-Za-z])|\\\\\s*\*?\s*(?=\[))([^\\]*)"
)
LENGTH = re.compile(r"(\d+(?:[.,]\d*)?|[.,]\d+)\s*(em|ex|pt|pc|px|in|cm|mm|mu)")
UNITS = {"em": 1, "ex": 0.5, "pt": 0.1, "pc": 1.2, "px": 0.1, "in": 7.2, "cm": 2.9, "mm": 0.29, "mu": 0.06}
BACKWARDS = re.compile(r"\\(?:!|neg(?:thin|med|thick)space(?![A-Za-z]))")
LONGEST_SPACES = 20  # em, of all lengths in a formula together
# The nesting of a formula's elements: typesetters and browsers recurse at each level.
NESTING = re.compile(
    r"(?P<opening>\{|\\(?:left|begin)(?![A-Za-z]))|(?P<closing>\}|\\(?:right|end)(?![A-Za-z]))|(?P<cell>&|\\\\)|\\[{}]"
    r"|(?P<within>\\(?:(?:display|text|script|scriptscript)style|tiny|[Ss]mall|normalsize|large|L(?:arge|ARGE)|[Hh]uge"
    r"|color|rm|bf|it|sf|tt|cal|over|atop|choose)(?![A-Za-z])|\\(?:sqrt|root|not|[a-z]*frac|[a-z]*binom|over[a-z]+|under[a-z]+"
    r"|wide[a-z]+|hat|check|breve|acute|grave|tilde|bar|vec|d*dot|math[a-z]+|text[a-z]*|operatorname|boldsymbol|pmb|[fm]box"
    r"|boxed|stackrel|[hv]?phantom|cramped|vcenter|x[a-z]*arrow|[bx]?cancel)\s*(?:\[[^\]\\]*\]\s*)?[^\\{}\s]?\s*(?=\\[A-Za-z]))"
)
DEEPEST = 40
DOUBLING = re.compile(  # their arguments are typeset twice, four times where nested, and so on
    r"\\(adjustlimits|dyad|ketbra|Ketbra|outerproduct|op|expval|expectationvalue|ev|vev|innerproduct|ip|braket|Braket"
    r"|mel|matrixel|matrixelement)(?![A-Za-z])"
)
DEEPEST_DOUBLING = 8


class Allowance:
    """How much of an answer the typesetter may still typeset: it blocks the page for milliseconds at each formula.

    `left` is in characters. Each formula takes at least :data:`LEAST`.
    """

    def __init__(self) -> None:
        self.left = MOST

    def take(self, formula: str) -> bool:
        """Whether `formula` may be typeset; takes its cost if so."""
        cost = max(len(formula), LEAST)
        if cost > self.left or not is_harmless(formula):
            return False
        self.left -= cost
        return True


def is_harmless(formula: str) -> bool:
    """Whether `formula` changes nothing outside itself, and takes little space and time."""
    if HARMFUL.search(formula) or sum_lengths(formula) > LONGEST_SPACES:
        return False
    return measure_depth(formula) <= (DEEPEST_DOUBLING if DOUBLING.search(formula) else DEEPEST)


def sum_lengths(formula: str) -> float:
    """Add up all lengths in `formula`, in em."""
    found = (length for spacing in SPACING.finditer(formula) for length in LENGTH.finditer(spacing[1]))
    lengths = (float(length[1].replace(",", ".")) * UNITS[length[2]] for length in found)
    return sum(lengths) + 0.2 * len(BACKWARDS.findall(formula))


def measure_depth(formula: str) -> int:
    """Measure how deep the elements of `formula` are nested."""
    levels = [0]
    deepest = 0
    for found in NESTING.finditer(formula):
        match found.lastgroup:
            case "opening":
                levels.append(levels[-1] + 1)
            case "within":  # up to the end of the group, or of its cell
                levels[-1] += 1
            case "closing" if len(levels) > 1:
                levels.pop()
            case "cell":
                levels[-1] = levels[-2] + 1 if len(levels) > 1 else 0
        deepest = max(deepest, levels[-1])
    return deepest
