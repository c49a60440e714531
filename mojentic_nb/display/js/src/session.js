import { apply, stateOf } from "./state.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Op} Op
 * @typedef {{ run: number, seq: number, state: Partial<State> }} Snapshot
 * @typedef {{ changed: (index: number) => void, reset: (another: boolean) => void }} Viewer
 * @typedef {{ get: (name: string) => any, send: (content: any) => void,
 *   on: (name: string, callback: (...parts: any[]) => void) => void, widget_manager?: any }} Model
 */

/**
 * What the kernel said so far, for the views of one widget.
 *
 * It says everything once: each message carries the next number. A snapshot has all up to its number, so what is older
 * than it is passed over, and where a number is missing (a view that loaded late, a message that was dropped) a
 * snapshot is asked for.
 */
export class Session {
  constructor() {
    this.state = stateOf({});
    this.seq = -1;
    this.run = -1;
    /** When the state was last heard of, by this page's clock in milliseconds. */
    this.heard = performance.now();
    /** @type {Set<Viewer>} */
    this.viewers = new Set();
    this.asked = -1;
  }

  /**
   * Listen to the kernel.
   * @param {Model} model
   */
  connect(model) {
    this.restore(model.get("_snapshot"));
    model.on("change:_snapshot", () => this.restore(model.get("_snapshot")));
    model.on("msg:custom", (message) => this.receive(message, () => model.send({ type: "snapshot" })));
  }

  /** @param {Snapshot} snapshot */
  restore({ run, seq, state }) {
    if (seq < this.seq) return;
    const another = run !== this.run;
    this.run = run;
    this.seq = seq;
    this.state = stateOf(state);
    this.heard = performance.now();
    for (const viewer of this.viewers) viewer.reset(another);
  }

  /**
   * Take a message in, or `ask` for a snapshot if one before it is missing.
   * @param {{ seq: number, ops: Op[] }} message
   * @param {() => void} ask
   */
  receive({ seq, ops }, ask) {
    if (seq <= this.seq) return;
    if (seq !== this.seq + 1) {
      if (this.asked < this.seq) ask();
      this.asked = Math.max(this.asked, this.seq);
      return;
    }
    this.seq = seq;
    for (const op of ops) {
      const index = apply(this.state, op);
      if (op[0] === "status" && op[1].seconds !== undefined) this.heard = performance.now();
      for (const viewer of this.viewers) viewer.changed(index);
    }
  }

  /** The run's time now, in seconds. */
  now() {
    return this.state.status.seconds + (performance.now() - this.heard) / 1000;
  }
}
