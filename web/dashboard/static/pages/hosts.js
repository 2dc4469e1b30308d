/** All hosts of the organization: what each does now, live. */

import { h, keyed, replace } from "../lib/dom.js";
import { button, empty } from "../lib/ui.js";
import { link } from "../lib/router.js";
import { HostBoard } from "../parts/host_board.js";
import { HEADS, card, line } from "../parts/host_cards.js";
import { SORTS, arranged, counted } from "../parts/host_order.js";
import { STATES, stateBadge } from "../parts/host_words.js";
import { may } from "../lib/me.js";

const AT_ONCE = 100; // cards that are made in one go
const RETRY_MS = 2000;
const CALM_MS = 2000; // after live changes cards move at most so often, and never under the pointer

/** @param {any} ctx as the router gives it */
export async function show(ctx) {
  ctx.title("Hosts");
  const wanted = {
    q: ctx.query.get("q") ?? "", state: ctx.query.get("state") ?? "", sort: ctx.query.get("sort") ?? "name", view: ctx.query.get("view") ?? "cards",
  };
  const made = new Map();
  const body = h("div", { class: "hosts-body" });
  const status = h("p", { class: "faint", role: "status" });
  const board = new HostBoard(ctx, changed);
  const filters = stateFilters(wanted, choose);
  const search = searchBox(wanted, choose);
  let rows = /** @type {HTMLElement} */ (h("ul"));
  let calm = 0;
  let next = 0;

  function choose(change) {
    Object.assign(wanted, change);
    ctx.setQuery({ q: wanted.q || null, state: wanted.state || null, sort: wanted.sort === "name" ? null : wanted.sort, view: wanted.view === "cards" ? null : wanted.view });
    if (change.view) frame();
    arrange();
  }

  /** Keep what is there; move it when that disturbs nobody. */
  function changed(ids, others) {
    filters.count(counted(board.hosts.values()), board.hosts.size);
    ids.forEach(tell);
    if (others) arrange();
    else calm ||= setTimeout(settle, CALM_MS);
  }

  function settle() {
    calm = body.matches(":hover, :focus-within") ? setTimeout(settle, CALM_MS) : 0;
    if (calm === 0) arrange();
  }

  function tell(id) {
    const host = board.hosts.get(id);
    if (host) made.get(id)?.update(host, board.running.get(id));
  }

  function shown(host) {
    const make = wanted.view === "table" ? line : card;
    if (!made.has(host.id)) made.set(host.id, make(ctx.org.id, host));
    tell(host.id);
    return made.get(host.id).node;
  }

  /** The place of the first host whose card is not made yet. */
  const firstMissing = (hosts) => hosts.findIndex((host) => !made.has(host.id));

  /** Show those that are meant, in order; at most `AT_ONCE` cards are made at a time, the others in the next frames. */
  function arrange() {
    const hosts = arranged(board.hosts.values(), wanted);
    for (const id of made.keys()) if (!board.hosts.has(id)) made.delete(id);
    const ready = hosts.filter((host) => made.has(host.id));
    const missing = hosts.length - ready.length;
    keyed(rows, missing > AT_ONCE ? hosts.slice(0, firstMissing(hosts) + AT_ONCE) : hosts, (host) => host.id, shown);
    if (missing > AT_ONCE) next ||= requestAnimationFrame(() => ((next = 0), arrange()));
    rows.hidden = hosts.length === 0;
    const all = board.hosts.size;
    replace(status, hosts.length === all ? "" : `${hosts.length.toLocaleString()} of ${all.toLocaleString()} hosts`, board.whole ? "" : " The first 5,000 are shown.");
    nothing.hidden = hosts.length > 0 || !board.isRead;
    if (!nothing.hidden) replace(nothing, all > 0 ? empty({ title: "No host is meant by this", text: "Other words or another state may find it." }) : noHosts(ctx));
  }

  /** The box around the hosts, empty. */
  function frame() {
    made.clear();
    rows = wanted.view === "table" ? h("div", { role: "rowgroup" }) : h("ul", { class: "host-grid", "aria-label": "Hosts" });
    const heads = h("div", { role: "rowgroup" }, h("div", { class: "host-row host-heads", role: "row" }, HEADS.map((head) => h("span", { role: "columnheader" }, head))));
    const table = () => h("div", { class: "host-table-box", tabindex: "0", role: "region", "aria-label": "Table of hosts" }, h("div", { class: "host-table", role: "table", "aria-label": "Hosts" }, heads, rows));
    replace(body, wanted.view === "table" ? table() : rows);
  }

  const nothing = h("div", { hidden: true });
  frame();
  const node = h("section", { class: "page fleet hosts" },
    h("header", { class: "page-head" }, h("h1", {}, "Hosts"), may(ctx.org.role, "admin") ? h("a", { class: "button primary", href: link(ctx.org.id, "hosts", "enrol") }, h("span", "Enrol a host")) : null),
    h("div", { class: "toolbar" }, search, sorts(wanted, choose), views(wanted, choose)),
    filters.node, status, body, nothing);
  await firstPage(board);
  changed(new Set(), true);
  return { node, close: () => (clearTimeout(calm), cancelAnimationFrame(next)) };
}

