/**
 * @typedef {import("./state.js").Status} Status
 * @typedef {import("./state.js").ToolState} ToolState
 */

// As in display/words.py, so that an answer reads the same when it is saved.

const AT_ONCE = 0.05; // seconds

/**
 * A time that something took: `0.42 s`, `7.3 s`, `2 min 5 s`; "" for none, and for at once.
 * @param {number | null} seconds
 */
export function duration(seconds) {
  if (seconds === null || seconds < AT_ONCE) return "";
  if (seconds < 1) return `${seconds.toFixed(2)} s`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min${whole % 60 ? ` ${whole % 60} s` : ""}`;
}

/**
 * The time that something takes, for a timer: its width changes little.
 * @param {number} seconds
 */
export const running = (seconds) => (seconds < 59.95 ? `${seconds.toFixed(1)} s` : duration(seconds));

/** @param {number} number */
export const count = (number) => number.toLocaleString("en-US");

/** @type {Readonly<Record<ToolState, string>>} */
export const ICONS = Object.freeze({
  streaming: "○",
  waiting: "○",
  approval: "?",
  running: "●",
  done: "✓",
  failed: "✗",
  denied: "⊘",
  timed_out: "✗",
  cancelled: "⊘",
});

/**
 * What a call is up to, for the header of its card.
 * @type {Readonly<Record<ToolState, string>>}
 */
export const STATES = Object.freeze({
  streaming: "being called",
  waiting: "waiting",
  approval: "waiting for approval",
  running: "running",
  done: "",
  failed: "failed",
  denied: "denied",
  timed_out: "timed out",
  cancelled: "cancelled",
});

/** What a run is up to, for a screen reader. */
export const RUN_STATES = Object.freeze({
  waiting: "Waiting for the model",
  streaming: "Answering",
  tools: "Running tools",
  done: "Done",
  stopped: "Stopped",
  failed: "Failed",
});

/**
 * The parts of the status line, but for how the run ended.
 * @param {Status} status
 * @param {number} seconds how long the run has taken
 * @param {boolean} over
 */
export function statusWords(status, seconds, over) {
  const first = duration(status.first_token_seconds);
  return [
    status.model,
    tokens(status),
    rate(status.tokens_per_second),
    first && `first token ${first}`,
    over ? duration(seconds) : running(seconds),
  ].filter(Boolean);
}

/**
 * How fast the answer came; "" if that can't be told.
 * @param {number | null} perSecond
 */
function rate(perSecond) {
  if (!perSecond) return "";
  return `${perSecond < 10 ? perSecond.toFixed(1) : count(Math.round(perSecond))} tokens/s`;
}

/**
 * What a run cost: `1,204 tokens in (1,024 cached), 340 out`; `340 tokens` where only those are known.
 * @param {Status} status
 */
function tokens({ input_tokens, output_tokens, cached_tokens, reasoning_tokens, estimated }) {
  const about = estimated ? "≈" : "";
  const cached = cached_tokens ? ` (${count(cached_tokens)} cached)` : "";
  const reasoned = reasoning_tokens ? ` (${count(reasoning_tokens)} reasoning)` : "";
  if (input_tokens) return `${about}${count(input_tokens)} tokens in${cached}, ${about}${count(output_tokens)} out${reasoned}`;
  return output_tokens ? `${about}${count(output_tokens)} token${output_tokens === 1 ? "" : "s"}${reasoned}` : "";
}
