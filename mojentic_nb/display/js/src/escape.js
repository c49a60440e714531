const ENTITIES = /** @type {Record<string, string>} */ ({
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
});

/**
 * `text` as HTML that shows it.
 * @param {string} text
 */
export const escape = (text) => text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);

// What could reorder, hide or forge what the reader sees: as in llm/plain.py.
const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}\ud800-\udfff]/gu;
const EMOJI = "[\\u00a9\\u00ae\\u203c\\u2049\\u2122\\u2139\\u2190-\\u27bf\\u2900-\\u2bff\\u3030\\u303d\\u3297\\u3299\\u{1f000}-\\u{1faff}]";
const SELECTED = new RegExp(`${EMOJI}$`, "u");
const JOINED = new RegExp(`(?:${EMOJI})[\\ufe0e\\ufe0f]?$`, "u");
const JOINING = new RegExp(`^${EMOJI}`, "u");
const SCRIPTS = "Arab Syrc Nkoo Mong Deva Beng Guru Gujr Orya Taml Telu Knda Mlym Sinh Tibt Mymr Khmr Bali Java".split(" ");
const WORDS = SCRIPTS.map((script) => new RegExp(`^(?=[\\p{L}\\p{M}])\\p{scx=${script}}`, "u"));

/** The last character of `text`. @param {string} text */
const last = (text) => [...text.slice(-2)].at(-1) ?? "";

/**
 * `text` with every character in it visible, but for line ends and tabs. With `joiners`, those stay that hold an emoji
 * together or stand between letters of a script that needs them: names and code are to be written without.
 * @param {string} text
 * @param {boolean} [joiners]
 */
export const printable = (text, joiners = false) =>
  text.replaceAll("\r\n", "\n").replace(HIDDEN, (character, at, whole) => {
    const before = whole.slice(Math.max(0, at - 3), at);
    const after = whole.slice(at + character.length, at + character.length + 2);
    if (/[\ufe0e\ufe0f]/.test(character) && (SELECTED.test(before) || (/[#*0-9]$/.test(before) && after[0] === "\u20e3"))) return character;
    if (joiners && character === "\u200d" && JOINED.test(before) && JOINING.test(after)) return character;
    if (joiners && /[\u200c\u200d]/.test(character) && WORDS.some((word) => word.test(last(before)) && word.test(after))) return character;
    if (character < " ") return String.fromCharCode(0x2400 + character.charCodeAt(0));
    return character === "\u007f" ? "\u2421" : "\ufffd";
  });

const STRING = /("(?:[^"\\]|\\[^])*"?(?:\s*:)?)/;

/**
 * JSON `text`, maybe cut off, with every character visible; joiners stay in the values of strings.
 * @param {string} text
 */
export const printableJson = (text) =>
  text
    .split(STRING)
    .map((piece) => printable(piece, piece.startsWith('"') && !piece.endsWith(":")))
    .join("");
