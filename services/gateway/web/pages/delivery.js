// One delivery: its two tickets, live progress through the eight states, what went wrong and what to do, the receipt.
import { follow, get, part, post, query } from "../api.js";
import { announce, button, fill, h } from "../dom.js";
import { bytes, bytesOf, count, duration, enumWord, number, secondsBetween, share, speed, time } from "../format.js";
import { text } from "../text.js";
import { chatCard } from "./chat.js";
import { countdown } from "./countdown.js";
import { credentialFields } from "./credentials.js";
import { logLine, notificationRow } from "./lists.js";
import { deliveryTitle, errorBox, facts, heading, isOver, missingParts, pagedList, problemBox,
  statusTag } from "./parts.js";
import { verifyButton } from "./verify.js";

const kinds = ["state", "progress", "retry", "note", "ended", "problem"];
const logLimit = 200;
const filesPage = 100;
const speedWindow = 8000;  // milliseconds that the shown speed is the mean of
const states = Object.keys(text.states);
const inBytes = ["DOWNLOAD", "COMPRESS", "TRANSFER", "VERIFY"];

const leavingSeconds = 10;

export function deliveryPage(root, { id, leaveSession }) {
  let live = null;
  let leaving = null;
  let left = false;
  let watched = false;  // it was under way when this page was opened
  let samples = [];
  let spoken = "";
  let fileListFor = "";
  const path = `deliveries/${part(id)}`;
  const slots = Object.fromEntries(["head", "missing", "tickets", "trouble", "link", "progress", "leaving", "receipt", "files",
    "request", "messages"]
    .map((name) => [name, h("div", {})]));
  const log = h("ol", { class: "log", tabindex: 0, "aria-label": text.delivery.log });
  const logCard = h("section", { class: "card", hidden: true }, h("h2", {}, text.delivery.log), log);
  const bars = stateBars();
  const chat = chatCard(id);

  fill(root, h("p", { class: "empty" }, text.loading));
  load();

  async function load() {
    live?.close();
    live = null;
    try {
      const journey = await get(path);
      if (left) return;
      fill(root, slots.head, slots.missing, slots.tickets, slots.trouble, slots.link, slots.progress, slots.leaving,
        slots.receipt, slots.files,
        chat, logCard, slots.request, slots.messages);
      showJourney(journey);
      watched = !isOver(journey.delivery);
      log.replaceChildren();
      logCard.hidden = true;
      // From the first event on: those that are journalled are the delivery's story, those that follow are live.
      live = follow(`${path}/events`, { after: 0, kinds, onEvent, onLink });
    } catch (error) {
      if (!left) fill(root, errorBox(error, { again: load }));
    }
  }

  function showJourney(journey) {
    fill(slots.missing, missingParts(journey.missing));
    showDelivery(journey.delivery, journey.tickets);
    showRequest(journey.delivery);
    showReceipt(journey.receipt?.receipt);
    fill(slots.messages, journey.notifications?.length ? h("section", { class: "card" },
      h("h2", {}, text.delivery.messages),
      h("ul", { class: "list" }, journey.notifications.map((one) => notificationRow({ ...one, deliveryId: "" }))))
        : null);
  }

  function onLink(up) {
    fill(slots.link, up ? null : h("div", { class: "note warn", role: "status" }, text.delivery.offline));
  }

  function onEvent(kind, event) {
    if (kind === "problem") return fill(slots.link, problemBox(event));
    if (event.message && kind !== "progress") {
      log.append(logLine(event.time, event.message));
      while (log.children.length > logLimit) log.firstChild.remove();
      logCard.hidden = false;
    }
    if (event.delivery) {
      sample(event);
      showDelivery(event.delivery);
    }
    if (kind === "ended") finish(event.sequence);
  }

  /** After an end: the receipt is there, or the delivery was retried since and its story goes on. */
  async function finish(sequence) {
    live?.close();
    live = null;
    try {
      const journey = await get(path);
      if (left) return;
      showJourney(journey);
      if (watched && journey.delivery.status === "DELIVERY_STATUS_SUCCEEDED") endJourney();
      if (!isOver(journey.delivery) || number(journey.delivery.sequence) > number(sequence)) {
        live = follow(`${path}/events`, { after: number(sequence), kinds, onEvent, onLink });
      }
    } catch (error) {
      if (!left) fill(slots.trouble, errorBox(error, { again: () => finish(sequence) }));
    }
  }

  /** Who has watched it arrive is done: the session ends by itself unless the reader stays. */
  function endJourney() {
    watched = false;
    leaving?.stop();
    leaving = countdown(leavingSeconds, text.delivery.leaving, leaveSession);
    const stay = () => {
      leaving.stop();
      fill(slots.leaving);
      announce(text.delivery.stayed);
    };
    fill(slots.leaving, h("section", { class: "card", role: "status" }, h("h2", {}, text.delivery.done), leaving.element,
      h("div", { class: "row gap" }, button(text.delivery.stay, stay, { class: "main" }))));
  }

  function sample(event) {
    const at = event.time ? Date.parse(event.time) : Date.now();
    samples.push({ at, done: number(event.delivery.bytesDone) });
    samples = samples.filter((one) => one.at > at - speedWindow && one.done <= number(event.delivery.bytesDone));
  }

  function currentSpeed() {
    const first = samples[0];
    const last = samples[samples.length - 1];
    return first && last && last.at > first.at ? (last.done - first.done) * 1000 / (last.at - first.at) : NaN;
  }

  function showDelivery(delivery, tickets) {
    fill(slots.head, heading(deliveryTitle(delivery), delivery.destination ? text.delivery.to(delivery.destination)
      : null,
      statusTag(delivery.status)));
    fill(slots.tickets, ticketCards(delivery, tickets));
    showTrouble(delivery);
    bars.update(delivery, delivery.status === "DELIVERY_STATUS_RUNNING" ? currentSpeed() : NaN);
    if (!bars.shown) fill(slots.progress, bars.element);
    bars.shown = true;
    showActions(delivery);
    speak(delivery);
    // The receipt lists the files itself. Before, their list is fetched anew at the end, not at every figure.
    if (delivery.hasReceipt && number(delivery.filesTotal) <= filesPage) return fill(slots.files);
    const stamp = [delivery.filesTotal, delivery.filesDone, delivery.filesFailed, delivery.status].join("/");
    if (number(delivery.filesTotal) > 0 && stamp !== fileListFor && (isOver(delivery) || fileListFor === "")) {
      fileListFor = stamp;
      fill(slots.files, filesCard(path));
    }
  }

  function speak(delivery) {
    const active = (delivery.states ?? []).find((one) => one.status === "STATE_STATUS_ACTIVE");
    const words = isOver(delivery) ? text.status[enumWord("DELIVERY_STATUS_", delivery.status)]
      : active ? text.delivery.spoken(text.states[enumWord("DELIVERY_STATE_", active.state)], text.stateStatus.ACTIVE)
        : "";
    if (words && words !== spoken) announce(words);
    spoken = words || spoken;
  }

  let receiptFor = "";
  function showReceipt(receipt) {
    const stamp = receipt ? JSON.stringify(receipt) : "";
    if (stamp === receiptFor) return;  // so that what a check of it found stays
    receiptFor = stamp;
    fill(slots.receipt, receipt ? receiptCard(path, receipt) : null);
  }

  let troubleFor = "";
  function showTrouble(delivery) {
    const word = enumWord("DELIVERY_STATUS_", delivery.status);
    const stamp = `${word} ${delivery.problem?.code ?? ""} ${delivery.problem?.message ?? ""}`;
    if (stamp === troubleFor) return;  // so that what is being typed there stays
    troubleFor = stamp;
    const again = word === "FAILED" || word === "CANCELLED";
    fill(slots.trouble, delivery.problem && word !== "SUCCEEDED"
      ? problemBox({ ...delivery.problem, title: text.status[word] }) : null,
      again ? retryCard(path, () => {
        announce(text.delivery.retried);
        troubleFor = "";
        fileListFor = "";
        samples = [];
        load();
      }) : null);
  }

  function showActions(delivery) {
    const paused = delivery.status === "DELIVERY_STATUS_PAUSED";
    const waits = paused ? "" : delivery.waitingFor;
    const stamp = isOver(delivery) ? "" : paused ? `paused ${delivery.waitingFor}` : `under way ${waits}`;
    if (stamp === bars.actionsFor) return;  // so that a button that is being pressed stays
    bars.actionsFor = stamp;
    fill(bars.actions, !stamp ? null : [paused ? pausedPart(delivery) : null,
      waits ? h("div", { class: "note gap", role: "status" }, text.delivery.waits(waits)) : null,
      h("div", { class: "row gap" }, paused ? null : steer("pause", text.delivery.pause, text.delivery.pausing),
        cancelPart())]);
  }

  function pausedPart(delivery) {
    const why = delivery.waitingFor ? delivery.waitingFor[0].toUpperCase() + delivery.waitingFor.slice(1) : "";
    return h("div", { class: "note warn gap", role: "status" },
      h("p", {}, h("strong", {}, why || text.status.PAUSED), " · ", text.delivery.isPaused),
      h("div", { class: "gap" }, steer("resume", text.delivery.resume, text.delivery.resumed, "main")));
  }

  /** A button for a call that needs no more than the delivery; what it did comes back with the events. */
  function steer(verb, label, said, tone = "") {
    const box = h("div", {});
    const ask = () => fill(box, button(label, act, { class: tone }));
    async function act() {
      try {
        samples = [];
        fill(box, h("p", { class: "soft" }, said));
        announce(said);
        showDelivery(await post(`${path}/${verb}`, {}));
      } catch (error) { fill(box, errorBox(error, { again: act })); }
    }
    ask();
    return box;
  }

  function cancelPart() {
    const box = h("div", { class: "gap" });
    const ask = () => fill(box, button(text.delivery.cancel, sure, { class: "bad" }));
    const sure = () => fill(box, h("div", { class: "note warn" }, h("p", {}, text.delivery.cancelSure),
      h("div", { class: "row gap" },
      button(text.delivery.cancel, cancel, { class: "bad" }), button(text.delivery.keep, ask))));
    async function cancel() {
      try {
        await post(`${path}/cancel`, {});
        announce(text.delivery.cancelled);
        fill(box, h("p", { class: "soft", role: "status" }, text.delivery.cancelled));
      } catch (error) { fill(box, errorBox(error, { again: cancel })); }
    }
    ask();
    return box;
  }

  function showRequest(delivery) {
    const request = delivery.request ?? {};
    const chosen = (request.source?.selections ?? []).map((one) => one.value || text.start.whole).join(", ");
    fill(slots.request, h("section", { class: "card" }, h("h2", {}, text.delivery.about), facts([
      [text.delivery.source,
        `${request.source?.connection || "default"} / ${request.source?.bucket ?? ""} / ${chosen}`],
      [text.delivery.destination, delivery.destination], [text.delivery.requester, delivery.requester?.name],
      [text.delivery.group, request.assignmentGroup],
      [text.delivery.env, text.start.environments[enumWord("ENVIRONMENT_", request.environment)]],
      [text.delivery.priority, text.start.priorities[enumWord("PRIORITY_", request.priority)]],
      [text.delivery.started, time(delivery.startedAt ?? delivery.createdAt)],
        [text.delivery.finished, time(delivery.finishedAt)],
      [text.delivery.together, delivery.groupId ? togetherWith(delivery) : null],
      [text.delivery.id, h("code", {}, delivery.id)],
    ]), request.description ? h("p", { class: "prose gap" }, request.description) : null));
  }

  return () => {
    left = true;
    live?.close();
    leaving?.stop();
  };
}

