/**
 * Change the children of `now` into those of `wanted`, keeping every node that can stay: what the reader has selected,
 * opened or loaded stays with it. A text that grew gets its end appended.
 * @param {Node} now
 * @param {Node} wanted
 * @param {Node | null} [after] the child up to which nothing changes
 */
export function morph(now, wanted, after = null) {
  let old = after ? after.nextSibling : now.firstChild;
  let fresh = wanted.firstChild;
  while (fresh) {
    const next = fresh.nextSibling;
    if (!old) {
      now.appendChild(fresh);
    } else {
      const following = old.nextSibling;
      if (!adapt(old, fresh)) now.replaceChild(fresh, old);
      old = following;
    }
    fresh = next;
  }
  while (old) {
    const following = old.nextSibling;
    now.removeChild(old);
    old = following;
  }
}

/**
 * Make `now` be as `wanted`, and tell whether that was possible.
 * @param {Node} now
 * @param {Node} wanted
 */
function adapt(now, wanted) {
  if (now instanceof Text && wanted instanceof Text) {
    if (wanted.data.startsWith(now.data)) {
      if (wanted.length > now.length) now.appendData(wanted.data.slice(now.length));
    } else {
      now.data = wanted.data;
    }
    return true;
  }
  if (!(now instanceof Element && wanted instanceof Element)) return false;
  // A formula that is typeset, an image that was loaded: the same for as long as its source is.
  const key = wanted.getAttribute("data-mnb-key");
  if (key !== null || now.hasAttribute("data-mnb-key")) return key === now.getAttribute("data-mnb-key");
  if (now.tagName !== wanted.tagName) return false;
  for (const { name } of [...now.attributes]) if (!wanted.hasAttribute(name)) now.removeAttribute(name);
  for (const { name, value } of wanted.attributes) if (now.getAttribute(name) !== value) now.setAttribute(name, value);
  morph(now, wanted);
  return true;
}
