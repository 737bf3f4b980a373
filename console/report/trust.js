// Where the figures come from and how far they can be trusted.

import { h } from "./dom.js";
import { count, moment, percent, size } from "./format.js";
import { t } from "./language.js";
import { messageText, nameNode } from "./names.js";
import { table, typeNode } from "./tables.js";

/** Damaged keys drawn. */
const DAMAGED_ROWS = 100;

/** Inputs, damaged keys, and what the words mean. */
export function sourceSection(report) {
  return [inputs(report), damaged(report), words()];
}

function inputs(report) {
  return table([
    { name: "file", label: t("file"), className: "key", cell: (input) => h("bdi", { class: "name" }, messageText(input.file)) },
    { name: "server", label: t("server"), className: "nowrap", cell: serverOf },
    { name: "rdb", label: "RDB", right: true, hide: "narrow", cell: (input) => input.rdb_version ?? "–" },
    { name: "created", label: t("written_at"), className: "nowrap", hide: "medium",
      cell: (input) => (input.created_at_ms === undefined ? "–" : moment(input.created_at_ms)) },
    { name: "profile", label: t("sized_as_column"), className: "nowrap", hide: "medium", cell: (input) => input.profile ?? "–" },
    { name: "num", label: t("keys"), right: true, cell: (input) => count(input.num) },
    { name: "bytes", label: t("memory"), right: true, cell: (input) => size(input.bytes) },
    { name: "used", label: "used-mem", right: true, hide: "narrow",
      cell: (input) => (input.used_mem === undefined ? "–" : size(input.used_mem)) },
    { name: "read", label: t("read"), right: true, hide: "medium", cell: readOf },
    { name: "checksum", label: t("checksum"), cell: (input) => checksumNode(input.checksum) },
    { name: "state", label: t("state"), cell: stateOf },
  ], report.inputs, { caption: t("inputs"), isHeader: "file" });
}

function serverOf(input) {
  if (!input.server_version) return "–";
  return `${input.flavor === "valkey" ? "Valkey" : "Redis"} ${input.server_version}`;
}

function readOf(input) {
  const { bytes_read: read, bytes_total: total } = input;
  if (!total || total === read) return size(read);
  return h("span", { class: "bad" }, percent(read, total));
}

function checksumNode(state) {
  return h("span", { class: state === "wrong" || state === "unknown" ? "bad" : null }, t(`checksum_${state}`));
}

function stateOf(input) {
  if (input.complete) return h("span", { class: "good" }, t("whole"));
  return h("span", { class: "bad" }, input.damaged_num > 0 && !input.error
    ? t("damaged_count", { count: count(input.damaged_num) })
    : t("not_whole"));
}

function damaged(report) {
  const messages = report.inputs.flatMap((input) => [
    input.error ? h("li", { class: "bad" }, messageText(input.error)) : null,
    ...(input.warnings ?? []).map((warning) => h("li", {}, `${messageText(input.file)}: ${messageText(warning)}`)),
  ]).filter(Boolean);
  const shown = report.damaged.slice(0, DAMAGED_ROWS);
  return [
    messages.length > 0 ? h("ul", { class: "messages" }, messages) : null,
    shown.length > 0 ? [
      h("h3", {}, t("damaged_keys", { count: count(report.damaged_num) })),
      h("p", { class: "note warn" }, t("damaged_are")),
      table([
        { name: "key", label: t("key"), className: "key", cell: (key) => nameNode(key.key, key.key_base64) },
        { name: "type", label: t("type"), cell: (key) => typeNode(key.type) },
        { name: "db", label: "db", right: true, hide: "narrow", cell: (key) => key.db },
        { name: "offset", label: t("offset"), right: true, hide: "narrow", cell: (key) => count(key.offset) },
        { name: "size", label: t("size_in_file"), right: true, hide: "medium", cell: (key) => size(key.serialized_bytes) },
        { name: "reason", label: t("reason"), className: "reason", cell: (key) => messageText(key.reason) },
      ], shown, { caption: t("damaged_keys", { count: count(report.damaged_num) }) }),
      report.damaged_num > shown.length
        ? h("p", { class: "note" }, t("and_more", { count: count(report.damaged_num - shown.length) }))
        : null,
    ] : null,
  ];
}

function words() {
  const word = (name) => h("div", {}, h("dt", {}, t(`word_${name}`)), h("dd", {}, t(`word_${name}_is`)));
  return h("dl", { class: "words" }, ["size", "usage", "file", "prefix", "expiry"].map(word));
}
