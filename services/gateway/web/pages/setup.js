// What deliveries start from and go to: connections to object storage and saved destinations, each added, tried and removed
// here by those who may; and the people.
import { get, part, post, put, remove } from "../api.js";
import { announce, button, field, fill, h } from "../dom.js";
import { text } from "../text.js";
import { connectionForm } from "./connection.js";
import { destinationPart, testResult } from "./destination.js";
import { openForm } from "./inline.js";
import { errorBox, heading } from "./parts.js";
import { peopleCard } from "./people.js";

const words = text.setup;

export function setupPage(root, { user }) {
  const may = (...roles) => roles.some((role) => (user.roles ?? []).includes(`ROLE_${role}`));
  fill(root, heading(words.title, words.lead),
    section({
      words: words.connections, mayChange: may("ADMIN"), load: async () => (await get("connections")).connections ?? [],
      path: (name) => `connections/${part(name)}`, about: aboutConnection, form: newConnection,
      async check(one) {
        const buckets = (await get(`connections/${part(one.name)}/buckets`)).buckets ?? [];
        const names = buckets.map((bucket) => bucket.name).join(", ");
        return h("div", { class: "note good gap" }, words.reaches(buckets.length), names ? h("p", {}, names) : null);
      },
    }),
    section({
      words: words.destinations, mayChange: may("ADMIN", "OPERATOR"),
      load: async () => (await get("destinations")).destinations ?? [],
      path: (name) => `destinations/${part(name)}`, about: (one) => one.url, form: newDestination,
      check: async (one) => testResult(await post("destinations:test", { destination: { name: one.name } })),
    }),
    may("ADMIN") ? peopleCard() : null);
}

const aboutConnection = (one) => [text.confirm.clouds[one.provider] ?? one.provider, one.s3?.endpoint, one.s3?.region,
  one.azureBlob?.account, one.folder?.root, one.accessKeyId].filter(Boolean).join(" · ");

/** A list of named things with a form to add one. */
function section({ words: own, mayChange, load, path, about, form, check }) {
  const list = h("ul", { class: "list" });
  const message = h("div", { "aria-live": "polite" });
  const slot = h("div", {});
  const add = button(own.add, open, { class: "main" });
  show();

  async function show() {
    try {
      const found = await load();
      fill(list, found.length ? found.map(row) : h("li", { class: "empty" }, own.none));
    } catch (error) { fill(message, errorBox(error, { again: show })); }
  }

  function row(one) {
    const outcome = h("div", { "aria-live": "polite" });
    const actions = h("div", { class: "row" });
    const usual = () => fill(actions,
      button(own.check, () => run(outcome, async () => fill(outcome, h("p", { class: "soft" }, text.loading),
        await check(one))), { "aria-label": `${own.check}: ${one.name}` }),
      mayChange ? button(words.remove, ask, { class: "plain", "aria-label": `${words.remove}: ${one.name}` }) : null);
    function ask() {
      fill(actions, h("span", { class: "small" }, words.sure(one.name)), button(words.yes, () => run(outcome, async () => {
        await remove(path(one.name));
        fill(message);
        announce(words.removed(one.name));
        await show();
      }), { class: "bad" }), button(words.no, usual));
      actions.querySelector("button:last-of-type").focus();
    }
    usual();
    return h("li", {}, h("div", { class: "item" }, h("div", { class: "grow" }, h("b", {}, one.name),
      h("div", { class: "small soft wrap" }, about(one))), actions), outcome);
  }

  async function run(place, action) {
    fill(place);
    try { await action(); } catch (error) { fill(place, errorBox(error)); }
  }

  function open() {
    const one = form();
    fill(message);
    openForm(slot, add, one, async () => {
      const { name, body } = one.request();
      await put(path(name), body);
      return name;
    }, (name) => {
      fill(message, h("div", { class: "note good" }, words.saved(name)));
      return show();
    });
  }

  return h("section", { class: "card" }, h("h2", {}, own.title), list, message,
    mayChange ? [slot, h("div", { class: "gap" }, add)] : null);
}

const newConnection = connectionForm;

function newDestination() {
  const name = h("input", { spellcheck: "false", autocapitalize: "none", autocomplete: "off" });
  const server = destinationPart({}, null, { isNew: true, title: words.destinations.server });
  return {
    element: h("div", {}, h("div", { class: "grid" }, field(words.connection.name, name,
      { hint: words.connection.nameHint })), h("div", { class: "gap" }, server.element)),
    focus: () => name.focus(),
    lacking: () => [...(name.value.trim() ? [] : [[name, words.connection.needs.name]]), ...server.lacking(false)],
    request: () => ({ name: name.value.trim(), body: { destination: server.destination(),
      credentials: server.credentials() ?? undefined } }),
  };
}
