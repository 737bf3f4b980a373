// An instance: a new analysis, and those there were.

import { h, replace } from "../report/dom.js";
import { duration, moment, size } from "../report/format.js";
import { t } from "../report/language.js";
import { messageText } from "../report/names.js";
import { choice, select, table } from "../report/tables.js";
import { analysisPath, call, instancePath } from "./api.js";
import { attempt, crumbs, statusNode } from "./shell.js";

/** Analyses on one page. */
const PAGE = 10;

/** How often running analyses are asked for, in milliseconds. */
const POLL = 2000;

/** The page as a node, once the service has answered. */
export async function instancePage({ project, instance, may, signal }) {
  const path = (rest) => instancePath(project, instance, rest);
  const [detail, { nodes }, { backup_record_response: backups }] = await Promise.all([
    call("GET", path("")),
    call("GET", path("/logical-nodes?limit=1000")),
    call("GET", path("/backups?limit=1000")),
  ]);
  const history = await historyOf({ project, instance, nodes, may, signal });
  return [
    crumbs([t("instances"), `#/p/${project}`], [detail.name, null]),
    h("h1", {}, detail.name),
    h("p", { class: "about" }, `${detail.engine} ${detail.engine_version}  ·  ${detail.cache_mode}  ·  ${t("nodes")}: ${nodes.length}  ·  ${t("backups")}: ${backups.length}`),
    may("analyse") ? newAnalysis({ project, instance, nodes, backups }) : null,
    history,
  ];
}

function nodeLabel(node) {
  const address = node.node_ip ? `${node.node_ip}:${node.node_port}` : "";
  return [node.name || node.logical_node_id, t(`role_${node.node_type}`), node.group_name, address]
    .filter(Boolean).join(" · ");
}

function newAnalysis({ project, instance, nodes, backups }) {
  const newest = [...backups].sort((a, b) => (a.created_at < b.created_at ? 1 : -1));
  const hasBackup = (node) => newest.some((backup) => backup.node_id === node.logical_node_id);
  const state = { scope: "node", node: (nodes.find(hasBackup) ?? nodes[0])?.logical_node_id ?? "", backup: "", backups: "" };
  const place = h("div", { class: "fields" });
  const draw = () => {
    const own = newest.filter((backup) => backup.node_id === state.node);
    if (!own.some((backup) => backup.backup_id === state.backup)) state.backup = own[0]?.backup_id ?? "";
    const backupOptions = [
      ...own.map((backup) => [backup.backup_id,
        `${backup.backup_name} · ${size(backup.size)} · ${moment(Date.parse(backup.created_at))}`]),
      ["", t("new_backup")],
    ];
    const labelled = (label, control) => h("label", {}, label, control);
    replace(place,
      nodes.length > 1
        ? choice(t("source_of"), [["node", t("one_node")], ["all", t("whole_instance")]], state.scope,
            (scope) => { state.scope = scope; draw(); })
        : null,
      state.scope === "all"
        ? labelled(t("backup"), select(t("backup"),
            [["", t("newest_of_each")], ["new", t("new_of_each")]], state.backups,
            (backups) => { state.backups = backups; }))
        : [
            labelled(t("node"), select(t("node"), nodes.map((node) => [node.logical_node_id, nodeLabel(node)]),
              state.node, (node) => { state.node = node; state.backup = ""; draw(); })),
            labelled(t("backup"), select(t("backup"), backupOptions, state.backup,
              (backup) => { state.backup = backup; })),
            own.length === 0 ? h("p", { class: "note" }, t("no_backups")) : null,
          ]);
  };
  draw();
  const form = h("form", { class: "panel new-analysis", "aria-label": t("new_analysis"), onsubmit: (event) => {
    event.preventDefault();
    const button = form.querySelector("button.primary");
    attempt(button, async () => {
      const { task_id: task } = await call("POST", analysisPath(project, instance), requestOf(state, form));
      location.hash = `#/p/${project}/i/${instance}/t/${task}`;
    });
  } },
    h("h2", {}, t("new_analysis")), place, settings(),
    h("div", {}, h("button", { class: "primary", type: "submit" }, t("analyse"))));
  return form;
}

