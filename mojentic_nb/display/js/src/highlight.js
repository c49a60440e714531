import hljs from "highlight.js/lib/core";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cpp from "highlight.js/lib/languages/cpp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import julia from "highlight.js/lib/languages/julia";
import latex from "highlight.js/lib/languages/latex";
import markdown from "highlight.js/lib/languages/markdown";
import python from "highlight.js/lib/languages/python";
import r from "highlight.js/lib/languages/r";
import rust from "highlight.js/lib/languages/rust";
import sql from "highlight.js/lib/languages/sql";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";

import { escape } from "./escape.js";

const LANGUAGES = {
  ...{ bash, c, cpp, css, diff, go, ini, java, javascript, json, julia, latex, markdown, python, r, rust, sql, typescript },
  ...{ xml, yaml },
};
for (const [name, language] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, language);
hljs.registerAliases(["console", "shell"], { languageName: "bash" });
hljs.registerAliases(["python3"], { languageName: "python" });
hljs.configure({ classPrefix: "mnb-hl-" });

const LONGEST = 20_000; // characters; colouring more would hold up the page
// For most languages the time grows with the square of a line or a word, and was minutes for 20,000 characters of "[a](".
const ENDLESS = /[^\n]{500}|[^\s]{100}/;

/**
 * The HTML of `code`, coloured where the language is known and it takes no time.
 * @param {string} code
 * @param {string} language
 */
export function highlight(code, language) {
  const name = language.toLowerCase();
  if (code.length > LONGEST || !hljs.getLanguage(name) || (name !== "json" && ENDLESS.test(code))) return escape(code);
  return hljs.highlight(code, { language: name, ignoreIllegals: true }).value;
}
