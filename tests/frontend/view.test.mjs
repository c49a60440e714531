/** Cards, reasoning, the status line: what they show and how they fold. */

import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";

import { place } from "./page.mjs";

const { Session } = await import("../../mojentic_nb/display/js/src/session.js");
const { View } = await import("../../mojentic_nb/display/js/src/view.js");
const { default: widget } = await import("../../mojentic_nb/display/js/src/live.js");
const { drawnJson, indented } = await import("../../mojentic_nb/display/js/src/json.js");
const { duration } = await import("../../mojentic_nb/display/js/src/words.js");

const CALL = {
  kind: "tool", parent: null, id: "1", name: "weather", arguments: '{"city":"Paris"}', summary: 'city="Paris"', state: "running",
  started: 1, seconds: null, progress: null, display: null, output: null, error: null,
};
const DONE = { state: "done", seconds: 0.42, display: [{ type: "json", text: '{\n  "sky": "clear"\n}' }] };

const views = [];
afterEach(() => views.splice(0).forEach((view) => view.remove()));

/** A view of a run, which has a status and blocks, and what the reader told the kernel. */
function viewing(blocks, status = {}, clickable = true) {
  const session = new Session();
  session.restore({ run: 0, seq: 0, state: { blocks, status: { state: "tools", seconds: 5, ...status } } });
  const root = place();
  const told = [];
  const view = new View(root, session, {
    stop: () => told.push("stop"),
    decide: (block, approved) => told.push([block, approved]),
    fold: (fold) => told.push(fold),
    clickable: () => clickable,
  });
  views.push(view);
  view.paint();
  let seq = 0;
  const happen = (...ops) => {
    session.receive({ seq: (seq += 1), ops }, () => assert.fail("a message is missing"));
    view.paint();
  };
  return { root, view, told, happen, find: (selector) => root.querySelector(selector) };
}

test("a card is open while its call runs, and folds when it is done", () => {
  const { happen, find } = viewing([CALL]);
  const card = find(".mnb-card");
  assert.ok(card.open);
  assert.match(card.textContent, /running4\.\d s/);

  happen(["set", 0, DONE]);

  assert.ok(!card.open);
  assert.match(find(".mnb-header").textContent, /✓weathercity="Paris"0\.42 s/);
  assert.match(find(".mnb-outcome").textContent, /"sky": "clear"/);
});

test("a card that is over has neither progress nor arguments that say nothing, and its result once", () => {
  const { happen, find } = viewing([{ ...CALL, arguments: "{}", progress: "half\u202e way" }]);
  assert.equal(find(".mnb-progress").textContent, "half\ufffd way");
  assert.ok(!find(".mnb-section").hidden);

  happen(["set", 0, DONE]);
  happen(["status", { state: "done" }]);

  assert.equal(find(".mnb-progress").textContent, "");
  assert.ok(find(".mnb-section").hidden);
  assert.equal(find(".mnb-outcome").children.length, 1);
});

test("a notice says what it is, and all that is in it", () => {
  const { find } = viewing([{ kind: "notice", parent: null, level: "warning", text: "no\u202e <b>" }]);

  assert.equal(find(".mnb-warning").textContent, "⚠ no\ufffd <b>");
  assert.equal(find(".mnb-warning").dir, "auto");
  assert.ok(viewing([{ kind: "notice", parent: null, level: "error", text: "no" }]).find(".mnb-failure"));
});

test("a card whose call failed stays open, with the traceback folded", () => {
  const { happen, find } = viewing([CALL]);
  happen(["set", 0, { state: "failed", seconds: 1, error: { type: "ValueError", message: "no", traceback: "at line 1" } }]);

  assert.ok(find(".mnb-card").open);
  assert.equal(find(".mnb-error").textContent, "ValueError: no");
  assert.ok(!find(".mnb-told").open);
  assert.equal(find(".mnb-error").dir, "auto");
});

test("a failure may have neither a kind nor a traceback", () => {
  const { find } = viewing([{ ...CALL, state: "timed_out", seconds: 1, error: { type: "", message: "no", traceback: null } }]);

  assert.equal(find(".mnb-outcome").textContent, "Errorno");
});

