/** Two views of one run, whatever becomes of the messages on their way: random, but the same each time. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { html, place } from "./page.mjs";

const { Session } = await import("../../mojentic_nb/display/js/src/session.js");
const { View } = await import("../../mojentic_nb/display/js/src/view.js");

/** Numbers below a bound, and choices, by a seed. */
function chance(seed) {
  let state = seed;
  const below = (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  return { below, pick: (choices) => choices[below(choices.length)] };
}

const TOOL = { kind: "tool", parent: null, id: "1", name: "t", arguments: "", summary: "", state: "streaming", started: 1,
  seconds: null, progress: null, display: null, output: null, error: null };
const PIECES = ["word ", "*so* ", "\n\n", "- a\n", "```\n", "`", "# T\n", "$x$ ", "| a |\n|---|\n"];

/** A run as the kernel tells it: the operations of each message, and the state after each. */
function run({ below, pick }) {
  const state = { blocks: [], status: { state: "streaming", seconds: 1 } };
  const states = [structuredClone(state)];
  const messages = [];
  const tell = (op) => {
    const [what, index, change, more] = op;
    if (what === "block") state.blocks[index] = structuredClone(change);
    else if (what === "append") state.blocks[index][change] += more;
    else if (what === "set") Object.assign(state.blocks[index], change);
    else Object.assign(state.status, index);
    return op;
  };
  const next = () => {
    const { blocks } = state;
    const cards = blocks.flatMap(({ kind }, index) => (kind === "tool" ? [index] : []));
    const texts = blocks.flatMap(({ kind }, index) => (kind === "tool" ? [] : [index]));
    const parent = pick([null, null, ...cards]);
    return tell(pick([
      () => ["block", blocks.length, pick([{ ...TOOL, parent }, { kind: "text", parent, text: "" },
        { kind: "reasoning", parent, text: "", started: 1, seconds: null }])],
      ...(cards.length ? [() => ["append", pick(cards), "arguments", pick(['{"a":', "[", '"b"', "}"])],
        () => ["set", pick(cards), pick([{ state: "running" }, { state: "approval" }, { progress: "half" }])]] : []),
      ...Array(texts.length ? 8 : 0).fill(() => ["append", pick(texts), "text", pick(PIECES)]),
      () => ["status", { output_tokens: below(100) }],
    ])());
  };
  for (let count = 0; count < 25; count += 1) {
    messages.push(Array.from({ length: 1 + below(3) }, next));
    states.push(structuredClone(state));
  }
  const ends = { text: {}, reasoning: { seconds: 2 }, tool: { seconds: 2, state: "done" } };
  messages.push([...state.blocks.map(({ kind }, index) => ["set", index, ends[kind]]), ["status", { state: "done", seconds: 2 }]].map(tell));
  states.push(structuredClone(state));
  return { messages, states };
}

/** A view that paints when it is told to. */
function viewing(session) {
  const ignore = () => {};
  const view = new View(place(), session, { stop: ignore, decide: ignore, fold: ignore, clickable: () => true });
  view.paint();
  return view;
}

for (const seed of [1, 2, 3, 4]) {
  test(`two views end as the kernel's state is, whatever becomes of the messages: ${seed}`, () => {
    const { below, pick } = chance(seed);
    const { messages, states } = run({ below, pick });
    const session = new Session();
    const snapshot = (seq) => ({ run: 0, seq, state: structuredClone(states[seq]) });
    session.restore(snapshot(0));
    const views = [viewing(session), viewing(session)];
    const gone = viewing(session);
    const asked = [];

    for (const at of messages.keys()) {
      const seqs = pick([[at + 1], [at + 1], [at + 1, at + 1], [], [at + 1, at], [at + 2, at + 1]]).filter((seq) => messages[seq - 1]);
      for (const seq of seqs) session.receive({ seq, ops: structuredClone(messages[seq - 1]) }, () => asked.push(seq));
      if (below(8) === 0) session.restore(snapshot(below(at + 2)));
      if (asked.length && below(2)) session.restore(snapshot(Math.max(asked.pop(), at + 1)));
      if (below(2)) pick(views).paint();
      if (at === 10) gone.remove();
      assert.deepEqual(session.state.blocks, states[session.seq].blocks);
    }
    session.restore(snapshot(messages.length));
    views.forEach((view) => view.paint());

    const other = new Session();
    other.restore(snapshot(messages.length));
    const [first, second, fresh] = [...views, viewing(other)].map((view) => {
      view.remove();
      return html(view.root);
    });
    assert.equal(first, fresh);
    assert.equal(second, fresh);
    assert.equal(session.viewers.size, 0);
  });
}