function settings() {
  const number = (name, label, max) => h("label", {}, label,
    h("input", { name, type: "number", min: 0, max, placeholder: t("default_is") }));
  return h("details", {}, h("summary", {}, t("advanced")), h("div", { class: "fields" },
    number("top", t("top_listed"), 10000),
    number("prefixes", t("prefixes_listed"), 10000),
    h("label", {}, t("separators"), h("input", { name: "separators", placeholder: ":;,_-", spellcheck: "false" })),
    h("label", {}, t("profile_of"), h("input", { name: "profile", placeholder: "redis-7.2, valkey-9.1", spellcheck: "false" })),
    h("label", {}, t("rank_by"), h("select", { name: "size" },
      ["", "bytes", "memory-usage", "serialized"].map((value) =>
        h("option", { value }, value === "" ? t("default_is") : t(`size_${value}`))))),
    h("label", { class: "check" }, h("input", { type: "checkbox", name: "fold_digits", checked: true }), t("fold_digits"))));
}

/** The body of a request: what was left alone is left to the service. */
function requestOf(state, form) {
  const fields = new FormData(form);
  const request = state.scope === "all"
    ? { node_ids: "*", ...(state.backups ? { backup_ids: state.backups } : {}) }
    : { node_id: state.node, ...(state.backup ? { backup_id: state.backup } : {}) };
  for (const name of ["top", "prefixes"]) {
    if (fields.get(name)) request[name] = Number(fields.get(name));
  }
  for (const name of ["separators", "profile", "size"]) {
    if (fields.get(name)) request[name] = fields.get(name);
  }
  if (!fields.has("fold_digits")) request.fold_digits = false;
  return request;
}

/** The body that asks for an analysis again, as it was. */
export function againOf(detail) {
  const { settings: own = {}, nodes = [] } = detail;
  const source = nodes.length > 1
    ? { node_ids: nodes.map((node) => node.node_id), backup_ids: nodes.map((node) => node.backup_id) }
    : { node_id: detail.node_id, backup_id: detail.backup_id };
  const known = ["top", "prefixes", "separators", "fold_digits", "profile", "size"];
  const kept = known.filter((name) => own[name] !== undefined && own[name] !== null);
  return { ...source, ...Object.fromEntries(kept.map((name) => [name, own[name]])) };
}

