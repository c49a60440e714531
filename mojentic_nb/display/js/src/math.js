/**
 * Formulas, typeset by the front end: JupyterLab and Notebook bring MathJax for their own Markdown, and so the saved
 * answer, which they typeset too, looks the same. Where a front end offers nothing, the TeX stays to be read.
 */

/** @typedef {{ typeset: (element: HTMLElement) => unknown }} Typesetter */

/** @type {Typesetter | undefined} */
let typesetter;
/** @type {Map<string, HTMLElement>} */
const done = new Map();
const MOST = 1000; // formulas that are kept
const ALLOWED = 15_000; // characters of the formulas of an answer that are typeset, and the least that one counts for
const LEAST = 50;
/** @param {Element} formula */
const cost = (formula) => Math.max(formula.getAttribute("data-mnb-key")?.length ?? 0, LEAST);

/**
 * Note what the front end offers.
 * @param {any} manager its widget manager
 */
export function useTypesetter(manager) {
  typesetter = manager?.rendermime?.latexTypesetter ?? typesetter;
}

/**
 * Typeset the formulas below `root` that are not yet.
 * @param {HTMLElement} root
 */
export function typeset(root) {
  if (!typesetter) return;
  const fresh = root.querySelectorAll(".mnb-math:not(.mnb-typeset)");
  if (!fresh.length) return;
  const answer = root.closest(".mnb") ?? root;
  let left = ALLOWED - [...answer.querySelectorAll(".mnb-typeset")].reduce((sum, formula) => sum + cost(formula), 0);
  for (const formula of fresh) {
    left -= cost(formula);
    if (left < 0 || !(formula instanceof HTMLElement)) return;
    formula.classList.add("mnb-typeset");
    const source = formula.dataset["mnbKey"] ?? "";
    const known = done.get(source);
    if (known?.querySelector("mjx-container")) {
      formula.replaceChildren(.../** @type {HTMLElement} */ (known.cloneNode(true)).childNodes);
      continue;
    }
    if (done.size >= MOST) done.clear();
    done.set(source, formula);
    typesetter.typeset(formula);
  }
}
