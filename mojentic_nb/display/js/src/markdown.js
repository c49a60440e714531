import DOMPurify from "dompurify";
import { Lexer, Marked, Parser, Tokenizer } from "marked";

import { escape, printable } from "./escape.js";
import { highlight } from "./highlight.js";
import { harmless } from "./tex.js";

/** @typedef {import("marked").Token} Token */

// What a model writes is hostile until proven otherwise: no HTML of its own, nothing loads by itself, and what is made
// of it passes through a list of what is allowed.
const TAGS =
  "p br hr h1 h2 h3 h4 h5 h6 strong em del code pre blockquote ul ol li table thead tbody tr th td a span div button";
const ATTRIBUTES = ["href", "title", "class", "align", "start", "type", "data-mnb-key"];
// What stands in one of these has its direction, for marks and bars to be on the side where the text begins.
const DIRECTED = "p, h1, h2, h3, h4, h5, h6, ul, ol, blockquote, th, td";
const ADDRESS = /^(?:https?:|mailto:)/i;
const PURIFY = {
  ALLOWED_TAGS: TAGS.split(" "),
  ALLOWED_ATTR: ATTRIBUTES,
  ALLOWED_URI_REGEXP: ADDRESS, // of all attributes but those that are known to hold no address
  ADD_URI_SAFE_ATTR: ["align", "start", "type", "data-mnb-key"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  RETURN_DOM_FRAGMENT: /** @type {const} */ (true),
};

/** @type {ReturnType<typeof DOMPurify> | undefined} */
let purifier;

/** The purifier, made when there is a page to make it for. */
function purify() {
  if (!purifier) {
    purifier = DOMPurify(window);
    purifier.addHook("afterSanitizeAttributes", (node) => {
      if (node.nodeName === "A") {
        node.setAttribute("target", "_blank");
        node.setAttribute("rel", "noopener noreferrer nofollow");
      }
    });
  }
  return purifier;
}

/**
 * `html` as nodes, without anything that is not allowed.
 * @param {string} html
 * @returns {DocumentFragment}
 */
export const sanitize = (html) => purify().sanitize(html, PURIFY);

/**
 * A placeholder for an image, which would tell its server of the reader: it names the host, and a click loads it.
 * @param {string} address
 * @param {string} text
 */
function placeholder(address, text) {
  const sure = /^https?:\/\/[^/?#@]+(?:[/?#]|$)/i.test(address) && !/[\\\s]/.test(address) && URL.canParse(address);
  const host = sure ? new URL(address).hostname : "";
  if (!host) return escape(`[${text || "image"}]`);
  const label = `[image at ${host}${text ? `: ${text}` : ""}]`;
  return `<button type="button" class="mnb-image" data-mnb-key="${escape(address)}" title="Load ${escape(address)}">${escape(label)}</button>`;
}

/**
 * A formula: its source, for the front end to typeset.
 * @param {string} source
 */
function formula(source) {
  if (!harmless(source)) return `<code>${escape(printable(source))}</code>`;
  return `<span class="mnb-math" data-mnb-key="${escape(source)}">${escape(source)}</span>`;
}

// As Pandoc has it: no space inside of the dollars, and no digit after them, so that prices stay what they are.
const FORMULA =
  /\$\$(?!\s*\$\$)[^]{1,10000}?\$\$|\$(?![\s$])(?:[^$\\`]|\\[^])*?(?<!\s)\$(?!\d)|\\\((?!\s*\\\))[^]{1,10000}?\\\)|\\\[(?!\s*\\\])[^]{1,10000}?\\\]/y;
const FORMULA_BLOCK =
  /^ {0,3}(?:\$\$(?:[^\n]*\n){0,199}?[^\n]*?\$\$|\\\[(?:[^\n]*\n){0,199}?[^\n]*?\\\]|\\begin\{([A-Za-z]+\*?)\}(?:[^\n]*\n){0,199}?[^\n]*?\\end\{\1\})[ \t]*(?:\n+|$)/;

const ESCAPED_OR_FORMULA = new RegExp(`\\\\[^([]|${FORMULA.source}`, "g");

/**
 * `source` with its formulas blotted out, whose stars and underscores emphasise nothing.
 * @param {string} source
 */
const withoutFormulas = (source) =>
  source.replace(ESCAPED_OR_FORMULA, (found) => (/^\\[^([]/.test(found) ? found : "a".repeat(found.length)));

/** @type {import("marked").TokenizerAndRendererExtension} */
const inlineFormula = {
  name: "formula",
  level: "inline",
  start: (source) => source.search(/\$|\\[(\[]/),
  tokenizer(source) {
    FORMULA.lastIndex = 0;
    const found = FORMULA.exec(source);
    if (found) return { type: "formula", raw: found[0] };
  },
  renderer: ({ raw }) => formula(raw),
};

/**
 * Where a formula of its own lines begins in the paragraph that `source` begins with. What only looks like one divides
 * nothing: each part would be looked at with all that follows it.
 * @param {string} source
 * @param {string} [within] its part to look in
 */
function formulaIn(source, within = source) {
  for (const { 0: found, index } of within.matchAll(/\n(?:[ \t]*\n|(?= {0,3}(?:\$\$|\\\[|\\begin\{)))/g)) {
    if (found.length > 1) return undefined;
    if (FORMULA_BLOCK.test(source.slice(index + 1))) return index;
  }
  return undefined;
}

/** @type {import("marked").TokenizerAndRendererExtension} */
const blockFormula = {
  name: "formulaBlock",
  level: "block",
  start: (source) => formulaIn(source),
  tokenizer(source) {
    const found = FORMULA_BLOCK.exec(source);
    if (found) return { type: "formulaBlock", raw: found[0] };
  },
  renderer: ({ raw }) => `<p>${formula(raw.trim())}</p>\n`,
};

const usual = Tokenizer.prototype;
const LONGEST_TITLE = 1_000; // characters of a heading that is underlined: any line of a list may begin one

/**
 * A link or an image, unless it leads to where nothing may.
 * @template {{ href: string }} Link
 * @param {Link | undefined} link
 */
const allowed = (link) => (link && ADDRESS.test(link.href) ? link : undefined);

/**
 * Put what a table's row has more than the table has columns into its last cell, where it can be read.
 * @param {import("marked").Tokens.Table} table
 */
function keepCells({ raw, rows }) {
  const lines = raw.split("\n").slice(2);
  rows.forEach((cells, index) => {
    const row = (lines[index] ?? "").replace(/^[\s>|]*|\|\s*$/g, "");
    const extra = row.split(/(?<!\\)\|/).slice(cells.length);
    if (extra.length) cells.at(-1)?.tokens.push(plainText(` | ${extra.map((cell) => cell.trim()).join(" | ")}`));
  });
}

const options = new Marked({
  gfm: true,
  extensions: [inlineFormula, blockFormula],
  hooks: { emStrongMask: withoutFormulas },
  tokenizer: {
    // A model's HTML is text like any other, and so are definitions of links, which would not be seen.
    html: () => undefined,
    tag: () => undefined,
    def: () => undefined,
    lheading(source) {
      const lines = source.length <= LONGEST_TITLE ? source : source.slice(0, source.lastIndexOf("\n", LONGEST_TITLE) + 1);
      return usual.lheading.call(this, lines.slice(0, formulaIn(source, lines)));
    },
    // As in the saved answer: a link that may lead nowhere is text, and so are "www." and "~5 km (~3 miles)".
    link(source) {
      return allowed(usual.link.call(this, source));
    },
    autolink(source) {
      return allowed(usual.autolink.call(this, source));
    },
    url(source) {
      return /^https?:/i.test(source) ? usual.url.call(this, source) : undefined;
    },
    del(source, ...rest) {
      return source.startsWith("~~") ? usual.del.call(this, source, ...rest) : undefined;
    },
  },
  renderer: {
    code: ({ text, lang }) => codeBlock(printable(lang ?? ""), highlight(printable(text), /^\S*/.exec(lang ?? "")?.[0] ?? "")),
    codespan: ({ text }) => `<code>${escape(printable(text))}</code>`,
    image: ({ href, text }) => placeholder(href, text),
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
    table(table) {
      keepCells(table);
      return false; // and write it as usual
    },
    listitem({ task, tokens }) {
      return `<li${task ? ' class="mnb-task"' : ""}>${this.parser.parse(tokens)}</li>\n`;
    },
  },
}).defaults;

/**
 * @param {string} info what the fence says of the code
 * @param {string} code as HTML
 */
export function codeBlock(info, code) {
  const label = info ? `<div class="mnb-language">${escape(info)}</div>` : "";
  return `<div class="mnb-code-box">${label}<pre><code>${code}\n</code></pre></div>\n`;
}

const DEEPEST = 20; // lists and quotations in one another
const LONGEST = 5_000; // characters of a paragraph: the time to look for emphasis and links grows with the square
const BUSIEST = 500; // marks in it: each is looked for its other end
const MARKS = /[*_~]+|[[<`]|\\[[(]/g;

/** A lexer that takes as plain text what was made to be slow. */
class CarefulLexer extends Lexer {
  #depth = 0;

  /**
   * @param {string} text
   * @param {any} [tokens]
   * @param {boolean} [clipped]
   * @returns {any}
   */
  blockTokens(text, tokens = [], clipped = false) {
    if (this.#depth >= DEEPEST) {
      tokens.push(plainParagraph(text));
      return tokens;
    }
    this.#depth += 1;
    try {
      return super.blockTokens(text, tokens, clipped);
    } finally {
      this.#depth -= 1;
    }
  }

  /**
   * @param {string} text
   * @param {Token[]} [tokens]
   */
  inlineTokens(text, tokens = []) {
    if (text.length <= LONGEST && (text.match(MARKS)?.length ?? 0) <= BUSIEST) return super.inlineTokens(text, tokens);
    tokens.push(plainText(text));
    return tokens;
  }
}

/**
 * @param {string} text
 * @returns {Token}
 */
const plainText = (text) => ({ type: "text", raw: text, text, escaped: false });

/**
 * @param {string} text
 * @returns {Token}
 */
const plainParagraph = (text) => ({ type: "paragraph", raw: text, text, tokens: [plainText(text)] });

/**
 * The blocks of `text`.
 * @param {string} text
 * @returns {Token[]}
 */
export const parse = (text) => new CarefulLexer(options).lex(text);

/**
 * The nodes of some blocks.
 * @param {Token[]} tokens
 */
export function draw(tokens) {
  const drawn = sanitize(Parser.parse(tokens, options));
  for (const node of drawn.querySelectorAll(DIRECTED)) if (!node.closest(":is(ul, ol, blockquote) *")) node.setAttribute("dir", "auto");
  return drawn;
}

/**
 * The nodes of a whole text.
 * @param {string} text
 */
export const render = (text) => draw(parse(text));
