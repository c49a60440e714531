import { printable } from "./escape.js";
import { codeBlock, draw, parse, sanitize } from "./markdown.js";
import { morph } from "./morph.js";

/** @typedef {import("marked").Token} Token */

const FENCE = /^(`{3,}|~{3,})([^\n]*)\n/;

/**
 * Markdown that is drawn while it grows, at the cost of its last block rather than of the whole.
 *
 * A block is closed when another one follows it in complete lines. Nothing that comes later changes it: HTML and the
 * definitions of links, which would, are text here. Closed blocks are drawn once. The rest is drawn again each time,
 * into the nodes that are there, which stay when it closes.
 */
export class MarkdownStream {
  /** Up to where the text is in closed blocks. */
  #closed = 0;
  /** Up to where the text was searched for closed blocks. */
  #scanned = 0;
  /** @type {{ start: number, code: Text } | undefined} The code block that grows, and where its code starts. */
  #fence;
  /** @type {Node | null} The last node of the closed blocks. */
  #last = null;
  #text = "";
  #final = false;

  /** @param {HTMLElement} root where to draw */
  constructor(root) {
    this.root = root;
  }

  #reset() {
    this.#closed = 0;
    this.#scanned = 0;
    this.#fence = undefined;
    this.#last = null;
  }

  /**
   * Draw `text`, which has grown, or begin anew if it is another one.
   * @param {string} text
   * @param {boolean} final whether no more will come
   */
  update(text, final = false) {
    // How the last character looks may depend on the next one.
    const lines = printable(final ? text : text.replace(/[\r\u200c\u200d]$/, ""), true);
    const same = lines === this.#text;
    if (same && final === this.#final) return;
    if (!lines.startsWith(this.#text)) this.#reset();
    this.#text = lines;
    this.#final = final;
    if (!final && this.#grow()) return;
    this.#draw(final);
  }

  /** Append to the code block that grows; false if there is none, or if it may have ended. */
  #grow() {
    if (!this.#fence) return false;
    const { start, code } = this.#fence;
    const grown = this.#text.slice(start + code.length);
    if (/[`~]/.test(grown)) return false;
    code.appendData(grown);
    return true;
  }

  /**
   * Draw what was open, and note what of it is closed.
   * @param {boolean} final
   */
  #draw(final) {
    const tokens = final ? [] : this.#close();
    const drawn = tokens.length ? draw(tokens) : document.createDocumentFragment();
    const closed = drawn.childNodes.length;
    const rest = this.#text.slice(this.#closed);
    const fence = final ? undefined : openFence(rest);
    drawn.append(fence ? plain(fence) : draw(parse(rest)));
    morph(this.root, drawn, this.#last);
    for (let count = 0; count < closed; count += 1) this.#last = this.#first();
    const box = this.#first();
    const code = fence && box instanceof Element ? box.querySelector("code")?.firstChild : undefined;
    const start = this.#closed + rest.length - (fence?.code.length ?? 0);
    this.#fence = code instanceof Text ? { start, code } : undefined;
  }

  /** The first node of what is open. */
  #first() {
    return this.#last ? this.#last.nextSibling : this.root.firstChild;
  }

  /**
   * The blocks that complete lines have closed since; of a line that is not complete, the meaning may change.
   * @returns {Token[]}
   */
  #close() {
    const end = this.#text.lastIndexOf("\n") + 1;
    if (end <= this.#scanned) return [];
    this.#scanned = end;
    const tokens = parse(this.#text.slice(this.#closed, end));
    const last = tokens.findLastIndex((token) => token.type !== "space");
    if (last < 1) return [];
    const closed = tokens.slice(0, last);
    const source = closed.map((token) => token.raw).join("");
    if (!this.#text.startsWith(source, this.#closed)) return []; // what is closed can't be told apart: it stays open
    this.#closed += source.length;
    return closed;
  }
}

/**
 * The code block that `text` is, if it is one whose end has not come.
 * @param {string} text
 */
function openFence(text) {
  const start = /^\n*/.exec(text)?.[0].length ?? 0;
  const opening = FENCE.exec(text.slice(start));
  if (!opening) return undefined;
  const [line, fence = "", info = ""] = opening;
  if (fence.startsWith("`") && info.includes("`")) return undefined;
  const code = text.slice(start + line.length);
  const closing = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}[ \\t]*$`, "m");
  return closing.test(code) ? undefined : { code, info: info.trim() };
}

/**
 * Code without colours, which come when it is complete.
 * @param {{ code: string, info: string }} block
 */
function plain({ code, info }) {
  const drawn = sanitize(codeBlock(info, ""));
  drawn.querySelector("code")?.replaceChildren(code);
  return drawn;
}