for (const [state, open] of Object.entries({ cancelled: false, denied: true, timed_out: true })) {
  test(`a card whose call is ${state} is over, and ${open ? "stays open" : "folds"}`, () => {
    const { happen, find } = viewing([{ ...CALL, progress: "half" }]);

    happen(["set", 0, { state, seconds: 0.7 }]);

    assert.equal(find(".mnb-card").open, open);
    assert.equal(find(".mnb-progress").textContent, "");
    assert.equal(find(".mnb-time").textContent, "0.70 s");
  });
}

test("a timer says nothing of what has not begun, and never goes below nothing", () => {
  const thought = { kind: "reasoning", parent: null, text: "Hm", started: 9, seconds: null };
  const { root } = viewing([{ ...CALL, started: null }, { ...CALL, started: 9 }, thought]);

  assert.deepEqual([...root.querySelectorAll(".mnb-time")].map((time) => time.textContent), ["", "0.0 s"]);
  assert.equal(root.querySelector(".mnb-thought").textContent, "Reasoning · 0.0 s");
});

test("what stays as it is keeps its text, and so what is selected in it", () => {
  const { happen, find } = viewing([CALL]);
  const name = find(".mnb-name").firstChild;

  happen(["set", 0, { progress: "half" }]);

  assert.equal(find(".mnb-name").firstChild, name);
  assert.equal(find(".mnb-name").dir, "ltr");
});

test("what the reader opened stays open", () => {
  const { happen, find } = viewing([CALL]);
  find(".mnb-card > summary").click();
  find(".mnb-card > summary").click();
  const { open } = find(".mnb-card");

  happen(["set", 0, DONE]);

  assert.equal(find(".mnb-card").open, open);
});

test("what the reader opens and closes is told, also within a card, and nothing of a tool's own folds", () => {
  const html = "<details><summary id='own'>x</summary>y</details>";
  const failed = { ...CALL, state: "failed", error: { type: "E", message: "no", traceback: "at" }, output: "told", display: [{ type: "html", html }] };
  const { root, told } = viewing([{ kind: "reasoning", parent: null, text: "Hm", started: 1, seconds: 2 }, failed]);

  for (const summary of root.querySelectorAll("summary")) {
    const { open } = summary.parentElement;
    (summary.querySelector("span") ?? summary).click();
    summary.parentElement.open = !open; // jsdom folds nothing
  }
  root.querySelector(".mnb-reasoning > summary").click();

  assert.deepEqual(told, [
    { block: 0, part: "", open: true },
    { block: 1, part: "", open: false },
    { block: 1, part: "traceback", open: true },
    { block: 1, part: "told", open: true },
    { block: 0, part: "", open: false },
  ]);
});

test("a source is folded code, whatever is in it", () => {
  const { happen, find } = viewing([{ kind: "text", parent: null, text: '{"a": "', source: "json" }]);
  happen(["append", 0, "text", '```\n# no"}']);

  assert.ok(!find("details").open);
  assert.equal(find("h1"), null);
  assert.match(find("pre").textContent, /^\{"a": "```\n# no"\}/);
});

test("a decision is told once", () => {
  const { told, happen, find } = viewing([CALL]);
  find(".mnb-card").open = false;
  happen(["set", 0, { state: "approval" }]);
  assert.ok(find(".mnb-card").open);
  const approve = find(".mnb-approve");
  assert.equal(approve.type, "button");
  assert.equal(find("[role=alert]").textContent, "weather: May it run?");
  approve.click();
  approve.click();

  assert.deepEqual(told, [[0, true]]);
  assert.equal(document.activeElement, find(".mnb-card > summary"));
  happen(["set", 0, { state: "running" }]);
  assert.equal(find(".mnb-approve"), null);
});

test("the kernel is told of which run and which card a decision is", async () => {
  const state = { blocks: [{ kind: "text", parent: null, text: "x" }, { ...CALL, state: "approval" }], status: { state: "tools" } };
  const [sent, root] = [[], place()];
  const values = { _snapshot: { run: 7, seq: 3, state }, _clickable: true };
  const model = { get: (name) => values[name], on: () => {}, send: (message) => sent.push(message) };
  const { initialize, render } = widget();
  initialize({ model });
  const remove = render({ model, el: root });
  await new Promise(requestAnimationFrame);

  root.querySelector(".mnb-deny").click();
  remove();

  assert.deepEqual(sent, [{ type: "decision", run: 7, block: 1, approved: false }]);
});

