// The sign-in page.
import { beginSingleSignOn, identityProviders, signIn } from "../api.js";
import { button, field, fill, h } from "../dom.js";
import { text } from "../text.js";
import { errorBox } from "./parts.js";

// Orange for AWS, light blue for Azure: as on the pages that deliver from them.
const looks = { IDENTITY_PROVIDER_KIND_AWS: "aws", IDENTITY_PROVIDER_KIND_MICROSOFT: "azure" };

export function signInPage(root, { ended, problem, onSignedIn }) {
  const user = h("input", { name: "username", autocomplete: "username", autocapitalize: "none", spellcheck: "false",
    required: true });
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
  const go = h("button", { class: "main", type: "submit" }, text.signIn.go);
  const message = h("div", {}, ended ? h("div", { class: "note warn", role: "status" }, text.ended) : null,
    problem ? errorBox(problem) : null);
  const others = h("div", { class: "providers" });
  const form = h("form", { class: "card", on: { submit } },
    h("div", { class: "grid" }, field(text.signIn.user, user, { wide: true }),
      field(text.signIn.password, password, { wide: true })),
    h("div", { class: "row gap" }, go));
  fill(root, h("div", { class: "narrow" },
    h("div", { class: "head" }, h("div", {}, h("h1", {}, text.signIn.title), h("p", {}, text.signIn.lead))), message,
      others, form));
  user.focus();
  showProviders();

  /** The buttons of the identity providers; without an answer the password is the way in. */
  async function showProviders() {
    let providers = [];
    try { providers = await identityProviders(); } catch { return; }
    if (providers.length === 0) return;
    fill(others, providers.map((provider) => button(text.signIn.with(provider.name), () => leaveFor(provider),
      { class: `main provider ${looks[provider.kind] ?? ""}` })), h("p", { class: "or" }, text.signIn.or));
  }

  async function leaveFor(provider) {
    for (const one of others.querySelectorAll("button")) one.disabled = true;
    try { await beginSingleSignOn(provider.id); } catch (error) {
      fill(message, errorBox(error));
      for (const one of others.querySelectorAll("button")) one.disabled = false;
    }
  }

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
