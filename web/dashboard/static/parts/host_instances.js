/** The server instances that live on a host, with what may be done to each. */

import { h, keyed } from "../lib/dom.js";
import { link } from "../lib/router.js";
import { allPages } from "./all_pages.js";
import { instanceActions } from "./instance_actions.js";
import { may } from "../lib/me.js";

/**
 * The section of a host's instances.
 * @param {any} ctx as pages get it @param {string} hostId @param {() => void} onJob a job was made
 * @returns {{node: HTMLElement, load: () => Promise<void>}}
 */
export function hostInstances(ctx, hostId, onJob) {
  const list = h("ul", { class: "rows" });
  const none = h("p", { class: "faint" }, "None lives here. ", may(ctx.org.role, "admin") ? h("a", { href: `${link(ctx.org.id, "instances")}?new=${encodeURIComponent(hostId)}` }, "Make one") : null);
  const node = h("section", { class: "panel panel-instances", "aria-label": "Server instances" }, h("h2", {}, "Server instances"), none, list);

  async function load() {
    const { items } = await allPages(ctx.api, `/api/orgs/${ctx.org.id}/server-instances`, { query: { hostId }, signal: ctx.signal });
    none.hidden = items.length > 0;
    keyed(list, items, (each) => JSON.stringify(each), (each) => row(ctx, each, onJob), () => {});
  }
  return { node, load };
}

function row(ctx, instance, onJob) {
  const name = h("a", { href: `${link(ctx.org.id, "instances")}?q=${encodeURIComponent(instance.name)}` }, instance.name);
  return h("li", { class: "row" }, h("span", { class: "row-name" }, name), may(ctx.org.role, "operator") ? instanceActions(ctx, instance, onJob) : null);
}
