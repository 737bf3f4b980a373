// Tables: columns of figures that line up, with bars, sorting and unfolding where wanted.

import { h, icon, replace } from "./dom.js";
import { count, percent, sizeNode } from "./format.js";
import { t } from "./language.js";

const KNOWN_TYPES = ["string", "list", "set", "zset", "hash", "stream"];

/** The class that colours a type; module types share one. */
export function typeClass(type) {
  return `type-${KNOWN_TYPES.includes(type) ? type : "other"}`;
}

/** The name of a type with its colour beside it. */
export function typeNode(type) {
  return h("span", { class: `type ${typeClass(type)}` }, h("i", { class: "swatch" }), type);
}

/** A bar that is `part` of `whole` long. */
export function bar(part, whole, className = "") {
  const width = whole === 0 ? 0 : Math.max(0, Math.min(100, (100 * part) / whole));
  const style = { width: `${width}%` };
  return h("span", { class: `bar ${className}`, "aria-hidden": "true" }, h("span", { style }));
}

/** Columns that many tables have: a size with its bar and share, keys with their share. */
export function sizeColumns(totals, labels) {
  const most = (rows) => rows.reduce((most, row) => Math.max(most, row.bytes), 0);
  return [
    { name: "bar", label: "", className: "bars", cell: (row, rows) => bar(row.bytes, most(rows)) },
    { name: "bytes", label: labels.size, right: true, cell: (row) => sizeNode(row.bytes) },
    { name: "share", label: "%", right: true, faint: true,
      cell: (row) => percent(row.bytes, totals.bytes) },
    { name: "num", label: labels.keys, right: true, cell: (row) => count(row.num) },
    { name: "num_share", label: "%", right: true, faint: true, hide: "narrow",
      cell: (row) => percent(row.num, totals.num) },
  ];
}

/**
 * A table of `rows`.
 *
 * A column has `name`, `label`, `cell(row, rows)`, and may have `right`, `faint`, `className`,
 * `hide` (from which width down), `sort(row)` and `first` (the order it is sorted in first).
 * `options`: `caption` for screen readers, `sorting` (`{name, down}`, changed on clicks, then
 * `onSort` is called), `isHeader` (which column names the row), `rowAttributes(row)`.
 */
export function table(columns, rows, options = {}) {
  const head = h("tr", {}, columns.map((column) => headCell(column, options)));
  const body = h("tbody", {}, rows.map((row) => tableRow(columns, row, rows, options)));
  return scrolling(options.caption ?? null,
    h("table", { class: options.className },
      options.caption ? h("caption", { class: "offscreen" }, options.caption) : null,
      h("thead", {}, head),
      body,
    ));
}

/** A place for a table that may be wider than the page; the arrow keys move it as well. */
export function scrolling(label, table) {
  return h("div", { class: "table-scroll", tabindex: 0, role: "group", "aria-label": label }, table);
}

/** One row of a table. */
export function tableRow(columns, row, rows, options = {}) {
  const cells = columns.map((column) => {
    const tag = column.name === options.isHeader ? "th" : "td";
    const scope = tag === "th" ? "row" : null;
    return h(tag, { class: cellClass(column), scope }, column.cell(row, rows));
  });
  return h("tr", options.rowAttributes?.(row) ?? {}, cells);
}

function headCell(column, options) {
  const { sorting, onSort } = options;
  const attributes = { class: cellClass(column), scope: "col" };
  if (!column.sort || !sorting) return h(column.label === "" ? "td" : "th", attributes, column.label);
  const isSorted = sorting.name === column.name;
  const order = sorting.down ? "descending" : "ascending";
  const turn = () => {
    const down = isSorted ? !sorting.down : column.first !== "up";
    Object.assign(sorting, { name: column.name, down });
    onSort();
  };
  return h("th", { ...attributes, "aria-sort": isSorted ? order : "none" },
    h("button", { class: "sort", type: "button", onclick: turn }, column.label,
      h("span", { class: "arrow", "aria-hidden": "true" }, isSorted && !sorting.down ? "↑" : "↓")));
}

function cellClass(column) {
  const names = [column.className];
  if (column.right) names.push("right");
  if (column.faint) names.push("faint");
  if (column.hide) names.push(`hide-${column.hide}`);
  return names.filter(Boolean).join(" ") || null;
}

/** Rows in the order of `sorting`; equal ones keep theirs. */
export function sorted(rows, columns, sorting) {
  const column = columns.find((column) => column.name === sorting.name && column.sort);
  if (!column) return rows;
  const sign = sorting.down ? -1 : 1;
  return [...rows].sort((a, b) => sign * compare(column.sort(a), column.sort(b)));
}

/** What is not there stands last in both orders of numbers people look for: it is the least. */
function compare(a, b) {
  if (typeof a === "string" || typeof b === "string") return a < b ? -1 : a > b ? 1 : 0;
  return (a ?? -Infinity) - (b ?? -Infinity) || 0;
}

/** Buttons of which one is chosen. */
export function choice(label, options, chosen, onChoose) {
  const buttons = options.map(([value, text]) =>
    h("button", {
      type: "button",
      "aria-pressed": String(value === chosen),
      onclick: () => onChoose(value),
    }, text));
  return h("div", { class: "choice", role: "group", "aria-label": label }, buttons);
}

/** A list to choose from. */
export function select(label, options, chosen, onChoose) {
  const element = h("select", { "aria-label": label, onchange: () => onChoose(element.value) },
    options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
  return element;
}

/** A button with an icon, whose label only screen readers and pointers learn. */
export function iconButton(name, label, onclick, attributes = {}) {
  return h("button", { class: "icon-button", type: "button", title: label, "aria-label": label,
    onclick, ...attributes }, icon(name));
}

/** Shows for a moment that a button has done its work. */
export function showDone(button, name) {
  replace(button, icon("done"));
  setTimeout(() => replace(button, icon(name)), 1200);
}

/** A button that shows what is left of a list, if anything is; `state.shown` is how many are. */
export function more(found, state, draw) {
  if (found.length <= state.shown) return null;
  const all = () => {
    state.shown = found.length;
    draw();
  };
  return h("button", { type: "button", class: "more", onclick: all },
    t("show_all", { count: count(found.length) }));
}
