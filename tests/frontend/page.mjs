/** A page without a browser, for the modules of the live view. Import it before them. */

import { createRequire } from "node:module";

const require = createRequire(new URL("../../mojentic_nb/display/js/package.json", import.meta.url));
const { JSDOM } = require("jsdom");

const { window } = new JSDOM("<!doctype html><body></body>", { pretendToBeVisual: true });
const names = ["window", "document", "Node", "Text", "Element", "HTMLElement", "HTMLButtonElement", "HTMLDetailsElement",
  "AbortController", "AbortSignal"];
for (const name of names) globalThis[name] = name === "window" ? window : window[name];
for (const name of ["requestAnimationFrame", "cancelAnimationFrame", "getComputedStyle"]) {
  globalThis[name] = window[name].bind(window);
}

/** An element in the page. */
export function place() {
  const root = document.createElement("div");
  document.body.append(root);
  return root;
}

/** What `root` shows, as HTML, with adjacent texts in one and attributes in order. */
export function html(root) {
  const copy = root.cloneNode(true);
  for (const node of copy.querySelectorAll("*")) {
    const attributes = [...node.attributes].sort((one, other) => (one.name < other.name ? -1 : 1));
    for (const { name } of attributes) node.removeAttribute(name);
    for (const { name, value } of attributes) node.setAttribute(name, value);
  }
  copy.normalize();
  return copy.innerHTML;
}
