// The form of a connection to object storage: what a provider needs to be reached, and its keys, which are never shown again.
import { get } from "../api.js";
import { choices, field, fill, h, select } from "../dom.js";
import { text } from "../text.js";

const words = text.setup.connection;
const namePattern = /^[\w.-]+$/;
const plain = { spellcheck: "false", autocapitalize: "none", autocomplete: "off" };
const secret = () => h("input", { type: "password", autocomplete: "off" });

/** `request()` gives { name, body } for PUT connections/{name}; `lacking()` what still lacks, as [input, message] pairs. */
export function connectionForm() {
  const name = h("input", { ...plain, value: "" });
  const provider = select([], "");
  const regions = h("datalist", { id: "regions" });
  const region = h("input", { ...plain, list: "regions" });
  const endpoint = h("input", { ...plain, inputmode: "url", placeholder: "https://" });
  const pathStyle = h("input", { type: "checkbox" });
  const accessKey = h("input", plain);
  const secretKey = secret();
  const account = h("input", plain);
  const azureEndpoint = h("input", { ...plain, inputmode: "url", placeholder: "https://" });
  const accountKey = secret();
  const signature = secret();
  const root = h("input", plain);
  let by = "key";
  const azureKey = h("div", {}, field(words.accountKey, accountKey));
  const azureSignature = h("div", { hidden: true }, field(words.signature, signature, { hint: words.signatureHint }));
  const parts = {
    s3: [field(words.region, region, { hint: words.regionHint }), regions,
      field(words.endpoint, endpoint, { hint: words.endpointHint }), field(words.accessKey, accessKey),
      field(words.secretKey, secretKey), h("label", { class: "check wide" }, pathStyle, words.pathStyle)],
    azure: [field(words.account, account),
      field(words.endpoint, azureEndpoint, { hint: words.azureEndpointHint }), h("div", {}, choices(words.by, Object.entries(words.ways), by, (to) => {
      by = to;
      azureKey.hidden = by !== "key";
      azureSignature.hidden = by === "key";
    })), azureKey, azureSignature],
    folder: [field(words.root, root, { hint: words.rootHint, wide: true })],
  };
  const slot = h("div", { class: "grid gap" });
  provider.addEventListener("change", show);
  load();

  async function load() {
    let known = Object.entries(text.confirm.clouds).map(([id, label]) => ({ id, displayName: label }));
    try { known = (await get("providers")).providers ?? known; } catch { /* Saving tells what is wrong. */ }
    fill(provider, known.filter((one) => parts[one.id]).map((one) => h("option", { value: one.id }, one.displayName)));
    fill(regions, known.find((one) => one.id === "s3")?.regions?.map((one) => h("option", { value: one })) ?? []);
    show();
  }

  function show() { fill(slot, parts[provider.value] ?? []); }

  const element = h("div", {}, h("div", { class: "grid" }, field(words.name, name, { hint: words.nameHint }),
    field(words.provider, provider)), slot);

  function lacking() {
    const needs = [[name, namePattern.test(name.value.trim()) ? "" : words.needs.name]];
    if (provider.value === "azure") needs.push([account, account.value.trim() ? "" : words.needs.account]);
    if (provider.value === "folder") needs.push([root, root.value.trim().startsWith("/") ? "" : words.needs.root]);
    return needs.filter(([, message]) => message);
  }

  function request() {
    const connection = { provider: provider.value };
    const body = { connection };
    if (provider.value === "s3") {
      connection.s3 = { endpoint: endpoint.value.trim(), region: region.value.trim() };
      if (pathStyle.checked) connection.s3.addressingStyle = "ADDRESSING_STYLE_PATH";
      connection.accessKeyId = accessKey.value.trim();
      body.secretAccessKey = secretKey.value;
    } else if (provider.value === "azure") {
      connection.azureBlob = { account: account.value.trim(), endpoint: azureEndpoint.value.trim() };
      if (by === "key") body.accountKey = accountKey.value.trim();
      else body.sharedAccessSignature = signature.value.trim();
    } else {
      connection.folder = { root: root.value.trim() };
    }
    return { name: name.value.trim(), body };
  }

  return { element, lacking, request, focus: () => name.focus() };
}
