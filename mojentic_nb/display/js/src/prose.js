import { element } from "./elements.js";
import { typeset } from "./math.js";
import { MarkdownStream } from "./stream.js";

/** @typedef {import("./state.js").TextBlock} TextBlock */

/** A piece of Markdown that may grow. */
export class Prose {
  constructor() {
    this.element = element("div", "mnb-md");
    this.element.addEventListener("click", loadImage);
    this.stream = new MarkdownStream(this.element);
  }

  /**
   * @param {string} text
   * @param {boolean} final whether no more will come
   */
  update(text, final) {
    this.stream.update(text, final);
    typeset(this.element);
  }
}

/**
 * Load the image whose placeholder was clicked: no other button is ever in Markdown.
 * @param {MouseEvent} event
 */
function loadImage({ target }) {
  if (!(target instanceof HTMLButtonElement)) return;
  const image = element("img", "mnb-loaded");
  image.referrerPolicy = "no-referrer";
  image.alt = target.textContent ?? "";
  image.dataset["mnbKey"] = target.dataset["mnbKey"];
  image.src = target.dataset["mnbKey"] ?? "";
  target.replaceWith(image);
}
