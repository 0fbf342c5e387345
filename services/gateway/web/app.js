// The page's frame: who is signed in, which page the hash names, and the top bar. Each page is a function that fills
// the main element and may return a function to call when the reader leaves it.
import { completeSingleSignOn, get, query, signOut, takeSingleSignOn } from "./api.js";
import { button, fill, h } from "./dom.js";
import { forgetDraft, keepOrder } from "./draft.js";
import { number } from "./format.js";
import { notificationsPage, ticketPage, ticketsPage, watchNotifications } from "./pages/lists.js";
import { homePage } from "./pages/home.js";
import { errorBox } from "./pages/parts.js";
import { signInPage } from "./pages/signin.js";
import { text } from "./text.js";

const main = document.getElementById("main");
const nav = document.getElementById("nav");
const who = document.getElementById("who");

/** A page whose file comes when it is first wanted: the first page is small. */
const later = (file, name) => ({ load: async () => (await file())[name] });

// What the hash is like, the page or how to get it, and the section of the bar that it belongs to.
const pages = [
  [/^\/?$/, homePage, "/"],
  [/^\/new$/, later(() => import("./pages/start.js"), "startPage"), "/new"],
  [/^\/new\/confirm$/, later(() => import("./pages/confirm.js"), "confirmPage"), "/new"],
  [/^\/deliveries$/, later(() => import("./pages/history.js"), "historyPage"), "/deliveries"],
  [/^\/deliveries\/([^/]+)$/, later(() => import("./pages/delivery.js"), "deliveryPage"), "/deliveries"],
  [/^\/deliveries\/([^/]+)\/opened$/, later(() => import("./pages/confirm.js"), "openedPage"), "/deliveries"],
  [/^\/schedules$/, later(() => import("./pages/schedules.js"), "schedulesPage"), "/schedules"],
  [/^\/tickets$/, ticketsPage, "/tickets"],
  [/^\/tickets\/([^/]+)$/, ticketPage, "/tickets"],
  [/^\/notifications$/, notificationsPage, "/notifications"],
  [/^\/setup$/, later(() => import("./pages/setup.js"), "setupPage"), "/setup"],
];
const links = [["/", text.nav.home], ["/new", text.nav.start], ["/deliveries", text.nav.deliveries],
  ["/schedules", text.nav.schedules], ["/tickets", text.nav.tickets],
  ["/notifications", text.nav.notifications], ["/setup", text.nav.setup]];

let user = null;
let leave = null;
let stopWatching = null;
let unread = 0;
const counter = h("span", { class: "count", hidden: true });

const go = (hash) => { location.hash = hash.replace(/^#/, ""); };

/** "#/deliveries?status=FAILED" as its path and its parameters. */
function place() {
  const [path, search = ""] = location.hash.replace(/^#/, "").split("?");
  return { path: path || "/", params: new URLSearchParams(search) };
}

function show() {
  if (!user) return;
  leave?.();
  leave = null;
  const { path, params } = place();
  const found = pages.map(([pattern, page, section]) => ({ match: path.match(pattern), page, section })).find((one) =>
    one.match);
  main.replaceChildren();
  if (found) open(found, { params, go, user, leaveSession,
    id: found.match[1] ? decodeURIComponent(found.match[1]) : undefined });
  else fill(main, h("p", { class: "empty" }, text.notFound));
  for (const link of nav.querySelectorAll("a")) {
    if (link.dataset.section === found?.section) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const name = links.find(([section]) => section === found?.section)?.[1];
  document.title = name ? `${name} · ${text.app}` : text.app;
  window.scrollTo(0, 0);
}

/** Fills the main element with a page, unless the reader has gone elsewhere while its file came. */
function open({ page }, context) {
  const filled = (done) => { leave = typeof done === "function" ? done : null; };
  if (!page.load) return filled(page(main, context));
  let left = false;
  leave = () => { left = true; };
  page.load().then((loaded) => { if (!left) filled(loaded(main, context)); }, () => {
    if (left) return;
    const error = { problem: { detail: text.errors.offline, nextStep: text.errors.offlineNext } };
    fill(main, errorBox(error, { again: show }));
  });
}

function showBar() {
  nav.hidden = !user;
  who.hidden = !user;
  if (!user) return;
  fill(nav, links.map(([section, label]) => {
    const link = h("a", { href: `#${section}` }, label, section === "/notifications" ? counter : null);
    link.dataset.section = section;
    return link;
  }));
  fill(who, h("span", { class: "name" }, user.person?.name || user.userName),
    button(text.signOut, leaveSession, { class: "plain" }));
}

function countUnread(value) {
  unread = value;
  counter.textContent = value > 99 ? "99+" : String(value);
  counter.hidden = value === 0;
  counter.setAttribute("aria-label", text.home.unread(value));
}

async function signedIn(person) {
  user = person;
  showBar();
  show();
  let after = 0;
  try {
    const page = await get(query("notifications", { pageSize: 1 }));
    countUnread(number(page.unread));
    after = number(page.notifications?.[0]?.sequence);
  } catch { countUnread(0); }  // The bar goes without its count; the notifications page says what is wrong.
  stopWatching?.();
  stopWatching = user ? watchNotifications(after) : null;
}

function signedOut(ended, problem) {
  leave?.();
  leave = null;
  stopWatching?.();
  stopWatching = null;
  user = null;
  keepOrder(null);  // whoever signs in next gets nobody's password
  showBar();
  document.title = `${text.signIn.title} · ${text.app}`;
  signInPage(main, { ended, problem, onSignedIn: signedIn });
}

async function leaveSession() {
  try { await signOut(); } catch (error) {
    if (error.status !== 401) return main.prepend(errorBox(error));
  }
  forgetDraft();
  signedOut(false);
}

async function begin() {
  fill(main, h("p", { class: "empty" }, text.loading));
  const answer = takeSingleSignOn();
  if (answer) {
    try { return signedIn(await completeSingleSignOn(answer)); } catch (error) { return signedOut(false, error); }
  }
  try {
    signedIn(await get("me"));
  } catch (error) {
    if (!error.status || error.status >= 500) fill(main, errorBox(error, { again: begin }));
    else if (main.querySelector("form") === null) signedOut(false);
  }
}

window.addEventListener("hashchange", () => {
  show();
  main.focus({ preventScroll: true });
});
window.addEventListener("fileferry:signed-out", () => signedOut(user !== null));
window.addEventListener("fileferry:unread", (event) => countUnread(event.detail));
window.addEventListener("fileferry:notification", (event) => { if (!event.detail.read) countUnread(unread + 1); });
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
begin();
