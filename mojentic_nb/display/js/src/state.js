/**
 * What a view shows, as display/blocks.py tells it, and the operations that build it.
 *
 * @typedef {{ kind: "text", parent: number | null, text: string, source?: string }} TextBlock
 * @typedef {{ kind: "reasoning", parent: number | null, text: string, started: number, seconds: number | null }} ReasoningBlock
 * @typedef {{ kind: "notice", parent: number | null, level: "info" | "warning" | "error", text: string }} NoticeBlock
 * @typedef {{ type: "json" | "text" | "markdown" | "table" | "html" | "image", text?: string, html?: string, src?: string, alt?: string }} Part
 * @typedef {{ type: string, message: string, traceback: string | null }} Failure
 * @typedef {"streaming" | "waiting" | "approval" | "running" | "done" | "failed" | "denied" | "timed_out" | "cancelled"} ToolState
 * @typedef {{ kind: "tool", parent: number | null, id: string, name: string, arguments: string, summary: string,
 *   state: ToolState, started: number | null, seconds: number | null, progress: string | null, display: Part[] | null,
 *   output: string | null, error: Failure | null }} ToolBlock
 * @typedef {TextBlock | ReasoningBlock | NoticeBlock | ToolBlock} Block
 * @typedef {{ model: string, state: "waiting" | "streaming" | "tools" | "done" | "stopped" | "failed", input_tokens: number,
 *   output_tokens: number, cached_tokens: number, reasoning_tokens: number, estimated: boolean, chunks: number, seconds: number,
 *   first_token_seconds: number | null, tokens_per_second: number | null, finish: string }} Status
 * @typedef {{ blocks: Block[], status: Status }} State
 * @typedef {["block", number, Block] | ["append", number, string, string] | ["set", number, Partial<Block>]
 *   | ["status", Partial<Status>]} Op
 */

/** @type {Readonly<Status>} */
const WAITING = Object.freeze({
  model: "",
  state: "waiting",
  input_tokens: 0,
  output_tokens: 0,
  cached_tokens: 0,
  reasoning_tokens: 0,
  estimated: false,
  chunks: 0,
  seconds: 0,
  first_token_seconds: null,
  tokens_per_second: null,
  finish: "",
});

/**
 * A state to apply operations to, whole even where `given` is not, which stays as it is.
 * @param {Partial<State>} given
 * @returns {State}
 */
export const stateOf = ({ blocks = [], status }) => ({
  blocks: blocks.map((block) => ({ ...block })),
  status: { ...WAITING, ...status },
});

/**
 * Apply `op` to `state`, and tell which block it changed; -1 for the status.
 * @param {State} state
 * @param {Op} op
 * @returns {number}
 */
export function apply(state, op) {
  switch (op[0]) {
    case "block":
      state.blocks[op[1]] = { ...op[2] };
      return op[1];
    case "append": {
      const block = /** @type {Record<string, any>} */ (state.blocks[op[1]]);
      block[op[2]] += op[3];
      return op[1];
    }
    case "set":
      Object.assign(/** @type {Block} */ (state.blocks[op[1]]), op[2]);
      return op[1];
    case "status":
      Object.assign(state.status, op[1]);
      return -1;
  }
}

/**
 * Whether the run has ended.
 * @param {Status} status
 */
export const ended = ({ state }) => state === "done" || state === "stopped" || state === "failed";
