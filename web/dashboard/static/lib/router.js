/**
 * Which page is shown. Pages are modules with `show(ctx)`; the address bar says which, and holds every filter.
 *
 * @typedef {{id: string, name: string, role: string}} Org
 * @typedef {{params: Record<string, string>, query: URLSearchParams, me: any, signal: AbortSignal, go: typeof go, setQuery: typeof setQuery,
 *   live: typeof live, api: typeof api, title: (text: string) => void, titled?: boolean}} AnyContext what every page gets
 * @typedef {AnyContext & {org: Org}} Context what a page of an organization gets
 * @typedef {{node: Node, close?: () => void, keys?: Record<string, (event: KeyboardEvent) => any>}} Shown
 */

import { PAGES } from "../pages/index.js";
import { Problem, api, onSignedOut } from "./api.js";
import { APP } from "./base.js";
import { replace, stand } from "./dom.js";
import { live } from "./live.js";
import { apology } from "./apology.js";
import { forget, me, orgById } from "./me.js";

/** The lists to which pages of one thing belong, by their entry of the navigation. */
const LISTS = { jobs: "To the jobs", hosts: "To the hosts", types: "To the job types" };

let current = /** @type {{shown: Shown | null, ends: AbortController | null, page: any, ctx: Context | null}} */ ({ shown: null, ends: null, page: null, ctx: null });
let meant = /** @type {{page: any, org: Org | null}} */ ({ page: null, org: null }); // what the address says, whether it can be shown or not
let outlet = /** @type {HTMLElement} */ (document.body);
let onShown = /** @type {(page: any, who: {me: any, org: Org | null}) => void} */ (() => {});

/** The address of a page of an organization. @param {{id: string} | string} org @param {...string} parts @returns {string} */
export function link(org, ...parts) {
  const id = typeof org === "string" ? org : org.id;
  return APP + ["orgs", id, ...parts].map(encodeURIComponent).join("/");
}

/** The address of a page that belongs to no organization, such as `orgs`. @param {...string} parts @returns {string} */
export const appLink = (...parts) => APP + parts.map(encodeURIComponent).join("/");

/** Show the page of that address. @param {string} url @param {{replace?: boolean}} [options] */
export function go(url, { replace: instead = false } = {}) {
  const fixed = url.startsWith("/app/") && APP !== "/app/" ? APP + url.slice(5) : url;
  history.replaceState({ ...history.state, y: scrollY, row: rowHere() }, "");
  if (instead) history.replaceState({}, "", fixed);
  else history.pushState({}, "", fixed);
  return render();
}

/** Change the query of this page's address, without showing it anew; null takes a name away. @param {Record<string, any>} changes */
export function setQuery(changes) {
  const query = current.ctx?.query ?? new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(changes)) {
    query.delete(name);
    for (const one of Array.isArray(value) ? value : [value]) if (one !== null && one !== undefined && one !== "") query.append(name, one);
  }
  const text = query.toString();
  history.replaceState(history.state, "", location.pathname + (text ? `?${text}` : ""));
}

/** What the keys of the shown page do. */
export const pageKeys = () => current.shown?.keys ?? {};

/** The context of the shown page. */
export const context = () => current.ctx;

function match(path) {
  const parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  for (const page of PAGES) {
    const wanted = page.path.split("/");
    if (wanted.length !== parts.length) continue;
    const params = /** @type {Record<string, string>} */ ({});
    const fits = wanted.every((one, at) => (one.startsWith(":") ? Boolean((params[one.slice(1)] = parts[at])) : one === parts[at]));
    if (fits) return { page, params };
  }
  return null;
}

async function home() {
  const who = await me();
  if (who.orgs.length === 1) return link(who.orgs[0], "overview");
  const last = lastOrg(who);
  return last ? link(last, "overview") : appLink("orgs");
}

/** The organization that was shown last in this browser, if it is still one's own. @param {any} who @returns {Org | null} */
export const lastOrg = (who) => who?.orgs.find(({ id }) => id === remembered()) ?? null;

function remembered() {
  try {
    return localStorage.getItem("interlock.org");
  } catch {
    return null;
  }
}

function remember(id) {
  try {
    localStorage.setItem("interlock.org", id);
  } catch {
    // It is only a convenience.
  }
}

/** Show what the address says. */
export async function render() {
  const ends = new AbortController();
  current.ends?.abort();
  current.ends = ends;
  outlet.setAttribute("aria-busy", "true");
  try {
    await present(ends);
  } catch (error) {
    if (ends.signal.aborted || error.name === "AbortError") return;
    if (error.status === 401) return signIn();
    close();
    const again = error.code === "not_loaded" ? () => location.reload() : render; // a browser may remember that a module was not there
    put(apology(error, again, wayOut()), "Interlock");
    if (error.status === 0 || error.status >= 500) onceBack(again, ends.signal);
  } finally {
    if (current.ends === ends) outlet.removeAttribute("aria-busy");
  }
}

