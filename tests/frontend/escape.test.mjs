/** Text in which every character can be seen: the same as in tests/llm/test_text.py. */

import assert from "node:assert/strict";
import { test } from "node:test";

const { printable, printableJson } = await import("../../mojentic_nb/display/js/src/escape.js");

const JOINED = ["\u{1f469}\u200d\u{1f4bb}", "\u{1f469}\u{1f3fd}\u200d\u{1f4bb}", "\u2764\ufe0f\u200d\u{1f525}",
  "\u0645\u06cc\u200c\u062e\u0648", "\u0915\u094d\u200d\u0937", "\u0dc1\u0dca\u200d\u0dbb\u0dd3"];
const ALONE = ["a\u200db", "\u200d\u{1f4bb}", "\u{1f469}\u200d", "\u{1f469}\u200c\u{1f4bb}", "\u0645\u200ca", "\u0645\u200c\u0937",
  "\u0661\u200c\u0662", "\u200b", "\u2028", "\u{e0041}", "\u{e0100}", "\ufeff", "\u3164", "\u115f", "\u00ad", "\u180e", "\u202e", "a\ufe0f"];

test("what cannot be seen is shown", () => {
  for (const text of ALONE) assert.match(printable(text, true), /\ufffd/, JSON.stringify(text));
  assert.equal(printable("a\tb\r\nc\r\u001b\u007f"), "a\tb\nc\u240d\u241b\u2421");
  assert.equal(printable("\u26a0\ufe0f 1\ufe0f\u20e3"), "\u26a0\ufe0f 1\ufe0f\u20e3");
});

test("a joiner stays where it is needed, but not in names", () => {
  for (const text of JOINED) {
    assert.equal(printable(text, true), text);
    assert.equal(printable(text), text.replace(/[\u200c\u200d]/, "\ufffd"));
    assert.equal(printableJson(`{"${text}": "${text}"}`), `{"${printable(text)}": "${text}"}`);
  }
});
