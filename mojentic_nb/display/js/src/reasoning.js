import { element, keepingEnd, say } from "./elements.js";
import { Prose } from "./prose.js";
import { duration, running } from "./words.js";

/** @typedef {import("./state.js").ReasoningBlock} ReasoningBlock */

/** Visible reasoning: open while it comes, then folded under how long it took. */
export class Reasoning {
  constructor() {
    this.title = element("span", "mnb-thought");
    const header = element("summary", "", this.title);
    this.prose = new Prose();
    this.body = element("div", "mnb-body", this.prose.element);
    this.element = element("details", "mnb-reasoning", header, this.body);
    this.element.open = true;
    this.chosen = false;
    header.addEventListener("click", () => (this.chosen = true));
  }

  /**
   * @param {ReasoningBlock} block
   * @param {boolean} final
   */
  update(block, final) {
    this.block = block;
    keepingEnd(this.body, () => this.prose.update(block.text, final || block.seconds !== null));
    if (block.seconds === null) return;
    say(this.title, ["Reasoning", duration(block.seconds)].filter(Boolean).join(" · "));
    if (!this.chosen) {
      this.body.scrollTop = 0; // where who opens it begins to read
      this.element.open = false;
    }
    this.chosen = true; // it folds once
  }

  /** @param {number} now the run's time in seconds */
  tick(now) {
    if (this.block?.seconds !== null) return;
    say(this.title, `Reasoning · ${running(Math.max(0, now - this.block.started))}`);
  }
}
