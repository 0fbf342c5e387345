// The object browser: a bucket's folders and files, a folder at a time, with a box to choose each; or a typed key or
// prefix.
import { get, part, query } from "../api.js";
import { button, field, fill, h } from "../dom.js";
import { bytes } from "../format.js";
import { text } from "../text.js";
import { errorBox } from "./parts.js";

const pageSize = 200;

/**
 * `state` holds connection, bucket, prefix, `selections` (values; a prefix ends in "/") and `patterns`; `onChange` follows it.
 */
export function objectBrowser(state, onChange) {
  const crumbs = h("div", { class: "crumbs" });
  const entries = h("ul", { class: "entries" });
  const foot = h("div", {});
  const chips = h("ul", { class: "chips", "aria-live": "polite" });
  const summary = h("p", { class: "small soft gap" });
  const typed = h("input", { spellcheck: "false", autocapitalize: "none" });
  const isPattern = h("input", { type: "checkbox" });
  // A key may hold these characters, too: the reader has the last word.
  typed.addEventListener("input", () => { isPattern.checked = /[*?]/.test(typed.value); });
  typed.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    addTyped();
  });
  let turn = 0;

  const element = h("div", {}, h("div", { class: "browser" }, crumbs, entries, foot),
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

  function choose(value, chosen) {
    state.selections = state.selections.filter((one) => one !== value);
    if (chosen) state.selections.push(value);
    showChips();
    for (const box of entries.querySelectorAll("input")) box.checked = state.selections.includes(box.dataset.value);
    onChange();
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
    onChange();
    show();
    crumbs.querySelector("button:last-of-type")?.focus();
  }

  function showCrumbs() {
    const parts = state.prefix.split("/").filter(Boolean);
    fill(crumbs, button(state.bucket, () => openFolder(""), { class: "plain" }),
      parts.map((name, index) => [h("span", { "aria-hidden": "true" }, "/"),
        button(name, () => openFolder(`${parts.slice(0, index + 1).join("/")}/`), { class: "plain" })]));
  }

  const checkbox = (value, name) => {
    const box = h("input", { type: "checkbox", checked: state.selections.includes(value),
      "aria-label": text.start.select(name) });
    box.dataset.value = value;
    box.addEventListener("change", () => choose(value, box.checked));
    return box;
  };

  const folderRow = (prefix) => {
    const name = `${prefix.slice(state.prefix.length).replace(/\/$/, "")}/`;
    return h("li", {}, checkbox(prefix, name), h("span", { class: "name" },
      h("button", { type: "button", class: "plain",
      title: text.start.open, on: { click: () => openFolder(prefix) } }, name)));
  };

  const fileRow = (object) => {
    const name = object.key.slice(state.prefix.length);
    return h("li", {}, h("label", {}, checkbox(object.key, name), h("span", { class: "name" }, name)),
      h("span", { class: "size" }, bytes(object.size)));
  };

  async function show(pageToken = "") {
    turn += 1;
    const mine = turn;
    showCrumbs();
    if (!pageToken) entries.replaceChildren();
    fill(foot, h("p", { class: "empty entries-note" }, text.loading));
    try {
      const path = `connections/${part(state.connection)}/buckets/${part(state.bucket)}/objects`;
      const page = await get(query(path, { prefix: state.prefix, delimiter: "/", pageToken, pageSize }));
      if (mine !== turn) return;  // the reader has opened another folder since
      const files = (page.objects ?? []).filter((one) => one.key !== state.prefix);
      entries.append(...(page.commonPrefixes ?? []).map(folderRow), ...files.map(fileRow));
      fill(foot, page.nextPageToken ? button(text.more, () => show(page.nextPageToken), { class: "plain" })
        : entries.children.length === 0 ? h("p", { class: "empty entries-note" }, text.start.nothingHere) : null);
    } catch (error) {
      if (mine === turn) fill(foot, errorBox(error, { again: () => show(pageToken) }));
    }
  }

  showChips();
  show();
  return element;
}
