// Two reports side by side: what has grown, what is new, what is gone.

import { h } from "../report/dom.js";
import { count, moment, size } from "../report/format.js";
import { language, t } from "../report/language.js";
import { nameNode } from "../report/names.js";
import { table, typeNode } from "../report/tables.js";
import { treeOf } from "../report/treemap.js";
import { analysisPath, call } from "./api.js";
import { crumbs } from "./shell.js";

const ROWS = 60;

/** The page as a node, once the service has answered. */
export async function comparePage({ project, instance, tasks }) {
  const { name } = await call("GET", `/v2/${project}/instances/${instance}`);
  const sides = await Promise.all(tasks.map(async (task) => {
    const report = await call("GET", analysisPath(project, instance, task, "/report?short_names=true"));
    return { task, report, at: Math.max(...report.inputs.map((input) => input.created_at_ms ?? 0)) };
  }));
  sides.sort((a, b) => a.at - b.at);
  const [before, after] = sides;
  const head = (side, label) => h("p", {}, h("b", {}, label), " ",
    h("a", { href: `#/p/${project}/i/${instance}/t/${side.task}` },
      side.report.inputs.map((input) => input.file.split("/").at(-1)).join(", ")),
    side.at ? h("span", { class: "faint" }, `  ${moment(side.at)} UTC`) : null,
    side.report.complete ? null : h("span", { class: "bad" }, `  ${t("incomplete_short")}`));
  return [
    crumbs([t("instances"), `#/p/${project}`], [name, `#/p/${project}/i/${instance}`], [t("compare"), null]),
    h("h1", {}, t("compare_title")),
    h("div", { class: "about" }, head(before, t("before")), head(after, t("after"))),
    totals(before.report, after.report),
    section(t("prefix_changes"), t("prefix_changes_is"), changes(
      prefixesOf(before.report), prefixesOf(after.report),
      [{ name: "name", label: t("prefix"), className: "key", cell: (row) => nameNode(row.text, row.base64) },
        { name: "type", label: t("type"), cell: (row) => typeNode(row.type) }])),
    section(t("key_changes"), null, changes(
      keysOf(before.report), keysOf(after.report),
      [{ name: "name", label: t("key"), className: "key", cell: (row) => nameNode(row.text, row.base64) },
        { name: "type", label: t("type"), cell: (row) => typeNode(row.type) }])),
  ];
}

function section(title, lead, ...content) {
  return h("section", { class: "part" },
    h("header", {}, h("h2", {}, title), lead ? h("p", {}, lead) : null), content);
}

function totals(before, after) {
  const of = (report, type) => ({
    bytes: report.type_bytes.find((entry) => entry.type === type)?.bytes ?? 0,
    num: report.type_num.find((entry) => entry.type === type)?.num ?? 0,
  });
  const types = [...new Set([...before.type_bytes, ...after.type_bytes].map((entry) => entry.type))];
  const rows = types
    .map((type) => ({ type, was: of(before, type), is: of(after, type) }))
    .filter(({ was, is }) => was.num > 0 || is.num > 0);
  rows.push({
    type: null,
    was: { bytes: before.total_bytes, num: before.total_num },
    is: { bytes: after.total_bytes, num: after.total_num },
  });
  return h("div", { class: "panel" }, table([
    { name: "type", label: t("type"), cell: (row) => (row.type ? typeNode(row.type) : h("b", {}, t("all_keys"))) },
    { name: "was", label: t("before"), right: true, hide: "narrow", cell: (row) => size(row.was.bytes) },
    { name: "is", label: t("after"), right: true, cell: (row) => size(row.is.bytes) },
    { name: "change", label: t("change"), right: true, cell: (row) => changeNode(row.was.bytes, row.is.bytes) },
    { name: "was_num", label: t("keys_before"), right: true, hide: "narrow", cell: (row) => count(row.was.num) },
    { name: "is_num", label: t("keys_after"), right: true, hide: "narrow", cell: (row) => count(row.is.num) },
    { name: "change_num", label: t("change"), right: true, cell: (row) => signed(row.is.num - row.was.num, count) },
  ], rows, { caption: t("memory_by_type") }));
}

/** All prefixes of a tree, by type and text. */
function prefixesOf(report) {
  const all = new Map();
  const open = [...treeOf(report).children];
  while (open.length > 0) {
    const node = open.pop();
    if (!node.isType) {
      all.set(`${node.type}\n${node.text}`, { text: node.text, base64: node.base64, type: node.type, bytes: node.bytes, num: node.num });
    }
    open.push(...node.children);
  }
  return all;
}

function keysOf(report) {
  return new Map(report.largest_keys.map((key) => [`${key.db}\n${key.key_base64 ?? key.key}`,
    { text: key.key, base64: key.key_base64, type: key.type, bytes: key.bytes, num: key.num_of_elem }]));
}

/** A table of what differs, most bytes first. */
function changes(before, after, columns) {
  const names = new Set([...before.keys(), ...after.keys()]);
  const rows = [...names].map((name) => {
    const [was, is] = [before.get(name), after.get(name)];
    return { ...(is ?? was), was: was?.bytes, is: is?.bytes, by: (is?.bytes ?? 0) - (was?.bytes ?? 0) };
  }).filter((row) => row.by !== 0);
  if (rows.length === 0) return h("p", { class: "nothing" }, t("no_changes"));
  rows.sort((a, b) => Math.abs(b.by) - Math.abs(a.by));
  const shown = (bytes) => (bytes === undefined ? "–" : size(bytes));
  return table([
    ...columns,
    { name: "was", label: t("before"), right: true, hide: "narrow", cell: (row) => shown(row.was) },
    { name: "is", label: t("after"), right: true, hide: "narrow", cell: (row) => shown(row.is) },
    { name: "change", label: t("change"), right: true, cell: (row) => changeNode(row.was, row.is) },
  ], rows.slice(0, ROWS));
}

function changeNode(was, is) {
  const by = (is ?? 0) - (was ?? 0);
  if (by === 0) return h("span", { class: "faint" }, t("unchanged"));
  const word = was === undefined ? t("new") : is === undefined ? t("gone") : relative(by / was);
  return h("span", { class: by > 0 ? "grown" : "shrunk" }, signed(by, size), h("small", {}, ` ${word}`));
}

function relative(share) {
  if (!Number.isFinite(share)) return t("new");
  return share.toLocaleString(language(), { style: "percent", maximumFractionDigits: 1, signDisplay: "exceptZero" });
}

function signed(value, format) {
  if (value === 0) return "0";
  return `${value > 0 ? "+" : "−"}${format(Math.abs(value))}`;
}
