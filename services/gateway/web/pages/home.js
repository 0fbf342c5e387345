// The first page: what is under way, what was lately, and whether every service answers.
import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { number } from "../format.js";
import { text } from "../text.js";
import { deliveryRow, errorBox, heading, missingParts } from "./parts.js";

const refreshAfter = 10000;  // milliseconds

export function homePage(root) {
  let timer = null;
  let left = false;
  const week = h("div", {});
  // Beside the page, not before it: the first page is small.
  import("./week.js").then(({ weekChart }) => { if (!left) fill(week, weekChart()); }, () => {});
  fill(root, h("p", { class: "empty" }, text.loading));
  load();

  async function load() {
    try {
      const [dashboard, system] = await Promise.all([get("dashboard"), get("system").catch(() => null)]);
      if (left) return;
      show(dashboard, system);
      timer = setTimeout(load, refreshAfter);
    } catch (error) {
      if (!left) fill(root, errorBox(error, { again: load }));
    }
  }

  function show(dashboard, system) {
    const unread = number(dashboard.unreadNotifications);
    window.dispatchEvent(new CustomEvent("fileferry:unread", { detail: unread }));
    fill(root,
      heading(text.home.title(dashboard.user?.person?.name), text.home.lead,
        h("a", { class: "button main", href: "#/new" }, text.nav.start)),
      missingParts(dashboard.missing),
      section(text.home.running, dashboard.running, text.home.nothingRunning),
      section(text.home.recent, dashboard.recent, text.home.nothingRecent,
        h("p", { class: "gap small" }, h("a", { href: "#/deliveries" }, text.home.all))),
      week, system ? services(system) : null);
  }

  return () => {
    left = true;
    clearTimeout(timer);
  };
}

const section = (title, deliveries, empty, foot) => h("section", { class: "card" }, h("h2", {}, title),
  deliveries?.length ? [h("ul", { class: "list" }, deliveries.map(deliveryRow)), foot]
    : h("p", { class: "empty" }, empty));

function services(system) {
  return h("section", { class: "card" }, h("h2", {}, text.home.system), h("div", { class: "row" },
    (system.services ?? []).map((one) => h("span", { class: `tag ${one.serving ? "good" : "bad"}`,
      title: one.detail || null },
      `${one.service}: ${one.serving ? text.home.serving : text.home.notServing}`))));
}
