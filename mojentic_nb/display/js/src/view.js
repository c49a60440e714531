import { Card } from "./card.js";
import { element } from "./elements.js";
import { printable } from "./escape.js";
import { Follower } from "./follow.js";
import { Prose } from "./prose.js";
import { Reasoning } from "./reasoning.js";
import { Source } from "./source.js";
import { ended } from "./state.js";
import { StatusLine } from "./statusline.js";

/**
 * @typedef {import("./state.js").Block} Block
 * @typedef {import("./session.js").Session} Session
 * @typedef {{ element: HTMLElement, update: (block: any, final: boolean) => void, tick?: (now: number) => void,
 *   children?: HTMLElement }} BlockView
 * @typedef {{ block: number, part: string, open: boolean }} Fold
 * @typedef {{ stop: () => void, decide: (block: number, approved: boolean) => void, fold: (fold: Fold) => void,
 *   clickable: () => boolean }} Actions
 */

const TICK = 100; // milliseconds between two looks at the timers
const SHARE = 4; // a painting is followed by a pause of this many times what it took, so that the page stays free
const LONGEST_PAUSE = 500; // milliseconds

const SIGNS = { info: "", warning: "⚠ ", error: "✗ " };

/** One view of a session in the page: paints at most once per frame. */
export class View {
  /**
   * @param {HTMLElement} root where to draw
   * @param {Session} session
   * @param {Actions} actions what the reader can do
   */
  constructor(root, session, actions) {
    this.session = session;
    this.actions = actions;
    this.root = root;
    this.blocks = element("div", "mnb-blocks");
    this.blocks.addEventListener("click", ({ target }) => this.fold(/** @type {Element} */ (target)));
    this.line = new StatusLine(actions.stop);
    root.classList.add("mnb", "jp-RenderedHTMLCommon"); // its look is the saved answer's
    root.append(this.blocks, this.line.element);
    this.follower = new Follower(root, () => !ended(session.state.status));
    /** @type {BlockView[]} */
    this.views = [];
    /** @type {Set<number>} */
    this.dirty = new Set();
    this.frame = 0;
    this.free = 0;
    this.timer = 0;
    session.viewers.add(this);
    this.reset(true);
  }

  /** Let the timers run. */
  start() {
    clearInterval(this.timer);
    this.timer = setInterval(() => this.tick(), TICK);
  }

  /** The block with that index changed; -1 is the status. @param {number} index */
  changed(index) {
    this.dirty.add(index);
    if (index >= this.views.length) this.views.forEach((_, earlier) => this.dirty.add(earlier)); // they may be whole now
    this.schedule();
  }

  /**
   * Everything may have changed.
   * @param {boolean} another whether this is another run
   */
  reset(another) {
    if (another) {
      this.views = [];
      this.blocks.replaceChildren();
      this.line.stop.disabled = false; // it was the last run that was stopped
      this.start();
    }
    this.session.state.blocks.forEach((_, index) => this.dirty.add(index));
    this.changed(-1);
  }

  schedule() {
    if (this.frame) return;
    this.frame = requestAnimationFrame((now) => {
      this.frame = 0;
      if (now < this.free) this.schedule();
      else this.paint();
    });
  }

  paint() {
    const began = performance.now();
    const { blocks, status } = this.session.state;
    const final = ended(status);
    if (final) blocks.forEach((_, index) => this.dirty.add(index));
    // In their order, since a card is made before what stands in it.
    for (const index of [...this.dirty].sort((a, b) => a - b)) {
      const block = blocks[index];
      const whole = final || (block?.parent === null && index < blocks.length - 1); // tools may write at the same time
      if (block) this.viewOf(index, block).update(block, whole);
    }
    this.dirty.clear();
    this.tick();
    this.follower.update();
    const painted = performance.now();
    this.free = painted + Math.min((painted - began) * SHARE, LONGEST_PAUSE);
  }

  /**
   * @param {number} index
   * @param {Block} block
   */
  viewOf(index, block) {
    const known = this.views[index];
    if (known) return known;
    const made = this.make(index, block);
    this.views[index] = made;
    made.element.dataset["block"] = String(index);
    const card = block.parent === null ? undefined : this.views[block.parent];
    (card?.children ?? this.blocks).append(made.element);
    return made;
  }

  /**
   * @param {number} index
   * @param {Block} block
   * @returns {BlockView}
   */
  make(index, block) {
    switch (block.kind) {
      case "text": {
        if (block.source) return new Source(block.source);
        const prose = new Prose();
        return { element: prose.element, update: ({ text }, final) => prose.update(text, final) };
      }
      case "reasoning":
        return new Reasoning();
      case "tool":
        return new Card((approved) => this.actions.decide(index, approved));
      case "notice": {
        const notice = element("div", `mnb-notice mnb-${block.level === "error" ? "failure" : block.level}`, SIGNS[block.level] + printable(block.text, true));
        notice.dir = "auto";
        return { element: notice, update: () => {} };
      }
    }
  }

  /**
   * Tell what the reader opens or closes by a click there, if it is ours.
   * @param {Element} target
   */
  fold(target) {
    const fold = target.closest("summary")?.parentElement;
    const block = /** @type {HTMLElement | null | undefined} */ (fold?.closest("[data-block]"));
    const part = fold === block ? "" : fold?.dataset["part"];
    if (!(fold instanceof HTMLDetailsElement) || !block || part === undefined) return;
    this.actions.fold({ block: Number(block.dataset["block"]), part, open: !fold.open });
  }

  /** Advance what shows the time. */
  tick() {
    const { status } = this.session.state;
    const now = this.session.now();
    this.line.update(status, now, this.actions.clickable());
    if (ended(status)) {
      clearInterval(this.timer);
      return;
    }
    for (const view of this.views) view.tick?.(now);
  }

  /** Leave the page. */
  remove() {
    this.session.viewers.delete(this);
    cancelAnimationFrame(this.frame);
    clearInterval(this.timer);
    this.follower.stop();
  }
}
