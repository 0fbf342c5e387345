// The gateway's REST interface. The tokens live in cookies that no script can read; this file only knows whether the
// server still accepts them, renews them when it does not, and turns its problem details into errors.
import { text } from "./text.js";

const base = "api/v1/";
// The server takes a change from a browser only with this header, which no other site's page can add.
const ours = { "X-FileFerry": "1", Accept: "application/json" };
const refreshedKey = "fileferry.refreshedAt";

/** A refused or failed request: `problem` has code, title, detail, nextStep, provider, providerCode, requestId. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || text.errors.unexpected(status));
    this.status = status;
    this.problem = problem;
  }
}

async function send(method, path, { body, headers, signal } = {}) {
  let response;
  try {
    response = await fetch(base + path, {
      method, signal, credentials: "same-origin", cache: "no-store",
      headers: { ...ours, ...headers, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { code: "OFFLINE", detail: text.errors.offline, nextStep: text.errors.offlineNext,
      retryable: true });
  }
  const raw = await response.text();
  let answer = {};
  if (raw) {
    try { answer = JSON.parse(raw); } catch { answer = { detail: text.errors.unexpected(response.status) }; }
  }
  if (!response.ok) throw new ApiError(response.status, answer);
  return answer;
}

let renewal = null;

/**
 * Renews the session, once for all who ask at the same time. A refresh token is good for one use, so tabs take turns
 * and one that waited uses what another has just got.
 */
function renew() {
  renewal ??= takeTurn(async (since) => {
    if (Number(localStorage.getItem(refreshedKey) ?? 0) > since) return;
    await send("POST", "sessions/refresh", { body: {} });
    localStorage.setItem(refreshedKey, String(Date.now()));
  }).finally(() => { renewal = null; });
  return renewal;
}

function takeTurn(work) {
  const since = Date.now();
  if (!navigator.locks) return work(since);
  return navigator.locks.request("fileferry-refresh", () => work(since));
}

/** A request with the session; an expired one is renewed and the request sent again, once. */
export async function api(method, path, options) {
  try {
    return await send(method, path, options);
  } catch (error) {
    if (error.status !== 401) throw error;
    await keepSession();
    return send(method, path, options);
  }
}

async function keepSession() {
  try { await renew(); } catch (error) {
    if (error.status === 401 || error.status === 403 || error.status === 400) {
      window.dispatchEvent(new Event("fileferry:signed-out"));
    }
    throw error;
  }
}

export const get = (path, options) => api("GET", path, options);
export const post = (path, body = {}, options = {}) => api("POST", path, { ...options, body });
export const put = (path, body, options = {}) => api("PUT", path, { ...options, body });
export const remove = (path) => api("DELETE", path);

export async function signIn(userName, password) {
  const session = await send("POST", "sessions", { body: { userName, password } });
  return session.user;
}

/** Goes to an identity provider's own sign-in page, which sends the browser back here with a code. */
export async function beginSingleSignOn(providerId) {
  const begun = await send("POST", "sessions/sso/begin", { body: { providerId, redirectUri: here() } });
  sessionStorage.setItem(placeKey, location.hash);
  location.assign(begun.authorizationUrl);
}

const placeKey = "fileferry.signOn";
const here = () => location.origin + location.pathname;

/** What an identity provider sent the browser back with, taken out of the address; null if it did not. */
export function takeSingleSignOn() {
  const search = new URLSearchParams(location.search);
  if (!search.has("state") || !(search.has("code") || search.has("error"))) return null;
  // To where the reader wanted to go before.
  history.replaceState(null, "", here() + (sessionStorage.getItem(placeKey) ?? ""));
  sessionStorage.removeItem(placeKey);
  return { state: search.get("state"), code: search.get("code") ?? "", error: search.get("error") ?? "",
    errorDescription: search.get("error_description") ?? "" };
}

export async function completeSingleSignOn(answer) {
  return (await send("POST", "sessions/sso", { body: answer })).user;
}

export const identityProviders = async () => (await send("GET", "identity-providers")).providers ?? [];

export const signOut = () => api("DELETE", "sessions/current");

/** "a?b=c" with what is empty left out. */
export function query(path, values) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== "" && value !== undefined
    && value !== null) search.append(name, value);
  const tail = search.toString();
  return tail ? `${path}?${tail}` : path;
}

export const part = encodeURIComponent;

/** A key that makes a repeated request harmless. crypto.randomUUID exists only on HTTPS and localhost. */
export function idempotencyKey() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const firstDelay = 1000;
const longestDelay = 30000;

/**
 * Follows server-sent events. The browser reconnects by itself after a lost connection, with Last-Event-ID; after a
 * refusal (an expired session, a restart) this opens a new one from the last event seen. Returns { close }.
 */
export function follow(path, { after = 0, kinds, onEvent, onLink }) {
  let last = Number(after);
  let source = null;
  let timer = null;
  let delay = firstDelay;
  let closed = false;

  function open() {
    source = new EventSource(query(base + path, { after: last || "" }));
    source.onopen = () => {
      delay = firstDelay;
      onLink?.(true);
    };
    source.onerror = () => {
      if (closed) return;
      onLink?.(false);
      if (source.readyState === EventSource.CLOSED) reopen();
    };
    for (const kind of kinds) {
      source.addEventListener(kind, (event) => {
        if (event.lastEventId) last = Math.max(last, Number(event.lastEventId));
        onEvent(kind, JSON.parse(event.data));
      });
    }
  }

  function reopen() {
    source.close();
    timer = setTimeout(async () => {
      delay = Math.min(delay * 2, longestDelay);
      // A session that cannot be renewed shows itself: keepSession sends the reader to sign in.
      try { await get("me"); } catch (error) {
        if (error.status === 401 || closed) return;
      }
      if (!closed) open();
    }, delay);
  }

  open();
  return {
    close() {
      closed = true;
      clearTimeout(timer);
      source.close();
    },
  };
}