/** Links to the others that were started with it. */
function togetherWith(delivery) {
  const slot = h("span", {}, text.loading);
  get(query("deliveries", { groupId: delivery.groupId })).then(({ deliveries = [] }) => {
    fill(slot, deliveries.filter((one) => one.id !== delivery.id).map((one) => h("div", {},
      h("a", { href: `#/deliveries/${part(one.id)}` }, one.destination), " ", statusTag(one.status))));
  }, (error) => fill(slot, error.message));
  return slot;
}

function ticketCards(delivery, tickets) {
  const card = (kind, number) => number
    ? h("a", { class: "ticket", href: `#/tickets/${part(number)}` }, h("span", { class: "kind" }, kind),
      h("span", { class: "number" }, number))
    : h("div", { class: "ticket" }, h("span", { class: "kind" }, kind),
      h("span", { class: "number soft" }, text.delivery.opening));
  return h("div", { class: "tickets" }, card(text.delivery.userTicket, delivery.userTicket || tickets?.user?.number),
    card(text.delivery.auditTicket, delivery.auditTicket || tickets?.audit?.number));
}

/** The progress card. It is made once and then only its figures change, so that nothing jumps or loses focus. */
function stateBars() {
  const figure = (name) => {
    const value = h("dd", {}, "–");
    return { value, element: h("div", {}, h("dt", {}, name), value) };
  };
  const figures = { files: figure(text.delivery.files), sent: figure(text.delivery.sent),
    speed: figure(text.delivery.speed),
    left: figure(text.delivery.left), retries: figure(text.delivery.retries) };
  const total = h("progress", { max: 1, value: 0, "aria-label": text.delivery.overall });
  const totalBox = h("div", { class: "total" }, total);
  const rows = states.map((state) => {
    const bar = h("progress", { max: 1, value: 0, "aria-label": text.states[state] });
    const value = h("span", { class: "value" }, text.stateStatus.WAITING);
    const about = h("span", { class: "about", hidden: true });
    return { state, bar, value, about, element: h("li", { class: "waiting" },
      h("span", { class: "name" }, text.states[state]), bar, value, about) };
  });
  const actions = h("div", {});
  const element = h("section", { class: "card" }, h("h2", {}, text.delivery.progress),
    h("dl", { class: "figures" }, Object.values(figures).map((one) => one.element)), totalBox,
    h("ol", { class: "states", "aria-label": text.delivery.states }, rows.map((one) => one.element)), actions);

  function update(delivery, rate) {
    const over = isOver(delivery);
    const failed = number(delivery.filesFailed);
    figures.files.value.textContent = text.delivery.of(count(delivery.filesDone), count(delivery.filesTotal))
      + (failed ? `, ${text.delivery.failed(failed)}` : "");
    figures.sent.value.textContent = bytesOf(delivery.bytesDone, delivery.bytesTotal);
    const took = secondsBetween(delivery.startedAt ?? delivery.createdAt, delivery.finishedAt);
    const shownRate = over && took > 0 ? number(delivery.bytesDone) / took : rate;
    figures.speed.value.textContent = Number.isFinite(shownRate) ? speed(shownRate) : "–";
    figures.left.element.firstChild.textContent = over ? text.delivery.took : text.delivery.left;
    const rest = number(delivery.bytesTotal) - number(delivery.bytesDone);
    figures.left.value.textContent = over ? duration(took) : rate > 0 ? duration(rest / rate) : "–";
    figures.retries.value.textContent = count(delivery.retries);
    totalBox.className = delivery.status === "DELIVERY_STATUS_SUCCEEDED" ? "total done" : "total";
    total.value = delivery.status === "DELIVERY_STATUS_SUCCEEDED" ? 1 : share(delivery.bytesDone, delivery.bytesTotal);
    for (const row of rows) updateRow(row, (delivery.states ?? []).find((one) =>
      enumWord("DELIVERY_STATE_", one.state) === row.state) ?? {});
  }

  function updateRow(row, progress) {
    const status = enumWord("STATE_STATUS_", progress.status);
    const name = status === "UNSPECIFIED" ? "WAITING" : status;
    row.element.className = name.toLowerCase();
    row.bar.value = name === "DONE" ? 1 : name === "SKIPPED" ? 0 : share(progress.done, progress.total);
    row.value.textContent = name === "ACTIVE" && number(progress.total) > 0
      ? (inBytes.includes(row.state) ? bytesOf(progress.done, progress.total)
        : text.delivery.of(count(progress.done), count(progress.total))) : text.stateStatus[name] ?? name;
    row.about.textContent = progress.note ?? "";
    row.about.hidden = !progress.note;
  }

  return { element, update, actions };
}

