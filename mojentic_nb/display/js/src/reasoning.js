import { element, say } from "./elements.js";
import { Prose } from "./prose.js";
import { duration, running } from "./words.js";

/** @typedef {import("./state.js").ReasoningBlock} ReasoningBlock */

/** Visible reasoning: open while it comes, then folded under how long it took. */
export class Reasoning {
  constructor() {
    this.title = element("span", "mnb-thought");
    const header = element("summary", "", this.title);
    this.prose = new Prose();
    this.element = element("details", "mnb-reasoning", header, element("div", "mnb-body", this.prose.element));
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
    this.prose.update(block.text, final || block.seconds !== null);
    this.element.classList.toggle("mnb-busy", block.seconds === null && !final);
    if (block.seconds === null) return;
    say(this.title, ["Reasoning", duration(block.seconds)].filter(Boolean).join(" · "));
    if (!this.chosen) this.element.open = false;
    this.chosen = true; // it folds once
  }

  /** @param {number} now the run's time in seconds */
  tick(now) {
    if (this.block?.seconds !== null) return;
    say(this.title, `Reasoning · ${running(Math.max(0, now - this.block.started))}`);
  }
}
