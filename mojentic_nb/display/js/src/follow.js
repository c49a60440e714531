import { button } from "./elements.js";

const NEAR = 48; // pixels: what is this near to the end is at it

/**
 * Keeps the page where the reader has it while an answer grows below, and offers the way to its end. Whoever takes it
 * is kept at the end until they scroll.
 */
export class Follower {
  /**
   * @param {HTMLElement} root the view
   * @param {() => boolean} growing whether there is more to come
   */
  constructor(root, growing) {
    this.root = root;
    this.growing = growing;
    this.following = false;
    this.hint = button("mnb-jump", "↓ Jump to the end", () => {
      this.following = true;
      this.update();
    });
    this.hint.hidden = true;
    root.append(this.hint);
    this.abort = new AbortController();
    const { signal } = this.abort;
    const leave = () => (this.following = false);
    document.addEventListener("scroll", () => this.update(), { signal, capture: true, passive: true });
    window.addEventListener("resize", () => this.update(), { signal });
    for (const kind of ["wheel", "touchmove", "keydown", "pointerdown"]) {
      document.addEventListener(
        kind,
        (event) => {
          if (event.target !== this.hint) leave();
        },
        { signal, capture: true, passive: true },
      );
    }
  }

  /** Place the hint after something grew or was scrolled. */
  update() {
    if (!this.growing()) {
      this.hint.hidden = true;
      return;
    }
    const scroller = scrollerOf(this.root);
    const box = this.root.getBoundingClientRect();
    const seen = scroller.getBoundingClientRect();
    const bottom = Math.min(scroller === document.documentElement ? window.innerHeight : seen.bottom, window.innerHeight);
    if (this.following && box.bottom > bottom) scroller.scrollTop += box.bottom - bottom + 8;
    const below = this.root.getBoundingClientRect();
    this.hint.hidden = below.bottom < bottom + NEAR || below.top > bottom - NEAR;
    if (!this.hint.hidden) this.hint.style.top = `${bottom - below.top - 40}px`;
  }

  stop() {
    this.abort.abort();
  }
}

/**
 * What scrolls the page around `node`.
 * @param {HTMLElement} node
 */
function scrollerOf(node) {
  for (let outer = node.parentElement; outer; outer = outer.parentElement) {
    if (outer.scrollHeight > outer.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(outer).overflowY)) return outer;
  }
  return document.documentElement;
}
