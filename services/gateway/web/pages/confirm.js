// Between the form and the delivery: the last look at where the files go, in the colour of the cloud that they come from; then
// the two tickets with their numbers and texts, which stay in view for a minute or until the reader goes on.
import { get, part, post } from "../api.js";
import { announce, button, fill, h } from "../dom.js";
import { forgetDraft, keptOrder } from "../draft.js";
import { enumWord } from "../format.js";
import { text } from "../text.js";
import { countdown } from "./countdown.js";
import { optionsInWords } from "./options.js";
import { errorBox, facts, heading } from "./parts.js";

const words = text.confirm;
const noticeSeconds = 60;
const ticketsEvery = 500;  // milliseconds between two looks for tickets that are being opened
const openedKey = "fileferry.opened";

/** Colours the page by its cloud; returns what takes the colour away. */
function colour(provider) {
  document.body.dataset.cloud = text.confirm.clouds[provider] ? provider : "other";
  return () => { delete document.body.dataset.cloud; };
}

export function confirmPage(root, { go }) {
  const order = keptOrder();
  // After a reload the password is not known any more: the form asks for it, the rest is there.
  if (!order) return go("#/new");
  const { request } = order.body;
  const message = h("div", {});
  const chosen = request.source.selections.map((one) => one.kind === "SELECTION_KIND_GLOB"
    ? text.start.patternChip(one.value) : one.value || text.start.whole);
  fill(root, heading(words.title, words.lead(words.clouds[order.provider] ?? words.other)),
    h("section", { class: "card" }, h("h2", {}, words.where), facts([
      [text.delivery.destination, order.where.url || order.where.name], [words.folder, request.path],
      [words.also, order.also.map((one) => one.url).join(", ")],
      [text.delivery.key, order.where.key ? h("code", {}, order.where.key) : null]])),
    h("section", { class: "card" }, h("h2", {}, words.what), facts([
      [text.delivery.source, `${request.source.connection} / ${request.source.bucket}`],
      [text.delivery.files, chosen.join(", ")], [text.delivery.group, request.assignmentGroup],
      [text.delivery.env, text.start.environments[enumWord("ENVIRONMENT_", request.environment)]],
      [text.delivery.priority, text.start.priorities[enumWord("PRIORITY_", request.priority)]],
      ...optionsInWords(request)])),
    message, h("div", { class: "row" }, button(words.go, confirm, { class: "main" }),
      button(text.back, () => history.back())));

  async function confirm() {
    try {
      // Confirmed twice after a lost answer, it is still one delivery.
      const headers = { "Idempotency-Key": order.key };
      const deliveries = order.also.length ? (await post("deliveries/group", groupOf(order), { headers })).deliveries
        : [await post("deliveries", order.body, { headers })];
      const [delivery] = deliveries;
      sessionStorage.setItem(openedKey, JSON.stringify({ id: delivery.id, ids: deliveries.map((one) => one.id), at: Date.now(),
        provider: order.provider }));
      forgetDraft();
      // The way back from here leads to the form, not to a confirmation of what is confirmed.
      location.replace(`#/deliveries/${part(delivery.id)}/opened`);
    } catch (error) { fill(message, errorBox(error)); }
  }

  return colour(order.provider);
}

/** The request of a group: the first place to go to, and the saved ones beside it. */
function groupOf({ body, also }) {
  const { destination, path, ...request } = body.request;
  return { request, targets: [{ destination, path, credentials: body.credentials },
    ...also.map((one) => ({ destination: { name: one.name } }))] };
}

export function openedPage(root, { id, go }) {
  const kept = JSON.parse(sessionStorage.getItem(openedKey) ?? "{}");
  const onward = `#/deliveries/${part(id)}`;
  // It is shown once, to whoever has just started it.
  if (kept.id !== id) return go(onward);
  let timer = null;
  const notice = countdown(noticeSeconds, words.countdown, goOn, kept.at);
  const cards = h("div", { class: "tickets" }, h("p", { class: "soft" }, words.opening));
  const message = h("div", {});
  fill(root, heading(words.opened, words.openedLead), h("section", { class: "card", role: "status" }, cards, message,
    notice.element, h("div", { class: "row gap" }, button(words.onward, goOn, { class: "main" }))));
  look();

  async function look() {
    timer = null;
    try {
      const journeys = await Promise.all((kept.ids ?? [id]).map((one) => get(`deliveries/${part(one)}`)));
      if (journeys.every(({ tickets }) => tickets?.user?.number && tickets.audit?.number)) {
        const pair = ({ user, audit }) => [card(text.delivery.userTicket, user), card(text.delivery.auditTicket, audit)];
        fill(cards, journeys.length === 1 ? pair(journeys[0].tickets) : journeys.map(({ delivery, tickets }) =>
          h("div", { class: "wide" }, h("h2", {}, text.delivery.to(delivery.destination)),
            h("div", { class: "tickets" }, pair(tickets)))));
        return announce(journeys.flatMap(({ tickets: { user, audit } }) => [user.number, audit.number]).join(", "));
      }
      // One that waits for a free place has no tickets yet.
      if (journeys.some(({ delivery }) => delivery.waitingFor)) fill(cards, h("p", { class: "soft" },
        text.delivery.waits(journeys.find(({ delivery }) => delivery.waitingFor).delivery.waitingFor)));
      fill(message);
    } catch (error) { fill(message, errorBox(error)); }
    timer = setTimeout(look, ticketsEvery);
  }

  function goOn() {
    sessionStorage.removeItem(openedKey);
    location.replace(onward);
  }

  const uncolour = colour(kept.provider);
  return () => {
    clearTimeout(timer);
    notice.stop();
    uncolour();
  };
}

const card = (kind, ticket) => h("div", { class: "ticket" }, h("span", { class: "kind" }, kind),
  h("span", { class: "number" }, ticket.number), h("p", {}, h("strong", {}, ticket.title ?? "")),
  ticket.description ? h("p", { class: "prose small" }, ticket.description) : null);
