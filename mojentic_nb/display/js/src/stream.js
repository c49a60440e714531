import { element } from "./elements.js";
import { printable } from "./escape.js";
import { draw, parse } from "./markdown.js";
import { morph } from "./morph.js";

/** @typedef {import("marked").Token} Token */

/**
 * A block that is closed, kept because a link in it may still get its definition.
 * @typedef {{ source: string, nodes: ChildNode[] }} Closed
 */

const FENCE = /^ {0,3}(`{3,}|~{3,})([^\n]*)\n/;

/**
 * Markdown that is drawn while it grows, at the cost of its last block rather than of the whole.
 *
 * A block is closed when another one follows it in complete lines: nothing that comes later changes it, but for a link's
 * definition, which reaches back. Closed blocks are drawn once and their nodes stay. The rest is drawn again each time,
 * into the nodes that are there.
 */
export class MarkdownStream {
  /** Up to where the text is in closed blocks. */
  #closed = 0;
  /** Up to where the text was searched for closed blocks. */
  #scanned = 0;
  /** @type {import("marked").Links} The links that closed blocks define. */
  #links = {};
  /** @type {Closed[]} */
  #linking = [];
  /** @type {{ start: number, code: Text } | undefined} The code block that grows, and where its code starts. */
  #fence;
  #open = element("div", "mnb-open");
  #text = "";
  #final = false;

  /** @param {HTMLElement} root where to draw */
  constructor(root) {
    this.root = root;
    this.root.append(this.#open);
  }

  #reset() {
    this.#text = "";
    this.#final = false;
    this.#closed = 0;
    this.#scanned = 0;
    this.#links = {};
    this.#linking = [];
    this.#open = element("div", "mnb-open");
    this.root.replaceChildren(this.#open);
  }

  /**
   * Draw `text`, which has grown, or begin anew if it is another one.
   * @param {string} text
   * @param {boolean} final whether no more will come
   */
  update(text, final = false) {
    const lines = printable(text);
    const same = lines === this.#text;
    if (same && final === this.#final) return;
    if (this.#final || !lines.startsWith(this.#text)) this.#reset();
    this.#text = lines;
    this.#final = final;
    if (!final && this.#grow()) return;
    this.#fence = undefined;
    this.#close();
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

  /** Draw the blocks that complete lines have closed; of a line that is not complete, the meaning may change. */
  #close() {
    const end = this.#text.lastIndexOf("\n") + 1;
    if (end <= this.#scanned) return;
    this.#scanned = end;
    const tokens = parse(this.#text.slice(this.#closed, end), this.#links);
    const last = tokens.findLastIndex((token) => token.type !== "space");
    if (last < 1) return;
    this.#commit(tokens.slice(0, last));
  }

  /** @param {Token[]} tokens */
  #commit(tokens) {
    const source = tokens.map((token) => token.raw).join("");
    if (!this.#text.startsWith(source, this.#closed)) return; // not to be told apart yet: it stays open
    this.#closed += source.length;
    const known = Object.keys(this.#links);
    const blocks = parse(source, this.#links);
    this.#links = { ...this.#links, ...blocks.links };
    for (const block of blocks) {
      const drawn = draw([block]);
      if (block.raw.includes("[")) this.#linking.push({ source: block.raw, nodes: [...drawn.childNodes] });
      this.#open.before(drawn);
    }
    this.#open.replaceChildren();
    if (Object.keys(this.#links).length > known.length) this.#relink();
  }

  /** Draw anew those closed blocks that a link's definition changes. */
  #relink() {
    for (const block of this.#linking) {
      const drawn = draw(parse(block.source, this.#links));
      const nodes = [...drawn.childNodes];
      const same = nodes.length === block.nodes.length && nodes.every((node, i) => node.isEqualNode(block.nodes[i] ?? null));
      if (same || !block.nodes[0]) continue;
      block.nodes[0].before(drawn);
      block.nodes.forEach((node) => node.remove());
      block.nodes = nodes;
    }
  }

  /**
   * Draw what is open.
   * @param {boolean} final
   */
  #draw(final) {
    const rest = this.#text.slice(this.#closed);
    const tokens = parse(rest, this.#links);
    if (final) {
      this.#commit(tokens);
      return;
    }
    const fence = openFence(rest);
    morph(this.#open, fence ? plain(fence.code) : draw(tokens));
    const code = this.#open.querySelector("code")?.firstChild;
    if (fence && code instanceof Text) this.#fence = { start: this.#closed + rest.length - fence.code.length, code };
  }
}

/**
 * The code block that `text` is, if it is one whose end has not come.
 * @param {string} text
 */
function openFence(text) {
  const start = /^\n*/.exec(text)?.[0].length ?? 0;
  const opening = FENCE.exec(text.slice(start));
  const fence = opening?.[1] ?? "";
  if (!opening || (fence.startsWith("`") && opening[2]?.includes("`"))) return undefined;
  if (/^ /.test(opening[0])) return undefined; // its lines lose their indentation, too
  const code = text.slice(start + opening[0].length);
  const closing = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}[ \\t]*$`, "m");
  return closing.test(code) ? undefined : { code };
}

/**
 * Code without colours, which come when it is complete.
 * @param {string} code
 */
function plain(code) {
  const drawn = document.createDocumentFragment();
  drawn.append(element("pre", "", element("code", "", code)));
  return drawn;
}
