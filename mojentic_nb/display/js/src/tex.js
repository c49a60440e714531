// Which formulas the front end's typesetter may be given: as in display/tex.py.

// Commands by which a formula would link, style or identify elements of the page, load extensions, change what the
// commands in other formulas mean, or move what it draws over what is around it.
const HARMFUL =
  /\\(href|url|style|class|cssId|data|require|bbox|mmlToken|includegraphics|unicode|csname|html[A-Za-z]*|[egx]?def|let|futurelet|(new|renew|provide)(command|environment|tagform)|usetagform|mathtoolsset|Declare[A-Za-z]*|definecolor|Newextarrow|global|catcode|enclose|[bx]?cancel(?=\s*\[)|texttip|mathtip|toggle|mathchoice|smash|raise|lower|raisebox|moveleft|moveright|(math|text|cramped)?[lrc]lap|skew|MoveEqLeft|xmathstrut|MTFlush[A-Za-z]*)(?![A-Za-z])/;
const SPACING =
  /(?:\\(?:[hm]skip|m?kern|[hmv]space|vskip|[Rr]ule|Space|mathmakebox|shove(?:left|right)|genfrac|above[a-z]*)(?![A-Za-z])|\\\\\s*\*?\s*(?=\[))([^\\]*)/g;
const LENGTH = /(\d+(?:[.,]\d*)?|[.,]\d+)\s*(em|ex|pt|pc|px|in|cm|mm|mu)/g;
/** @type {Record<string, number>} */
const UNITS = { em: 1, ex: 0.5, pt: 0.1, pc: 1.2, px: 0.1, in: 7.2, cm: 2.9, mm: 0.29, mu: 0.06 };
const BACKWARDS = /\\(?:!|neg(?:thin|med|thick)space(?![A-Za-z]))/g;
const LONGEST_SPACES = 20; // em
const NESTING =
  /(?<opening>\{|\\(?:left|begin)(?![A-Za-z]))|(?<closing>\}|\\(?:right|end)(?![A-Za-z]))|(?<cell>&|\\\\)|\\[{}]|(?<within>\\(?:(?:display|text|script|scriptscript)style|tiny|[Ss]mall|normalsize|large|L(?:arge|ARGE)|[Hh]uge|color|rm|bf|it|sf|tt|cal|over|atop|choose)(?![A-Za-z])|\\(?:sqrt|root|not|[a-z]*frac|[a-z]*binom|over[a-z]+|under[a-z]+|wide[a-z]+|hat|check|breve|acute|grave|tilde|bar|vec|d*dot|math[a-z]+|text[a-z]*|operatorname|boldsymbol|pmb|[fm]box|boxed|stackrel|[hv]?phantom|cramped|vcenter|x[a-z]*arrow|[bx]?cancel)\s*(?:\[[^\]\\]*\]\s*)?[^\\{}\s]?\s*(?=\\[A-Za-z]))/g;
const DEEPEST = 40;
const DOUBLING =
  /\\(adjustlimits|dyad|ketbra|Ketbra|outerproduct|op|expval|expectationvalue|ev|vev|innerproduct|ip|braket|Braket|mel|matrixel|matrixelement)(?![A-Za-z])/;
const DEEPEST_DOUBLING = 8;

/** @param {string} source */
export const harmless = (source) =>
  !HARMFUL.test(source) &&
  spaces(source) <= LONGEST_SPACES &&
  depth(source) <= (DOUBLING.test(source) ? DEEPEST_DOUBLING : DEEPEST);

/** All the lengths in a formula together, in em. @param {string} source */
function spaces(source) {
  let sum = 0.2 * (source.match(BACKWARDS)?.length ?? 0);
  for (const [, given = ""] of source.matchAll(SPACING)) {
    for (const [, number = "", unit = ""] of given.matchAll(LENGTH)) sum += Number(number.replace(",", ".")) * (UNITS[unit] ?? 0);
  }
  return sum;
}

/** How deep the elements of a formula stand in one another. @param {string} source */
function depth(source) {
  const levels = [0];
  let deepest = 0;
  for (const { groups } of source.matchAll(NESTING)) {
    const level = levels.at(-1) ?? 0;
    if (groups?.["opening"]) levels.push(level + 1);
    else if (groups?.["within"]) levels.push((levels.pop() ?? 0) + 1);
    else if (groups?.["closing"] && levels.length > 1) levels.pop();
    else if (groups?.["cell"]) levels.splice(-1, 1, levels.length > 1 ? (levels.at(-2) ?? 0) + 1 : 0);
    deepest = Math.max(deepest, levels.at(-1) ?? 0);
  }
  return deepest;
}
