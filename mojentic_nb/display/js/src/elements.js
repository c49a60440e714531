/**
 * A new element of that class, with `children` in it.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} name
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, name, ...children) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...children);
  return made;
}

/**
 * A button that does `action`.
 * @param {string} name
 * @param {string} label
 * @param {() => void} action
 */
export function button(name, label, action) {
  const made = element("button", `mnb-button ${name}`, label);
  made.type = "button";
  made.addEventListener("click", action);
  return made;
}

/**
 * Do `change` to what `box` holds, and keep it at its end if that is where it was.
 * @param {HTMLElement} box that scrolls
 * @param {() => void} change
 */
export function keepingEnd(box, change) {
  const atEnd = box.scrollTop + box.clientHeight > box.scrollHeight - 8;
  change();
  if (atEnd) box.scrollTop = box.scrollHeight;
}

/**
 * Have `node` say `text`; touches the page only where it says something else.
 * @param {Node} node
 * @param {string} text
 */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
