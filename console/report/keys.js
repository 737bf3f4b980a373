// The largest keys: sorted, filtered, unfolded and copied.

import { copyText, h, icon, replace } from "./dom.js";
import { count, duration, moment, percent, size, sizeNode } from "./format.js";
import { t } from "./language.js";
import { nameNode, nameText } from "./names.js";
import { bar, iconButton, more, select, showDone, sorted, table, tableRow, typeNode } from "./tables.js";

/** Rows drawn at once. */
const ROWS = 50;

/** The table of the largest keys; `state` remembers what was chosen. */
export function keysSection(report, state) {
  state.sorting ??= { name: "bytes", down: true };
  state.text ??= "";
  state.type ??= "";
  state.db ??= "";
  state.shown ??= ROWS;
  const keys = report.largest_keys.map((key, at) => ({ ...key, rank: at + 1 }));
  const columns = keyColumns(report, keys);
  const place = h("div");
  const status = h("p", { class: "status", role: "status" });
  const draw = () => {
    const found = sorted(filtered(keys, state), columns, state.sorting);
    const shown = found.slice(0, state.shown);
    replace(place, shown.length > 0
      ? [keyTable(columns, shown, keys, state, draw), more(found, state, draw)]
      : h("p", { class: "nothing" }, t("no_key_matches")));
    replace(status, found.length === keys.length
      ? t("keys_of_all", { count: count(keys.length) })
      : t("keys_found", { found: count(found.length), count: count(keys.length) }));
  };
  draw();
  return [controls(keys, state, draw), status, place];
}

function controls(keys, state, draw) {
  const unique = (field) => [...new Set(keys.map((key) => String(key[field])))].sort();
  const change = (field) => (value) => {
    state[field] = value;
    state.shown = ROWS;
    draw();
  };
  const search = h("input", {
    type: "search",
    placeholder: t("filter_names"),
    "aria-label": t("filter_names"),
    value: state.text,
    spellcheck: "false",
    autocomplete: "off",
    oninput: () => change("text")(search.value),
  });
  const types = unique("type");
  const dbs = unique("db").sort((a, b) => Number(a) - Number(b));
  return h("div", { class: "controls" }, search,
    types.length > 1
      ? select(t("type"), [["", t("all_types")], ...types.map((type) => [type, type])],
          state.type, change("type"))
      : null,
    dbs.length > 1
      ? select(t("db"), [["", t("all_dbs")], ...dbs.map((db) => [db, `db ${db}`])],
          state.db, change("db"))
      : null);
}

function filtered(keys, { text, type, db }) {
  const wanted = text.toLowerCase();
  return keys.filter((key) =>
    (type === "" || key.type === type)
    && (db === "" || String(key.db) === db)
    && (wanted === "" || nameText(key.key, key.key_base64).toLowerCase().includes(wanted)
      || key.encoding.includes(wanted)));
}

function keyColumns(report, keys) {
  const most = keys.reduce((most, key) => Math.max(most, key.bytes), 0);
  const severalDbs = new Set(keys.map((key) => key.db)).size > 1;
  const has = (field) => keys.some((key) => key[field] !== undefined);
  return [
    { name: "rank", label: "#", right: true, faint: true, hide: "narrow", cell: (key) => key.rank },
    { name: "key", label: t("key"), className: "key", first: "up",
      sort: (key) => nameText(key.key, key.key_base64), cell: keyName },
    { name: "type", label: t("type"), first: "up", sort: (key) => key.type,
      cell: (key) => typeNode(key.type) },
    { name: "bar", label: "", className: "bars small", hide: "narrow",
      cell: (key) => bar(key.bytes, most) },
    { name: "bytes", label: t("size"), right: true, sort: (key) => key.bytes,
      cell: (key) => sizeNode(key.bytes) },
    { name: "share", label: "%", right: true, faint: true, hide: "narrow",
      cell: (key) => percent(key.bytes, report.total_bytes) },
    { name: "elements", label: t("elements"), right: true, hide: "narrow",
      sort: (key) => key.num_of_elem, cell: (key) => count(key.num_of_elem) },
    { name: "encoding", label: t("encoding"), hide: "medium", first: "up",
      sort: (key) => key.encoding, cell: (key) => key.encoding },
    severalDbs && { name: "db", label: "db", right: true, hide: "medium", first: "up",
      sort: (key) => key.db, cell: (key) => key.db },
    { name: "expiry", label: t("expires"), hide: "medium", className: "nowrap", first: "up",
      sort: (key) => key.expire_at_ms ?? Infinity, cell: expiryNode },
    has("idle_seconds") && { name: "idle", label: t("idle"), right: true, hide: "medium",
      sort: (key) => key.idle_seconds,
      cell: (key) => (key.idle_seconds === undefined ? "–" : duration(key.idle_seconds)) },
    has("freq") && { name: "freq", label: t("freq"), right: true, hide: "medium",
      sort: (key) => key.freq, cell: (key) => key.freq ?? "–" },
    { name: "copy", label: "", className: "actions", cell: copyButton },
  ].filter(Boolean);
}

function keyName(key) {
  return h("button", { type: "button", class: "unfold", "aria-expanded": "false" },
    icon("right"), nameNode(key.key, key.key_base64));
}

function expiryNode(key) {
  return key.expire_at_ms === undefined
    ? h("span", { class: "faint" }, t("never"))
    : moment(key.expire_at_ms);
}

function copyButton(key) {
  const button = iconButton("copy", t("copy_name"), async () => {
    if (await copyText(nameText(key.key, key.key_base64))) showDone(button, "copy");
  });
  return button;
}

function keyTable(columns, shown, all, state, draw) {
  const box = table(columns, [], {
    caption: t("largest_keys"), className: "keys", sorting: state.sorting, onSort: draw,
  });
  const body = box.querySelector("tbody");
  for (const key of shown) {
    const row = tableRow(columns, key, all);
    const button = row.querySelector(".unfold");
    let details = null;
    button.addEventListener("click", () => {
      if (details) details.remove();
      details = details ? null : detailsRow(key, columns.length);
      button.setAttribute("aria-expanded", String(details !== null));
      if (details) row.after(details);
    });
    body.append(row);
  }
  return box;
}

function detailsRow(key, width) {
  const fact = (label, value) => h("div", {}, h("dt", {}, label), h("dd", {}, value));
  const optional = (value, show) => (value === undefined ? "–" : show(value));
  return h("tr", { class: "details" }, h("td", { colspan: width },
    h("p", { class: "whole-name" }, nameNode(key.key, key.key_base64),
      key.key_len ? h("span", { class: "faint" }, " … ", t("name_of_bytes", { count: count(key.key_len) })) : null),
    h("dl", { class: "facts" },
      fact(t("size_ranked"), h("span", {}, size(key.bytes), h("small", {}, ` ${count(key.bytes)} B`))),
      fact("MEMORY USAGE", optional(key.memory_usage, size)),
      fact(t("size_in_file"), size(key.serialized_bytes)),
      fact(t("elements"), count(key.num_of_elem)),
      fact(t("encoding"), `${key.type}, ${key.encoding}`),
      fact("db", key.db),
      fact(t("expires"), expiryNode(key)),
      key.idle_seconds === undefined ? null : fact(t("idle"), duration(key.idle_seconds)),
      key.freq === undefined ? null : fact(t("freq"), key.freq))));
}
