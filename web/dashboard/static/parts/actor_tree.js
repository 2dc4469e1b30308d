/** The tree: supervisors, each of an organization, and under each its hosts that are alive, the busiest first. */

import { h, keyed, replace } from "../lib/dom.js";
import { badge, count, dialog, json, relTime, table } from "../lib/ui.js";
import { hostNames, shortId } from "./host_names.js";

const SHOWN = 200; // hosts under a supervisor

/** @param {import("../lib/router.js").AnyContext} ctx */
export function actorTree(ctx) {
  const branches = new Map();
  const node = h("section", { class: "ac-tree", "aria-label": "Supervisors" });
  let seen = /** @type {any} */ (null);
  let wanted = "";
  function draw() {
    keyed(node, seen.supervisors, (each) => each.orgId, (each) => {
      const made = branch(ctx, each.orgId);
      branches.set(each.orgId, made);
      return made.node;
    });
    for (const each of seen.supervisors) branches.get(each.orgId).update(each, wanted);
  }
  return {
    node,
    update(fresh) {
      seen = fresh;
      draw();
    },
    narrow(text) {
      wanted = text.trim().toLowerCase();
      if (seen) draw();
    },
  };
}

function branch(ctx, orgId) {
  const own = ctx.me.orgs.find((org) => org.id === orgId);
  const names = own ? hostNames(orgId) : null;
  const before = new Map(); // what each host had worked at the look before
  let at = performance.now();
  const note = h("span", { class: "faint" });
  const list = table({
    rows: /** @type {any[]} */ ([]), key: (host) => host.hostId, onOpen: (host) => void whole(ctx, host), caption: "Host actors", none: h("p", { class: "ov-calm" }, "No host is alive here."),
    columns: [
      { title: "Host", class: "cut", cell: (host) => named(host, names) },
      { title: "Presence", cell: (host) => (host.activating ? badge("scheduled", "waking") : badge(host.presence)) },
      { title: "Now", cell: (host) => (host.current ? badge(host.current.status) : h("span", { class: "faint" }, host.pollParked ? "poll parked" : host.awaitingIdle ? "must say that it is idle" : "–")) },
      { title: "In line", class: "num", cell: (host) => count(host.pending ?? 0) },
      { title: "Backoff", class: "num", cell: (host) => count(host.backoff ?? 0) },
      { title: "Mailbox", class: "num", cell: (host) => h("span", { class: host.mailbox > 10 ? "bad" : null }, count(host.mailbox)) },
      { title: "Busy", class: "num", cell: (host) => share(host.share) },
      { title: "Commits", class: "num", cell: (host) => count(host.commits) },
      { title: "Restarts", class: "num", cell: (host) => count(host.restarts ?? 0) },
      { title: "Epoch", class: "num", cell: (host) => count(host.epoch ?? 0) },
      { title: "Last message", class: "num", cell: (host) => relTime(host.lastMessageAt ? new Date(host.lastMessageAt).toISOString() : null) },
    ],
  });
  const title = own?.name ?? (orgId ? shortId(orgId) : "Not yet known");
  const node = h("details", { class: "panel ac-branch", open: true }, h("summary", h("strong", title), " ", note), list);
  return {
    node,
    update({ hosts, mailbox, routed }, wanted) {
      const now = performance.now();
      const rows = hosts.map((host) => ({ ...host, name: names?.get(host.hostId) ?? "", share: (host.busySeconds - (before.get(host.hostId) ?? host.busySeconds)) / ((now - at) / 1000) || 0 }));
      if (now - at > 500) {
        at = now;
        for (const host of hosts) before.set(host.hostId, host.busySeconds);
      }
      const found = rows.filter((host) => !wanted || host.hostId.includes(wanted) || host.name.toLowerCase().includes(wanted));
      found.sort((a, b) => b.mailbox - a.mailbox || Number(Boolean(b.current)) - Number(Boolean(a.current)) || (b.pending ?? 0) - (a.pending ?? 0) || (a.hostId < b.hostId ? -1 : 1));
      list.update(found.slice(0, SHOWN));
      replace(note, `${count(hosts.length)} hosts, ${count(routed)} messages routed, mailbox ${count(mailbox)}`, found.length > SHOWN ? `; the first ${SHOWN} are shown` : "");
    },
  };
}

function named(host, names) {
  const node = h("span", { title: host.name || host.hostId }, host.name || shortId(host.hostId));
  if (!host.name) names?.find(host.hostId).then((name) => name && replace(Object.assign(node, { title: name }), name));
  return node;
}

const share = (part) => (part < 0.0005 ? "0 %" : `${(part * 100).toFixed(part < 0.1 ? 1 : 0)} %`);

/** One host in full, as its actor knows it. */
async function whole(ctx, host) {
  const known = await ctx.api.get(`/debug/actors/hosts/${host.hostId}`, { signal: ctx.signal });
  await dialog({ title: host.name || host.hostId, body: json(known) });
}
