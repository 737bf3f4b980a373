// The instances of a fleet, into which its files were grouped, and their nodes.

import { h } from "./dom.js";
import { count } from "./format.js";
import { t } from "./language.js";
import { messageText } from "./names.js";
import { sizeColumns, table } from "./tables.js";

/** Instances drawn, with all of their nodes. */
const INSTANCE_ROWS = 1000;

/** The totals of each instance, its nodes below it. */
export function instancesSection(report) {
  const { instances } = report;
  const totals = { bytes: report.total_bytes, num: report.total_num };
  const shown = instances.slice(0, INSTANCE_ROWS);
  const rows = shown.flatMap((instance) => [instance, ...instance.nodes]);
  return [
    table([
      { name: "instance", label: t("instance"), className: "key", cell: nameOf },
      ...sizeColumns(totals, { size: t("memory"), keys: t("keys") }),
      { name: "files", label: t("files_column"), right: true, hide: "narrow", cell: (row) => count(row.files) },
      { name: "state", label: t("state"), cell: stateOf },
    ], rows, { caption: t("instances"), isHeader: "instance" }),
    instances.length > shown.length
      ? h("p", { class: "note" }, t("and_more", { count: count(instances.length - shown.length) }))
      : null,
  ];
}

function nameOf(row) {
  if (row.node !== undefined) return h("bdi", { class: "name node" }, messageText(row.node));
  if (row.instance === null) return t("no_instance");
  return h("bdi", { class: "name" }, messageText(row.instance));
}

function stateOf(row) {
  if (row.incomplete === 0) return h("span", { class: "good" }, t("whole"));
  return h("span", { class: "bad" }, t("not_whole_count", { count: count(row.incomplete) }));
}
