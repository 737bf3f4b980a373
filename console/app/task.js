// An analysis: how far it is, why it failed, or its report.

import { h, icon, replace } from "../report/dom.js";
import { duration, keysOf, moment, percent, size } from "../report/format.js";
import { t } from "../report/language.js";
import { messageText } from "../report/names.js";
import { aboutInputs } from "../report/overview.js";
import { iconButton } from "../report/tables.js";
import { reportTitle, reportView } from "../report/view.js";
import { analysisPath, call, file, follow } from "./api.js";
import { againOf } from "./instance.js";
import { attempt, crumbs, loaded, statusNode } from "./shell.js";

/** The page as a node, once the service has answered. */
export async function taskPage({ project, instance, task, may, signal, state }) {
  const [{ name }, detail] = await Promise.all([
    call("GET", `/v2/${project}/instances/${instance}`),
    call("GET", analysisPath(project, instance, task)),
  ]);
  const page = { project, instance, task, may, signal, state, name };
  const place = h("div");
  await show(place, detail, page);
  return place;
}

async function show(place, detail, page) {
  if (detail.status === "waiting" || detail.status === "running") return showRunning(place, detail, page);
  const { project, instance, task, state } = page;
  let report = null;
  try {
    report = state.report ??= await call("GET", analysisPath(project, instance, task, "/report?short_names=true"));
  } catch (error) {
    // Whoever failed before reading anything has none.
    if (error.code !== "DCS.4232") throw error;
  }
  const title = report ? reportTitle(report) : t("status_failed");
  return replace(place, top(page, detail),
    h("div", { class: "page-head" },
      h("div", { class: "headline" }, h("h1", {}, h("bdi", { class: "name" }, title)), report ? aboutInputs(report) : null),
      actions(detail, page, report)),
    detail.status === "failed" && !report
      ? h("div", { class: "verdict broken", role: "alert" }, icon("warn"),
          h("div", {}, h("strong", {}, t("status_failed")), h("p", {}, messageText(detail.error_msg ?? ""))))
      : null,
    report ? reportView(report, state) : null);
}

function top({ project, instance, name }, detail) {
  return crumbs([t("instances"), `#/p/${project}`], [name, `#/p/${project}/i/${instance}`],
    [moment(Date.parse(detail.created_at)), null]);
}

function actions(detail, { project, instance, task, may }, report) {
  const save = (kind, load) => {
    const button = h("button", { type: "button", class: "plain-button", onclick: () => attempt(button, async () => {
      const address = URL.createObjectURL(await load());
      h("a", { href: address, download: `offkey-${task}.${kind}` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
    }) }, kind.toUpperCase());
    return button;
  };
  const repeat = h("button", { type: "button", class: "plain-button", onclick: () => attempt(repeat, async () => {
    const { task_id: next } = await call("POST", analysisPath(project, instance), againOf(detail));
    location.hash = `#/p/${project}/i/${instance}/t/${next}`;
  }) }, t("repeat"));
  const remove = h("button", { type: "button", class: "plain-button", onclick: () => {
    if (!confirm(t("delete_sure"))) return;
    attempt(remove, async () => {
      await call("DELETE", analysisPath(project, instance, task));
      location.hash = `#/p/${project}/i/${instance}`;
    });
  } }, t("delete"));
  const from = (rest) => () => file(analysisPath(project, instance, task, rest));
  return h("div", { class: "tools" },
    report ? [h("span", { class: "faint" }, t("download")), save("html", from("/report.html")),
      save("json", from("/report")), save("csv", from("/report.csv"))] : null,
    may("analyse") ? [repeat, remove] : null,
    report ? iconButton("print", t("print"), () => window.print()) : null);
}

async function showRunning(place, detail, page) {
  const { project, instance, task, may, signal } = page;
  const meter = h("div", { class: "meter", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100, "aria-label": t("progress") },
    h("span"));
  const facts = h("p", { class: "progress-facts" });
  const state = h("p", {});
  const samples = [];
  const update = ({ status, progress }) => {
    const { bytes_read: read, bytes_total: total, keys } = progress;
    samples.push([performance.now(), read]);
    if (samples.length > 8) samples.shift();
    const share = total > 0 ? Math.min(1, read / total) : 0;
    meter.setAttribute("aria-valuenow", String(Math.round(100 * share)));
    meter.firstChild.style.setProperty("width", `${100 * share}%`);
    replace(state, statusNode(status), status === "waiting" ? ` ${t("waiting")}` : null);
    const speed = speedOf(samples);
    replace(facts, [
      `${size(read)} / ${size(total)}`,
      percent(read, total),
      t("keys_read", { keys: keysOf(keys) }),
      speed > 0 ? `${size(Math.round(speed))}/s` : null,
      speed > 0 && total > read ? t("time_left_is", { time: duration((total - read) / speed) }) : null,
    ].filter(Boolean).join("  ·  "));
  };
  const cancel = h("button", { type: "button", class: "more", onclick: () => attempt(cancel, async () => {
    await call("DELETE", `${analysisPath(project, instance, task)}?force=true`);
    location.hash = `#/p/${project}/i/${instance}`;
  }) }, t("cancel"));
  replace(place, top(page, detail),
    h("section", { class: "panel running", "aria-live": "polite" }, h("h1", {}, t("reading")), state, meter, facts,
      h("div", {}, may("analyse") ? cancel : null)));
  update(detail);
  follow(analysisPath(project, instance, task, "/events"), (kind, change) => {
    if (kind === "deleted") replace(place, top(page, detail), h("div", { class: "empty" }, h("h2", {}, t("was_deleted"))));
    else if (change.status === "waiting" || change.status === "running") update(change);
    else loaded(place, async () => {
      const done = await call("GET", analysisPath(project, instance, task));
      const content = h("div");
      await show(content, done, page);
      return content;
    });
  }, signal).catch((error) => {
    if (error.name !== "AbortError") loaded(place, () => { throw error; });
  });
}

/** Bytes a second over the last samples. */
function speedOf(samples) {
  const [first, last] = [samples[0], samples.at(-1)];
  const seconds = (last[0] - first[0]) / 1000;
  return seconds > 0.5 ? (last[1] - first[1]) / seconds : 0;
}
