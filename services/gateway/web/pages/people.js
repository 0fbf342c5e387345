// People and their roles, for administrators: added, changed, kept out and let in again.
import { api, get, part, post, query } from "../api.js";
import { button, field, fill, h } from "../dom.js";
import { enumWord, time } from "../format.js";
import { text } from "../text.js";
import { openForm } from "./inline.js";
import { pagedList } from "./parts.js";

const words = text.people;
const pageSize = 50;

export function peopleCard() {
  const list = h("div", {});
  const message = h("div", { "aria-live": "polite" });
  const slot = h("div", {});
  const add = button(words.add, () => open(slot, null, add), { class: "main" });
  show();

  function show() {
    fill(list, pagedList({
      async load(pageToken) {
        const page = await get(query("users", { pageToken, pageSize }));
        return { items: page.users ?? [], nextPageToken: page.nextPageToken };
      },
      row, empty: words.none,
    }));
  }

  function row(user) {
    const place = h("div", {});
    const change = button(words.change, () => open(place, user, change),
      { "aria-label": `${words.change}: ${user.userName}` });
    const roles = (user.roles ?? []).map((role) => text.roles[enumWord("ROLE_", role)]).join(", ");
    return h("li", {}, h("div", { class: "item" }, h("div", { class: "grow" },
      h("b", {}, user.person?.name || user.userName),
      h("div", { class: "small soft wrap" }, [user.userName, user.person?.email, roles,
        user.lastSignInAt ? words.lastSeen(time(user.lastSignInAt)) : words.neverSeen].filter(Boolean).join(" · "))),
      user.disabled ? h("span", { class: "tag warn" }, words.disabled) : null, change), place);
  }

  function open(place, user, opener) {
    const form = personForm(user);
    fill(message);
    openForm(place, opener, form, () => user ? api("PATCH", `users/${part(user.person.id)}`, { body: form.change() })
      : post("users", form.person()), (saved) => {
      fill(message, h("div", { class: "note good" }, text.setup.saved(saved.userName)));
      show();
    });
  }

  return h("section", { class: "card" }, h("h2", {}, words.title), list, message, slot, h("div", { class: "gap" }, add));
}

/** Of somebody new (`user` null), or of somebody who is there. */
function personForm(user) {
  const plain = { spellcheck: "false", autocapitalize: "none", autocomplete: "off" };
  const userName = h("input", { ...plain, value: user?.userName ?? "" });
  const name = h("input", { autocomplete: "off", value: user?.person?.name ?? "" });
  const email = h("input", { ...plain, type: "email", value: user?.person?.email ?? "" });
  const password = h("input", { type: "password", autocomplete: "new-password" });
  const disabled = h("input", { type: "checkbox", checked: Boolean(user?.disabled) });
  const held = user ? user.roles ?? [] : ["ROLE_REQUESTER"];
  const roles = Object.entries(text.roles).map(([role, label]) => {
    const box = h("input", { type: "checkbox", checked: held.includes(`ROLE_${role}`) });
    box.dataset.role = `ROLE_${role}`;
    return { box, label: h("label", {}, box, label) };
  });
  const needsRole = h("p", { class: "wrong", role: "alert", hidden: true }, words.needs.role);
  const chosen = () => roles.filter((one) => one.box.checked).map((one) => one.box.dataset.role);
  const element = h("div", { class: "grid" }, user ? null : field(words.userName, userName), field(words.name, name),
    field(words.email, email, { hint: words.emailHint }),
    field(user ? words.newPassword : words.password, password, { hint: user ? words.newPasswordHint : words.passwordHint }),
    h("fieldset", { class: "choices wide" }, h("legend", { class: "label" }, words.roles),
      roles.map((one) => one.label)), needsRole,
    user ? h("label", { class: "check wide" }, disabled, words.disable) : null);

  function lacking() {
    const needs = user ? [] : [[userName, userName.value.trim() ? "" : words.needs.userName],
      [password, password.value ? "" : words.needs.password]];
    needs.push([name, name.value.trim() ? "" : words.needs.name]);
    const wrong = needs.filter(([, message]) => message);
    needsRole.hidden = chosen().length > 0;
    if (!needsRole.hidden) wrong.push([roles[0].box, words.needs.role]);
    return wrong;
  }

  const common = () => ({ name: name.value.trim(), email: email.value.trim(), roles: chosen() });
  return {
    element, lacking, focus: () => (user ? name : userName).focus(),
    person: () => ({ ...common(), userName: userName.value.trim(), password: password.value }),
    change: () => ({ ...common(), replaceRoles: true, disabled: disabled.checked,
      ...(password.value ? { password: password.value } : {}) }),
  };
}
