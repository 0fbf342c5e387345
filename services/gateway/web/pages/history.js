// The history: every delivery that the reader may see along a line of time, day by day, and what to look for in it.
import { get, query } from "../api.js";
import { button, choices, field, fill, h, mark } from "../dom.js";
import { bytes, clock, count, duration, enumWord, number, secondsBetween } from "../format.js";
import { text } from "../text.js";
import { deliveryTitle, heading, isOver, pagedList, statusTag } from "./parts.js";

const pageSize = 25;
const names = ["status", "search", "from", "until", "schedule"];

export function historyPage(root, { params }) {
  const wanted = Object.fromEntries(names.map((name) => [name, params.get(name) ?? ""]));
  const slots = Object.fromEntries(["filter", "search", "of", "list"].map((name) => [name, h("div", {})]));
  fill(root, heading(text.deliveries.title, null, h("a", { class: "button main", href: "#/new" }, text.nav.start)),
    h("div", { class: "card" }, Object.values(slots)));
  showFilter();
  showRest();

  /** The list alone is made anew: whoever goes through the choices with arrow keys stays among them. */
  function change(values) {
    Object.assign(wanted, values);
    history.replaceState(null, "", query("#/deliveries", wanted));
    showRest();
  }

  function showFilter() {
    fill(slots.filter, choices(text.deliveries.filter, Object.entries(text.deliveries.filters), wanted.status,
      (status) => change({ status })));
    fill(slots.search, searchForm(wanted, change, () => {
      change(Object.fromEntries(names.map((name) => [name, ""])));
      showFilter();
      slots.search.querySelector("input").focus();
    }));
  }

  function showRest() {
    fill(slots.of, wanted.schedule ? h("p", { class: "gap" }, text.deliveries.of(wanted.schedule)) : null);
    fill(slots.list, h("div", { class: "gap" }, timeline({ ...wanted })));
  }
}

function searchForm(wanted, change, clear) {
  const search = h("input", { type: "search", value: wanted.search, maxlength: 200 });
  const from = h("input", { type: "date", value: wanted.from });
  const until = h("input", { type: "date", value: wanted.until });
  const submit = (event) => {
    event.preventDefault();
    if (from.value && until.value && from.value > until.value) return mark(until, text.deliveries.needs.until);
    change({ search: search.value.trim(), from: from.value, until: until.value });
  };
  return h("form", { class: "gap", role: "search", on: { submit } },
    h("div", { class: "grid" },
      field(text.deliveries.search, search, { hint: text.deliveries.searchHint }),
      field(text.deliveries.from, from), field(text.deliveries.until, until)),
    h("div", { class: "row gap" }, h("button", { type: "submit" }, text.deliveries.look),
      button(text.deliveries.clear, clear, { class: "plain" })));
}

/** The reader's own midnight at the begin of a day, `after` days later; "2026-11-27" is how a date field says it. */
function midnight(date, after) {
  if (!date) return "";
  const [year, month, day] = date.split("-").map(Number);
  return new Date(year, month - 1, day + after).toISOString();
}

function timeline(wanted) {
  let day = "";
  const row = (delivery) => {
    const made = new Date(delivery.createdAt);
    const its = made.toLocaleDateString(undefined, { dateStyle: "full" });
    const head = its === day ? [] : [h("li", { class: "day" }, h("h2", {}, its))];
    day = its;
    return [...head, entry(delivery)];
  };
  return pagedList({
    async load(pageToken) {
      const page = await get(query("deliveries", {
        status: wanted.status ? `DELIVERY_STATUS_${wanted.status}` : "", search: wanted.search,
        schedule: wanted.schedule, createdFrom: midnight(wanted.from, 0), createdBefore: midnight(wanted.until, 1),
        pageToken, pageSize }));
      return { items: page.deliveries ?? [], nextPageToken: page.nextPageToken };
    },
    row, empty: text.deliveries.none, tag: "ol", props: { class: "timeline" },
  });
}

function entry(delivery) {
  const took = isOver(delivery) && delivery.finishedAt
    ? text.deliveries.took(duration(secondsBetween(delivery.startedAt ?? delivery.createdAt, delivery.finishedAt))) : "";
  const status = enumWord("DELIVERY_STATUS_", delivery.status).toLowerCase();
  return h("li", { class: `entry ${status}` },
    h("time", { class: "small soft", datetime: delivery.createdAt }, clock(delivery.createdAt)),
    h("div", { class: "item" },
      h("div", { class: "grow" }, h("a", { href: `#/deliveries/${encodeURIComponent(delivery.id)}` }, deliveryTitle(delivery)),
        h("div", { class: "small soft" }, [delivery.userTicket, delivery.requester?.name, delivery.schedule, delivery.destination]
          .filter(Boolean).join(" · ")),
        number(delivery.filesTotal) > 0 ? h("div", { class: "small soft" }, [text.deliveries.files(count(delivery.filesDone), count(delivery.filesTotal)),
          bytes(delivery.bytesTotal), took].filter(Boolean).join(" · ")) : null,
        delivery.problem && status !== "succeeded" ? h("div", { class: "small" }, delivery.problem.message) : null),
      statusTag(delivery.status)));
}