/** Do that when a connection that is lost, or will be, is there again. @param {() => any} again @param {AbortSignal} signal */
function onceBack(again, signal) {
  let before = live.state;
  const off = live.onState((now) => {
    if (now === "live" && before !== "live") again();
    before = now;
  });
  signal.addEventListener("abort", off);
}

/** Where to go from a page that cannot be shown: to the list it belongs to, else home. */
function wayOut() {
  const { page, org } = meant;
  const list = org && page.path !== `orgs/:orgId/${page.nav}` ? LISTS[page.nav] : undefined;
  return org && list ? { href: link(org, page.nav), text: list } : { href: appLink(), text: "To the overview" };
}

/** A module that did not come: while the server is away that is why. @param {any} error @returns {never} */
function notLoaded(error) {
  if (live.state !== "lost" && navigator.onLine) throw error;
  throw new Problem({ status: 0, code: "not_loaded", detail: "The server does not answer." });
}

async function present(ends) {
  meant = { page: null, org: null };
  const path = location.pathname.startsWith(APP) ? location.pathname.slice(APP.length) : "";
  if (!path.replaceAll("/", "")) return void (await go(await home(), { replace: true }));
  const found = match(path);
  if (!found && /^orgs\/[^/]+\/?$/.test(path)) return void (await go(link(path.split("/")[1], "overview"), { replace: true }));
  const who = found?.page.public ? null : await me();
  if (!found) {
    onShown({}, { me: who, org: null });
    throw Object.assign(new Error("There is no such page."), { status: 404 });
  }
  const { page, params } = found;
  const org = page.org ? await orgById(params.orgId).catch((error) => {
    onShown({}, { me: who, org: null });
    throw error;
  }) : null;
  if (org) remember(org.id);
  meant = { page, org };
  onShown(page, { me: who, org });
  const [module] = await Promise.all([page.load().catch(notLoaded), org && live.watch(org.id)]);
  ends.signal.throwIfAborted();
  if (!org && !page.public) live.watch(null); // not before: while a page does not come, the socket tells when to ask for it again
  const ctx = { params, query: new URLSearchParams(location.search), org, me: who, signal: ends.signal, go, setQuery, live, api, title: (text) => titled(text, org) };
  const before = current.ctx;
  current.ctx = ctx;
  const shown = await module.show(ctx).catch((error) => {
    if (current.ctx === ctx) current.ctx = before;
    throw error;
  });
  if (ends.signal.aborted) return void shown.close?.();
  close();
  Object.assign(current, { shown, page, ctx });
  put(shown.node, null);
  if (!ctx.titled) titled(page.title, org);
}

function titled(text, org) {
  if (current.ctx) current.ctx.titled = true;
  document.title = [text, org?.name, "Interlock"].filter(Boolean).join(" · ");
}

function put(node, title) {
  replace(outlet, node);
  if (title) document.title = title;
  scrollTo(0, history.state?.y ?? 0);
  if (!standAgain() && (!outlet.contains(document.activeElement) || document.activeElement === document.body)) outlet.focus({ preventScroll: true });
}

/** The row of a list in which the focus is, by its key. */
const rowHere = () => /** @type {HTMLElement | null | undefined} */ (document.activeElement?.closest("main [data-row]"))?.dataset.row;

/** Whoever comes back to a list stands at the row from which it was left. */
function standAgain() {
  const row = history.state?.row;
  const found = row && [.../** @type {NodeListOf<HTMLElement>} */ (outlet.querySelectorAll("[data-row]"))].find((each) => each.dataset.row === row);
  if (found) stand(found);
  return Boolean(found);
}

function close() {
  try {
    current.shown?.close?.();
  } finally {
    Object.assign(current, { shown: null, page: null });
  }
}

/** Sign in, and come back here. */
function signIn() {
  forget();
  live.watch(null);
  const here = location.pathname + location.search;
  if (here.startsWith(appLink("sign-in"))) return;
  go(`${appLink("sign-in")}?${new URLSearchParams({ next: here })}`, { replace: true });
}

/** Begin: `place` takes the pages, `shown` is told which is on its way. @param {HTMLElement} place @param {(page: any, who: {me: any, org: Org | null}) => void} shown */
export function start(place, shown) {
  outlet = place;
  onShown = shown;
  onSignedOut(signIn);
  history.scrollRestoration = "manual";
  addEventListener("popstate", render);
  document.addEventListener("click", (event) => {
    const anchor = event.target instanceof Element ? /** @type {HTMLAnchorElement | null} */ (event.target.closest("a[href]")) : null;
    if (!anchor || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (anchor.target || anchor.hasAttribute("download") || anchor.origin !== location.origin || !anchor.pathname.startsWith(APP)) return;
    if (anchor.pathname === location.pathname && anchor.search === location.search && anchor.hash) return;
    event.preventDefault();
    go(anchor.href);
  });
  return render();
}
