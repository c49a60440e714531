/** Markdown that is drawn while it grows. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { html, place } from "./page.mjs";
import { CORPUS } from "./corpus.mjs";

const { MarkdownStream } = await import("../../mojentic_nb/display/js/src/stream.js");
const { parse, render } = await import("../../mojentic_nb/display/js/src/markdown.js");
const { morph } = await import("../../mojentic_nb/display/js/src/morph.js");
const { printable } = await import("../../mojentic_nb/display/js/src/escape.js");
const { highlight } = await import("../../mojentic_nb/display/js/src/highlight.js");

/** What drawing the whole text at once shows. */
function whole(text) {
  const root = place();
  root.append(render(printable(text)));
  return html(root);
}

/** What a text grows through, `size` characters at a time. */
function* prefixes(text, size) {
  for (let end = size; end < text.length; end += size) yield text.slice(0, end);
  yield text;
}

const { unclosed, long, ...others } = CORPUS;
const texts = { ...CORPUS, everything: [...Object.values(others), unclosed].join("\n\n") };

for (const [name, text] of Object.entries(texts)) {
  for (const size of name === "everything" || name === "long" ? [61] : [1, 7]) {
    test(`${name}, ${size} characters at a time, ends as the whole at once`, () => {
      const root = place();
      const stream = new MarkdownStream(root);

      for (const prefix of prefixes(text, size)) stream.update(prefix);
      stream.update(text, true);

      assert.equal(html(root), whole(text));
    });
  }
}

test("at every character it shows what the text so far is", () => {
  const text = "# Title\n\nSome *text* and `code`\n\n- a\n- b\n\n| a |\n|---|\n| 1 |\n\nEnd";
  const root = place();
  const stream = new MarkdownStream(root);

  for (const prefix of prefixes(text, 1)) {
    stream.update(prefix);

    assert.equal(html(root), whole(prefix));
  }
});

test("blocks that are closed keep their nodes", () => {
  const root = place();
  const stream = new MarkdownStream(root);
  const kept = new Map();

  for (const prefix of prefixes(texts.everything, 40)) {
    stream.update(prefix);
    for (const node of [...root.children].slice(0, -2)) if (!kept.has(node)) kept.set(node, node.outerHTML);
  }
  stream.update(texts.everything, true);

  assert.ok(kept.size > 50);
  for (const [node, drawn] of kept) {
    assert.equal(node.parentNode, root);
    assert.equal(node.outerHTML, drawn);
  }
});

for (const opening of ["```python", "~~~ python", "Before\n\n- a\n- b\n\n```python"]) {
  test(`a code block that grows changes one text: ${JSON.stringify(opening)}`, () => {
    const root = place();
    const stream = new MarkdownStream(root);
    stream.update(`${opening}\nprint(1)\n`);
    const code = root.querySelector("code");
    const text = code.firstChild;

    stream.update(`${opening}\nprint(1)\nprint(2)\n# and`);
    stream.update(`${opening}\nprint(1)\nprint(2)\n# and more`);

    assert.equal(root.querySelector("code"), code);
    assert.equal(code.firstChild, text);
    assert.equal(code.childNodes.length, 1);
    assert.equal(text.data, "print(1)\nprint(2)\n# and more");
    assert.equal(root.querySelector(".mnb-language").textContent, "python");
  });
}

test("while it grows, code is what the text so far says", () => {
  const text = "````\n```\n    ````\n`````\n\nText\n\n~~~ a`b\n```\n~~~ not\n~~~~ \n\n``` a`b\n\n```\nx\n   ```\nEnd\n\n~~~\n`";
  const read = (root) => [...root.children].map((child) => [child.tagName, child.textContent.trimEnd()]);
  const root = place();
  const stream = new MarkdownStream(root);
  const wanted = place();

  for (const prefix of prefixes(text, 1)) {
    stream.update(prefix);

    wanted.replaceChildren(render(prefix));
    assert.deepEqual(read(root), read(wanted), JSON.stringify(prefix));
  }
});

test("a paragraph that grows keeps its nodes, and so what is selected in it", () => {
  const root = place();
  const stream = new MarkdownStream(root);
  stream.update("Some *text* that");
  const paragraph = root.querySelector("p");
  const [first, emphasis, last] = paragraph.childNodes;

  const selected = document.createRange();
  selected.setStart(last, 1);
  selected.setEnd(last, 5);

  stream.update("Some *text* that grows");

  assert.deepEqual([...paragraph.childNodes], [first, emphasis, last]);
  assert.equal(last.data, " that grows");
  assert.equal(selected.toString(), "that");
});