test("each part of a result is shown as what it is, and nothing else is loaded", () => {
  const display = [
    { type: "text", text: "a\u202eb <i>" },
    { type: "json", text: '{"k": "a\u202eb"}' },
    { type: "markdown", text: "*so*\n\n```python\nx = 'y'" },
    { type: "table", html: "<table><tr><td>1</td></tr></table>" },
    { type: "html", html: "<b>bold</b>" },
    { type: "image", src: "data:image/png;base64,AAAA", alt: "a plot" },
    { type: "image", src: "https://example.org/a.png" },
  ];
  const { find } = viewing([{ ...CALL, ...DONE, display }]);

  const [text, json, markdown, table, html, plot, other] = find(".mnb-result").children;
  assert.equal(text.textContent, "a\ufffdb <i>");
  assert.equal(json.textContent, '{"k": "a\ufffdb"}');
  assert.ok(json.querySelector(".mnb-hl-string"));
  assert.equal(markdown.querySelector("em").textContent, "so");
  assert.ok(markdown.querySelector(".mnb-hl-string"));
  assert.equal(table.querySelector("td").textContent, "1");
  assert.equal(html.querySelector("b").textContent, "bold");
  assert.deepEqual([plot.src, plot.alt], ["data:image/png;base64,AAAA", "a plot"]);
  assert.deepEqual([other.getAttribute("src"), other.alt], ["", ""]);
});

test("what a tool asks a model stands inside the tool's card", () => {
  const inner = { kind: "text", parent: 0, text: "in" };
  const { happen, find } = viewing([CALL, inner, { kind: "text", parent: null, text: "out" }]);
  happen(["append", 1, "text", "side"]);

  assert.equal(find(".mnb-card .mnb-children").textContent.trim(), "inside");
});

test("what the model was told is there where it differs", () => {
  const { find } = viewing([{ ...CALL, ...DONE, output: "It is clear." }]);

  assert.match(find(".mnb-told").textContent, /What the model was told.*It is clear\./);
});

test("reasoning is open while it comes, then folds under its duration", () => {
  const thought = { kind: "reasoning", parent: null, text: "Hm", started: 1, seconds: null };
  const { happen, find } = viewing([thought]);
  assert.ok(find(".mnb-reasoning").open);

  happen(["set", 0, { seconds: 2.5 }]);

  assert.ok(!find(".mnb-reasoning").open);
  assert.equal(find(".mnb-thought").textContent, "Reasoning · 2.5 s");
});

test("reasoning folds once, and not if the reader has chosen", () => {
  const thought = { kind: "reasoning", parent: null, text: "Hm", started: 1, seconds: null };
  const { happen, root } = viewing([thought, thought]);
  const [first, second] = root.querySelectorAll(".mnb-reasoning");
  second.querySelector("summary").click();
  second.open = true;

  happen(["set", 0, { seconds: 2.5 }], ["set", 1, { seconds: 2.5 }]);
  assert.deepEqual([first.open, second.open], [false, true]);
  first.open = true; // as a search in the page does
  happen(["status", { state: "done" }]);

  assert.ok(first.open);
});

test("the status line tells the cost, says aloud only how the run goes, and stops it", () => {
  const { told, happen, find } = viewing([], {
    model: "m", input_tokens: 1200, cached_tokens: 1000, output_tokens: 34, reasoning_tokens: 4, tokens_per_second: 51.2,
    first_token_seconds: 0.31,
  });
  assert.match(
    find(".mnb-facts").textContent,
    /^m · 1,200 tokens in \(1,000 cached\), 34 out \(4 reasoning\) · 51 tokens\/s · first token 0\.31 s · 5\.\d s$/,
  );
  assert.equal(find("[role=status]").textContent, "Running tools");
  find(".mnb-stop").click();
  find(".mnb-stop").click();
  assert.deepEqual(told, ["stop"]);

  happen(["status", { state: "done", finish: "cut off at max_tokens", seconds: 7 }]);

  assert.ok(find(".mnb-stop").hidden);
  assert.equal(find(".mnb-finish").textContent, "cut off at max_tokens");
  assert.equal(find("[role=status]").textContent, "Done: cut off at max_tokens");
});

