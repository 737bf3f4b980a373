// What surrounds every page: the head, messages, and waiting for what is asked.

import { h, icon, replace } from "../report/dom.js";
import { t } from "../report/language.js";
import { viewTools } from "../report/page.js";
import { select } from "../report/tables.js";

/** The head of the page. `user` is none before signing in. */
export function head({ user, projects, project, onProject, onSignOut, redraw }) {
  return h("header", { class: "app-head" },
    h("a", { href: "#/", class: "logo" },
      h("img", { src: "/console/style/icon.svg", alt: "", width: 22, height: 22 }), "offkey"),
    user && projects.length > 1
      ? select(t("project"), projects.map(({ id, name }) => [id, name]), project, onProject)
      : null,
    user && projects.length === 1 ? h("span", { class: "faint" }, projects[0].name) : null,
    h("div", { class: "tools" }, viewTools(redraw),
      user ? h("span", { class: "user", title: user.role }, user.ak) : null,
      user ? h("button", { type: "button", class: "plain-button", onclick: onSignOut }, t("sign_out")) : null));
}

/** Where a page is: links to what is above it. */
export function crumbs(...above) {
  return h("nav", { class: "crumbs", "aria-label": t("sections") }, above.map(([text, href]) => [
    href ? h("a", { href }, text) : h("span", { "aria-current": "page" }, text),
    href ? h("i", { "aria-hidden": "true" }, "›") : null,
  ]));
}

/** A message about what did not work. */
export function failure(error, onAgain) {
  return h("div", { class: "verdict broken", role: "alert" }, icon("warn"),
    h("div", {}, h("strong", {}, t("something_wrong")),
      h("p", {}, reasonOf(error), error.code ? h("span", { class: "faint" }, ` ${error.code}`) : null),
      onAgain ? h("button", { type: "button", class: "more", onclick: onAgain }, t("again")) : null));
}

/** Why something did not work, in the language at hand where we know a word for it. */
export function reasonOf(error) {
  const known = { "DCS.4231": "busy", "DCS.2003": "not_permitted" }[error.code];
  if (error.status === 0) return t("not_reached");
  return known ? t(known) : error.message;
}

/** Fills a place with what `load` brings, or says why it cannot; quiet while it waits. */
export async function loaded(place, load) {
  const waiting = setTimeout(() => replace(place, h("p", { class: "loading", role: "status" }, "…")), 300);
  try {
    replace(place, await load());
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === undefined) console.error(error);
    replace(place, failure(error, () => loaded(place, load)));
  } finally {
    clearTimeout(waiting);
  }
}

/** Runs what a button does; says below it why it did not work. */
export async function attempt(button, work) {
  button.disabled = true;
  button.parentElement.querySelector(".attempt-failed")?.remove();
  try {
    await work();
  } catch (error) {
    button.after(h("p", { class: "attempt-failed bad", role: "alert" }, reasonOf(error)));
  } finally {
    button.disabled = false;
  }
}

/** The state of an analysis as a word with its colour. */
export function statusNode(status) {
  return h("span", { class: `status-badge is-${status}` }, h("i", { "aria-hidden": "true" }), t(`status_${status}`));
}
