// The first screen: how much memory, of what, and what stands out.

import { h, icon } from "./dom.js";
import { count, keysOf, moment, percent, size, sizeParts } from "./format.js";
import { stackedBar, typeParts } from "./charts.js";
import { t, tNodes } from "./language.js";
import { messageText, nameNode } from "./names.js";
import { telling } from "./prefixes.js";
import { sizeColumns, table, typeNode } from "./tables.js";

/** Keys and bytes of each type that has keys, most bytes first. */
export function typesOf(report) {
  const nums = new Map(report.type_num.map(({ type, num }) => [type, num]));
  return report.type_bytes
    .map(({ type, bytes }) => ({ type, bytes, num: nums.get(type) ?? 0 }))
    .filter(({ num }) => num > 0)
    .sort((a, b) => b.bytes - a.bytes);
}

/** All keys and bytes, as tables take their shares of them. */
export function totalsOf(report) {
  return { bytes: report.total_bytes, num: report.total_num };
}

/** The state of the report: quiet if whole, loud if not. */
export function verdict(report) {
  if (report.complete) {
    return h("p", { class: "verdict fine" }, icon("fine"), t("complete"));
  }
  const reasons = report.inputs.flatMap((input) => {
    const lines = [];
    if (input.error) lines.push(messageText(input.error));
    else if (input.checksum === "wrong") lines.push(`${input.file}: ${t("checksum_wrong")}`);
    return lines;
  });
  if (report.damaged_num > 0) reasons.push(t("damaged_left_out", { keys: keysOf(report.damaged_num) }));
  const shown = reasons.slice(0, 4);
  return h("div", { class: "verdict broken", role: "alert" }, icon("warn"),
    h("div", {},
      h("strong", {}, t("incomplete")),
      h("ul", {}, shown.map((reason) => h("li", {}, reason))),
      h("p", {}, reasons.length > shown.length ? `${t("and_more", { count: reasons.length - shown.length })} ` : null,
        h("a", { href: "#source" }, t("see_source")))));
}

/** What is known of the inputs, on one line. */
export function aboutInputs(report) {
  const [first] = report.inputs;
  if (!first) return null;
  const several = report.inputs.length > 1;
  const same = (field) => report.inputs.every((input) => input[field] === first[field]);
  const facts = [];
  if (several) facts.push(t("files", { count: report.inputs.length }));
  if (first.server_version && same("server_version")) {
    facts.push(`${first.flavor === "valkey" ? "Valkey" : "Redis"} ${first.server_version}`);
  }
  if (first.rdb_version && same("rdb_version")) facts.push(`RDB ${first.rdb_version}`);
  if (first.created_at_ms !== undefined) facts.push(t("written", { at: moment(first.created_at_ms) }));
  if (first.profile && same("profile")) facts.push(t("sized_as", { profile: first.profile }));
  return h("p", { class: "about" }, facts.join("  ·  "));
}

/** The big figure, the bar of types, and their table. */
export function hero(report) {
  const types = typesOf(report);
  const totals = totalsOf(report);
  const [number, unit] = sizeParts(report.total_bytes);
  const average = report.total_num > 0 ? Math.round(report.total_bytes / report.total_num) : 0;
  return h("section", { class: "hero", "aria-label": t("overview") },
    h("div", { class: "total" },
      h("p", { class: "eyebrow" }, t("memory_of_keys")),
      h("p", { class: "big" }, number, h("small", {}, unit)),
      h("p", { class: "below" }, tNodes("in_keys", { keys: h("strong", {}, keysOf(report.total_num)) }),
        report.total_num > 0 ? `, ${t("average_of", { size: size(average) })}` : null)),
    h("div", { class: "by-type" },
      stackedBar(typeParts(types, totals.bytes), totals.bytes, t("memory_by_type")),
      types.length > 0 ? table([
        { name: "type", label: t("type"), cell: (row) => typeNode(row.type) },
        ...sizeColumns(totals, { size: t("memory"), keys: t("keys") }).slice(1),
      ], types, { caption: t("memory_by_type"), isHeader: "type", className: "plain" }) : null));
}

/** The few sentences that a reader should take away. */
export function findings(report) {
  const found = [prefixFinding, keyFinding, topFinding, expiryFinding, expiredFinding, idleFinding, slotFinding]
    .map((finding) => finding(report))
    .filter(Boolean);
  if (found.length === 0) return null;
  return h("section", { class: "findings", "aria-labelledby": "findings-title" },
    h("h2", { id: "findings-title" }, t("stands_out")),
    h("ol", {}, found.map(([share, words, target]) =>
      h("li", {}, h("span", { class: "share" }, share),
        h("p", {}, words, " ", h("a", { href: `#${target}`, "aria-label": t("show_more") }, icon("right")))))));
}

