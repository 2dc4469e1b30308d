/** One's own account: the password, where one is signed in, and how the pages look. */

import { h, keyed, replace } from "../lib/dom.js";
import { badge, button, confirm, form, relTime, toast } from "../lib/ui.js";

const THEMES = [["", "As the system"], ["light", "Light"], ["dark", "Dark"]];

/** @param {import("../lib/router.js").AnyContext} ctx */
export async function show(ctx) {
  ctx.title("Account");
  const { user } = ctx.me;
  const sessions = sessionList(ctx);
  await sessions.load();
  const who = h("p", { class: "soft" }, `${user.name}, ${user.email}`, user.platformAdmin ? ", platform admin" : "");
  const node = h("section", { class: "page fleet narrow account" }, h("header", { class: "page-head" }, h("h1", {}, "Account")), who, themes(), password(ctx, sessions), sessions.node);
  return { node };
}

function themes() {
  const chosen = document.documentElement.dataset.theme ?? "";
  const options = THEMES.map(([value, text]) => h("label", { class: "inline-field" }, h("input", { type: "radio", name: "theme", value, checked: value === chosen }), text));
  const node = h("fieldset", { class: "panel themes" }, h("legend", {}, "Theme"), options);
  node.addEventListener("change", (event) => event.target instanceof HTMLInputElement && wear(event.target.value));
  return node;
}

/** The same choice as `lib/theme.js` reads before anything is painted. */
function wear(theme) {
  if (theme === "") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === "") localStorage.removeItem("interlock.theme");
    else localStorage.setItem("interlock.theme", theme);
  } catch {
    // A browser that keeps nothing forgets it with the tab.
  }
}

function password(ctx, sessions) {
  const place = h("div");
  const node = h("section", { class: "panel", "aria-label": "Password" }, h("h2", {}, "Password"), place);
  const fresh = () => form({
    fields: [
      { label: "Present password", name: "current", type: "password", required: true, autocomplete: "current-password" },
      { label: "New password", name: "password", type: "password", required: true, autocomplete: "new-password", hint: "All your other sessions end." },
      { label: "New password again", name: "again", type: "password", required: true, autocomplete: "new-password" },
    ],
    verb: "Change the password",
    submit: async ({ current, password: wanted, again }) => {
      if (wanted !== again) throw Object.assign(new Error(), { detail: "", errors: [{ path: "$.again", message: "This is not the same as above." }] });
      try {
        await ctx.api.put("/api/session/password", { current, password: wanted });
      } catch (problem) {
        if (problem.status === 403) throw Object.assign(new Error(), { detail: "", errors: [{ path: "$.current", message: problem.detail }] });
        throw problem;
      }
      toast("The password is changed", "good");
      replace(place, fresh());
      await sessions.load();
    },
  });
  replace(place, fresh());
  return node;
}

/** Where one is signed in, with a way to end it. */
function sessionList(ctx) {
  const list = h("ul", { class: "rows" });
  const others = button("End all others", endOthers, { kind: "danger" });
  const node = h("section", { class: "panel", "aria-label": "Sessions" }, h("div", { class: "panel-head" }, h("h2", {}, "Where you are signed in"), others), list);
  let items = [];

  async function load() {
    ({ items } = await ctx.api.page("/api/sessions", { signal: ctx.signal }));
    keyed(list, items, (each) => JSON.stringify(each), row);
    others.hidden = items.every((each) => each.current);
  }

  async function endOthers() {
    if (!(await confirm({ title: "End all other sessions?", text: "Whoever uses them has to sign in again.", verb: "End them", danger: true }))) return;
    await Promise.all(items.filter((each) => !each.current).map((each) => ctx.api.del(`/api/sessions/${each.id}`)));
    await load();
  }

  function row(each) {
    const end = async () => {
      await ctx.api.del(`/api/sessions/${each.id}`);
      await load();
    };
    const last = each.current ? badge("ok", "this one") : button("End", end, { title: `End the session from ${each.address ?? "somewhere"}` });
    return h("li", { class: "row" }, h("span", { class: "row-name" }, h("strong", {}, browserOf(each.userAgent)), h("span", { class: "faint" }, ` ${each.address ?? ""} · used `, relTime(each.lastSeenAt), " · since ", relTime(each.createdAt))), last);
  }
  return { node, load };
}

/** What people call a browser, by what it says of itself. @param {string|null} agent */
function browserOf(agent) {
  const text = agent ?? "";
  const name = [["Firefox/", "Firefox"], ["Edg/", "Edge"], ["OPR/", "Opera"], ["Chrome/", "Chrome"], ["Safari/", "Safari"], ["curl/", "curl"]].find(([mark]) => text.includes(mark))?.[1];
  const on = [["Android", "Android"], ["iPhone", "iPhone"], ["iPad", "iPad"], ["Windows", "Windows"], ["Mac OS", "macOS"], ["Linux", "Linux"]].find(([mark]) => text.includes(mark))?.[1];
  return name ? [name, on].filter(Boolean).join(" on ") : text.slice(0, 60) || "An unknown browser";
}
