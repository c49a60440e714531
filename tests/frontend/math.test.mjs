/** Formulas, which the front end typesets. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { place } from "./page.mjs";

const { Prose } = await import("../../mojentic_nb/display/js/src/prose.js");
const { useTypesetter } = await import("../../mojentic_nb/display/js/src/math.js");

/** A front end that typesets at once, or leaves what it is given for later, and the sources it was given. */
function frontEnd({ atOnce = true } = {}) {
  const given = [];
  const typeset = (formula) => {
    given.push(formula.textContent);
    const typeset = document.createElement("mjx-container");
    typeset.textContent = `typeset ${formula.textContent}`;
    if (atOnce) formula.replaceChildren(typeset);
  };
  useTypesetter({ rendermime: { latexTypesetter: { typeset } } });
  return given;
}

/** An answer in the page that says `text`. */
function saying(text) {
  const prose = new Prose();
  place().append(prose.element);
  prose.update(text, false);
  return prose;
}

const formulas = ({ element }) => [...element.querySelectorAll(".mnb-math")].map(({ textContent }) => textContent);

test("where a front end offers nothing, the TeX stays to be read", () => {
  useTypesetter(undefined);
  assert.deepEqual(formulas(saying("$n$")), ["$n$"]);
});

test("a formula is typeset once, however often the text around it is drawn, and keeps its node", () => {
  const given = frontEnd();
  useTypesetter({}); // another widget, whose front end offers nothing, takes nothing away
  const prose = saying("Here $a$ and");
  const [formula] = prose.element.querySelectorAll("mjx-container");

  prose.update("Here $a$ and $b$", false);
  prose.update("Here $a$ and $b$ and $a$ again.\n\n# End", true);

  assert.deepEqual(given, ["$a$", "$b$"]);
  assert.deepEqual(formulas(prose), ["typeset $a$", "typeset $b$", "typeset $a$"]);
  assert.equal(prose.element.querySelector("mjx-container"), formula);
});

test("a formula that is elsewhere but not typeset yet is typeset by itself", () => {
  const given = frontEnd({ atOnce: false });

  saying("$c$ and $c$");

  assert.deepEqual(given, ["$c$", "$c$"]);
});

test("of the formulas that were typeset, only so many are kept", () => {
  const given = frontEnd();
  saying("$k$");
  for (const part of [1, 2, 3, 4]) saying(Array.from({ length: 250 }, (_, number) => `$k_{${part}${number}}$`).join(" "));

  saying("$k$");

  assert.equal(given.filter((source) => source === "$k$").length, 2);
});

test("of an answer, only so many formulas are typeset", () => {
  const given = frontEnd();

  const prose = saying(Array.from({ length: 320 }, (_, number) => `$m_{${number}}$`).join(" "));
  prose.update("$long$ ".repeat(320), true);

  assert.equal(given.length, 300 + 1);
  assert.equal(prose.element.querySelectorAll(".mnb-typeset").length, 300);
});

test("a formula that would move, nest or grow without end is code", () => {
  const sources = ["$\\smash{x}$", "$\\kern-99em x$", "$x\\\\[-90em]y$", `$${"\\frac{1}{".repeat(60)}x${"}".repeat(60)}$`,
    `$${"\\sqrt".repeat(60)} x$`, `$a${"\\!".repeat(200)}b$`];

  for (const source of sources) assert.deepEqual(formulas(saying(source)), [], source);
  for (const source of ["$\\frac{1}{2}\\hspace{1em}x$", "$\\begin{matrix}a\\\\[2ex]b\\end{matrix}$"]) {
    assert.equal(saying(source).element.querySelectorAll(".mnb-math").length, 1, source);
  }
});
