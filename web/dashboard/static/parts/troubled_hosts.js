/** Hosts that somebody should look at, the gravest first. */

import { h } from "../lib/dom.js";
import { link } from "../lib/router.js";
import { badge, count, table } from "../lib/ui.js";
import { DOINGS } from "./fleet_strip.js";

const TROUBLED = ["unreachable", "unhealthy", "offline", "never_connected", "paused", "draining"];
const SHOWN = 10;
const WORDS = new Map(DOINGS.map(({ doing, word }) => [doing, word]));

/** @param {{id: string}} org */
export function troubledHosts(org) {
  const none = h("p", { class: "ov-calm" }, "All hosts are there and take jobs.");
  const list = table({
    rows: /** @type {any[]} */ ([]), key: (host) => host.id, onOpen: (host) => link(org, "hosts", host.id), caption: "Hosts that take no jobs", none,
    columns: [
      { title: "Host", cell: (host) => h("a", { href: link(org, "hosts", host.id) }, host.name) },
      { title: "State", cell: (host) => badge(host.doing, WORDS.get(host.doing)) },
    ],
  });
  const more = h("p", { class: "faint", hidden: true });
  const node = h("section", { class: "panel ov-troubled" }, h("div", { class: "panel-head" }, h("h2", "Hosts that take no jobs")), list, more);
  return {
    node,
    update({ troubled, hostCounts }) {
      const all = TROUBLED.reduce((sum, doing) => sum + hostCounts[doing], 0);
      list.update(troubled.slice(0, SHOWN));
      more.hidden = all <= SHOWN;
      more.textContent = `and ${count(all - SHOWN)} more`;
    },
  };
}
