/** Who did what, newest first: narrowed by action, by who and by what; each line opens to its detail. */

import { h, replace } from "../lib/dom.js";
import { may } from "../lib/me.js";
import { button, empty, icon, relTime } from "../lib/ui.js";
import { allPages, fullPage } from "../parts/all_pages.js";
import { whileShown } from "../parts/while_shown.js";
import { ACTIONS, actorOf, detailOf, targetOf } from "../parts/audit_words.js";

const PAGE = 100;
const NEAR_TOP = 80; // px that may be scrolled while lines are still put in by themselves
const LOOK_MS = 1000; // many may be written at once, and one look finds them all
const AUDITED = ["org.changed", "host.updated", "job.created", "job.cancelled", "gap"]; // what comes with a line of the trail

/** @param {import("../lib/router.js").Context} ctx */
export async function show(ctx) {
  const head = h("header", { class: "page-head" }, h("h1", {}, "Audit trail"));
  if (!may(ctx.org.role, "admin")) return { node: h("section", { class: "page fleet" }, head, empty({ title: "This takes an admin", text: "Admins of the organization read its audit trail." })) };
  const path = `/api/orgs/${ctx.org.id}`;
  const wanted = { action: ctx.query.get("action") ?? "", actorId: ctx.query.get("actorId") ?? "", targetId: ctx.query.get("targetId") ?? "" };
  const [members, hosts] = await Promise.all([
    allPages(ctx.api, `${path}/members`, { signal: ctx.signal }),
    allPages(ctx.api, `${path}/hosts`, { signal: ctx.signal }),
  ]);
  /** @type {Map<string, string>} by id of a member or a host */
  const names = new Map();
  for (const { userId, name } of members.items) names.set(userId, name);
  for (const { id, name } of hosts.items) names.set(id, name);
  const list = h("ol", { class: "trail", "aria-label": "Audit trail, newest first" });
  const none = h("div", { hidden: true }, empty({ title: "Nothing was done that fits this", text: "Other filters may find it." }));
  const more = h("div", { class: "pager" }, button("More", () => next()));
  let cursor = null;
  let asked = 0;

  const lines = () => [.../** @type {Iterable<HTMLElement>} */ (list.children)].map((line) => line.dataset.line);

  async function next() {
    const number = ++asked;
    const page = await fullPage(ctx.api, `${path}/audit`, { query: { ...wanted, limit: PAGE, cursor }, least: PAGE / 4, signal: ctx.signal });
    if (number !== asked) return; // the filters have changed since
    cursor = page.nextCursor;
    list.append(...page.items.map((line) => row(ctx, line, names, narrow)));
    more.hidden = cursor === null;
    none.hidden = list.childElementCount > 0;
  }

  async function narrow(change) {
    Object.assign(wanted, change);
    ctx.setQuery(wanted);
    replace(news);
    replace(filters, filterBar(wanted, members.items, narrow));
    cursor = null;
    replace(list);
    await next();
  }

  /** Lines that are newer than those on the page; where somebody reads further down, nothing jumps: they are offered. */
  async function look() {
    const number = asked;
    const page = await ctx.api.page(`${path}/audit`, { query: { ...wanted, limit: PAGE }, signal: ctx.signal });
    if (number !== asked) return;
    const known = new Set(lines());
    const fresh = page.items.filter((line) => !known.has(line.id));
    const whole = fresh.length < page.items.length || known.size === 0;
    const put = () => {
      if (number !== asked) return;
      replace(news);
      if (!whole) return void narrow({}); // more than a page has come since: from the top
      const have = new Set(lines());
      list.prepend(...fresh.filter((line) => !have.has(line.id)).map((line) => row(ctx, line, names, narrow)));
      none.hidden = list.childElementCount > 0;
    };
    if (fresh.length === 0) return;
    if (scrollY < NEAR_TOP) put();
    else replace(news, button(whole ? `${fresh.length} new` : "Many new", () => (scrollTo(0, 0), put()), { kind: "primary" }));
  }

  const news = h("div", { class: "news", role: "status" });
  const looks = whileShown(ctx, look, LOOK_MS);
  ctx.signal.addEventListener("abort", ctx.live.on(AUDITED, looks.soon));
  const filters = h("div", { class: "toolbar" }, filterBar(wanted, members.items, narrow));
  await next();
  return { node: h("section", { class: "page fleet audit" }, head, filters, news, list, none, more) };
}

function filterBar(wanted, members, narrow) {
  const select = (label, value, options, change) => {
    const node = h("select", { "aria-label": label, on: { change: () => change(node.value) } }, options.map(([id, text]) => h("option", { value: id, selected: id === value }, text)));
    return node;
  };
  const known = (value, options) => (value && !options.some(([id]) => id === value) ? [...options, [value, value]] : options);
  const actions = known(wanted.action, [["", "Any action"], ...ACTIONS]);
  const people = known(wanted.actorId, [["", "Anybody"], ...members.map((each) => [each.userId, each.name])]);
  const target = h("input", { type: "search", value: wanted.targetId, placeholder: "Id of what it was done to", "aria-label": "Id of the target" });
  target.addEventListener("change", () => narrow({ targetId: target.value.trim() }));
  const clear = wanted.action || wanted.actorId || wanted.targetId ? button("Show all", () => narrow({ action: "", actorId: "", targetId: "" })) : null;
  return [select("Action", wanted.action, actions, (action) => narrow({ action })), select("Who", wanted.actorId, people, (actorId) => narrow({ actorId })), target, clear];
}

function row(ctx, line, names, narrow) {
  const body = h("div", { class: "trail-detail", id: `trail-${line.id}`, hidden: true });
  const opener = h("button", { type: "button", class: "bare trail-opener", "aria-label": "Details", "aria-expanded": "false", "aria-controls": body.id, data: { row: line.id }, on: { click: turn } }, icon("right"));
  const what = [h("strong", {}, actorOf(line, names)), ` ${ACTIONS.get(line.action) ?? line.action} `, targetOf(ctx.org.id, line, names)];
  const node = h("div", { class: "trail-line", on: { click: (event) => event.target.closest("a, button") || turn() } },
    opener, h("span", { class: "trail-when" }, relTime(line.at)), h("span", { class: "trail-what" }, what), h("span", { class: "trail-from faint" }, line.address ?? ""));

  function turn() {
    if (String(getSelection())) return;
    if (!body.firstChild) fill();
    body.hidden = !body.hidden;
    opener.setAttribute("aria-expanded", String(!body.hidden));
  }

  function fill() {
    const only = line.targetId ? button("Only this target", () => narrow({ targetId: line.targetId })) : null;
    const by = line.actorId ? button("Only by them", () => narrow({ actorId: line.actorId })) : null;
    replace(body, detailOf(line), h("div", { class: "form-actions" }, only, by));
  }
  return h("li", { data: { line: line.id } }, node, body);
}
