/** The way to the end of an answer that grows below what is seen; the page's measures are given, since jsdom has none. */

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { place } from "./page.mjs";

const { Follower } = await import("../../mojentic_nb/display/js/src/follow.js");

const { documentElement: page } = document;
const SEEN = window.innerHeight;

const followers = [];
afterEach(() => followers.splice(0).forEach((follower) => follower.stop()));

/** A view that is at `top` of what `scroller` scrolls, and its follower. */
function following({ top = 0, height, scroller = page }) {
  const run = { growing: true, top, height };
  const root = document.createElement("div");
  (scroller === page ? document.body : scroller).append(root);
  root.getBoundingClientRect = () => ({ top: run.top - scroller.scrollTop, bottom: run.top + run.height - scroller.scrollTop });
  page.scrollTop = 0;
  const follower = new Follower(root, () => run.growing);
  followers.push(follower);
  const { hint } = follower;
  return { run, follower, hint, root };
}

const happen = (kind, target = document) => target.dispatchEvent(new window.Event(kind, { bubbles: true }));

test("the way to the end is offered where the end is below what is seen, and while there is more to come", () => {
  const { run, follower, hint } = following({ height: SEEN });
  assert.ok(hint.hidden);
  for (const [below, offered] of [[47, false], [48, true]]) {
    run.height = SEEN + below;
    follower.update();
    assert.equal(!hint.hidden, offered);
  }
  assert.equal(hint.style.top, `${SEEN - 40}px`);

  run.top = SEEN - 47; // of the view itself, hardly anything is seen
  follower.update();
  assert.ok(hint.hidden);
  run.top = 0;
  follower.update();
  assert.ok(!hint.hidden);

  run.growing = false;
  follower.update();
  assert.ok(hint.hidden);
});

test("scrolling and another size of the window place it anew, until the view is gone", () => {
  const { follower, hint } = following({ height: 2 * SEEN });
  happen("resize", window);
  assert.ok(!hint.hidden);

  page.scrollTop = SEEN;
  happen("scroll");
  assert.ok(hint.hidden);

  follower.stop();
  page.scrollTop = 0;
  happen("scroll");
  happen("resize", window);
  assert.ok(hint.hidden);
});

test("who takes the way is kept at the end, until he scrolls", () => {
  const { run, follower, hint, root } = following({ height: 2 * SEEN });
  const left = () => root.getBoundingClientRect().bottom - SEEN;
  follower.update();
  assert.equal(page.scrollTop, 0);

  happen("pointerdown", hint);
  hint.click();
  happen("keydown", hint);
  assert.equal(left(), -8);
  assert.ok(hint.hidden);

  run.height += 100;
  follower.update();
  assert.equal(left(), -8);
  run.height -= 50; // as when reasoning folds
  follower.update();
  assert.equal(left(), -58);

  run.height += 50;
  for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"]) {
    hint.click();
    happen(kind);
    run.height += 100;
    follower.update();
    assert.equal(left(), 92, kind);
    assert.ok(!hint.hidden);
  }
});

test("what scrolls is the nearest box that does, as far as it is seen", () => {
  const outer = place();
  const box = document.createElement("div");
  outer.append(box);
  const flat = document.createElement("div");
  box.append(flat);
  box.style.overflowY = "auto";
  flat.style.overflowY = "auto"; // and all in it is seen
  const measures = { scrollHeight: 900, clientHeight: 300 };
  for (const [name, value] of Object.entries(measures)) Object.defineProperty(box, name, { value });
  let bottom = 300;
  box.getBoundingClientRect = () => ({ bottom });
  const { follower, hint, root } = following({ height: 900, scroller: box });
  flat.append(root);

  follower.update();
  assert.equal(hint.style.top, "260px");
  bottom = SEEN + 50;
  follower.update();
  assert.equal(hint.style.top, `${SEEN - 40}px`);

  hint.click();
  assert.equal(box.scrollTop, 900 - SEEN + 8);
  assert.equal(page.scrollTop, 0);
});
