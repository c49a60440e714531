import { element } from "./elements.js";
import { printable, printableJson } from "./escape.js";
import { highlight } from "./highlight.js";
import { Prose } from "./prose.js";

/** @typedef {import("./state.js").Part} Part */

/**
 * What a person sees of a tool's result.
 * @param {Part[]} parts
 */
export function drawParts(parts) {
  return element("div", "mnb-result", ...parts.map(drawPart));
}

/**
 * @param {Part} part
 * @returns {HTMLElement}
 */
function drawPart(part) {
  switch (part.type) {
    case "json": {
      const code = element("code", "");
      code.innerHTML = highlight(printableJson(part.text ?? ""), "json");
      return element("pre", "mnb-code", code);
    }
    case "markdown": {
      const prose = new Prose();
      prose.update(part.text ?? "", true);
      return prose.element;
    }
    case "table":
    case "html": {
      const box = element("div", "mnb-html");
      box.innerHTML = part.html ?? ""; // made safe in Python
      return box;
    }
    case "image": {
      const image = element("img", "mnb-picture");
      image.alt = part.alt ?? "";
      image.src = part.src?.startsWith("data:image/") ? part.src : "";
      return image;
    }
    case "text":
      return element("pre", "mnb-plain", printable(part.text ?? "", true));
  }
}
