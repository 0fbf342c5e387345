// Checking a signed receipt in the browser itself: a flattened JSON Web Signature (RFC 7515 section 7.2.2) by Ed25519
// (RFC 8037), and the parts of a long list of files by their hashes. Nothing is taken from what the page already shows.
import { get } from "../api.js";
import { button, fill, h } from "../dom.js";
import { bytes, count, number, time } from "../format.js";
import { text } from "../text.js";
import { errorBox, facts } from "./parts.js";

/** Why a receipt is not genuine. */
class Refusal extends Error {}
/** The browser can't tell: no cryptography without HTTPS, or none of Ed25519. */
class Unable extends Error {}

/** A button and, once it was pressed, what the check found. `path` is the delivery's: "deliveries/dlv_1". */
export function verifyButton(path) {
  const result = h("div", { role: "status" });
  const check = button(text.verify.button, async () => {
    fill(result);
    try {
      fill(result, genuine(await verify(path)));
    } catch (error) {
      fill(result, failed(error));
    }
  });
  return { check, result };
}

const genuine = ({ receipt, kid }) => h("div", { class: "note good gap" }, h("strong", {}, text.verify.genuine),
  h("p", {}, text.verify.means), facts([
    [text.delivery.files, text.verify.files(count(receipt.totalFiles || receipt.files?.length), bytes(receipt.totalBytes))],
    [text.delivery.destination, receipt.destination], [text.delivery.finished, time(receipt.finishedAt)],
    [text.verify.signedBy, h("code", {}, kid)]]));

function failed(error) {
  if (error instanceof Unable) return h("div", { class: "note warn gap" }, h("strong", {}, text.verify.unable),
    h("p", {}, error.message, " ", text.verify.elsewhere));
  if (error instanceof Refusal) return h("div", { class: "note bad gap", role: "alert" },
    h("strong", {}, text.verify.broken), h("p", {}, error.message), h("p", {}, text.verify.brokenNext));
  return errorBox(error);
}

async function verify(path) {
  if (!crypto.subtle) throw new Unable(text.verify.insecure);
  const [proof, key] = await Promise.all([get(`${path}/receipt`), get("receipt-key")]);
  const header = json(proof.protected);
  if (header.alg !== "EdDSA" || key.kty !== "OKP" || key.crv !== "Ed25519") throw new Refusal(text.verify.otherWay);
  const kid = await thumbprint(key);
  if (header.kid && header.kid !== kid) throw new Refusal(text.verify.otherKey);
  let publicKey;
  try {
    publicKey = await crypto.subtle.importKey("jwk", { kty: key.kty, crv: key.crv, x: key.x }, "Ed25519", false,
      ["verify"]);
  } catch { throw new Unable(text.verify.noEd25519); }
  const signed = new TextEncoder().encode(`${proof.protected}.${proof.payload}`);
  if (!await crypto.subtle.verify("Ed25519", publicKey, raw(proof.signature), signed)) {
    throw new Refusal(text.verify.signature);
  }
  const receipt = json(proof.payload);
  if (receipt.parts?.length) await verifyParts(path, receipt.parts);
  return { receipt, kid };
}

/** The list of files of a long receipt: each part's hash is in the payload. */
async function verifyParts(path, parts) {
  const response = await fetch(`api/v1/${path}/receipt/files`, { credentials: "same-origin", cache: "no-store" });
  if (!response.ok) throw new Error(text.errors.unexpected(response.status));
  const list = await response.arrayBuffer();
  let offset = 0;
  for (const part of parts) {
    const end = offset + number(part.bytes);
    if (await sha256(list.slice(offset, end)) !== part.sha256) throw new Refusal(text.verify.list);
    offset = end;
  }
  if (offset !== list.byteLength) throw new Refusal(text.verify.list);
}

async function sha256(data) {
  return Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", data)), (byte) =>
    byte.toString(16).padStart(2, "0")).join("");
}

/** RFC 7638: SHA-256 of the key's required members in order. */
async function thumbprint(key) {
  const members = new TextEncoder().encode(`{"crv":"${key.crv}","kty":"${key.kty}","x":"${key.x}"}`);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", members));
  return btoa(String.fromCharCode(...digest)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function raw(base64url) {
  try {
    const binary = atob((base64url ?? "").replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  } catch { throw new Refusal(text.verify.otherWay); }
}

function json(base64url) {
  try { return JSON.parse(new TextDecoder().decode(raw(base64url))); } catch { throw new Refusal(text.verify.otherWay); }
}
