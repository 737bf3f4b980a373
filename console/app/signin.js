// Signing in: an access key or a token becomes a session, and is forgotten.

import { h, replace } from "../report/dom.js";
import { t } from "../report/language.js";
import { choice } from "../report/tables.js";
import { call } from "./api.js";
import { reasonOf } from "./shell.js";

/** The page; `onDone` is told who has signed in. */
export function signInPage({ message, onDone }) {
  const state = { by: "key" };
  const box = h("div", { class: "sign-in" });
  const draw = () => {
    const field = (name, label, attributes) => h("label", {}, label,
      h("input", { name, required: true, spellcheck: "false", autocapitalize: "off", ...attributes }));
    const told = h("p", { class: "bad", role: "alert" }, message ?? "");
    const form = h("form", { onsubmit: submit },
      state.by === "key"
        ? [field("ak", t("access_key"), { autocomplete: "username" }),
            field("sk", t("secret_key"), { type: "password", autocomplete: "current-password" })]
        : field("token", t("token"), { type: "password", autocomplete: "off" }),
      h("button", { class: "primary", type: "submit" }, t("sign_in")), told);
    async function submit(event) {
      event.preventDefault();
      const button = form.querySelector("button");
      button.disabled = true;
      try {
        const user = await call("POST", "/console/session", Object.fromEntries(new FormData(form)));
        form.reset();
        onDone(user);
      } catch (error) {
        replace(told, error.status === 401 ? t(state.by === "key" ? "wrong_key" : "wrong_token") : reasonOf(error));
        button.disabled = false;
      }
    }
    replace(box, h("h1", {}, t("sign_in")), h("p", { class: "lead" }, t("sign_in_is")),
      choice(t("sign_in"), [["key", t("with_key")], ["token", t("with_token")]], state.by, (by) => {
        state.by = by;
        draw();
        box.querySelector("input").focus();
      }), form);
  };
  draw();
  return box;
}
