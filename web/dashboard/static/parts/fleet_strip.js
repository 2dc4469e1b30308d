/** All hosts as cells, each in the colour and shape of what it does now; above them the same as shares of the whole. */

import { h, keyed, renew, replace } from "../lib/dom.js";
import { link } from "../lib/router.js";
import { count } from "../lib/ui.js";

export const DOINGS = [
  { doing: "running", word: "running", state: "running" },
  { doing: "offered", word: "offered a job", state: "running" },
  { doing: "idle", word: "idle", state: "idle" },
  { doing: "draining", word: "draining", state: "draining" },
  { doing: "paused", word: "paused", state: "paused" },
  { doing: "unhealthy", word: "unhealthy", state: "unhealthy" },
  { doing: "unreachable", word: "unreachable", state: "unreachable" },
  { doing: "offline", word: "offline", state: "offline" },
  { doing: "never_connected", word: "never connected", state: "new" },
];
const WORDS = new Map(DOINGS.map(({ doing, word }) => [doing, word]));
const BY_NAME = new Intl.Collator("en", { numeric: true });
const NAMED = 96; // hosts that are shown with their names
const LARGE = 400; // hosts whose cells are large

/** @param {{id: string}} org */
export function fleetStrip(org) {
  let hosts = new Map(); // id → {id, name, doing, rest}: `rest` is what it does when nothing runs
  let order = [];
  let counts = {};
  let total = 0;
  const summary = h("p", { class: "faint" });
  const bar = h("div", { class: "ov-shares", "aria-hidden": "true" });
  const legend = h("ul", { class: "ov-legend" });
  const cells = h("div", { class: "ov-cells", role: "group", "aria-label": "Hosts" });
  const more = h("p", { class: "faint", hidden: true });
  const head = h("div", { class: "panel-head" }, h("h2", h("a", { href: link(org, "hosts") }, "Fleet")), summary);
  const node = h("section", { class: "panel ov-fleet" }, head, bar, legend, cells, more);
  cells.addEventListener("keydown", (event) => moveAmong(cells, event));

  function drawCells() {
    keyed(cells, order, (host) => host.id, (host) => paint(h("a", { href: link(org, "hosts", host.id), tabindex: "-1" }, h("span", host.name)), host), paint);
    if (cells.firstChild && !cells.querySelector("[tabindex='0']")) /** @type {HTMLElement} */ (cells.firstChild).tabIndex = 0;
  }
  function drawShares() {
    const seen = DOINGS.filter(({ doing }) => counts[doing] > 0);
    keyed(bar, seen, ({ doing }) => doing, ({ doing }) => h("span", { class: doing }));
    for (const [at, { doing }] of seen.entries()) /** @type {HTMLElement} */ (bar.children[at]).style.flexGrow = String(counts[doing]);
    keyed(legend, seen, ({ doing }) => doing, ({ doing, word, state }) => h("li", h("a", { href: `${link(org, "hosts")}?state=${state}` }, h("span", { class: `ov-key ${doing}`, "aria-hidden": "true" }), h("strong"), ` ${word}`)));
    for (const [at, { doing }] of seen.entries()) replace(/** @type {HTMLElement} */ (legend.children[at].querySelector("strong")), count(counts[doing]));
  }
  function change(host, doing) {
    if (host.doing === doing) return;
    counts[host.doing] -= 1;
    counts[doing] = (counts[doing] ?? 0) + 1;
    host.doing = doing;
  }
  return {
    node,
    draw() {
      drawShares();
      drawCells();
    },
    update(fresh) {
      counts = { ...fresh.hostCounts };
      total = Object.values(counts).reduce((sum, each) => sum + each, 0);
      hosts = new Map(fresh.hosts.map((host) => [host.id, { ...host, rest: restOf(host.doing) }]));
      order = [...hosts.values()].sort((a, b) => BY_NAME.compare(a.name, b.name));
      cells.dataset.size = order.length <= NAMED ? "named" : order.length <= LARGE ? "large" : "small";
      more.hidden = total <= order.length;
      replace(summary, total === 1 ? "1 host" : `${count(total)} hosts`);
      renew(more, [order.length, total], () => [`The first ${count(order.length)} of ${count(total)}. `, h("a", { href: link(org, "hosts") }, "All hosts")]);
      drawShares();
      drawCells();
    },
    hear(event, data) {
      const host = hosts.get(data.hostId);
      if (!host) return;
      if (event === "job_run.started") change(host, "running");
      else if (event === "job_run.done" && (host.doing === "running" || host.doing === "offered")) change(host, host.rest);
      else if (event === "host.offline") change(host, "offline");
      else if (event === "host.online" && host.doing !== "running") change(host, host.rest === "offline" ? "idle" : host.rest);
      else if (event === "host.updated" && data.health === "unhealthy") change(host, "unhealthy");
      else if (event === "host.updated" && data.presence === "unreachable") change(host, "unreachable");
    },
  };
}

const restOf = (doing) => (["paused", "draining"].includes(doing) ? doing : "idle");

function paint(cell, host) {
  if (cell.dataset.doing === host.doing) return cell;
  cell.dataset.doing = host.doing;
  cell.className = `ov-cell ${host.doing}`;
  cell.title = `${host.name}: ${WORDS.get(host.doing)}`;
  cell.setAttribute("aria-label", cell.title);
  return cell;
}

/** One stop of the Tab key for all of them; arrows go from one to the next. */
function moveAmong(cells, event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const next = step === 1 ? event.target.nextElementSibling : step === -1 ? event.target.previousElementSibling : null;
  if (!next) return;
  event.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
  event.preventDefault();
}
