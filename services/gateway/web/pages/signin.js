// The sign-in page.
import { signIn } from "../api.js";
import { field, fill, h } from "../dom.js";
import { text } from "../text.js";
import { errorBox } from "./parts.js";

export function signInPage(root, { ended, onSignedIn }) {
  const user = h("input", { name: "username", autocomplete: "username", autocapitalize: "none", spellcheck: "false",
    required: true });
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
  const go = h("button", { class: "main", type: "submit" }, text.signIn.go);
  const message = h("div", {}, ended ? h("div", { class: "note warn", role: "status" }, text.ended) : null);
  const form = h("form", { class: "card", on: { submit } },
    h("div", { class: "grid" }, field(text.signIn.user, user, { wide: true }),
      field(text.signIn.password, password, { wide: true })),
    h("div", { class: "row gap" }, go));
  fill(root, h("div", { class: "narrow" },
    h("div", { class: "head" }, h("div", {}, h("h1", {}, text.signIn.title), h("p", {}, text.signIn.lead))), message,
      form));
  user.focus();

  async function submit(event) {
    event.preventDefault();
    go.disabled = true;
    try {
      onSignedIn(await signIn(user.value.trim(), password.value));
    } catch (error) {
      fill(message, errorBox(error));
      password.value = "";
      password.focus();
    } finally {
      go.disabled = false;
    }
  }
}
