import { printable } from "./escape.js";
import { highlight } from "./highlight.js";

/**
 * JSON text, maybe only the beginning of one, set out over lines. Text that is no JSON comes back as it is.
 * @param {string} text
 */
export function indented(text) {
  let result = "";
  let depth = 0;
  let inString = false;
  let escaped = false;
  const line = () => `\n${"  ".repeat(Math.max(0, depth))}`;
  for (const character of text) {
    if (inString) {
      result += character;
      if (escaped) escaped = false;
      else if (character === "\\") escaped = true;
      else if (character === '"') inString = false;
      continue;
    }
    switch (character) {
      case '"':
        inString = true;
        result += character;
        break;
      case "{":
      case "[":
        depth += 1;
        result += character + line();
        break;
      case "}":
      case "]":
        depth -= 1;
        result = /[{[]\s*$/.test(result) ? result.trimEnd() + character : result + line() + character;
        break;
      case ",":
        result += character + line();
        break;
      case ":":
        result += ": ";
        break;
      case " ":
      case "\n":
      case "\t":
      case "\r":
        break;
      default:
        result += character;
    }
  }
  return result.trimEnd();
}

/**
 * The HTML of JSON text, maybe only the beginning of one.
 * @param {string} text
 */
export function drawnJson(text) {
  return highlight(printable(indented(text)), "json");
}
