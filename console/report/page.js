// The report as a page of its own: the one file that `--format html` writes.

import { h, icon, replace } from "./dom.js";
import { language, remember, remembered, setLanguage, t } from "./language.js";
import { maskNames, namesMasked } from "./names.js";
import { aboutInputs } from "./overview.js";
import { reportTitle, reportView } from "./view.js";
import { choice, iconButton } from "./tables.js";

const THEME = "offkey.theme";

/** Draws the page, and again whenever language or masking change. */
export function startPage() {
  const report = JSON.parse(document.getElementById("report").textContent);
  const state = {};
  const draw = () => {
    const title = reportTitle(report);
    document.title = `${title} – offkey`;
    replace(document.body,
      h("div", { class: "page" },
        h("header", { class: "page-head" },
          h("div", { class: "headline" },
            h("p", { class: "brand" }, "offkey", h("span", {}, t("report"))),
            h("h1", {}, h("bdi", { class: "name" }, title)),
            aboutInputs(report)),
          h("div", { class: "tools" }, viewTools(draw),
            iconButton("print", t("print"), () => window.print()))),
        h("main", {}, reportView(report, state)),
        h("footer", { class: "page-foot" }, document.querySelector("meta[name=generator]")?.content ?? "offkey")));
  };
  setLanguage(language());
  applyTheme(remembered(THEME));
  draw();
}

/** The tools for language, masking and theme. */
export function viewTools(draw) {
  const masked = namesMasked();
  return [
    choice(t("language"), [["en", "EN"], ["zh", "中文"]], language(), (code) => {
      setLanguage(code);
      draw();
    }),
    iconButton(masked ? "masked" : "mask", t(masked ? "show_names" : "mask_names"), () => {
      maskNames(!masked);
      draw();
    }, { "aria-pressed": String(masked) }),
    themeButton(),
  ];
}

function themeButton() {
  const isDark = () => shownTheme() === "dark";
  const button = iconButton(isDark() ? "sun" : "moon", t("theme"), () => {
    const theme = isDark() ? "light" : "dark";
    remember(THEME, theme);
    applyTheme(theme);
    replace(button, icon(isDark() ? "sun" : "moon"));
  });
  return button;
}

function shownTheme() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

/** Shows `light` or `dark`, or what the system prefers. */
export function applyTheme(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
