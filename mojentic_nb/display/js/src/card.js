import { button, element, keepingEnd, say } from "./elements.js";
import { printable, printableJson } from "./escape.js";
import { drawnJson } from "./json.js";
import { morph } from "./morph.js";
import { drawParts } from "./parts.js";
import { duration, ICONS, running, STATES } from "./words.js";

/**
 * @typedef {import("./state.js").ToolBlock} ToolBlock
 * @typedef {import("./state.js").Failure} Failure
 * @typedef {(approved: boolean) => void} Decide
 */

const CLOSED = new Set(["done", "cancelled"]); // what went wrong stays open

const OVER = new Set(["done", "failed", "denied", "timed_out", "cancelled"]);

/** The card of a tool call. */
export class Card {
  /** @param {Decide} decide tells the kernel whether a call may run */
  constructor(decide) {
    this.decide = decide;
    this.icon = element("span", "mnb-icon");
    this.icon.ariaHidden = "true";
    this.name = element("span", "mnb-name");
    this.name.dir = "ltr";
    this.summary = element("span", "mnb-summary");
    this.state = element("span", "mnb-state");
    this.time = element("span", "mnb-time");
    this.arguments = element("pre", "mnb-code", element("code", ""));
    this.progress = element("div", "mnb-progress");
    this.question = element("div", "mnb-question");
    this.children = element("div", "mnb-children");
    this.result = element("div", "mnb-outcome");
    const line = element("span", "mnb-header", this.icon, this.name, this.summary, this.state, this.time);
    this.header = element("summary", "", line);
    this.given = section("Arguments", this.arguments);
    const parts = [this.given, this.question, this.progress, this.children, this.result];
    this.element = element("details", "mnb-card", this.header, element("div", "mnb-body", ...parts));
    this.element.open = true;
    this.header.addEventListener("click", () => (this.chosen = true));
    /** Whether the reader opened or closed it: that counts from then on. */
    this.chosen = false;
    this.drawn = "";
    this.ended = false;
  }

  /** @param {ToolBlock} block */
  update(block) {
    this.block = block;
    this.element.dataset["state"] = block.state;
    say(this.icon, ICONS[block.state]);
    say(this.name, printable(block.name));
    say(this.summary, printableJson(block.summary));
    say(this.state, STATES[block.state]);
    if (this.drawn !== block.arguments) {
      this.drawn = block.arguments;
      const code = element("code", "");
      code.innerHTML = drawnJson(block.arguments);
      keepingEnd(this.arguments, () => morph(/** @type {Node} */ (this.arguments.firstChild), code));
    }
    const over = OVER.has(block.state);
    this.given.hidden = block.arguments === "" || (over && block.arguments === "{}");
    say(this.progress, over ? "" : printable(block.progress ?? "", true));
    this.#ask(block);
    if (over) this.#end(block);
  }

  /**
   * Advance the timer.
   * @param {number} now the run's time in seconds
   */
  tick(now) {
    if (!this.block || this.ended) return;
    const { started } = this.block;
    say(this.time, started === null ? "" : running(Math.max(0, now - started)));
  }

  /** @param {ToolBlock} block */
  #ask({ name, state }) {
    if ((state === "approval") === this.question.hasChildNodes()) return;
    this.question.replaceChildren();
    if (state !== "approval") return;
    this.element.open = true;
    const asked = element("span", "mnb-ask", element("span", "mnb-said", `${printable(name)}: `), "May it run?");
    asked.role = "alert"; // which is said aloud: the run waits
    const answer = (/** @type {boolean} */ approved) => () => {
      this.header.focus(); // not nowhere: the button goes
      for (const made of this.question.querySelectorAll("button")) made.disabled = true;
      this.decide(approved);
    };
    this.question.append(
      asked,
      button("mnb-approve", "Approve", answer(true)),
      button("mnb-deny", "Deny", answer(false)),
    );
  }

  /** @param {ToolBlock} block */
  #end(block) {
    if (this.ended) return;
    this.ended = true;
    say(this.time, duration(block.seconds));
    if (block.error) this.result.append(section("Error", drawFailure(block.error)));
    if (block.display) this.result.append(section("Result", drawParts(block.display)));
    if (block.output !== null) {
      const told = element("details", "mnb-told", element("summary", "", "What the model was told"));
      told.dataset["part"] = "told";
      told.append(element("pre", "mnb-plain", printable(block.output, true)));
      this.result.append(told);
    }
    if (!this.chosen && CLOSED.has(block.state)) this.element.open = false;
  }
}

/**
 * A part of a card's body, under its title.
 * @param {string} title
 * @param {Node} content
 */
function section(title, content) {
  return element("div", "mnb-section", element("div", "mnb-title", title), content);
}

/** @param {Failure} failure */
function drawFailure({ type, message, traceback }) {
  const said = element("pre", "mnb-error", printable([type, message].filter(Boolean).join(": "), true));
  said.dir = "auto";
  if (traceback === null) return said;
  const trace = element("details", "mnb-told", element("summary", "", "Traceback"), element("pre", "mnb-code", printable(traceback)));
  trace.dataset["part"] = "traceback";
  return element("div", "", said, trace);
}
