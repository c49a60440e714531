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

// Control characters could reorder or hide what the reader sees: the same ones as in display/plain.py.
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/**
 * `text` with its control characters made visible, but for line ends and tabs.
 * @param {string} text
 */
export const printable = (text) =>
  text
    .replaceAll("\r\n", "\n")
    .replace(CONTROLS, (character) =>
      character < " "
        ? String.fromCharCode(0x2400 + character.charCodeAt(0))
        : character === "\u007f"
          ? "\u2421"
          : "\ufffd",
    );
