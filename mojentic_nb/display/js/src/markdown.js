import DOMPurify from "dompurify";
import { Lexer, Marked, Parser } from "marked";

import { escape } from "./escape.js";
import { highlight } from "./highlight.js";

/** @typedef {import("marked").Token} Token */
/** @typedef {import("marked").TokensList} TokensList */
/** @typedef {import("marked").Links} Links */

// What a model writes is hostile until proven otherwise: no HTML of its own, nothing loads by itself, and what is made
// of it passes through a list of what is allowed.
const TAGS =
  "p br hr h1 h2 h3 h4 h5 h6 strong em del code pre blockquote ul ol li table thead tbody tr th td a input span button";
const ATTRIBUTES = ["href", "title", "class", "align", "start", "type", "checked", "disabled", "data-mnb-key", "data-src"];
const ADDRESS = /^(?:https?:|mailto:|#)/i;
const PURIFY = {
  ALLOWED_TAGS: TAGS.split(" "),
  ALLOWED_ATTR: ATTRIBUTES,
  ALLOWED_URI_REGEXP: ADDRESS,
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
  if (!/^https?:/i.test(address)) return escape(text || address);
  const host = URL.canParse(address) ? new URL(address).host : "?";
  const label = `${text ? `${text} · ` : ""}load image from ${host}`;
  return `<button type="button" class="mnb-image" data-mnb-key="${escape(address)}" title="${escape(address)}">${escape(label)}</button>`;
}

/**
 * A formula: its source, for the front end to typeset.
 * @param {string} source
 * @param {boolean} display
 */
const formula = (source, display) =>
  `<span class="mnb-math${display ? " mnb-display" : ""}" data-mnb-key="${escape(source)}">${escape(source)}</span>`;

/** @type {import("marked").TokenizerAndRendererExtension} */
const inlineMath = {
  name: "math",
  level: "inline",
  start: (source) => source.search(/\$|\\[(\[]/),
  tokenizer(source) {
    // As Pandoc has it: no space inside of the dollars, and no digit after them, so that prices stay what they are.
    const found =
      /^\$\$(?!\s*\$\$)((?:\\[^]|[^\\$])+?)\$\$/.exec(source) ??
      /^\$(?![\s$])((?:\\[^\n]|[^\\$\n])+?)(?<!\s)\$(?!\d)/.exec(source) ??
      /^\\\(((?:\\[^)]|[^\\])+?)\\\)/.exec(source) ??
      /^\\\[((?:\\[^\]]|[^\\])+?)\\\]/.exec(source);
    if (found) return { type: "math", raw: found[0] };
  },
  renderer: ({ raw }) => formula(raw, raw.startsWith("$$") || raw.startsWith("\\[")),
};

const options = new Marked({
  gfm: true,
  extensions: [inlineMath],
  tokenizer: {
    // A model's HTML is text like any other.
    html: () => undefined,
    tag: () => undefined,
  },
  renderer: {
    code: ({ text, lang }) => {
      const language = /^\S*/.exec(lang ?? "")?.[0] ?? "";
      return `<pre><code class="language-${escape(language)}">${highlight(text, language)}\n</code></pre>\n`;
    },
    image: ({ href, text }) => placeholder(href, text),
    html: ({ text }) => escape(text),
  },
}).defaults;

/**
 * The blocks of `text`, among which links may go by what `links` and the text itself define.
 * @param {string} text
 * @param {Links} links
 * @returns {TokensList}
 */
export function parse(text, links = {}) {
  const lexer = new Lexer(options);
  Object.assign(lexer.tokens.links, links);
  return lexer.lex(text);
}

/**
 * The nodes of some blocks.
 * @param {Token[]} tokens
 */
export const draw = (tokens) => sanitize(Parser.parse(tokens, options));

/**
 * The nodes of a whole text.
 * @param {string} text
 */
export const render = (text) => draw(parse(text));
