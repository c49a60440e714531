/**
 * Unpacks the view, for anywidget: every view's first message carries its program, a third as long when it is packed.
 */

/**
 * @typedef {{ get: (name: string) => any }} Model
 * @typedef {{ initialize: (context: any) => void, render: (context: any) => () => void }} Live
 */

/**
 * The module whose gzipped source `packed` is.
 * @param {BlobPart} packed
 * @returns {Promise<{ default: () => Live }>}
 */
async function unpack(packed) {
  const source = new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip")));
  const url = URL.createObjectURL(new Blob([await source.text()], { type: "text/javascript" }));
  try {
    return await import(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

export default () => {
  /** @type {Live} */
  let live;
  return {
    /** @param {{ model: Model }} context */
    async initialize(context) {
      live = (await unpack(context.model.get("_program"))).default();
      live.initialize(context);
    },
    /** @param {{ model: Model, el: HTMLElement }} context */
    render: (context) => live.render(context),
  };
};
