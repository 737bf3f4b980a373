// The whole report on one page, from the JSON that `offkey analyze --format json` prints.

import { elementUnit, histogram, spanChart } from "./charts.js";
import { h } from "./dom.js";
import { instancesSection } from "./fleet.js";
import { count, percent, size, sizeNode } from "./format.js";
import { keysSection } from "./keys.js";
import { t } from "./language.js";
import { nameNode } from "./names.js";
import { findings, hero, reconciliation, totalsOf, verdict } from "./overview.js";
import { prefixesSection, telling } from "./prefixes.js";
import { bar, sizeColumns, table, typeNode } from "./tables.js";
import { treemap } from "./treemap.js";
import { sourceSection } from "./trust.js";

/**
 * The report as an element. `state` is kept by the caller between drawings, so that a change
 * of the language keeps what was sorted, filtered and zoomed.
 */
export function reportView(report, state) {
  const part = (name) => (state[name] ??= {});
  const sections = report.total_num > 0
    ? [
        section("map", t("prefix_map"), t("prefix_map_is"),
          report.prefix_tree?.length > 0 ? treemap(report, part("map")) : nothing("no_tree")),
        section("keys", t("largest_keys"), null, keysSection(report, part("keys"))),
        section("prefixes", t("leading_prefixes"), null, prefixesSection(report, part("prefixes"))),
        section("expiry", t("expiry"), t("expiry_is"), expirySection(report)),
        section("shape", t("shape"), null, shapeSection(report)),
        accessSection(report),
        section("databases", t("databases"), null, databasesSection(report)),
      ]
    : [];
  const fleet = report.instances
    ? section("instances", t("instances"), t("instances_are"), instancesSection(report))
    : null;
  const source = section("source", t("source"), null, sourceSection(report));
  const shown = [fleet, ...sections, source].filter(Boolean);
  return h("div", { class: "report" },
    navigation(shown, report),
    verdict(report),
    report.total_num > 0
      ? [h("div", { class: "first-screen" }, hero(report), findings(report)), reconciliation(report)]
      : h("div", { class: "empty" }, h("h2", {}, t(report.complete ? "no_keys" : "nothing_read")),
          h("p", {}, t(report.complete ? "no_keys_is" : "nothing_read_is"))),
    shown);
}

/** The title of a report: the name of its input, or how many there are. */
export function reportTitle(report) {
  const [first, ...others] = report.inputs;
  const name = first ? first.file.split("/").at(-1) : t("report");
  return others.length > 0 ? `${name} +${others.length}` : name;
}

function section(id, title, lead, ...content) {
  return h("section", { id, class: "part", tabindex: "-1", "aria-labelledby": `${id}-title` },
    h("header", {}, h("h2", { id: `${id}-title` }, title), lead ? h("p", {}, lead) : null),
    content);
}

function navigation(sections, report) {
  const links = sections.map((part) => {
    const name = part.querySelector("h2").textContent;
    const isBad = part.id === "source" && !report.complete;
    return h("a", { href: `#${part.id}`, class: isBad ? "bad" : null }, name);
  });
  return h("nav", { class: "sections", "aria-label": t("sections") },
    report.complete ? null : h("a", { href: "#source", class: "badge" }, t("incomplete_short")), links);
}

function nothing(name) {
  return h("p", { class: "nothing" }, t(name));
}

function expirySection(report) {
  const spans = report.spread?.expiry ?? [];
  if (spans.length === 0) return nothing("not_in_report");
  const totals = totalsOf(report);
  const lasting = telling(report.key_prefixes_without_expiry ?? []).slice(0, 8);
  const most = lasting.reduce((most, row) => Math.max(most, row.no_expiry_bytes), 0);
  return h("div", { class: "two" },
    spanChart(spans, { label: t("time_left"), name: (span) => t(`span_${span}`), totals }),
    lasting.length > 0
      ? h("figure", {}, h("figcaption", {}, h("h3", {}, t("without_expiry_by_prefix"))),
          table([
            { name: "prefix", label: t("prefix"), className: "key",
              cell: (row) => nameNode(row.key_prefix, row.key_prefix_base64) },
            { name: "type", label: t("type"), cell: (row) => typeNode(row.type) },
            { name: "bar", label: "", className: "bars small", hide: "narrow",
              cell: (row) => bar(row.no_expiry_bytes, most) },
            { name: "bytes", label: t("memory"), right: true, cell: (row) => sizeNode(row.no_expiry_bytes) },
            { name: "num", label: t("keys"), right: true, cell: (row) => count(row.no_expiry_num) },
          ], lasting, { caption: t("without_expiry_by_prefix") }))
      : null);
}

function shapeSection(report) {
  const totals = totalsOf(report);
  const { size: sizes = [], num_of_elem: elements = [] } = report.spread ?? {};
  if (sizes.length === 0) return nothing("not_in_report");
  return h("div", { class: "two" },
    histogram(sizes, { label: t("size_of_key"), unit: (value) => size(value).replace(".0", ""), totals }),
    elements.length > 0
      ? histogram(elements, { label: t("elements_of_key"), unit: elementUnit, totals })
      : null);
}

function accessSection(report) {
  const totals = totalsOf(report);
  const { idle = [], freq = [] } = report.spread ?? {};
  if (idle.length === 0 && freq.length === 0) return null;
  return section("access", t("access"), t("access_is"), h("div", { class: "two" },
    idle.length > 0
      ? spanChart(idle, { label: t("idle_time"), name: (span) => t(`idle_${span}`), totals })
      : null,
    freq.length > 0 ? histogram(freq, { label: t("access_counter"), unit: elementUnit, totals }) : null));
}

function databasesSection(report) {
  const totals = totalsOf(report);
  const { db = [], other_dbs: others, slot } = report.spread ?? {};
  const rows = others ? [...db, others] : db;
  const shared = sizeColumns(totals, { size: t("memory"), keys: t("keys") });
  return h("div", { class: "two" },
    h("figure", {}, h("figcaption", {}, h("h3", {}, t("by_db"))),
      table([
        { name: "db", label: "db", right: true, cell: (row) => row.db ?? t("others") },
        ...shared,
        { name: "expire", label: t("expiring"), right: true, hide: "narrow",
          cell: (row) => percent(row.expire_num, row.num) },
      ], rows, { caption: t("databases"), isHeader: "db" })),
    slot ? slots(slot, shared) : null);
}

function slots(slot, columns) {
  return h("figure", {}, h("figcaption", {}, h("h3", {}, t("slots"))),
    h("p", { class: "note" }, t("slots_are", {
      count: count(slot.num_of_slots), skew: slot.skew.toFixed(2),
    })),
    table([{ name: "slot", label: t("slot"), right: true, cell: (row) => row.slot }, ...columns],
      slot.largest.slice(0, 12), { caption: t("slots"), isHeader: "slot" }));
}