function retryCard(path, onStarted) {
  const secrets = credentialFields();
  const message = h("div", {});
  const retry = button(text.delivery.retry, async () => {
    try {
      const credentials = secrets.value();
      await post(`${path}/retry`, credentials ? { credentials } : {});
      onStarted();
    } catch (error) { fill(message, errorBox(error)); }
  }, { class: "main" });
  return h("section", { class: "card" }, message, h("p", {}, text.delivery.retryHint),
    h("details", {}, h("summary", {}, text.delivery.newSecret), secrets.element),
      h("div", { class: "row gap" }, retry));
}

function filesCard(path) {
  return h("section", { class: "card" }, h("h2", {}, text.delivery.fileList), h("div", {}, pagedList({
    async load(pageToken) {
      const page = await get(query(`${path}/files`, { pageToken, pageSize: filesPage }));
      return { items: page.files ?? [], nextPageToken: page.nextPageToken };
    },
    row: (file) => h("li", {}, h("div", { class: "item" },
      h("div", { class: "grow" }, file.key, file.remotePath && file.remotePath !== file.key
        ? h("div", { class: "small soft" }, file.remotePath) : null,
        ...hashes(file),
        file.problem ? problemBox(file.problem) : null),
      h("span", { class: "small soft" }, file.deliveredSize
        ? text.delivery.became(bytes(file.size), bytes(file.deliveredSize)) : bytes(file.size)),
      h("span", { class: "small" }, text.fileStatus[enumWord("FILE_STATUS_", file.status)] ?? ""))),
    empty: text.delivery.noFiles,
  })));
}

