// The object browser: a bucket's folders and files, a folder at a time, searched and sorted, with a box to choose each; or a
// typed key or prefix. A folder of a hundred thousand objects is loaded while it is looked at.
import { get, part, query } from "../api.js";
import { announce, button, field, fill, h, select } from "../dom.js";
import { bytes, count, number, time } from "../format.js";
import { text } from "../text.js";
import { errorBox } from "./parts.js";
import { virtualList } from "./virtual.js";

const pageSize = 1000;
/** Of one folder: what is more is reached by a longer prefix, or by a pattern. */
const mostEntries = 200000;
/** As many as a delivery takes (RequestCheck.maxSelections). */
const mostSelections = 1000;
const typingPause = 200;  // milliseconds
const showEvery = 300;  // milliseconds between two orderings of a folder that is still being listed

const orders = {
  NAME: null,  // as the storage lists them
  LARGEST: (one, other) => other.size - one.size,
  SMALLEST: (one, other) => one.size - other.size,
  NEWEST: (one, other) => other.changed - one.changed,
  OLDEST: (one, other) => one.changed - other.changed,
};

/**
 * `state` holds connection, bucket, prefix, `selections` (values; a prefix ends in "/") and `patterns`; `onChange` follows it.
 */
export function objectBrowser(state, onChange) {
  const crumbs = h("div", { class: "crumbs" });
  const search = h("input", { type: "search", autocomplete: "off" });
  const order = select(Object.entries(text.start.orders), "NAME");
  const listed = h("p", { class: "small soft", role: "status" });
  const all = button("", chooseAll, { class: "plain" });
  const entries = virtualList({ row, onEnd: () => load(false), label: text.start.entries });
  const foot = h("div", {});
  const chips = h("ul", { class: "chips", "aria-live": "polite" });
  const summary = h("p", { class: "small soft gap" });
  const typed = h("input", { spellcheck: "false", autocapitalize: "none" });
  const isPattern = h("input", { type: "checkbox" });
  let found = [];  // what has been listed of the folder
  let shown = [];  // of it, what the search leaves, in the chosen order
  let nextPage = null;  // null: nothing is left to list
  let turn = 0;
  let loading = null;
  let lastChosen = -1;
  let lastShown = 0;
  let pause = null;
  search.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(arrange, typingPause);
  });
  order.addEventListener("change", arrange);
  // A key may hold these characters, too: the reader has the last word.
  typed.addEventListener("input", () => { isPattern.checked = /[*?]/.test(typed.value); });
  typed.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    addTyped();
  });

  const element = h("div", {},
    h("div", { class: "grid" }, field(text.start.search, search), field(text.start.order, order)),
    h("div", { class: "browser gap" }, crumbs, entries.element, foot),
    h("div", { class: "row" }, h("div", { class: "grow" }, listed), all),
    h("div", { class: "row gap" }, h("div", { class: "grow" },
      field(text.start.filter, typed, { hint: text.start.filterHint })),
      button(text.start.add, addTyped)), h("label", { class: "check small" }, isPattern, text.start.pattern), chips,
      summary);

  function addTyped() {
    const value = typed.value.trim();
    if (!value) return typed.focus();
    if (isPattern.checked) choosePattern(value, true);
    else choose(value, true);
    typed.value = "";
    isPattern.checked = false;
  }

  const choose = (value, chosen) => chooseThese([value], chosen);

  /** Says so where it would be too many, and leaves them as they are. */
  function chooseThese(values, chosen) {
    const these = new Set(values);
    const next = state.selections.filter((one) => !these.has(one)).concat(chosen ? values : []);
    if (next.length > mostSelections) {
      announce(text.start.tooMany(mostSelections));
      fill(foot, h("div", { class: "note warn" }, text.start.tooMany(mostSelections)));
    } else {
      state.selections = next;
      showChips();
      onChange();
    }
    const now = new Set(state.selections);
    entries.each((one) => {
      const box = one.querySelector("input");
      box.checked = now.has(box.dataset.value);
    });
  }

  function chooseAll() {
    chooseThese(shown.map((one) => one.value), true);
  }

  function choosePattern(value, chosen) {
    state.patterns = state.patterns.filter((one) => one !== value);
    if (chosen) state.patterns.push(value);
    showChips();
    onChange();
  }

  const chip = (label, drop) => h("li", {}, h("span", {}, label),
    button("×", drop, { class: "plain", "aria-label": text.start.dropped(label) }));

  function showChips() {
    fill(chips, state.selections.map((value) => chip(value || text.start.whole, () => choose(value, false))),
      state.patterns.map((value) => chip(text.start.patternChip(value), () => choosePattern(value, false))));
    summary.textContent = text.start.chosen(state.selections.length + state.patterns.length);
  }

  function openFolder(prefix) {
    state.prefix = prefix;
    search.value = "";
    onChange();
    open();
    crumbs.querySelector("button:last-of-type")?.focus();
  }

  function showCrumbs() {
    const parts = state.prefix.split("/").filter(Boolean);
    fill(crumbs, button(state.bucket, () => openFolder(""), { class: "plain" }),
      parts.map((name, index) => [h("span", { "aria-hidden": "true" }, "/"),
        button(name, () => openFolder(`${parts.slice(0, index + 1).join("/")}/`), { class: "plain" })]));
  }

  function row(one) {
    const box = h("input", { type: "checkbox", checked: state.selections.includes(one.value),
      "aria-label": text.start.select(one.name) });
    box.dataset.value = one.value;
    box.addEventListener("click", (event) => {
      const index = shown.indexOf(one);
      // With Shift, all from the one that was chosen before.
      const from = event.shiftKey && lastChosen >= 0 ? Math.min(index, lastChosen) : index;
      const until = event.shiftKey && lastChosen >= 0 ? Math.max(index, lastChosen) : index;
      lastChosen = index;
      chooseThese(shown.slice(from, until + 1).map(({ value }) => value), box.checked);
    });
    if (one.isFolder) {
      return h("li", {}, box, h("span", { class: "name" }, h("button", { type: "button", class: "plain",
        title: text.start.open, on: { click: () => openFolder(one.value) } }, one.name)));
    }
    const details = [time(one.modifiedAt), one.tier ? text.start.tier(one.tier) : ""].filter(Boolean).join(" · ");
    return h("li", {}, h("label", {}, box, h("span", { class: "name", title: one.name }, one.name,
      h("span", { class: "small soft details" }, details))), h("span", { class: "size" }, bytes(one.size)));
  }

  const folder = (prefix) => ({ value: prefix, isFolder: true, size: -1, changed: -1,
    name: `${prefix.slice(state.prefix.length).replace(/\/$/, "")}/` });
  const file = (object) => ({ value: object.key, size: number(object.size), name: object.key.slice(state.prefix.length),
    modifiedAt: object.modifiedAt, changed: object.modifiedAt ? Date.parse(object.modifiedAt) : 0,
    tier: object.storageClass });

  /** The folder from its beginning. */
  function open() {
    turn += 1;
    [found, shown, nextPage, loading, lastChosen] = [[], [], "", null, -1];
    showCrumbs();
    entries.show([], { anew: true });
    entries.top();
    load(false);
  }

  /** To search or to sort is a question to all of them, so all are listed then. */
  const wantsAll = () => search.value.trim() !== "" || orders[order.value] !== null;

  function load(again) {
    if (nextPage === null || (loading && !again)) return;
    const mine = turn;
    loading = (async () => {
      try {
        do await loadPage(mine); while (mine === turn && nextPage !== null && (wantsAll() || found.length === 0));
      } catch (error) {
        if (mine === turn) fill(foot, errorBox(error, { again: () => load(true) }));
        return;  // `loading` stays: only the reader tries again
      }
      if (mine === turn) loading = null;
    })();
  }

  async function loadPage(mine) {
    if (found.length === 0) fill(foot, h("p", { class: "empty entries-note" }, text.loading));
    const path = `connections/${part(state.connection)}/buckets/${part(state.bucket)}/objects`;
    const page = await get(query(path, { prefix: state.prefix, delimiter: "/", pageToken: nextPage, pageSize }));
    if (mine !== turn) return;  // the reader has opened another folder since
    const objects = (page.objects ?? []).filter((one) => one.key !== state.prefix);
    const came = [...(page.commonPrefixes ?? []).map(folder), ...objects.map(file)];
    for (const one of came) found.push(one);
    nextPage = page.nextPageToken && found.length < mostEntries ? page.nextPageToken : null;
    const isCut = page.nextPageToken && nextPage === null;
    fill(foot, isCut ? h("p", { class: "note warn" }, text.start.cut(count(mostEntries)))
      : found.length === 0 && nextPage === null ? h("p", { class: "empty entries-note" }, text.start.nothingHere) : null);
    if (nextPage === null || !wantsAll() || Date.now() - lastShown > showEvery) show();
  }

  /** After a change of search or order. */
  function arrange() {
    lastChosen = -1;
    entries.top();
    show(true);
    load(false);
  }

  function show(anew = false) {
    const wanted = search.value.trim().toLocaleLowerCase();
    const by = orders[order.value];
    if (!wanted && !by) shown = found;
    else {
      shown = wanted ? found.filter((one) => one.name.toLocaleLowerCase().includes(wanted)) : [...found];
      if (by) shown.sort(by);
    }
    entries.show(shown, { anew: anew || Boolean(by) });
    lastShown = Date.now();
    listed.textContent = text.start.listed(count(shown.length), count(found.length), Boolean(wanted), nextPage !== null);
    all.textContent = text.start.chooseAll(count(shown.length));
    all.hidden = !wanted || shown.length === 0;
  }

  showChips();
  open();
  return element;
}
