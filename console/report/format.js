// Figures for people, in the language at hand.

import { h } from "./dom.js";
import { language, t } from "./language.js";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** A size in the unit that leaves one to four digits: its number and its unit. */
export function sizeParts(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 ? 0 : 1;
  const number = value.toLocaleString(language(), {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    useGrouping: false,
  });
  return [number, UNITS[unit]];
}

/** A size as text, such as `149.9 KiB`. */
export function size(bytes) {
  return sizeParts(bytes).join("\u00a0");
}

/** A size whose unit stands in a column of its own. */
export function sizeNode(bytes) {
  const [number, unit] = sizeParts(bytes);
  const title = `${count(bytes)} B`;
  return h("span", { class: "size", title }, number, h("span", { class: "unit" }, unit));
}

/** A whole number in groups of three digits. */
export function count(value) {
  return value.toLocaleString(language());
}

/** A number of keys in words, such as `2,881 keys`. */
export function keysOf(value) {
  return t(value === 1 ? "one_key" : "many_keys", { count: count(value) });
}

/** A large number in few digits, such as `1.2M`. */
export function short(value) {
  return value.toLocaleString(language(), { notation: "compact", maximumFractionDigits: 1 });
}

/** The share of a whole; `–` of nothing. */
export function percent(part, whole) {
  if (whole === 0) return "–";
  const share = (100 * part) / whole;
  if (share > 0 && share < 0.05) return "<0.1%";
  return `${share.toLocaleString(language(), { minimumFractionDigits: 1, maximumFractionDigits: 1 })}%`;
}

/** A moment in UTC, such as `2026-11-24 04:49`. */
export function moment(ms) {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? "–" : date.toISOString().slice(0, 16).replace("T", " ");
}

/** Seconds in the two largest units. */
export function duration(seconds) {
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const at = units.findIndex(([, each]) => seconds >= each);
  if (at === -1) return "0 s";
  const [name, each] = units[at];
  const whole = Math.floor(seconds / each);
  const [next, part] = units[at + 1] ?? [];
  const rest = part ? Math.floor((seconds - whole * each) / part) : 0;
  return rest > 0 ? `${whole} ${name} ${rest} ${next}` : `${whole} ${name}`;
}
