/** The view of an answer that streams, as a module for anywidget. */

import { useTypesetter } from "./math.js";
import { Session } from "./session.js";
import { View } from "./view.js";

/** @typedef {import("./session.js").Model} Model */

export default () => {
  const session = new Session(); // of one widget, whose views share it
  return {
    /** @param {{ model: Model }} context */
    initialize({ model }) {
      useTypesetter(model.widget_manager);
      session.connect(model); // at once: what comes before anyone listens is lost
    },
    /** @param {{ model: Model, el: HTMLElement }} context */
    render({ model, el }) {
      const view = new View(el, session, {
        stop: () => model.send({ type: "stop" }),
        decide: (block, approved) => model.send({ type: "decision", run: session.run, block, approved }),
        fold: (fold) => model.send({ type: "fold", ...fold }),
        clickable: () => model.get("_clickable"),
      });
      return () => view.remove();
    },
  };
};
