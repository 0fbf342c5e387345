// What was filled in for a new delivery and not yet started: kept for this tab, so that a reload or a way back loses nothing.
// Passwords and keys are never written down: they are held in memory until the delivery is started or the page is loaded anew.
const key = "fileferry.draft";

export function loadDraft() {
  try { return JSON.parse(sessionStorage.getItem(key) ?? "{}"); } catch { return {}; }
}

export const saveDraft = (draft) => sessionStorage.setItem(key, JSON.stringify(draft));

let order = null;

/** A request that is filled in and waits to be confirmed: { body, key, provider, where }. */
export const keepOrder = (next) => { order = next; };
export const keptOrder = () => order;

/** After its start. */
export function forgetDraft() {
  order = null;
  sessionStorage.removeItem(key);
}
