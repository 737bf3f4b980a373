// The leading prefixes: by bytes, by number of keys, or by bytes that never expire.

import { copyText, h, replace } from "./dom.js";
import { count, keysOf, percent, size, sizeNode } from "./format.js";
import { t } from "./language.js";
import { nameNode, nameText } from "./names.js";
import { bar, choice, iconButton, more, select, showDone, sorted, table, typeNode } from "./tables.js";

const ROWS = 25;

/** The tables of prefixes; `state` remembers what was chosen. */
export function prefixesSection(report, state) {
  state.list ??= "bytes";
  state.type ??= "";
  state.text ??= "";
  state.shown ??= ROWS;
  const lists = listsOf(report);
  const options = [["bytes", t("by_size")], ["num", t("by_number")]];
  if (lists.lasting.length > 0) options.push(["lasting", t("without_expiry")]);
  const place = h("div");
  const chooser = h("div", { class: "controls" });
  const draw = () => {
    const found = filtered(lists[state.list], state);
    const columns = columnsOf(report, state.list, found);
    state.sorting ??= { name: state.list, down: true };
    const shown = sorted(found, columns, state.sorting).slice(0, state.shown);
    replace(place, shown.length === 0
      ? h("p", { class: "nothing" }, t("no_prefix_matches"))
      : [table(columns, shown, { caption: t("leading_prefixes"), className: "prefixes",
            sorting: state.sorting, onSort: draw }),
          more(found, state, draw)]);
  };
  const choose = (changes) => {
    Object.assign(state, { shown: ROWS }, changes);
    drawChooser();
    draw();
  };
  const types = [...new Set(report.largest_key_prefixes.map((prefix) => prefix.type))];
  const search = h("input", {
    type: "search", placeholder: t("filter_prefixes"), "aria-label": t("filter_prefixes"),
    value: state.text, spellcheck: "false", autocomplete: "off",
    oninput: () => { state.text = search.value; draw(); },
  });
  const drawChooser = () => replace(chooser,
    choice(t("order"), options, state.list, (list) => choose({ list, sorting: undefined })),
    search,
    types.length > 1
      ? select(t("type"), [["", t("all_types")], ...types.map((type) => [type, type])],
          state.type, (type) => choose({ type }))
      : null);
  drawChooser();
  draw();
  return [chooser, place, exactness(report.prefix_exactness)];
}

/** The lists without prefixes that only repeat a longer one. */
function listsOf(report) {
  return {
    bytes: telling(report.largest_key_prefixes_by_bytes).sort((a, b) => b.bytes - a.bytes),
    num: telling(report.largest_key_prefixes).sort((a, b) => b.num - a.num),
    lasting: telling(report.key_prefixes_without_expiry ?? []),
  };
}

/** Leaves out a prefix all of whose keys a longer one in the list has, too. */
export function telling(list) {
  const longest = new Map();
  const figures = (prefix) => `${prefix.type} ${prefix.num} ${prefix.bytes}`;
  for (const prefix of list) {
    const rivals = longest.get(figures(prefix)) ?? [];
    const at = rivals.findIndex((rival) =>
      prefix.key_prefix.startsWith(rival.key_prefix) || rival.key_prefix.startsWith(prefix.key_prefix));
    if (at === -1) rivals.push(prefix);
    else if (prefix.key_prefix.length > rivals[at].key_prefix.length) rivals[at] = prefix;
    longest.set(figures(prefix), rivals);
  }
  const kept = new Set([...longest.values()].flat());
  return list.filter((prefix) => kept.has(prefix));
}

function filtered(list, { type, text }) {
  const wanted = text.toLowerCase();
  return list.filter((prefix) => (type === "" || prefix.type === type)
    && (wanted === "" || nameText(prefix.key_prefix, prefix.key_prefix_base64).toLowerCase().includes(wanted)));
}

function columnsOf(report, list, rows) {
  const isLasting = list === "lasting";
  const field = isLasting ? "no_expiry_bytes" : list;
  const most = rows.reduce((most, row) => Math.max(most, row[field]), 0);
  const lasting = isLasting
    ? [
        { name: "lasting", label: t("never_expires"), right: true, sort: (row) => row.no_expiry_bytes,
          cell: (row) => sizeNode(row.no_expiry_bytes) },
        { name: "lasting_num", label: t("keys"), right: true, sort: (row) => row.no_expiry_num,
          cell: (row) => count(row.no_expiry_num) },
        { name: "lasting_share", label: t("of_prefix"), right: true, faint: true, hide: "narrow",
          sort: (row) => row.no_expiry_bytes / row.bytes,
          cell: (row) => percent(row.no_expiry_bytes, row.bytes) },
      ]
    : [];
  const plain = [
    { name: "bytes", label: t("size"), right: true, sort: (row) => row.bytes,
      cell: (row) => sizeNode(row.bytes) },
    { name: "share", label: "%", right: true, faint: true, hide: "narrow",
      cell: (row) => percent(row.bytes, report.total_bytes) },
    { name: "num", label: t("keys"), right: true, sort: (row) => row.num,
      cell: (row) => count(row.num) },
    { name: "average", label: t("average"), right: true, hide: "narrow",
      sort: (row) => row.bytes / row.num, cell: (row) => size(Math.round(row.bytes / row.num)) },
  ];
  return [
    { name: "prefix", label: t("prefix"), className: "key", first: "up",
      sort: (row) => nameText(row.key_prefix, row.key_prefix_base64),
      cell: (row) => nameNode(row.key_prefix, row.key_prefix_base64) },
    { name: "type", label: t("type"), first: "up", sort: (row) => row.type,
      cell: (row) => typeNode(row.type) },
    { name: "bar", label: "", className: "bars", hide: "narrow", cell: (row) => bar(row[field], most) },
    ...(isLasting ? lasting : plain),
    { name: "copy", label: "", className: "actions", cell: copyButton },
  ];
}

function copyButton(row) {
  const button = iconButton("copy", t("copy_prefix"), async () => {
    if (await copyText(nameText(row.key_prefix, row.key_prefix_base64))) showDone(button, "copy");
  });
  return button;
}

/** What is proven of the lists, in words. */
export function exactness(known) {
  const { counts_exact: exact, lists_complete: complete, unlisted_at_most: unlisted = [] } = known;
  const className = exact && complete ? "note" : "note warn";
  const most = unlisted.map(({ type, num, bytes }) =>
    t("unlisted_at_most", { type, keys: keysOf(num), size: size(bytes) }));
  return h("p", { class: className },
    h("strong", {}, exact ? t("counts_exact") : t("counts_low")), " ",
    complete ? t("lists_complete") : t("lists_incomplete"), " ",
    most.length > 0 && !(exact && complete) ? most.join("; ") : null, " ",
    t("prefix_rule"));
}
