// Starting a delivery: what, where to, and about the request. The chosen connection, bucket, folder and files are kept
// in the hash, so that a reload keeps the place; the rest is a draft (draft.js).
import { get, idempotencyKey, part, post, query } from "../api.js";
import { button, choices, field, fill, h, mark, select } from "../dom.js";
import { keepOrder, keptOrder, loadDraft, saveDraft } from "../draft.js";
import { text } from "../text.js";
import { objectBrowser } from "./browser.js";
import { destinationPart } from "./destination.js";
import { optionsPart } from "./options.js";
import { errorBox, heading } from "./parts.js";
import { planView } from "./plan.js";
import { scheduleForm } from "./schedules.js";

const words = text.start;
const bucketPages = 10;
const groupKey = "fileferry.assignmentGroup";
const selectionsInHash = 50;

export function startPage(root, { params: asked, go }) {
  const draft = loadDraft();
  const params = asked.size ? asked : new URLSearchParams(draft.place ?? "");
  const state = { connection: params.get("connection") ?? "", bucket: params.get("bucket") ?? "",
    prefix: params.get("prefix") ?? "",
    selections: params.getAll("file"), patterns: params.getAll("pattern") };
  // The address holds the first of a great many; the draft of this very place has all.
  if (draft.chosen && draft.place === place().toString()) Object.assign(state, draft.chosen);
  let environment = draft.environment ?? "DEV";
  const providers = {};  // by connection
  let key = idempotencyKey();
  let keyFor = "";
  const connection = select([], "");
  const bucket = select([["", words.chooseBucket]], "");
  const browserSlot = h("div", { class: "gap" });
  const sourceMessage = h("div", {});
  const filesWrong = h("p", { class: "wrong", role: "alert", hidden: true }, words.needs.files);
  const group = h("input", { value: draft.group ?? localStorage.getItem(groupKey) ?? "", autocomplete: "off" });
  const priority = select(Object.entries(words.priorities), draft.priority ?? "NORMAL");
  const options = optionsPart(draft.options);
  const title = h("input", { autocomplete: "off", value: draft.title ?? "" });
  const description = h("textarea", { rows: 3 });
  description.value = draft.description ?? "";
  const target = destinationPart(draft.destination, keptOrder()?.body.credentials);
  const outcome = h("div", { "aria-live": "polite" });
  const scheduleSlot = h("div", {});
  const toSchedule = button(text.schedules.put, () => {
    if (complete()) scheduleForm(scheduleSlot, toSchedule, () => body().request, go);
  });
  connection.addEventListener("change", () => {
    Object.assign(state, { connection: connection.value, bucket: "", prefix: "", selections: [], patterns: [] });
    keepPlace();
    loadBuckets();
  });
  bucket.addEventListener("change", () => {
    Object.assign(state, { bucket: bucket.value, prefix: "", selections: [], patterns: [] });
    keepPlace();
    showBrowser();
  });

  fill(root, heading(words.title, words.lead),
    h("fieldset", { class: "card" }, h("legend", {}, words.what),
      h("div", { class: "grid" }, field(words.connection, connection), field(words.bucket, bucket)), sourceMessage,
        browserSlot, filesWrong),
    target.element,
    h("fieldset", { class: "card" }, h("legend", {}, words.about), h("div", { class: "grid" },
      h("div", { class: "wide" }, choices(words.environment, Object.entries(words.environments), environment,
        (value) => { environment = value; })),
      field(words.group, group, { hint: words.groupHint }), field(words.priority, priority),
      field(words.ticketTitle, title, { hint: words.written, wide: true }),
        field(words.description, description, { hint: words.written, wide: true }))),
    options.element, outcome, scheduleSlot,
    h("div", { class: "row gap" }, button(words.go, start, { class: "main" }), button(words.plan, plan), toSchedule));
  for (const kind of ["input", "change", "click"]) root.addEventListener(kind, keepDraft);
  loadConnections();
  return () => { for (const kind of ["input", "change", "click"]) root.removeEventListener(kind, keepDraft); };

  function keepDraft() {
    saveDraft({ environment, group: group.value, priority: priority.value, options: options.draft(), title: title.value,
      description: description.value, destination: target.draft(), place: place().toString(),
      chosen: { selections: state.selections, patterns: state.patterns } });
  }

  function place() {
    const search = new URLSearchParams();
    for (const name of ["connection", "bucket", "prefix"]) if (state[name]) search.set(name, state[name]);
    for (const one of state.selections.slice(0, selectionsInHash)) search.append("file", one);
    for (const one of state.patterns.slice(0, selectionsInHash)) search.append("pattern", one);
    return search;
  }

  function keepPlace() {
    history.replaceState(null, "", `#/new?${place()}`);
    keepDraft();
    filesWrong.hidden = true;
  }

  async function loadConnections() {
    try {
      const connections = (await get("connections")).connections ?? [];
      const names = connections.map((one) => one.name);
      for (const one of connections) providers[one.name] = one.provider;
      if (names.length === 0) return fill(sourceMessage, h("div", { class: "note warn gap" }, words.noConnections));
      fill(connection, connections.map((one) => h("option", { value: one.name },
        [one.name, text.confirm.clouds[one.provider] ?? one.provider, one.s3?.region].filter(Boolean).join(" · "))));
      if (!names.includes(state.connection)) {
        const fallback = names.includes("default") ? "default" : names[0];
        Object.assign(state, { connection: fallback, bucket: "", prefix: "", selections: [], patterns: [] });
      }
      connection.value = state.connection;
      await loadBuckets();
    } catch (error) { fill(sourceMessage, errorBox(error, { again: loadConnections })); }
  }

  async function loadBuckets() {
    fill(bucket, h("option", { value: "" }, text.loading));
    fill(sourceMessage);
    browserSlot.replaceChildren();
    const of = state.connection;
    try {
      const names = [];
      let pageToken = "";
      for (let page = 0; page < bucketPages; page += 1) {
        const answer = await get(query(`connections/${part(of)}/buckets`, { pageToken }));
        names.push(...(answer.buckets ?? []).map((one) => one.name));
        pageToken = answer.nextPageToken ?? "";
        if (!pageToken) break;
      }
      if (of !== state.connection) return;
      if (state.bucket && !names.includes(state.bucket)) names.unshift(state.bucket);
      if (!state.bucket && names.length === 1) state.bucket = names[0];
      fill(bucket, h("option", { value: "" }, words.chooseBucket),
        names.map((name) => h("option", { value: name }, name)));
      bucket.value = state.bucket;
      showBrowser();
    } catch (error) {
      if (of !== state.connection) return;  // another was chosen meanwhile
      fill(bucket, h("option", { value: "" }, words.chooseBucket));
      fill(sourceMessage, errorBox(error, { again: loadBuckets }));
    }
  }

  function showBrowser() {
    mark(bucket, "");
    fill(browserSlot, state.bucket ? objectBrowser(state, keepPlace) : null);
  }

  function body() {
    const selections = state.selections.map((value) => ({
      value, kind: value === "" || value.endsWith("/") ? "SELECTION_KIND_PREFIX" : "SELECTION_KIND_UNSPECIFIED",
    })).concat(state.patterns.map((value) => ({ value, kind: "SELECTION_KIND_GLOB" })));
    const request = {
      assignmentGroup: group.value.trim(), environment: `ENVIRONMENT_${environment}`,
        priority: `PRIORITY_${priority.value}`,
      source: { connection: state.connection, bucket: state.bucket, selections, ...options.source() },
      destination: target.destination(), options: options.request(), title: title.value.trim(),
        description: description.value.trim(),
      path: target.path(),
    };
    const credentials = target.credentials();
    return credentials ? { request, credentials } : { request };
  }

  /** Marks what is missing, puts the reader at the first of it, and says whether all is there. */
  function complete() {
    const wrong = [];
    if (!state.bucket) wrong.push([bucket, words.needs.bucket]);
    filesWrong.hidden = !state.bucket || state.selections.length + state.patterns.length > 0;
    wrong.push(...target.lacking(false), ...options.lacking());
    if (!group.value.trim()) wrong.push([group, words.needs.group]);
    for (const [input, message] of wrong) mark(input, message);
    if (!filesWrong.hidden) filesWrong.scrollIntoView({ block: "center" });
    else wrong[0]?.[0].focus();
    if (wrong.length || !filesWrong.hidden) fill(outcome, h("div", { class: "note bad" }, words.wrong));
    return wrong.length === 0 && filesWrong.hidden;
  }

  async function plan() {
    if (!complete()) return;
    fill(outcome, h("p", { class: "soft" }, text.loading));
    try {
      const answer = await post("deliveries/plan", body());
      fill(outcome, planView(answer));
    } catch (error) { fill(outcome, errorBox(error)); }
  }

  function start() {
    if (!complete()) return;
    const request = body();
    // The same request keeps its key, so that pressing again after a lost answer does not start a second delivery.
    const stamp = JSON.stringify([request, target.also()]);
    if (stamp !== keyFor) key = idempotencyKey();
    keyFor = stamp;
    localStorage.setItem(groupKey, group.value.trim());
    keepDraft();
    keepOrder({ body: request, key, provider: providers[state.connection] ?? "", where: target.shown(),
      also: target.also() });
    go("#/new/confirm");
  }
}
