// Charts made of elements: bars whose lengths are figures, readable as tables too.

import { h } from "./dom.js";
import { count, keysOf, percent, short, size } from "./format.js";
import { t } from "./language.js";
import { scrolling, table, typeClass } from "./tables.js";

/** One bar of parts beside each other; `parts` are `{label, bytes, className, title}`. */
export function stackedBar(parts, whole, label) {
  const shown = parts.filter((part) => part.bytes > 0);
  const segments = shown.map((part) => {
    const share = (100 * part.bytes) / Math.max(1, whole);
    const text = share > 9 ? h("span", {}, part.label) : null;
    const style = { "flex-grow": String(Math.max(share, 0.3)) };
    return h("span", { class: `segment ${part.className}`, style, title: part.title }, text);
  });
  return h("div", { class: "stacked", role: "img", "aria-label": label }, segments);
}

/** The parts of a bar of types. */
export function typeParts(types, whole) {
  return types.map(({ type, bytes }) => ({
    label: type,
    bytes,
    className: typeClass(type),
    title: `${type}: ${size(bytes)}, ${percent(bytes, whole)}`,
  }));
}

/**
 * Columns of keys and bytes for powers of two.
 *
 * `powers` are `{at_least, num, bytes}`; gaps between them are drawn as gaps.
 */
export function histogram(powers, { label, unit, totals }) {
  const rows = withGaps(powers);
  const most = {
    num: Math.max(1, ...rows.map((row) => row.num)),
    bytes: Math.max(1, ...rows.map((row) => row.bytes)),
  };
  const every = Math.max(1, Math.ceil(rows.length / 9));
  const columns = rows.map((row, at) => {
    const title = `${unit(row.at_least)}+: ${size(row.bytes)}, ${keysOf(row.num)}`;
    return h("div", { class: "column", title },
      h("span", { class: "pair" },
        column("by-bytes", row.bytes, most.bytes), column("by-keys", row.num, most.num)),
      h("span", { class: "tick" }, at % every === 0 ? unit(row.at_least) : ""));
  });
  return h("figure", { class: "histogram" },
    h("figcaption", {}, h("h3", {}, label), legend()),
    h("div", { class: "columns", "aria-hidden": "true" }, columns),
    numbers([
      { name: "from", label: t("from"), right: true, cell: (row) => unit(row.at_least) },
      ...figureColumns(totals),
    ], powers, label));
}

function column(className, value, most) {
  const height = value === 0 ? 0 : Math.max(1.5, (100 * value) / most);
  return h("span", { class: className, style: { height: `${height}%` } });
}

function legend() {
  return h("span", { class: "legend" },
    h("i", { class: "by-bytes" }), t("memory"), h("i", { class: "by-keys" }), t("keys"));
}

/** A chart's figures, folded away. */
function numbers(columns, rows, caption) {
  return h("details", { class: "numbers" }, h("summary", {}, t("figures")),
    table(columns, rows, { caption }));
}

function figureColumns(totals) {
  return [
    { name: "bytes", label: t("memory"), right: true, cell: (row) => size(row.bytes) },
    { name: "share", label: "%", right: true, faint: true,
      cell: (row) => percent(row.bytes, totals.bytes) },
    { name: "num", label: t("keys"), right: true, cell: (row) => count(row.num) },
    { name: "num_share", label: "%", right: true, faint: true,
      cell: (row) => percent(row.num, totals.num) },
  ];
}

function withGaps(powers) {
  const rows = [];
  for (const power of powers) {
    const next = (at) => (at === 0 ? 1 : at * 2);
    for (let at = rows.length ? next(rows.at(-1).at_least) : power.at_least; at < power.at_least; at = next(at)) {
      rows.push({ at_least: at, num: 0, bytes: 0 });
    }
    rows.push(power);
  }
  return rows;
}

/** Spans of time as two bars each: memory above, keys below. */
export function spanChart(spans, { label, name, totals }) {
  const rows = spans.map((span) => h("tr", { class: span.num === 0 ? "empty" : null },
    h("th", { scope: "row" }, name(span.span)),
    h("td", { class: "bars" }, double(span, totals)),
    h("td", { class: "right" }, size(span.bytes)),
    h("td", { class: "right faint" }, percent(span.bytes, totals.bytes)),
    h("td", { class: "right" }, count(span.num)),
    h("td", { class: "right faint hide-narrow" }, percent(span.num, totals.num))));
  return h("figure", { class: "spans" },
    h("figcaption", {}, h("h3", {}, label), legend()),
    scrolling(label, h("table", {},
      h("caption", { class: "offscreen" }, label),
      h("thead", {}, h("tr", {}, h("td"), h("td"),
        h("th", { scope: "col", class: "right" }, t("memory")),
        h("th", { scope: "col", class: "right" }, "%"),
        h("th", { scope: "col", class: "right" }, t("keys")),
        h("th", { scope: "col", class: "right hide-narrow" }, "%"))),
      h("tbody", {}, rows))));
}

function double(span, totals) {
  const width = (part, whole) => `${whole === 0 ? 0 : (100 * part) / whole}%`;
  return h("span", { class: "double", "aria-hidden": "true" },
    span.num > 0 ? h("span", { class: "by-bytes", style: { width: width(span.bytes, totals.bytes) } }) : null,
    span.num > 0 ? h("span", { class: "by-keys", style: { width: width(span.num, totals.num) } }) : null);
}

/** A number of elements as the foot of a column. */
export function elementUnit(value) {
  return value < 1000 ? count(value) : short(value);
}
