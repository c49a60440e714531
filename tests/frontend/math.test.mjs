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
  saying(Array.from({ length: 1_000 }, (_, number) => `$k_{${number}}$\n`).join("\n"));

  saying("$k$");

  assert.equal(given.filter((source) => source === "$k$").length, 2);
});
