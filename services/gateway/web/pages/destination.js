// Where a delivery goes: a saved destination or a server spelled out, its test step by step, and its host key, which is
// shown, compared by a person, and pinned.
import { get, post } from "../api.js";
import { announce, button, choices, field, fill, h, mark, select } from "../dom.js";
import { text } from "../text.js";
import { credentialFields } from "./credentials.js";
import { errorBox } from "./parts.js";

const words = text.start;
const ports = { sftp: 22, ftpes: 21, ftps: 990, ftp: 21 };

/** What a test found: whether it works, and each step. */
export const testResult = (answer) => [
  h("div", { class: `note gap ${answer.ok ? "good" : "warn"}` },
    h("strong", {}, answer.ok ? words.tested : words.notTested)),
  h("ol", { class: "steps" }, (answer.steps ?? []).map((step) => h("li", { class: step.ok ? "" : "failed" },
    h("span", { class: "mark", "aria-hidden": "true" }, step.ok ? "✓" : "✕"), h("b", {}, step.name),
    h("span", { class: "about" }, step.ok ? step.detail : [step.problem?.message || step.detail,
      step.problem?.nextStep].filter(Boolean).join(" ")),
    h("span", { class: "soft small right" }, `${(Number(step.durationUs ?? 0) / 1000).toFixed(0)} ms`)))),
];

/**
 * `draft` is what an earlier `draft()` gave, `credentials` what was typed before, where the page still knows it. With `isNew`
 * there is no choice among the saved ones: it is to become one.
 */
