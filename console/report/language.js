// The two languages, and which one is shown.

import { ENGLISH } from "./english.js";
import { CHINESE } from "./chinese.js";

const MESSAGES = { en: ENGLISH, zh: CHINESE };
const STORED = "offkey.language";

let current = initial();

function initial() {
  const stored = remembered(STORED);
  if (stored in MESSAGES) return stored;
  return navigator.language.startsWith("zh") ? "zh" : "en";
}

/** The language shown, `en` or `zh`. */
export function language() {
  return current;
}

/** Shows another language from the next drawing on. */
export function setLanguage(code) {
  current = code;
  remember(STORED, code);
  document.documentElement.lang = code === "zh" ? "zh-CN" : "en";
}

/** The message of a name, `{parts}` of it filled in. */
export function t(name, values = {}) {
  const message = MESSAGES[current][name] ?? ENGLISH[name] ?? name;
  return message.replace(/\{(\w+)\}/g, (_, part) => String(values[part] ?? ""));
}

/** The message of a name as nodes and texts, so that a part can be an element. */
export function tNodes(name, values = {}) {
  const message = MESSAGES[current][name] ?? ENGLISH[name] ?? name;
  return message.split(/(\{\w+\})/).map((piece) => {
    const part = /^\{(\w+)\}$/.exec(piece);
    return part ? values[part[1]] ?? "" : piece;
  });
}

/** A preference kept by the browser, where it keeps any. */
export function remembered(name) {
  try {
    return localStorage.getItem(name) ?? "";
  } catch {
    return "";
  }
}

/** Keeps a preference, where the browser keeps any. */
export function remember(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Private windows and files may not; the preference then lasts as long as the page.
  }
}