test("another run in the same view begins anew", () => {
  const { view, root, find } = viewing([{ kind: "text", parent: null, text: "old" }, CALL]);
  find(".mnb-stop").click();
  view.session.restore({ run: 9, seq: 9, state: { blocks: [{ ...CALL, name: "other" }, { ...CALL, id: "2" }], status: {} } });
  view.paint();

  assert.match(root.textContent, /other[^]*weather/);
  assert.doesNotMatch(root.textContent, /old/);
  assert.ok(!find(".mnb-stop").disabled);
});

/** Count how often the view is painted, or one of its blocks, from now on. */
function counting(object, method) {
  const usual = object[method].bind(object);
  const counter = { count: 0 };
  object[method] = (...given) => {
    counter.count += 1;
    usual(...given);
  };
  return counter;
}

/** What a page does between two frames. */
const frame = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));

const text = (seq) => ({ seq, ops: [["append", 0, "text", "x"]] });

test("a view is painted once per frame, and after a long painting has a pause", async () => {
  const { view } = viewing([{ kind: "text", parent: null, text: "" }]);
  const paintings = counting(view, "paint");

  view.free = 0;
  [1, 2, 3].forEach((seq) => view.session.receive(text(seq)));
  await frame();
  assert.equal(paintings.count, 1);

  view.free = Infinity;
  view.session.receive(text(4));
  await frame();
  assert.equal(paintings.count, 1);
  view.free = 0;
  await frame();
  assert.equal(paintings.count, 2);
});

test("the pause after a painting is bounded", () => {
  const { view } = viewing([{ kind: "text", parent: null, text: "" }]);
  const until = performance.now() + 150;
  view.views[0].update = () => {
    while (performance.now() < until);
  };
  view.changed(0);

  view.paint();

  assert.ok(view.free <= performance.now() + 500);
});

test("timers go on for as long as the run does, and begin again with another", () => {
  mock.timers.enable({ apis: ["setInterval"] });
  try {
    const { view, happen } = viewing([CALL]);
    const ticks = counting(view, "tick");
    mock.timers.tick(100);
    assert.equal(ticks.count, 1);

    happen(["status", { state: "done" }]);
    ticks.count = 0;
    mock.timers.tick(1_000);
    assert.equal(ticks.count, 0);

    view.session.restore({ run: 9, seq: 9, state: { status: { state: "tools" } } });
    mock.timers.tick(100);
    assert.equal(ticks.count, 1);
    view.remove();
    mock.timers.tick(100);
    assert.equal(ticks.count, 1);
  } finally {
    mock.timers.reset();
  }
});

test("where no click arrives there is nothing to stop the run with", () => {
  assert.ok(viewing([], {}, false).find(".mnb-stop").hidden);
});

test("the way to the end is offered when the answer has grown beyond what is seen", () => {
  const { root, happen, find } = viewing([CALL]);
  root.getBoundingClientRect = () => ({ top: 0, bottom: 10_000 });

  happen(["set", 0, { progress: "half" }]);

  assert.ok(!find(".mnb-jump").hidden);
});

test("what another run has inside a card stands there, even if that block of the last run was still to be painted", () => {
  const words = (parent) => ({ kind: "text", parent, text: "word" });
  const { view, find } = viewing(Array.from({ length: 11 }, () => words(null)));
  view.session.receive({ seq: 1, ops: [["append", 10, "text", "s"]] });

  const blocks = Array.from({ length: 11 }, (_, index) => (index === 2 ? CALL : words(index === 10 ? 2 : null)));
  view.session.restore({ run: 9, seq: 9, state: { blocks } });
  view.paint();

  assert.equal(find(".mnb-children").textContent.trim(), "word");
});

test("only what changed is painted", () => {
  const { view, happen } = viewing([{ kind: "text", parent: null, text: "a" }, CALL]);
  const updates = counting(view.views[0], "update");

  happen(["set", 1, { state: "running" }]);

  assert.equal(updates.count, 0);
});

test("texts of tools that run at the same time may both grow", () => {
  const inner = (name) => ({ kind: "text", parent: 0, text: `\`\`\`python\n${name} = 'y'\n` });
  const { happen, find } = viewing([CALL, inner("a"), inner("b")]);
  assert.equal(find(".mnb-children .mnb-hl-string"), null);

  happen(["append", 1, "text", "and"]);

  assert.match(find(".mnb-children").textContent, /a = 'y'\nand[^]*b = 'y'/);
});

