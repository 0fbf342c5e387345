// How FileFerry signs in to the customer's server: a password, or a private key. What is typed goes to the server once,
// with the request, and is kept nowhere in the page.
import { choices, field, h } from "../dom.js";
import { text } from "../text.js";

export function credentialFields() {
  let kind = "password";
  const password = h("input", { type: "password", autocomplete: "off" });
  const key = h("textarea", { autocomplete: "off", spellcheck: "false", rows: 5 });
  const passphrase = h("input", { type: "password", autocomplete: "off" });
  const passwordPart = h("div", { class: "gap" }, field(text.start.password, password));
  const keyPart = h("div", { class: "gap grid", hidden: true }, field(text.start.key, key, { wide: true }),
    field(text.start.passphrase, passphrase));
  const element = h("div", {}, choices(text.start.auth, [["password", text.start.withPassword],
    ["key", text.start.withKey]], kind, (value) => {
    kind = value;
    passwordPart.hidden = kind !== "password";
    keyPart.hidden = kind !== "key";
  }), passwordPart, keyPart);

  return {
    element,
    /** DestinationCredentials, or null if nothing is typed. */
    value() {
      if (kind === "password") return password.value ? { password: password.value } : null;
      return key.value.trim() ? { privateKey: key.value, passphrase: passphrase.value } : null;
    },
    /** The input that still lacks something, with what it lacks; or null. */
    lacking() {
      if (this.value()) return null;
      return kind === "password" ? [password, text.start.needs.password] : [key, text.start.needs.key];
    },
  };
}