/** Resolves with the first hosts; the others follow by themselves. Rejects when not even those can be had. */
function firstPage(board) {
  return new Promise((resolve, reject) => {
    let came = false;
    const first = () => {
      came = true;
      resolve(undefined);
    };
    board.load(first).then(resolve, (problem) => (came ? board.reload(RETRY_MS) : reject(problem)));
  });
}

function searchBox(wanted, choose) {
  const input = h("input", { type: "search", class: "search", value: wanted.q, placeholder: "Name, label or id", "aria-label": "Search hosts", data: { search: "" } });
  input.addEventListener("input", () => choose({ q: input.value.trim() }));
  return input;
}

function sorts(wanted, choose) {
  const options = [...SORTS].map(([name, { word }]) => h("option", { value: name, selected: name === wanted.sort }, word));
  const select = h("select", { on: { change: () => choose({ sort: select.value }) } }, options);
  return h("label", { class: "inline-field" }, "Sort by", select);
}

function views(wanted, choose) {
  const one = (view, word) => {
    const node = h("button", { type: "button", class: "toggle", "aria-pressed": String(wanted.view === view), on: { click: () => pick(view) } }, word);
    return { view, node };
  };
  const both = [one("cards", "Cards"), one("table", "Table")];
  function pick(view) {
    both.forEach((each) => each.node.setAttribute("aria-pressed", String(each.view === view)));
    choose({ view });
  }
  return h("div", { class: "toggles", role: "group", "aria-label": "Shown as" }, both.map((each) => each.node));
}

/** A button for each state with its count; the one that is pressed narrows the list. */
function stateFilters(wanted, choose) {
  const buttons = [{ state: "" }, ...STATES].map(({ state }) => {
    const count = h("b", {}, "0");
    const node = h("button", { type: "button", class: "toggle", "aria-pressed": String(wanted.state === state), on: { click: () => pick(state) } }, state === "" ? "All" : stateBadge(state), " ", count);
    return { state, node, count };
  });
  function pick(state) {
    buttons.forEach((each) => each.node.setAttribute("aria-pressed", String(each.state === state)));
    choose({ state });
  }
  function count(counts, all) {
    for (const each of buttons) {
      const number = each.state === "" ? all : counts.get(each.state) ?? 0;
      const text = number.toLocaleString();
      if (each.count.textContent !== text) each.count.textContent = text;
      each.node.hidden = number === 0 && each.state !== "" && each.state !== wanted.state;
    }
  }
  return { node: h("div", { class: "toggles state-filters", role: "group", "aria-label": "Only hosts that are" }, buttons.map((each) => each.node)), count };
}

function noHosts(ctx) {
  if (!may(ctx.org.role, "admin")) return empty({ title: "No hosts yet", text: "An admin of the organization enrols the first one." });
  return h("div", {}, empty({ title: "No hosts yet", text: "A host is a machine that runs an agent. Enrol one, and it shows up here by itself." }),
    h("p", { class: "centred" }, h("a", { class: "button primary", href: link(ctx.org.id, "hosts", "enrol") }, h("span", "Enrol the first host"))));
}