for (const [what, op] of Object.entries({
  "another block follows": ["block", 1, CALL],
  "the run ends": ["status", { state: "stopped" }],
})) {
  test(`a text is whole when ${what}`, () => {
    const { happen, find } = viewing([{ kind: "text", parent: null, text: "```python\nx = 'y'\n" }]);
    assert.equal(find(".mnb-hl-string"), null);

    happen(op);

    assert.ok(find(".mnb-hl-string"));
  });
}

for (const state of ["done", "stopped", "failed"]) {
  test(`a run that is ${state} can't be stopped`, () => {
    assert.ok(viewing([], { state }).find(".mnb-stop").hidden);
  });
}

test("a view that was removed hears no more", async () => {
  const { view } = viewing([{ kind: "text", parent: null, text: "" }]);
  const paintings = counting(view, "paint");
  view.free = 0;
  view.session.receive(text(1));

  view.remove();
  await frame();

  assert.equal(view.session.viewers.size, 0);
  assert.equal(paintings.count, 0);
  assert.ok(view.follower.abort.signal.aborted);
});

test("a click loads an image, which then stays", () => {
  const { happen, find } = viewing([{ kind: "text", parent: null, text: "![a](https://example.org/a.png) and" }]);
  assert.equal(find("img"), null);
  find(".mnb-image").click();
  const image = find("img");
  assert.equal(image.src, "https://example.org/a.png");
  assert.equal(image.referrerPolicy, "no-referrer");
  assert.equal(image.alt, "[image at example.org: a]");

  happen(["append", 0, "text", " more"]);
  happen(["append", 0, "text", "\n\nAnother paragraph\n\nand another"], ["status", { state: "done" }]);

  assert.equal(find("img"), image);
});

/** What scrolls, with a height and a place: jsdom measures nothing. */
function scrolling(box, scrollTop) {
  Object.defineProperties(box, { scrollHeight: { get: () => 500 }, clientHeight: { get: () => 100 } });
  box.scrollTop = scrollTop;
  return box;
}

for (const [where, block, selector, op] of [
  ["arguments", CALL, ".mnb-section > .mnb-code", ["append", 0, "arguments", " "]],
  ["reasoning", { kind: "reasoning", parent: null, text: "Hm", started: 1, seconds: null }, ".mnb-body", ["append", 0, "text", "m"]],
]) {
  test(`${where} that grow stay at their end if that is where they are`, () => {
    const { happen, find } = viewing([block]);
    const box = scrolling(find(selector), 393);
    happen(op);
    assert.equal(box.scrollTop, 500);

    box.scrollTop = 392;
    happen(op);
    assert.equal(box.scrollTop, 392);
  });
}

test("who opens reasoning that is over begins to read at its beginning", () => {
  const { happen, find } = viewing([{ kind: "reasoning", parent: null, text: "Hm", started: 1, seconds: null }]);
  const box = scrolling(find(".mnb-body"), 400);

  happen(["set", 0, { seconds: 2 }]);

  assert.equal(box.scrollTop, 0);
});

test("JSON is set out over lines, as far as it has come", () => {
  assert.equal(indented('{"a":[1,{"b":"x,{"}],"c":{},"d":"unfin'), '{\n  "a": [\n    1,\n    {\n      "b": "x,{"\n    }\n  ],\n  "c": {},\n  "d": "unfin');
  assert.equal(indented(' [ "a { \\" [" , { } ]'), '[\n  "a { \\" [",\n  {}\n]');
  assert.equal(indented("no [json]"), "no [json]");
});

test("JSON that is made to be hard to set out is shown all the same", () => {
  const deepest = indented("[".repeat(50)).split("\n").at(-1);
  assert.equal(deepest, `${"  ".repeat(20)}[`);
  assert.equal(indented("[]]]]1"), "[]\n]\n]\n]1");

  const long = `[${"1,".repeat(10_000)}`;
  assert.equal(drawnJson(long), long);
  assert.match(drawnJson('{"a": "\u202e"}'), /\ufffd/);
});

test("durations read as in the saved answer", () => {
  const read = { 0: "", 0.0499: "", 0.05: "0.05 s", 0.4249: "0.42 s", 7.34: "7.3 s", 59.96: "1 min", 125: "2 min 5 s", 120: "2 min" };
  for (const [seconds, words] of Object.entries(read)) assert.equal(duration(Number(seconds)), words);
  assert.equal(duration(null), "");
});
