// The instances of a project.

import { h } from "../report/dom.js";
import { t } from "../report/language.js";
import { table } from "../report/tables.js";
import { call } from "./api.js";

/** Most instances on the page. */
const LIMIT = 1000;

/** The page as a node, once the service has answered. */
export async function instancesPage({ project }) {
  const { instances } = await call("GET", `/v2/${project}/instances?limit=${LIMIT}`);
  const title = h("h1", {}, t("instances"));
  if (instances.length === 0) {
    return [title, h("div", { class: "empty" }, h("h2", {}, t("no_instances")), h("p", {}, t("no_instances_is")))];
  }
  const link = (row) => h("a", { href: `#/p/${project}/i/${row.instance_id}`, class: "row-link" }, row.name || row.instance_id);
  return [title, table([
    { name: "name", label: t("name"), cell: link },
    { name: "engine", label: t("engine"), cell: (row) => `${row.engine} ${row.engine_version}` },
    { name: "mode", label: t("mode"), hide: "narrow", cell: (row) => row.cache_mode },
    { name: "groups", label: t("groups"), right: true, cell: (row) => row.sharding_count || 1 },
    { name: "id", label: "ID", hide: "medium", className: "faint", cell: (row) => h("code", {}, row.instance_id) },
  ], instances, { caption: t("instances"), isHeader: "name", className: "roomy" })];
}
