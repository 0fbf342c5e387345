// The lists: tickets and one ticket, notifications.
import { follow, get, part, post, query } from "../api.js";
import { announce, button, choices, fill, h } from "../dom.js";
import { clock, enumWord, number, time } from "../format.js";
import { text } from "../text.js";
import { errorBox, facts, heading, pagedList } from "./parts.js";

const pageSize = 25;

export function ticketsPage(root, { params }) {
  const list = h("div", { class: "gap" });
  fill(root, heading(text.tickets.title), h("div", { class: "card" },
    choices(text.tickets.filter, Object.entries(text.tickets.kinds), params.get("kind") ?? "", (kind) => {
      history.replaceState(null, "", query("#/tickets", { kind }));
      show(kind);
    }), list));
  show(params.get("kind") ?? "");

  /** The list alone is made anew: whoever goes through the choices with arrow keys stays among them. */
  function show(kind) {
    fill(list, pagedList({
      async load(pageToken) {
        const page = await get(query("tickets", { kind: kind ? `TICKET_KIND_${kind}` : "", pageToken, pageSize }));
        return { items: page.tickets ?? [], nextPageToken: page.nextPageToken };
      },
      row: (ticket) => h("li", {}, h("div", { class: "item" },
        h("div", { class: "grow" }, h("a", { href: `#/tickets/${part(ticket.number)}` }, ticket.number),
          h("div", { class: "small" }, ticket.title),
          h("div", { class: "small soft" }, [ticket.assignmentGroup,
            ticket.requester?.name].filter(Boolean).join(" · "))),
        h("span", { class: "small soft" }, time(ticket.openedAt)), ticketTag(ticket))),
      empty: text.tickets.none,
    }));
  }
}

export function ticketTag(ticket) {
  const status = enumWord("TICKET_STATUS_", ticket.status);
  const outcome = enumWord("OUTCOME_", ticket.outcome);
  const tone = { SUCCEEDED: "good", FAILED: "bad", CANCELLED: "warn" }[outcome] ?? "busy";
  return h("span", { class: `tag ${tone}` }, status === "CLOSED"
    ? text.tickets.outcomes[outcome] || text.tickets.statuses.CLOSED
    : text.tickets.statuses[status] ?? status);
}

export async function ticketPage(root, { id }) {
  fill(root, h("p", { class: "empty" }, text.loading));
  try {
    const ticket = await get(`tickets/${part(id)}`);
    const kind = enumWord("TICKET_KIND_", ticket.kind) === "AUDIT" ? text.tickets.audit : text.tickets.user;
    fill(root, heading(ticket.number, ticket.title, ticketTag(ticket)),
      h("section", { class: "card" }, facts([
        [text.tickets.kind, kind], [text.delivery.requester, ticket.requester?.name],
          [text.delivery.group, ticket.assignmentGroup],
        [text.delivery.env, text.start.environments[enumWord("ENVIRONMENT_", ticket.environment)]],
        [text.delivery.priority, text.start.priorities[enumWord("PRIORITY_", ticket.priority)]],
        [text.tickets.opened, time(ticket.openedAt)], [text.tickets.closed, time(ticket.closedAt)],
        [text.tickets.closing, ticket.closingNote],
      ]), ticket.description ? h("p", { class: "prose gap" }, ticket.description) : null,
      ticket.deliveryId ? h("p", { class: "gap" }, h("a", { href: `#/deliveries/${part(ticket.deliveryId)}` },
        text.tickets.delivery)) : null),
      h("section", { class: "card" }, h("h2", {}, text.tickets.notes), ticket.workNotes?.length
        ? h("ul", { class: "list" }, ticket.workNotes.map((note) => h("li", {}, h("div", { class: "small soft" },
          [time(note.time), note.author?.name].filter(Boolean).join(" · ")), h("div", { class: "prose" }, note.text))))
        : h("p", { class: "empty" }, text.tickets.noNotes)));
  } catch (error) {
    fill(root, errorBox(error, { again: () => ticketPage(root, { id }) }));
  }
}

const severityTone = { INFO: "busy", SUCCESS: "good", WARNING: "warn", ERROR: "bad" };
export function notificationRow(one, onRead) {
  const tone = severityTone[enumWord("SEVERITY_", one.severity)] ?? "";
  const row = h("li", {}, h("div", { class: "item" },
    h("div", { class: "grow" }, h("b", {}, one.title),
      h("div", { class: "small prose" }, one.body),
      one.deliveryId ? h("a", { class: "small", href: `#/deliveries/${part(one.deliveryId)}` }, text.notifications.open)
        : null),
    h("span", { class: "small soft" }, time(one.time)),
    one.read ? null : h("span", { class: `tag ${tone}` }, text.notifications.fresh),
    one.read || !onRead ? null : button(text.notifications.one, () => onRead(one), { class: "plain" })));
  return row;
}

export function notificationsPage(root) {
  const seen = new Set();
  const box = h("div", { class: "card" });
  fill(root, heading(text.notifications.title, null, button(text.notifications.read, readAll)), box);
  show();

  function show() {
    seen.clear();
    fill(box, pagedList({
      async load(pageToken) {
        const page = await get(query("notifications", { pageToken, pageSize }));
        window.dispatchEvent(new CustomEvent("fileferry:unread", { detail: number(page.unread) }));
        for (const one of page.notifications ?? []) seen.add(one);
        return { items: page.notifications ?? [], nextPageToken: page.nextPageToken };
      },
      row: (one) => notificationRow(one, (it) => markRead([it.id])), empty: text.notifications.none,
    }));
  }

  async function markRead(ids) {
    try {
      await post("notifications/read", { ids });
      show();
    } catch (error) { fill(box, errorBox(error, { again: show })); }
  }

  async function readAll() {
    const ids = [...seen].filter((one) => !one.read).map((one) => one.id);
    if (ids.length) await markRead(ids);
  }

  window.addEventListener("fileferry:notification", show);
  return () => window.removeEventListener("fileferry:notification", show);
}

/** Counts unread notifications in the top bar and says when one comes. Returns a function that stops it. */
export function watchNotifications(after) {
  const live = follow("notifications/events", {
    after, kinds: ["notification"],
    onEvent(_, one) {
      if (!one.read) announce(text.notifications.came(one.title));
      window.dispatchEvent(new CustomEvent("fileferry:notification", { detail: one }));
    },
  });
  return () => live.close();
}

export const logLine = (stamp, message) => h("li", {}, h("time", { datetime: stamp ?? "" }, clock(stamp)),
  h("span", {}, message));
