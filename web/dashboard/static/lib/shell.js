/** What stands around every page: navigation, organization, connection, theme and account. */

import { api } from "./api.js";
import { SERVER } from "./base.js";
import { h, keyed, replace } from "./dom.js";
import { help } from "./keys.js";
import { live } from "./live.js";
import { forget, may } from "./me.js";
import { appLink, go, lastOrg, link } from "./router.js";
import { button, icon, menu } from "./ui.js";

/** @typedef {{part: string, text: string, lesser?: boolean, least?: string}} Entry a page, `lesser` on narrow screens, for those who are `least` that */

/** @type {Entry[]} */
const NAV = [
  { part: "overview", text: "Overview" },
  { part: "jobs", text: "Jobs" },
  { part: "hosts", text: "Hosts" },
  { part: "instances", text: "Instances", lesser: true },
  { part: "types", text: "Job types", lesser: true },
  { part: "members", text: "Members", lesser: true },
  { part: "settings", text: "Settings", lesser: true },
  { part: "audit", text: "Audit", lesser: true, least: "admin" },
];
const WORDS = { live: "Live", connecting: "Connecting", lost: "Connection lost", paused: "Paused" };

function connection() {
  const word = h("span");
  const node = h("button", { type: "button", class: "connection", title: "Live updates", on: { click: () => live.retry() } }, h("span", { class: "dot", "aria-hidden": "true" }), word);
  live.onState((state) => {
    node.dataset.state = state;
    replace(word, WORDS[state]);
  });
  return node;
}

function banner() {
  const node = h("div", { class: "banner", role: "status", hidden: true }, h("span", "The connection to the server is lost. What you see may be old; it goes on from here by itself."), button("Try now", () => live.retry()));
  let timer = 0;
  live.onState((state) => {
    clearTimeout(timer);
    if (state === "lost") timer = setTimeout(() => (node.hidden = false), 1500);
    else node.hidden = true;
  });
  return node;
}

const THEMES = [["system", "as the system"], ["light", "light"], ["dark", "dark"]];

function setTheme(name) {
  const root = document.documentElement;
  if (name === "system") delete root.dataset.theme;
  else root.dataset.theme = name;
  try {
    if (name === "system") localStorage.removeItem("interlock.theme");
    else localStorage.setItem("interlock.theme", name);
  } catch {
    // It holds until the page is closed.
  }
}

async function signOut() {
  await api.signOut();
  forget();
  live.watch(null);
  go(appLink("sign-in"));
}

function accountMenu(me) {
  const items = [
    h("p", { class: "menu-head" }, me.user.name, h("span", { class: "faint" }, me.user.email)),
    { text: "Password and sessions", href: appLink("account") },
    { text: "Organizations", href: appLink("orgs") },
    ...THEMES.map(([name, text]) => ({ text: `Theme: ${text}`, onclick: () => setTheme(name) })),
    { text: "Keys", onclick: () => void help() },
    h("a", { href: `${SERVER.pathname}docs`, target: "_blank" }, "The API"),
    { text: "Sign out", onclick: signOut },
  ];
  return menu(me.user.name, items, { icon: "account", label: `Account of ${me.user.name}` });
}

function orgMenu(me, org) {
  if (!org) return null;
  const items = me.orgs.map((each) => ({ text: each.name, href: link(each, "overview") }));
  return h("div", { class: "org" }, menu(org.name, [...items, { text: "All organizations", href: appLink("orgs") }], { icon: "instances", label: `Organization: ${org.name}` }));
}

/** @param {import("./router.js").Org | null} org @param {any} me @returns {(Entry & {href: string})[]} */
function links(org, me) {
  const seen = org ? NAV.filter(({ least }) => !least || may(org.role, least)).map((each) => ({ ...each, href: link(org, each.part) })) : [];
  if (me?.user.platformAdmin) seen.push({ part: "actors", text: "Actors", lesser: true, href: appLink("actors") });
  return seen;
}

/** @param {Entry & {href: string}} told */
function entry({ part, text, href, lesser }) {
  return h("a", { href, class: lesser ? "lesser" : null, data: { part } }, icon(part), h("span", text));
}

/** The frame. @returns {{node: HTMLElement, main: HTMLElement, shown: (page: any, ctx: any) => void}} */
export function shell() {
  const main = h("main", { id: "main", tabindex: "-1" });
  const list = h("div", { class: "nav-links" });
  const more = h("div", { class: "nav-more" });
  const orgPlace = h("div", { class: "org-place" });
  const account = h("div", { class: "account-place" });
  const connected = connection();
  const brand = h("a", { class: "brand", href: appLink(), "aria-label": "Interlock" }, mark(), h("span", "Interlock"));
  const nav = h("nav", { "aria-label": "Pages" }, list, more);
  const side = h("header", { class: "side" }, brand, orgPlace, nav, h("div", { class: "side-foot" }, connected, account));
  const node = h("div", { class: "shell" }, h("a", { class: "skip", href: "#main" }, "To the content"), side, h("div", { class: "body" }, banner(), main));
  const state = { org: /** @type {import("./router.js").Org | null} */ (null), me: /** @type {any} */ (null) };
  const shown = (page, ctx) => {
    node.classList.toggle("bare", Boolean(page.public));
    const before = state.me === ctx.me ? state.org : null;
    const org = ctx.org ?? before ?? lastOrg(ctx.me) ?? ctx.me?.orgs[0] ?? null;
    connected.hidden = !ctx.org;
    if (ctx.me && (state.me !== ctx.me || state.org?.id !== org?.id)) {
      replace(orgPlace, orgMenu(ctx.me, org));
      replace(account, accountMenu(ctx.me));
      const seen = links(org, ctx.me);
      keyed(list, seen, ({ href }) => href, entry);
      replace(more, menu("More", seen.filter(({ lesser }) => lesser), { label: "More pages" }));
      Object.assign(state, { me: ctx.me, org });
    }
    for (const each of /** @type {Iterable<HTMLElement>} */ (list.children)) {
      if (each.dataset.part === page.nav) each.setAttribute("aria-current", "page");
      else each.removeAttribute("aria-current");
    }
  };
  return { node, main, shown };
}

function mark() {
  const image = h("img", { src: new URL("../css/mark.svg", import.meta.url).href, alt: "", width: "22", height: "22" });
  return image;
}