export function destinationPart(draft = {}, credentials = null, { isNew = false, title = words.where } = {}) {
  let kind = isNew ? "own" : draft.kind ?? "saved";
  let saved = [];
  const choice = select([["", words.chooseSaved]], "");
  const plain = { spellcheck: "false", autocapitalize: "none" };
  const path = h("input", { ...plain, value: draft.path ?? "" });
  const protocol = select(Object.entries(words.protocols), draft.protocol ?? "sftp");
  const host = h("input", { ...plain, inputmode: "url", value: draft.host ?? "" });
  const port = h("input", { inputmode: "numeric", value: draft.port ?? String(ports.sftp) });
  const user = h("input", { ...plain, autocomplete: "off", value: draft.user ?? "" });
  const directory = h("input", { ...plain, value: draft.directory ?? "" });
  const hostKey = h("input", { ...plain, placeholder: "SHA256:…", value: draft.hostKey ?? "" });
  const secrets = credentialFields(draft.secret, credentials);
  const result = h("div", { "aria-live": "polite" });
  const alsoSlot = h("div", {});
  const also = new Set(draft.also ?? []);  // names of saved ones
  const kindSlot = h("div", {});
  const savedPart = h("div", { class: "gap grid" }, field(words.saved, choice),
    field(words.path, path, { hint: words.pathHint }));
  const keyField = h("div", { class: "gap" }, field(words.hostKey, hostKey, { hint: words.hostKeyHint }));
  const plainNote = h("p", { class: "note warn gap", hidden: true }, words.plain);
  const ownPart = h("div", { class: "gap", hidden: true },
    h("div", { class: "grid" }, field(words.protocol, protocol), field(words.host, host), field(words.port, port),
      field(words.user, user), field(words.directory, directory, { hint: words.directoryHint })),
    plainNote, h("div", { class: "gap" }, secrets.element), keyField);
  let chosen = protocol.value;
  protocol.addEventListener("change", () => {
    if (port.value.trim() === String(ports[chosen])) port.value = String(ports[protocol.value]);
    chosen = protocol.value;
    hostKey.value = "";
    hostKey.placeholder = chosen === "sftp" ? "SHA256:…" : "sha256//…";
    keyField.hidden = chosen === "ftp";
    plainNote.hidden = chosen !== "ftp";
    result.replaceChildren();
  });
  const element = h("fieldset", { class: "card" }, h("legend", {}, title), kindSlot, savedPart, ownPart,
    h("div", { class: "row gap" }, button(words.test, test)), result, alsoSlot);
  choice.addEventListener("change", showAlso);
  keyField.hidden = chosen === "ftp";
  plainNote.hidden = chosen !== "ftp";
  setKind(kind);
  if (!isNew) load();

  async function load() {
    try {
      saved = (await get("destinations")).destinations ?? [];
      fill(choice, h("option", { value: "" }, saved.length ? words.chooseSaved : words.noSaved),
        saved.map((one) => h("option", { value: one.name }, `${one.name} (${one.url})`)));
      if (draft.name) choice.value = draft.name;
      if (saved.length === 0 && kind === "saved") setKind("own");
      showAlso();
    } catch (error) { fill(result, errorBox(error, { again: load })); }
  }

  /** The other saved ones, which the same files may go to as well. */
  function showAlso() {
    if (isNew) return;
    const others = saved.filter((one) => kind !== "saved" || one.name !== choice.value);
    const box = (one) => {
      const check = h("input", { type: "checkbox", checked: also.has(one.name) });
      check.addEventListener("change", () => { if (check.checked) also.add(one.name); else also.delete(one.name); });
      return h("label", {}, check, `${one.name} (${one.url})`);
    };
    fill(alsoSlot, others.length ? h("details", { class: "gap", open: others.some((one) => also.has(one.name)) },
      h("summary", {}, words.also), h("p", { class: "small soft" }, words.alsoHint),
      h("div", { class: "checks" }, others.map(box))) : null);
  }

  /** Those that are chosen beside the first. */
  const alsoChosen = () => saved.filter((one) => also.has(one.name) && (kind !== "saved" || one.name !== choice.value));

  function setKind(value) {
    kind = value;
    showAlso();
    savedPart.hidden = kind !== "saved";
    ownPart.hidden = kind !== "own";
    if (!isNew) fill(kindSlot, choices(words.kind, [["saved", words.saved], ["own", words.spelled]], kind, (picked) => {
      setKind(picked);
      kindSlot.querySelector(`[value="${picked}"]`).focus();
    }));
    result.replaceChildren();
  }

  const defaultPort = () => ports[protocol.value];

  /** "sftp://user@host:port/dir", with what has a meaning in a URL escaped. */
  function url() {
    const name = host.value.trim();
    const bare = name.includes(":") && !name.startsWith("[") ? `[${name}]` : name;
    const folder = directory.value.trim();
    const rooted = folder === "" || folder.startsWith("/") ? folder : `/${folder}`;
    return `${protocol.value}://${encodeURIComponent(user.value.trim())}@${bare}:${port.value.trim() || defaultPort()}`
      + rooted.split("/").map((one) => encodeURIComponent(one).replace(/^%7E/i, "~")).join("/");
  }

  function destination() {
    if (kind === "saved") return { name: choice.value };
    const fingerprints = hostKey.value.split(/[\s,]+/).filter(Boolean);
    return { url: url(), hostKeys: { fingerprints } };
  }

  /** What still lacks, as [input, message] pairs. `forTest` leaves out the host key, which a test is there to find. */
  function lacking(forTest) {
    if (kind === "saved") return choice.value ? [] : [[choice, words.needs.saved]];
    const found = [];
    if (!host.value.trim()) found.push([host, words.needs.host]);
    const portNumber = Number(port.value.trim() || defaultPort());
    if (!Number.isInteger(portNumber) || portNumber < 1 || portNumber > 65535) found.push([port, words.needs.port]);
    if (!user.value.trim()) found.push([user, words.needs.user]);
    const secret = secrets.lacking();
    if (secret) found.push(secret);
    // FTPS may do with a certificate that the system trusts, and plain FTP has nothing to show.
    if (!forTest && protocol.value === "sftp" && !hostKey.value.trim()) found.push([hostKey, words.needs.hostKey]);
    return found;
  }

  async function test() {
    const wrong = lacking(true);
    for (const [input, message] of wrong) mark(input, message);
    if (wrong.length) return wrong[0][0].focus();
    fill(result, h("p", { class: "soft gap" }, words.testing));
    try {
      const answer = await post("destinations:test", kind === "saved" ? { destination: destination() }
        : { destination: destination(), credentials: secrets.value() });
      fill(result, testResult(answer), keyPart(answer.hostKey));
      announce(answer.ok ? words.tested : words.notTested);
    } catch (error) { fill(result, errorBox(error)); }
  }

  function keyPart(shown) {
    if (!shown || kind === "saved") return null;
    const pinned = hostKey.value.split(/[\s,]+/).filter(Boolean);
    if (pinned.includes(shown)) return h("p", { class: "small soft gap" }, words.pinned);
    return h("div", { class: "note warn gap" }, h("strong", {}, pinned.length ? words.changed : words.shown),
      h("p", {}, h("code", {}, shown)),
      h("p", {}, words.compare), h("div", { class: "gap" }, button(words.pin, async () => {
        hostKey.value = shown;
        mark(hostKey, "");
        await test();
      })));
  }

  /** As people recognise it. */
  function shown() {
    if (kind === "saved") return { name: choice.value, url: saved.find((one) => one.name === choice.value)?.url };
    return { url: url(), key: hostKey.value.trim() };
  }

  const kept = () => ({ kind, name: choice.value, path: path.value, protocol: protocol.value, host: host.value,
    port: port.value, user: user.value, directory: directory.value, hostKey: hostKey.value, secret: secrets.kind(),
    also: [...also] });

  return { element, lacking, destination, shown, also: alsoChosen, draft: kept, credentials: () => kind === "own" ? secrets.value() : null,
    path: () => kind === "saved" ? path.value.trim() : "" };
}
