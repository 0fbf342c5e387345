// Schedules: when each runs, what became of its last run, and what can be done with it. A new one is made from the form of a
// delivery, which says what it delivers.
import { get, part, post, put, query, remove } from "../api.js";
import { announce, button, field, fill, h } from "../dom.js";
import { time } from "../format.js";
import { text } from "../text.js";
import { openForm } from "./inline.js";
import { errorBox, heading, problemBox } from "./parts.js";
import { inWords, whenPart } from "./when.js";

const words = text.schedules;

export function schedulesPage(root, { go }) {
  const list = h("ul", { class: "list" });
  const message = h("div", {});
  fill(root, heading(words.title, words.lead, h("a", { class: "button main", href: "#/new" }, words.make)),
    h("section", { class: "card" }, message, list));
  show();

  async function show() {
    try {
      const found = (await get("schedules")).schedules ?? [];
      fill(message);
      fill(list, found.length ? found.map(row) : h("li", { class: "empty" }, words.none));
    } catch (error) { fill(message, errorBox(error, { again: show })); }
  }

  function row(one) {
    const outcome = h("div", { "aria-live": "polite" });
    const actions = h("div", { class: "row" });
    const named = (label) => ({ "aria-label": `${label}: ${one.name}` });
    const path = `schedules/${part(one.name)}`;
    const usual = () => fill(actions,
      button(words.run, () => attempt(async () => go(`#/deliveries/${part((await post(`${path}/run`)).id)}`)),
        named(words.run)),
      button(one.paused ? words.resume : words.pause, () => attempt(async () => {
        await put(path, { schedule: { ...one, paused: !one.paused } });
        announce(one.paused ? words.resumed(one.name) : words.isPaused(one.name));
        await show();
      }), named(one.paused ? words.resume : words.pause)),
      button(text.setup.remove, ask, { class: "plain", ...named(text.setup.remove) }));
    function ask() {
      fill(actions, h("span", { class: "small" }, text.setup.sure(one.name)), button(text.setup.yes, () => attempt(async () => {
        await remove(path);
        announce(text.setup.removed(one.name));
        await show();
      }), { class: "bad" }), button(text.setup.no, usual));
      actions.querySelector("button:last-of-type").focus();
    }
    async function attempt(action) {
      fill(outcome);
      try { await action(); } catch (error) { fill(outcome, errorBox(error)); }
    }
    usual();
    return h("li", {}, h("div", { class: "item" }, h("div", { class: "grow" }, h("b", {}, one.name), about(one)), actions),
      one.lastProblem ? problemBox(one.lastProblem, { title: words.lastFailed(time(one.lastRunAt)) }) : null, outcome);
  }
}

function about(one) {
  const { source = {}, destination = {}, path } = one.request ?? {};
  const files = (source.selections ?? []).map((chosen) => chosen.value || text.start.whole).join(", ");
  return [h("div", { class: "small" }, inWords(one.cron ?? "", one.timeZone)),
    h("div", { class: "small soft wrap" }, [`${source.bucket ?? ""}: ${files}`,
      [destination.name || destination.url, path].filter(Boolean).join(":"), one.owner?.name].filter(Boolean).join(" · ")),
    h("div", { class: "small soft" }, one.paused ? words.paused : words.next(time(one.nextRunAt)),
      one.lastDeliveryId ? [" · ", h("a", { href: `#/deliveries/${part(one.lastDeliveryId)}` }, words.last)] : null,
      " · ", h("a", { href: query("#/deliveries", { schedule: one.name }) }, words.all))];
}

/** Puts what a form asks for on a schedule: fills `slot` with the rest that it needs. `request()` is asked when it is saved. */
export function scheduleForm(slot, opener, request, go) {
  const name = h("input", { spellcheck: "false", autocapitalize: "none", autocomplete: "off" });
  const when = whenPart();
  openForm(slot, opener, {
    element: h("section", { class: "card" }, h("h2", {}, words.new), h("p", { class: "small soft" }, words.hint),
      h("div", { class: "grid" }, field(text.setup.connection.name, name, { hint: text.setup.connection.nameHint })),
      h("div", { class: "gap" }, when.element)),
    focus: () => name.focus(),
    lacking: () => [...(name.value.trim() ? [] : [[name, text.setup.connection.needs.name]]), ...when.lacking()],
  }, () => put(`schedules/${part(name.value.trim())}`, { schedule: { request: request(), cron: when.cron(),
    timeZone: when.timeZone() } }), (saved) => {
    announce(text.setup.saved(saved.name));
    go("#/schedules");
  });
}
