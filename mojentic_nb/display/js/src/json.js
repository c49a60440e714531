import { printableJson } from "./escape.js";
import { highlight } from "./highlight.js";

const DEEPEST = 20; // levels that are indented
const LONGEST = 20_000; // characters that are set out: it is done anew each time that more come

/**
 * JSON text, maybe only the beginning of one, set out over lines. Text that is no JSON comes back as it is.
 * @param {string} text
 */
export function indented(text) {
  if (!/^\s*[{[]/.test(text)) return text;
  let result = "";
  let depth = 0;
  let inString = false;
  let escaped = false;
  let last = "";
  const line = () => `\n${"  ".repeat(Math.min(Math.max(0, depth), DEEPEST))}`;
  for (const character of text) {
    if (inString) {
      result += character;
      if (escaped) escaped = false;
      else if (character === "\\") escaped = true;
      else if (character === '"') inString = false;
      continue;
    }
    if (/\s/.test(character)) continue;
    if ("}]".includes(character)) {
      depth -= 1;
      result += ("{[".includes(last) ? "" : line()) + character;
    } else {
      if (last && "{[,".includes(last)) result += line();
      if ("{[".includes(character)) depth += 1;
      result += character === ":" ? ": " : character;
      inString = character === '"';
    }
    last = character;
  }
  return result;
}

/**
 * The HTML of JSON text, maybe only the beginning of one.
 * @param {string} text
 */
export function drawnJson(text) {
  return highlight(printableJson(text.length > LONGEST ? text : indented(text)), "json");
}
