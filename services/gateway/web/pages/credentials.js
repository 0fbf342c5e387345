// How FileFerry signs in to the customer's server: a password, or a private key. What is typed goes to the server once,
// with the request, and is kept nowhere in the page.
import { choices, field, h } from "../dom.js";
import { text } from "../text.js";

/** `chosen`: "password" or "key"; `typed`: what was typed before, where the page still knows it. */
export function credentialFields(chosen = "password", typed = null) {
  let kind = chosen;
  const password = h("input", { type: "password", autocomplete: "off" });
  const key = h("textarea", { autocomplete: "off", spellcheck: "false", rows: 5 });
  const passphrase = h("input", { type: "password", autocomplete: "off" });
  password.value = typed?.password ?? "";
  key.value = typed?.privateKey ?? "";
  passphrase.value = typed?.passphrase ?? "";
  const passwordPart = h("div", { class: "gap", hidden: kind !== "password" }, field(text.start.password, password));
  const keyPart = h("div", { class: "gap grid", hidden: kind !== "key" }, field(text.start.key, key, { wide: true }),
    field(text.start.passphrase, passphrase));
  const element = h("div", {}, choices(text.start.auth, [["password", text.start.withPassword],
    ["key", text.start.withKey]], kind, (value) => {
    kind = value;
    passwordPart.hidden = kind !== "password";
    keyPart.hidden = kind !== "key";
  }), passwordPart, keyPart);

  return {
    element,
    kind: () => kind,
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
