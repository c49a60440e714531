import { element } from "./elements.js";
import { Prose } from "./prose.js";

/** @typedef {import("./state.js").TextBlock} TextBlock */

const FENCE = "`".repeat(10);

/** What the model wrote for another view to be made of, folded. */
export class Source {
  /** @param {string} language */
  constructor(language) {
    this.opening = `${FENCE}${language}\n`;
    this.prose = new Prose();
    const header = element("summary", "", "What the model wrote");
    this.element = element("details", "mnb-told", header, this.prose.element);
  }

  /**
   * @param {TextBlock} block
   * @param {boolean} final
   */
  update({ text }, final) {
    this.prose.update(this.opening + text, final);
  }
}
