/** What a model or a tool may say to harm whoever reads it, as in tests/display/attacks.py. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { place } from "./page.mjs";

const { Card } = await import("../../mojentic_nb/display/js/src/card.js");
const { MarkdownStream } = await import("../../mojentic_nb/display/js/src/stream.js");

const ATTACKS = JSON.parse(readFileSync(new URL("attacks.json", import.meta.url), "utf8"));
const TAGS = new Set(
  ("P BR HR H1 H2 H3 H4 H5 H6 STRONG EM DEL CODE PRE BLOCKQUOTE UL OL LI TABLE THEAD TBODY TR TH TD A SPAN DIV BUTTON " +
    "DETAILS SUMMARY").split(" "),
);
const ATTRIBUTES = new Set(
  "href title class align start type dir target rel open data-mnb-key data-state data-part aria-hidden hidden".split(" "),
);

/** Raise unless all below `root` is of the few kinds that can do nothing. */
function assertHarmless(root) {
  for (const node of root.querySelectorAll("*")) {
    assert.ok(TAGS.has(node.tagName), node.outerHTML.slice(0, 300));
    for (const { name, value } of node.attributes) {
      assert.ok(ATTRIBUTES.has(name), `${name}="${value}"`);
      if (name === "href") assert.match(value, /^(https?:|mailto:|#)/i);
      if (name === "class") assert.match(value, /^mnb-/);
    }
    if (node.tagName === "A") assert.match(node.rel, /noopener/);
  }
}

for (const [name, text] of Object.entries(ATTACKS)) {
  test(`${name} does nothing in an answer`, () => {
    const root = place();
    const stream = new MarkdownStream(root);
    const step = Math.max(1, Math.floor(text.length / 4));

    for (let end = step; end < text.length; end += step) {
      stream.update(text.slice(0, end));
      assertHarmless(root);
    }
    stream.update(text, true);

    assertHarmless(root);
  });

  test(`${name} does nothing in a card`, () => {
    const card = new Card(() => {});
    const call = { kind: "tool", parent: null, id: text, name: text, arguments: text, summary: text, progress: text };
    const result = { display: [{ type: "text", text }, { type: "json", text }, { type: "markdown", text }] };
    const error = { type: text, message: text, traceback: text };

    card.update({ ...call, ...result, state: "running", started: 0, seconds: null, output: null, error: null });
    assertHarmless(card.element);
    card.update({ ...call, ...result, state: "failed", started: 0, seconds: 1, output: text, error });

    assertHarmless(card.element);
    assert.ok(card.element.querySelector(".mnb-error"));
  });
}
