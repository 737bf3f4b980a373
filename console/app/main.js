// The console: who is signed in, which page is open, and drawing it.

import "./words.js";

import { h, replace } from "../report/dom.js";
import { language, remember, remembered, setLanguage, t } from "../report/language.js";
import { applyTheme } from "../report/page.js";
import { call, whenSignedOut } from "./api.js";
import { comparePage } from "./compare.js";
import { instancePage } from "./instance.js";
import { instancesPage } from "./instances.js";
import { head, loaded } from "./shell.js";
import { signInPage } from "./signin.js";
import { taskPage } from "./task.js";

const ROLES = ["read", "analyse", "admin"];
const PROJECT = "offkey.project";

const app = { user: null, projects: [], project: "", message: null };
let leaving = new AbortController();
let page = { hash: null, state: {} };

async function start() {
  setLanguage(language());
  applyTheme(remembered("offkey.theme"));
  whenSignedOut(() => signedOut(t("signed_out")));
  addEventListener("hashchange", draw);
  // Links within a report move the view and do not open another page.
  document.addEventListener("click", (event) => {
    const target = event.target.closest?.("a[href^='#']")?.getAttribute("href");
    if (!target || target.startsWith("#/")) return;
    event.preventDefault();
    document.getElementById(target.slice(1))?.scrollIntoView();
    document.getElementById(target.slice(1))?.focus({ preventScroll: true });
  });
  try {
    await signedIn(await call("GET", "/console/session"));
  } catch {
    signedOut(null);
  }
}

async function signedIn(user) {
  const { projects } = await call("GET", "/v3/projects");
  const kept = remembered(PROJECT);
  Object.assign(app, { user, projects, message: null });
  app.project = projects.find(({ id }) => id === kept)?.id ?? projects[0]?.id ?? "";
  draw();
}

function signedOut(message) {
  Object.assign(app, { user: null, projects: [], message });
  page = { hash: null, state: {} };
  draw();
}

async function signOut() {
  await call("DELETE", "/console/session").catch(() => {});
  location.hash = "#/";
  signedOut(null);
}

function may(role) {
  return ROLES.indexOf(app.user?.role) >= ROLES.indexOf(role);
}

function draw() {
  leaving.abort();
  leaving = new AbortController();
  document.title = "offkey";
  const main = h("main", { tabindex: "-1" });
  const onProject = (project) => {
    remember(PROJECT, project);
    app.project = project;
    location.hash = `#/p/${project}`;
  };
  replace(document.body,
    h("div", { class: app.user ? "page" : "page signed-out" },
      head({ ...app, onProject, onSignOut: signOut, redraw: draw }), main));
  if (!app.user) {
    replace(main, signInPage({ message: app.message, onDone: signedIn }));
    return;
  }
  // What was chosen on a page outlasts a change of the language, but not another page.
  if (page.hash !== location.hash) {
    page = { hash: location.hash, state: {} };
    scrollTo(0, 0);
  }
  loaded(main, () => route(location.hash));
}

function route(hash) {
  const [project, ...rest] = hash.startsWith("#/p/") ? hash.slice(4).split("/") : [app.project];
  if (app.projects.some(({ id }) => id === project)) app.project = project;
  const context = { project, may, signal: leaving.signal, state: page.state };
  const [kind, instance, ...more] = rest;
  if (kind === undefined) return instancesPage(context);
  if (kind === "i" && more.length === 0) return instancePage({ ...context, instance });
  if (kind === "i" && more[0] === "t") return taskPage({ ...context, instance, task: more[1] });
  if (kind === "i" && more[0] === "compare") return comparePage({ ...context, instance, tasks: more.slice(1, 3) });
  return h("p", { class: "nothing" }, t("unknown_page"));
}

start();
