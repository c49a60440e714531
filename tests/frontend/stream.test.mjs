import assert from "node:assert/strict";
import { test } from "node:test";

import { html, place } from "./page.mjs";
import { CORPUS } from "./corpus.mjs";

const { MarkdownStream } = await import("../../mojentic_nb/display/js/src/stream.js");
const { render } = await import("../../mojentic_nb/display/js/src/markdown.js");
const { printable } = await import("../../mojentic_nb/display/js/src/escape.js");

/** What drawing the whole text at once shows. */
function whole(text) {
  const root = place();
  root.append(render(printable(text)));
  return html(root);
}

/** The pieces of a text, `size` characters each. */
function* pieces(text, size) {
  for (let end = size; end < text.length; end += size) yield text.slice(0, end);
  yield text;
}

const everything = Object.values(CORPUS).filter((text) => !text.startsWith("Text\n\n```js")).join("\n\n");

for (const [name, text] of [...Object.entries(CORPUS), ["everything", everything]]) {
  for (const size of name === "everything" ? [7, 64] : name === "long" ? [50] : [1, 3, 17]) {
    test(`${name}, ${size} characters at a time, ends as the whole at once`, () => {
      const root = place();
      const stream = new MarkdownStream(root);

      for (const prefix of pieces(text, size)) stream.update(prefix);
      stream.update(text, true);

      assert.equal(html(root), whole(text));
    });
  }
}
