/** Bundle the view into ../static, which is committed, and write down the licences of what is in it. */

import { build } from "esbuild";
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));

const { metafile } = await build({
  absWorkingDir: here("."),
  entryPoints: ["src/live.js", "src/loader.js", "src/live.css"],
  outdir: "../static",
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
  charset: "utf8",
  metafile: true,
});

const names = new Set(
  Object.keys(metafile.inputs).flatMap((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []),
);
const licences = await Promise.all(
  [...names].sort().map(async (name) => {
    const { version, license } = JSON.parse(await readFile(here(`node_modules/${name}/package.json`), "utf8"));
    const text = await readFile(here(`node_modules/${name}/LICENSE`), "utf8").catch(() =>
      readFile(here(`node_modules/${name}/LICENSE.md`), "utf8"),
    );
    return `${name} ${version} (${license})\n\n${text.trim()}\n`;
  }),
);
const rule = `\n${"-".repeat(80)}\n\n`;
await writeFile(
  here("../static/LICENSES.txt"),
  `live.js contains the following libraries.\n${rule}${licences.join(rule)}`,
);