test("a block that closes keeps its nodes, and so does the one after it", () => {
  const root = place();
  const stream = new MarkdownStream(root);
  stream.update("Some *text*\n\nAnoth");
  const nodes = [...root.querySelectorAll("p")].flatMap((paragraph) => [paragraph, ...paragraph.childNodes]);

  stream.update("Some *text*\n\nAnother\n\nThird");
  stream.update("Some *text*\n\nAnother\n\nThird", true);

  const [first, second] = root.querySelectorAll("p");
  assert.deepEqual([first, ...first.childNodes, second, ...second.childNodes], nodes);
});

test("another text in place of the one before begins anew", () => {
  const root = place();
  const stream = new MarkdownStream(root);
  stream.update("One\n\nTwo\n\nThree", true);

  stream.update("Other");
  stream.update("Other one", true);

  assert.equal(html(root), whole("Other one"));
});

for (const text of ["One\n\n- two\n- three\n\nFour\n", "One\n\nTwo\n\n```js\nlet x;\n"]) {
  test(`another text in place of one that grows begins anew: ${JSON.stringify(text)}`, () => {
    const root = place();
    const stream = new MarkdownStream(root);
    stream.update(text);

    stream.update("*Other*\n\nB\n\nC\n");
    assert.equal(html(root), whole("*Other*\n\nB\n\nC\n"));
    stream.update("*Other*\n\nB\n\nC\n\nEnd");

    assert.equal(html(root), whole("*Other*\n\nB\n\nC\n\nEnd"));
  });
}

test("a text that goes on after its end is drawn whole", () => {
  const root = place();
  const stream = new MarkdownStream(root);
  stream.update("A para", true);

  stream.update("A paragraph.\n\nAnother", true);

  assert.equal(html(root), whole("A paragraph.\n\nAnother"));
});

test("what is drawn is what an earlier drawing was, once it is the same", () => {
  const root = place();
  const stream = new MarkdownStream(root);
  stream.update("Text", true);
  const paragraph = root.firstChild;

  stream.update("Text", true);

  assert.equal(root.firstChild, paragraph);
});

test("what may lead nowhere, and what only looks like Markdown, is text", () => {
  const text = "[a](#top) [b](/x) [c](ftp://a.example) [d](x:mailto:a) ![c](data:image/png;base64,AA) www.example.org a@example.org ~5 km (~3 miles)";
  const root = place();

  root.append(render(`${text}\n\n5$$|`));

  assert.equal(root.innerHTML, `<p dir="auto">${text}</p>\n<p dir="auto">5$$|</p>\n`);
});

test("addresses of the web and of mail are links, which tell nobody where they are followed from", () => {
  const root = place();

  root.append(render("[a](HTTP://a.example) <mailto:b@b.example>"));

  assert.deepEqual([...root.querySelectorAll("a")].map((link) => [link.getAttribute("href"), link.target, link.rel]), [
    ["HTTP://a.example", "_blank", "noopener noreferrer nofollow"],
    ["mailto:b@b.example", "_blank", "noopener noreferrer nofollow"],
  ]);
});

test("an image is a button that says whose it is, or text where it has no host", () => {
  const root = place();

  root.append(render("![<i>](https://a.example/?q=%22&b=1) ![](https://b.example) ![](mailto:a@b.example) ![<i>](http://[)"));

  assert.deepEqual([...root.querySelectorAll("button")].map((button) => [button.textContent, button.dataset.mnbKey]), [
    ["[image at a.example: <i>]", "https://a.example/?q=%22&b=1"],
    ["[image at b.example]", "https://b.example"],
  ]);
  assert.ok(root.textContent.trimEnd().endsWith("[image] [<i>]"));
});

test("of control characters, only line ends and tabs stay", () => {
  const shown = printable("\0\b\v\x1f\x7f\x80\x9f\u202a\u202e\u2066\u2069 \t\n\r\n\r.");

  assert.equal(shown, "\u2400\u2408\u240b\u241f\u2421\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd \t\n\n␍.");
});

test("the stars of a formula emphasise nothing", () => {
  const root = place();

  root.append(render("**the $a^* + b**c$ is** \\$*5* and *$x*y$*"));

  const emphasised = [...root.querySelectorAll("strong, em")].map((node) => `${node.tagName} ${node.textContent}`);
  assert.deepEqual(emphasised, ["STRONG the $a^* + b**c$ is", "EM 5", "EM $x*y$"]);
});