async function historyOf({ project, instance, nodes, may, signal }) {
  const state = { page: 0, chosen: new Set() };
  const place = h("div");
  const bar = h("div", { class: "controls" });
  const names = new Map(nodes.map((node) => [node.logical_node_id, node.name]));
  const href = (task) => `#/p/${project}/i/${instance}/t/${task}`;
  let drawn = "";
  const load = async () => {
    const listed = await call("GET", `${analysisPath(project, instance)}?limit=${PAGE}&offset=${PAGE * state.page}`, undefined, signal);
    const text = JSON.stringify(listed);
    if (text !== drawn) draw(listed);
    drawn = text;
    return listed.records.some((record) => record.status === "waiting" || record.status === "running");
  };
  const reload = async () => { drawn = ""; await load(); };
  const drawBar = () => {
    const [one, other] = state.chosen;
    replace(bar,
      h("button", { type: "button", class: "more", disabled: !other, onclick: () => {
        location.hash = `#/p/${project}/i/${instance}/compare/${one}/${other}`;
      } }, t("compare")),
      h("span", { class: "faint" }, t("compare_hint")));
  };
  const choose = (record) => h("input", {
    type: "checkbox",
    checked: state.chosen.has(record.id),
    disabled: record.status !== "success",
    "aria-label": `${t("compare")}: ${record.created_at}`,
    onchange: (event) => {
      if (event.target.checked) state.chosen.add(record.id);
      else state.chosen.delete(record.id);
      // The two chosen last.
      if (state.chosen.size > 2) state.chosen.delete([...state.chosen][0]);
      place.querySelectorAll("input").forEach((box) => { box.checked = state.chosen.has(box.value); });
      drawBar();
    },
    value: record.id,
  });
  const remove = (record) => {
    const isOver = record.status === "success" || record.status === "failed";
    const button = h("button", { type: "button", class: "plain-button", onclick: () => {
      if (isOver && !confirm(t("delete_sure"))) return;
      attempt(button, async () => {
        await call("DELETE", `${analysisPath(project, instance, record.id)}?force=true`);
        state.chosen.delete(record.id);
        await reload();
      });
    } }, isOver ? t("delete") : t("cancel"));
    return button;
  };
  const again = (record) => {
    const button = h("button", { type: "button", class: "plain-button", onclick: () => attempt(button, async () => {
      const detail = await call("GET", analysisPath(project, instance, record.id));
      const { task_id: task } = await call("POST", analysisPath(project, instance), againOf(detail));
      location.hash = href(task);
    }) }, t("repeat"));
    return button;
  };
  const draw = ({ records, total }) => {
    if (total === 0) {
      replace(place, h("div", { class: "empty" }, h("h2", {}, t("no_analyses")), h("p", {}, t("no_analyses_is"))));
      return;
    }
    const columns = [
      { name: "choose", label: "", cell: choose },
      { name: "created", label: t("created"), className: "nowrap", cell: (record) =>
        h("a", { href: href(record.id), class: "row-link" }, moment(Date.parse(record.created_at))) },
      { name: "status", label: t("state"), cell: (record) => statusNode(record.status) },
      { name: "source", label: t("source_of"), hide: "narrow", cell: (record) => sourceOf(record, names) },
      { name: "duration", label: t("duration"), right: true, hide: "narrow", cell: durationOf },
      { name: "reason", label: "", className: "reason", cell: (record) =>
        (record.error_msg ? h("span", { class: "bad-text" }, messageText(record.error_msg)) : "") },
      { name: "actions", label: "", right: true, cell: (record) => (may("analyse")
        ? h("span", { class: "row-actions" }, record.status === "success" || record.status === "failed" ? again(record) : null, remove(record))
        : "") },
    ];
    drawBar();
    replace(place, bar, table(columns, records, { caption: t("analyses"), className: "roomy" }), pages(total, state, reload));
  };
  const poll = async () => {
    if (signal.aborted) return;
    // A visitor may leave, and the service may be away for a while.
    await load().catch(() => {});
    if (!signal.aborted) setTimeout(poll, POLL);
  };
  await load();
  setTimeout(poll, POLL);
  return h("section", { class: "part", "aria-labelledby": "history-title" },
    h("header", {}, h("h2", { id: "history-title" }, t("analyses"))), place);
}

function sourceOf(record, names) {
  const name = names.get(record.node_id) || record.node_id;
  return record.node_num > 1 ? `${name} ${t("nodes_more", { count: record.node_num - 1 })}` : name;
}

function durationOf(record) {
  if (!record.started_at) return "–";
  const end = record.finished_at ? Date.parse(record.finished_at) : Date.now();
  const ms = Math.max(0, end - Date.parse(record.started_at));
  return ms < 1000 ? `${ms} ms` : duration(ms / 1000);
}

function pages(total, state, reload) {
  const count = Math.ceil(total / PAGE);
  if (count < 2) return null;
  const options = Array.from({ length: count }, (_, page) => [String(page), t("show_page", { page: page + 1 })]);
  return h("div", { class: "controls" }, select(t("analyses"), options, String(state.page), (page) => {
    state.page = Number(page);
    reload();
  }));
}
