// Names of keys: bytes that others chose. They are shown exactly, steer nothing, and can be
// replaced by stand-ins that tell nothing.

import { h } from "./dom.js";

/** Characters that cannot be seen or that turn the direction of a text. */
const UNSEEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/u;

let isMasked = false;
const salt = crypto.getRandomValues(new Uint32Array(1))[0];

/** Whether names are replaced by stand-ins. */
export function namesMasked() {
  return isMasked;
}

/** Replaces names by stand-ins from the next drawing on, or no more. */
export function maskNames(masked) {
  isMasked = masked;
}

/** A name as text in which everything can be seen; escapes as `\xHH`. */
export function nameText(text, base64) {
  return pieces(text, base64).map(([piece]) => piece).join("");
}

/** A name as an element: escapes stand out, the direction of its text stays its own. */
export function nameNode(text, base64, attributes = {}) {
  const parts = pieces(text, base64).map(([piece, isEscape]) =>
    isEscape ? h("span", { class: "escape" }, piece) : piece,
  );
  const whole = parts.length > 0 ? parts : [h("span", { class: "escape" }, '""')];
  return h("bdi", { class: "name", ...attributes }, whole);
}

/** A message that may quote names: they are masked as names are. */
export function messageText(text) {
  const shown = escaped([...text]).map(([piece]) => piece).join("");
  return isMasked ? shown.replace(/"(?:[^"\\]|\\.)*"/g, '"…"') : shown;
}

/** Runs of a name, each with whether it is an escape. */
function pieces(text, base64) {
  if (isMasked) return [[standIn(base64 ?? text), false]];
  return joined(base64 ? escapedBytes(base64) : escaped([...text]));
}

function escaped(characters) {
  return characters.map((character) => {
    if (!UNSEEN.test(character)) return [character, false];
    const bytes = new TextEncoder().encode(character);
    return [Array.from(bytes, hex).join(""), true];
  });
}

/** The characters of bytes that are not all UTF-8. */
function escapedBytes(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const found = [];
  for (let at = 0; at < bytes.length; ) {
    const len = [1, 2, 3, 4].find((len) => decodes(decoder, bytes.subarray(at, at + len), len));
    const piece = bytes.subarray(at, at + (len ?? 1));
    if (len) found.push(...escaped([decoder.decode(piece)]));
    else found.push([hex(bytes[at]), true]);
    at += len ?? 1;
  }
  return found;
}

function decodes(decoder, bytes, len) {
  if (bytes.length < len) return false;
  try {
    return [...decoder.decode(bytes)].length === 1;
  } catch {
    return false;
  }
}

function hex(byte) {
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}

function joined(parts) {
  const runs = [];
  for (const [piece, isEscape] of parts) {
    const last = runs.at(-1);
    if (last && last[1] === isEscape) last[0] += piece;
    else runs.push([piece, isEscape]);
  }
  return runs;
}

/** The same stand-in for the same part of a name, as long as the page is open. */
function standIn(text) {
  return text.replace(/[^:;,_\-\s.|/]+/gu, (part) => {
    let hash = 0x811c9dc5 ^ salt;
    for (const unit of part) hash = Math.imul(hash ^ unit.codePointAt(0), 0x01000193);
    return (hash >>> 0).toString(36).padStart(7, "0").slice(-4);
  });
}