test("prices are no formulas, and a formula that would do harm is code", () => {
  const root = place();

  root.append(render("$ a$ $b $ $5$6 $\\href{x}{y}$ $\\let\\x=1$ $\\hrefs$"));

  const found = (selector) => [...root.querySelectorAll(selector)].map((node) => node.textContent);
  assert.deepEqual(found("code"), ["$\\href{x}{y}$", "$\\let\\x=1$"]);
  assert.deepEqual(found(".mnb-math"), ["$\\hrefs$"]);
});

test("cells that are too many for their table stay", () => {
  const root = place();

  root.append(render("| a | b |\n|---|---|\n| 1 | 2 \\| 3 | 4 | **5** |\n| 6 | 7 |\n"));

  assert.deepEqual([...root.querySelectorAll("td")].map((cell) => cell.textContent), ["1", "2 | 3 | 4 | **5**", "6", "7"]);
});

test("a list has the direction in which it begins, and all in it", () => {
  const root = place();

  root.append(render("- שלום\n\n  עולם\n  - x\n\n> שלום\n\nText"));

  assert.deepEqual([...root.querySelectorAll("[dir=auto]")].map((node) => node.tagName), ["UL", "BLOCKQUOTE", "P"]);
});

test("alignment, numbers and formulas' sources get past the purifier", () => {
  const root = place();

  root.append(render("| a |\n|--:|\n| 1 |\n\n3. three\n4. four\n\nand $x^2$ and $\\text{\"y\"}$"));

  assert.equal(root.querySelector("td").getAttribute("align"), "right");
  assert.equal(root.querySelector("ol").start, 3);
  const sources = [...root.querySelectorAll(".mnb-math")].map((formula) => formula.dataset.mnbKey);
  assert.deepEqual(sources, ["$x^2$", '$\\text{"y"}$']);
});

test("what changes takes the attributes of what is wanted, and what was made of a source stays only for that source", () => {
  const [now, wanted] = [place(), place()];
  now.innerHTML = '<a title="t" class="c" href="#1">x</a><span data-mnb-key="k">typeset</span><span data-mnb-key="k">typeset</span>';
  wanted.innerHTML = '<a href="#2">x</a><span>k</span><span data-mnb-key="k">k</span>';
  const [link, other, same] = now.children;

  morph(now, wanted);

  assert.equal(now.innerHTML, '<a href="#2">x</a><span>k</span><span data-mnb-key="k">typeset</span>');
  assert.deepEqual([...now.children].map((node) => [link, other, same].indexOf(node)), [0, -1, 2]);
});

test("what was made to be slow is text, and is parsed in time", { timeout: 30_000 }, () => {
  const draw = (text) => {
    const root = place();
    root.append(render(text));
    return root;
  };
  for (const unit of ["\\[\n", "\\begin{a}\nx\n"]) parse(unit.repeat(100_000 / unit.length));

  assert.equal(draw("*a ".repeat(501)).querySelector("em"), null);
  assert.equal(draw("*a* ".repeat(250)).querySelectorAll("em").length, 250);
  assert.ok(draw(`${"word ".repeat(198)}\n===`).querySelector("h1"));
  assert.equal(draw(`${"word\n".repeat(201)}===`).querySelector("h1"), null);
});

test("a formula of its own lines ends the paragraph before it, but only if it ends", () => {
  const root = place();

  root.append(render("Text\n$$\nx\n$$\nand\n\\[ no end\nmore\n\nText\n\\begin{a}x\\end{a}\n---\n"));

  assert.deepEqual([...root.children].map((node) => [node.tagName, node.querySelector(".mnb-math") !== null]), [
    ["P", false], ["P", true], ["P", false], ["P", false], ["P", true], ["HR", false],
  ]);
});

test("code is coloured unless that would take long", () => {
  const coloured = (code, language) => highlight(code, language).includes("<span");

  assert.ok(coloured("int x = 1;\n".repeat(1_000), "java"));
  assert.ok(coloured(`"${"word ".repeat(1_000)}"`, "json"));
  for (const made of ["$".repeat(150), "= 1 ".repeat(150)]) assert.equal(highlight(made, "java"), made);
  assert.ok(!coloured("int x = 1;\n".repeat(2_000), "java"));
});
