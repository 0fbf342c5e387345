// The last seven days as a small chart: how many deliveries of each day ended well, failed, or neither. The figures are also in
// words, for those who can't see it.
import { get, query } from "../api.js";
import { fill, h } from "../dom.js";
import { enumWord } from "../format.js";
import { text } from "../text.js";

const days = 7;
const pageSize = 100;
const mostPages = 10;
const height = 64;  // of the tallest bar, in the drawing's units
const step = 40;
const width = 24;
const space = "http://www.w3.org/2000/svg";

/** A card that fills itself; it stays empty where the deliveries can't be had, which the lists above it then tell. */
export function weekChart() {
  const card = h("section", { class: "card", hidden: true });
  load().then((week) => show(card, week), () => {});
  return card;
}

const startOfDay = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate());

async function load() {
  const today = startOfDay(new Date());
  const week = Array.from({ length: days }, (_, index) => ({ good: 0, bad: 0, other: 0,
    day: new Date(today.getFullYear(), today.getMonth(), today.getDate() - (days - 1 - index)) }));
  let pageToken = "";
  for (let page = 0; page < mostPages; page += 1) {
    const answer = await get(query("deliveries", { pageSize, pageToken }));
    for (const delivery of answer.deliveries ?? []) {
      const made = startOfDay(new Date(delivery.createdAt));
      if (made < week[0].day) return { week, all: true };
      const one = week.find((other) => other.day.getTime() === made.getTime());
      const status = enumWord("DELIVERY_STATUS_", delivery.status);
      if (one) one[{ SUCCEEDED: "good", FAILED: "bad" }[status] ?? "other"] += 1;
    }
    pageToken = answer.nextPageToken ?? "";
    if (!pageToken) return { week, all: true };
  }
  return { week, all: false };
}

function show(card, { week, all }) {
  const most = Math.max(...week.map(sum));
  card.hidden = false;
  if (most === 0) return fill(card, h("h2", {}, text.week.title), h("p", { class: "empty" }, text.week.none));
  const name = (day) => day.toLocaleDateString(undefined, { weekday: "short" });
  const words = week.map((one) => text.week.day(name(one.day), one.good, one.bad, one.other));
  fill(card, h("h2", {}, text.week.title), chart(week, most, name, words.join(". ")),
    h("p", { class: "small soft legend" }, ["good", "bad", "other"].map((kind) => [h("i", { class: `key ${kind}` }),
      { good: text.week.delivered, bad: text.week.failed, other: text.week.other }[kind]])),
    all ? null : h("p", { class: "small soft" }, text.week.many));
}

const sum = (one) => one.good + one.bad + one.other;

function chart(week, most, name, label) {
  const root = element("svg", { viewBox: `0 0 ${days * step} ${height + 34}`, class: "week", role: "img",
    "aria-label": label });
  week.forEach((one, index) => {
    const x = index * step + (step - width) / 2;
    let y = height + 14;
    for (const kind of ["good", "bad", "other"]) {
      const tall = one[kind] / most * height;
      y -= tall;
      if (tall > 0) root.append(element("rect", { x, y, width, height: tall, class: kind }));
    }
    if (sum(one) > 0) root.append(element("text", { x: x + width / 2, y: y - 3 }, String(sum(one))));
    root.append(element("text", { x: x + width / 2, y: height + 30 }, name(one.day)));
  });
  return root;
}

function element(tag, attributes, words) {
  const made = document.createElementNS(space, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (words) made.textContent = words;
  return made;
}