/** Of the file as it lies there, and of the source where it was compressed on its way. */
function hashes(file) {
  const hash = (words, value) => value ? h("span", { class: "hash" }, words, " ", value) : null;
  return [hash("SHA-256", file.sha256), hash(text.delivery.sourceHash, file.sourceSha256),
    hash(text.delivery.serverHash, file.serverChecksum)];
}

function receiptCard(path, receipt) {
  const verifying = verifyButton(path);
  return h("section", { class: "card" },
    h("div", { class: "note good" }, h("strong", {}, text.delivery.receipt), h("p", {}, text.delivery.receiptHint)),
    facts([[text.delivery.proof, receipt.proof], [text.delivery.source, receipt.source],
      [text.delivery.destination, receipt.destination],
      [text.delivery.key, receipt.hostKey ? h("code", {}, receipt.hostKey) : ""],
        [text.delivery.total, bytes(receipt.totalBytes)],
      [text.delivery.finished, time(receipt.finishedAt)]]),
    h("div", { class: "scroll gap", tabindex: 0 }, h("table", {},
      h("thead", {}, h("tr", {}, h("th", {}, text.delivery.file), h("th", { class: "num" }, text.delivery.size))),
      h("tbody", {}, (receipt.files ?? []).slice(0, filesPage).map((file) => h("tr", {},
        h("td", {}, file.path || file.key, ...hashes(file)),
          h("td", { class: "num" }, bytes(file.size))))))),
    h("div", { class: "row gap" },
      h("a", { class: "button main", href: `api/v1/${path}/receipt`, download: "" }, text.delivery.download),
      receipt.parts?.length ? h("a", { class: "button", href: `api/v1/${path}/receipt/files`, download: "" },
        text.delivery.downloadFiles(count(receipt.totalFiles))) : null,
      h("a", { class: "button", href: "api/v1/receipt-key", download: "fileferry-receipt-key.json" },
        text.delivery.downloadKey), verifying.check), verifying.result);
}