function prefixFinding(report) {
  const whole = report.total_bytes;
  const [first] = telling(report.largest_key_prefixes_by_bytes).sort((a, b) => b.bytes - a.bytes);
  if (!first || isLittle(first.bytes, report)) return null;
  return [percent(first.bytes, whole), tNodes("finding_prefix", {
    prefix: nameNode(first.key_prefix, first.key_prefix_base64),
    type: first.type,
    keys: keysOf(first.num),
    size: size(first.bytes),
  }), "map"];
}

function keyFinding(report) {
  const [first] = report.largest_keys;
  if (!first || isLittle(first.bytes, report)) return null;
  return [percent(first.bytes, report.total_bytes), tNodes("finding_key", {
    key: nameNode(first.key, first.key_base64), type: first.type, size: size(first.bytes),
  }), "keys"];
}

function topFinding(report) {
  const keys = report.largest_keys.slice(0, 100);
  if (keys.length < 10 || report.total_num <= keys.length) return null;
  const bytes = keys.reduce((sum, key) => sum + key.bytes, 0);
  if (isLittle(bytes, report)) return null;
  return [percent(bytes, report.total_bytes), t("finding_top", { count: keys.length }), "keys"];
}

/** What is less than one in two hundred stands out to nobody. */
function isLittle(bytes, report) {
  return bytes * 200 < report.total_bytes || bytes === 0;
}

function spanOf(spans, name) {
  return spans?.find(({ span }) => span === name) ?? { num: 0, bytes: 0 };
}

function expiryFinding(report) {
  const never = spanOf(report.spread?.expiry, "never");
  if (never.num === 0) return null;
  return [percent(never.bytes, report.total_bytes),
    t("finding_never", { keys: keysOf(never.num), size: size(never.bytes) }), "expiry"];
}

function expiredFinding(report) {
  if (isLittle(report.expired_bytes, report)) return null;
  return [percent(report.expired_bytes, report.total_bytes),
    t("finding_expired", { keys: keysOf(report.expired_num), size: size(report.expired_bytes) }), "expiry"];
}

function idleFinding(report) {
  const longer = spanOf(report.spread?.idle, "longer");
  if (isLittle(longer.bytes, report)) return null;
  return [percent(longer.bytes, report.total_bytes),
    t("finding_idle", { keys: keysOf(longer.num), size: size(longer.bytes) }), "access"];
}

function slotFinding(report) {
  const slot = report.spread?.slot;
  if (!slot || slot.num_of_slots < 2) return null;
  const skew = slot.skew.toFixed(1);
  return [`${skew}×`, t("finding_slot", { slot: slot.largest[0]?.slot ?? "–", skew }), "databases"];
}

/** How the keys and the rest add up to the server's own figure. */
export function reconciliation(report) {
  const known = report.inputs.filter((input) => input.used_mem > 0);
  // What was not read would look like the server's own.
  if (!report.complete || known.length === 0 || known.length < report.inputs.length) return null;
  const sum = (each) => known.reduce((sum, input) => sum + each(input), 0);
  const used = sum((input) => input.used_mem);
  const keys = sum((input) => input.bytes);
  const overhead = new Map();
  for (const { name, bytes } of known.flatMap((input) => input.overhead ?? [])) {
    overhead.set(name, (overhead.get(name) ?? 0) + bytes);
  }
  const beside = [...overhead.values()].reduce((sum, bytes) => sum + bytes, 0);
  const rest = used - keys - beside;
  const parts = [
    { label: t("keys_part"), bytes: keys, className: "part-keys" },
    { label: t("tables"), bytes: beside, className: "part-tables",
      detail: [...overhead].map(([name, bytes]) => `${name} ${size(bytes)}`).join(", ") },
    { label: t("server_rest"), bytes: Math.max(0, rest), className: "part-rest", detail: t("server_rest_is") },
  ].map((part) => ({ ...part, title: `${part.label}: ${size(part.bytes)}` }));
  const whole = Math.max(used, keys + beside);
  return h("section", { class: "reconciliation", "aria-labelledby": "used-title" },
    h("h2", { id: "used-title" }, tNodes("used_mem_is", { size: h("strong", {}, size(used)) })),
    stackedBar(parts, whole, t("reconciliation")),
    h("dl", { class: "parts" }, parts.map((part) => h("div", {},
      h("dt", {}, h("i", { class: `swatch ${part.className}` }), part.label),
      h("dd", {}, h("b", {}, size(part.bytes)), ` ${percent(part.bytes, used)}`,
        part.detail ? h("small", {}, part.detail) : null)))),
    rest < 0 ? h("p", { class: "note" }, t("more_than_used", { size: size(-rest) })) : null);
}
