// Pieces that several pages show alike: problems, status tags, delivery rows, lists that load page by page.
import { h, fill, button } from "../dom.js";
import { bytes, count, enumWord, number, time } from "../format.js";
import { text } from "../text.js";

/** What failed, why, what to do next, and the provider's own reference for its support desk. */
export function problemBox(problem, { title, again } = {}) {
  const reference = problem.provider || problem.providerCode || problem.requestId
    ? text.errors.reference(problem.provider, problem.providerCode, problem.requestId) : null;
  return h("div", { class: "note bad", role: "alert" },
    h("strong", {}, title ?? problem.title ?? text.errors.title),
    h("p", {}, problem.subject ? h("code", {}, problem.subject, " ") : null, problem.detail ?? problem.message ?? ""),
    problem.nextStep ? h("p", {}, h("b", {}, text.errors.next, " "), problem.nextStep) : null,
    reference ? h("p", { class: "small soft" }, h("code", {}, reference)) : null,
    again ? h("div", { class: "gap" }, button(text.errors.again, again)) : null);
}

export function errorBox(error, options) {
  if (error.problem) return problemBox(error.problem, options);
  return problemBox({ detail: error.message }, options);
}

export function missingParts(missing) {
  if (!missing?.length) return null;
  return h("div", { class: "note warn" }, h("strong", {}, text.home.missing),
    missing.map((one) => h("p", {}, one.part, ": ", one.reason)));
}

const statusTone = { PENDING: "busy", RUNNING: "busy", SUCCEEDED: "good", FAILED: "bad", CANCELLED: "warn",
  PAUSED: "warn" };
export function statusTag(status) {
  const word = enumWord("DELIVERY_STATUS_", status);
  return h("span", { class: `tag ${statusTone[word] ?? ""}` }, text.status[word] ?? word);
}

export const isOver = (delivery) => ["SUCCEEDED", "FAILED",
  "CANCELLED"].includes(enumWord("DELIVERY_STATUS_", delivery.status));

export function deliveryTitle(delivery) {
  const request = delivery.request ?? {};
  if (request.title) return request.title;
  const chosen = (request.source?.selections ?? []).map((one) => one.value || text.start.whole);
  const rest = chosen.length > 1 ? ` +${chosen.length - 1}` : "";
  return chosen.length ? `${chosen[0]}${rest}` : delivery.id;
}

export function deliveryRow(delivery) {
  const files = text.delivery.of(count(delivery.filesDone), count(delivery.filesTotal));
  const figures = number(delivery.filesTotal) > 0 ? `${files} · ${bytes(delivery.bytesTotal)}` : "";
  return h("li", {}, h("div", { class: "item" },
    h("div", { class: "grow" },
      h("a", { href: `#/deliveries/${encodeURIComponent(delivery.id)}` }, deliveryTitle(delivery)),
      h("div", { class: "small soft" }, [delivery.userTicket, delivery.destination,
        figures].filter(Boolean).join(" · "))),
    h("span", { class: "small soft" }, time(delivery.createdAt)), statusTag(delivery.status)));
}

const emptyPages = 20;

/**
 * A list that fetches a page at a time. `load(pageToken)` answers { items, nextPageToken }; `row(item)` makes one element
 * or several.
 */
export function pagedList({ load, row, empty, tag = "ul", props = { class: "list" } }) {
  const list = h(tag, props);
  const foot = h("div", {});
  const box = h("div", {}, list, foot);
  async function next(token) {
    fill(foot, h("p", { class: "empty" }, text.loading));
    try {
      let page = await load(token);
      // A page of a search may hold nothing and still have a next one.
      for (let tries = 1; tries < emptyPages && page.items.length === 0 && page.nextPageToken; tries += 1) {
        page = await load(page.nextPageToken);
      }
      list.append(...page.items.flatMap(row));
      fill(foot, page.nextPageToken ? h("div", { class: "gap" }, button(text.more, () => next(page.nextPageToken)))
        : list.children.length === 0 ? h("p", { class: "empty" }, empty) : null);
    } catch (error) {
      fill(foot, errorBox(error, { again: () => next(token) }));
    }
  }
  next("");
  return box;
}

export const heading = (title, lead, ...actions) => h("div", { class: "head" },
  h("div", {}, h("h1", {}, title), lead ? h("p", {}, lead) : null), actions);

export const facts = (pairs) => h("dl", { class: "facts" }, pairs.filter(([, value]) => value).map(([name, value]) =>
  [h("dt", {}, name), h("dd", {}, value)]));
