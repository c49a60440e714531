/** What a view knows, whatever messages it gets. */

import assert from "node:assert/strict";
import { test } from "node:test";

import "./page.mjs";

const { Session } = await import("../../mojentic_nb/display/js/src/session.js");

const block = (text) => ({ kind: "text", parent: null, text });
const first = { seq: 1, ops: [["block", 0, block("a")]] };
const second = { seq: 2, ops: [["append", 0, "text", "b"], ["status", { state: "streaming", seconds: 3 }]] };
const third = { seq: 3, ops: [["append", 0, "text", "c"]] };
const whole = { run: 0, seq: 2, state: { blocks: [block("ab")], status: { state: "streaming", seconds: 3 } } };

/** A session of a widget, and what the page and the kernel do to one another. */
function connected(snapshot = { run: 0, seq: 0, state: { blocks: [], status: {} } }) {
  const handlers = {};
  const sent = [];
  const model = {
    get: () => snapshot,
    on: (name, handler) => (handlers[name] = handler),
    send: (message) => sent.push(message),
  };
  const session = new Session();
  session.connect(model);
  const receive = handlers["msg:custom"];
  const restore = (next) => {
    snapshot = next;
    handlers["change:_snapshot"]();
  };
  return { session, sent, receive, restore };
}

const text = ({ state }) => state.blocks[0]?.text;

test("messages in turn are applied", () => {
  const { session, sent, receive } = connected();

  [first, second, third].forEach(receive);

  assert.equal(text(session), "abc");
  assert.equal(session.state.status.state, "streaming");
  assert.deepEqual(sent, []);
});

test("a message that the snapshot has is passed over", () => {
  const { session, sent, receive } = connected(whole);

  [first, second, third].forEach(receive);

  assert.equal(text(session), "abc");
  assert.deepEqual(sent, []);
});

test("a missing message has a snapshot asked for, once", () => {
  const { session, sent, receive, restore } = connected();
  receive(first);

  receive(third);
  receive({ seq: 4, ops: [["append", 0, "text", "d"]] });
  assert.deepEqual(sent, [{ type: "snapshot" }]);
  assert.equal(text(session), "a");

  restore({ ...whole, seq: 4, state: { ...whole.state, blocks: [block("abcd")] } });
  receive({ seq: 5, ops: [["append", 0, "text", "e"]] });
  assert.equal(text(session), "abcde");

  receive({ seq: 7, ops: [] });
  assert.equal(sent.length, 2);
});

test("an old snapshot changes nothing", () => {
  const { session, receive, restore } = connected();
  [first, second, third].forEach(receive);

  restore(whole);

  assert.equal(text(session), "abc");
});

test("viewers hear which block changed, and of snapshots", () => {
  const { session, receive, restore } = connected();
  const heard = [];
  session.viewers.add({ changed: () => {}, reset: () => {} });
  session.viewers.add({ changed: (index) => heard.push(index), reset: (another) => heard.push(another) });

  receive(first);
  receive(second);
  restore({ ...whole, seq: 3 });
  restore({ ...whole, run: 4, seq: 4 });

  assert.deepEqual(heard, [0, 0, -1, false, true]);
});

test("the run's time goes on from when it was last told", () => {
  const { session, receive, restore } = connected();
  receive(first);
  session.heard -= 60_000;
  receive(second);
  assert.ok(session.now() >= 3 && session.now() < 60);

  session.heard -= 60_000;
  receive({ seq: 3, ops: [["status", { chunks: 7 }]] });
  assert.ok(session.now() >= 63 && session.now() < 120);

  restore({ ...whole, seq: 4 });
  assert.ok(session.now() >= 3 && session.now() < 60);
});
