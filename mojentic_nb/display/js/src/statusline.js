import { button, element, say } from "./elements.js";
import { printable } from "./escape.js";
import { ended } from "./state.js";
import { RUN_STATES, statusWords } from "./words.js";

/** @typedef {import("./state.js").Status} Status */

/** The line below an answer: who, how much, how fast, and a way to stop it. */
export class StatusLine {
  /** @param {() => void} stop */
  constructor(stop) {
    this.dot = element("span", "mnb-dot");
    this.dot.ariaHidden = "true";
    this.facts = element("span", "mnb-facts");
    this.finish = element("strong", "mnb-finish");
    // Said aloud are the few changes of state, not numbers that change four times a second.
    this.said = element("span", "mnb-said");
    this.said.role = "status";
    this.said.setAttribute("aria-live", "polite");
    this.stop = button("mnb-stop", "Stop", () => {
      this.stop.disabled = true;
      stop();
    });
    this.element = element("div", "mnb-status", this.dot, this.facts, this.finish, this.said, this.stop);
  }

  /**
   * @param {Status} status
   * @param {number} now the run's time in seconds
   * @param {boolean} stoppable
   */
  update(status, now, stoppable) {
    const over = ended(status);
    this.element.dataset["state"] = status.state;
    say(this.facts, printable(statusWords(status, over ? status.seconds : now, over).join(" · ")));
    say(this.finish, over ? printable(status.finish) : "");
    say(this.said, RUN_STATES[status.state] + (over && status.finish ? `: ${status.finish}` : ""));
    this.stop.hidden = over || !stoppable;
    if (over) this.stop.disabled = false;
  }
}
