/** Server instances of all hosts: what lives where, with Start, Stop and Restart. */

import { h } from "../lib/dom.js";
import { may } from "../lib/me.js";
import { button, empty, idText, json, menu, relTime, table } from "../lib/ui.js";
import { link } from "../lib/router.js";
import { allPages } from "../parts/all_pages.js";
import { instanceActions } from "../parts/instance_actions.js";
import { deleteInstance, editInstance, makeInstance } from "../parts/instance_changes.js";

const MOST = 5000;

/** A row is made anew whenever what it shows has changed. */
const keyOf = (each) => JSON.stringify([each.id, each.name, each.hostId, each.config]);

/** @param {import("../lib/router.js").Context} ctx */
export async function show(ctx) {
  const path = `/api/orgs/${ctx.org.id}`;
  const wanted = { q: ctx.query.get("q") ?? "", hostId: ctx.query.get("hostId") ?? "" };
  const [hosts, first] = await Promise.all([
    allPages(ctx.api, `${path}/hosts`, { signal: ctx.signal, most: MOST }),
    allPages(ctx.api, `${path}/server-instances`, { signal: ctx.signal, most: MOST }),
  ]);
  const names = new Map(hosts.items.map((host) => [host.id, host.name]));
  let instances = first.items;
  const admin = may(ctx.org.role, "admin");

  const shown = table({ caption: "Server instances", rows: [], key: keyOf, columns: columns(ctx, names, admin, change, remove), none: noneOf() });
  const status = h("p", { class: "faint", role: "status" });

  function arrange() {
    const words = wanted.q.toLowerCase().split(/\s+/);
    const meant = (each) => words.every((word) => `${each.name}\n${names.get(each.hostId) ?? ""}\n${each.id}`.toLowerCase().includes(word));
    const kept = instances.filter((each) => (!wanted.hostId || each.hostId === wanted.hostId) && meant(each));
    shown.update(kept.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true })));
    status.textContent = kept.length === instances.length ? "" : `${kept.length.toLocaleString()} of ${instances.length.toLocaleString()} instances`;
  }

  function choose(change) {
    Object.assign(wanted, change);
    ctx.setQuery({ q: wanted.q, hostId: wanted.hostId });
    arrange();
  }

  async function change(instance) {
    const changed = await editInstance(ctx, hosts.items, instance);
    if (!changed) return;
    instances = instances.map((each) => (each.id === changed.id ? changed : each));
    arrange();
    const fresh = [...shown.querySelectorAll("tr")].find((line) => line.dataset.row === keyOf(changed));
    fresh?.querySelector(".menu-place button")?.focus();
  }

  async function remove(instance) {
    if (await deleteInstance(ctx, instance)) instances = instances.filter((each) => each.id !== instance.id);
    arrange();
  }

  async function make(hostId) {
    const made = await makeInstance(ctx, hosts.items, hostId);
    if (made) instances = [...instances, made];
    arrange();
  }

  function noneOf() {
    if (instances.length > 0) return empty({ title: "No instance is meant by this", text: "Other words, or all hosts, may find it." });
    return empty({ title: "No server instances yet", text: "An instance is what lives on a host and jobs are about, such as one game server. Jobs for it go to its host." });
  }

  arrange();
  const create = admin && hosts.items.length > 0 ? button("New instance", () => make(wanted.hostId), { kind: "primary" }) : null;
  const proposed = ctx.query.get("new");
  if (proposed !== null && create) {
    ctx.setQuery({ new: null });
    queueMicrotask(() => make(proposed));
  }
  const node = h("section", { class: "page fleet instances" }, h("header", { class: "page-head" }, h("h1", {}, "Server instances"), create),
    h("div", { class: "toolbar" }, search(wanted, choose), hostFilter(wanted, hosts.items, choose)), status, shown);
  return { node };
}

function search(wanted, choose) {
  const input = h("input", { type: "search", value: wanted.q, placeholder: "Name, host or id", "aria-label": "Search instances" });
  input.addEventListener("input", () => choose({ q: input.value.trim() }));
  return input;
}

function hostFilter(wanted, hosts, choose) {
  const options = [h("option", { value: "" }, "All hosts"), ...hosts.map((host) => h("option", { value: host.id, selected: host.id === wanted.hostId }, host.name))];
  const select = h("select", { "aria-label": "Host", on: { change: () => choose({ hostId: select.value }) } }, options);
  return select;
}

function columns(ctx, names, admin, change, remove) {
  const hostOf = (each) => h("a", { href: link(ctx.org.id, "hosts", each.hostId), title: names.get(each.hostId) }, names.get(each.hostId) ?? each.hostId.slice(-8));
  const more = (each) => menu("", [{ text: "Start with a payload…", href: `${link(ctx.org.id, "jobs", "new")}?type=SERVER_START&serverInstanceId=${each.id}` }, { text: "Edit…", onclick: () => change(each) }, { text: "Delete…", danger: true, onclick: () => remove(each) }], { label: `More about ${each.name}` });
  return [
    { title: "Name", class: "cut", cell: (each) => h("strong", { title: each.name }, each.name) },
    { title: "Host", class: "cut", cell: hostOf },
    { title: "Jobs", cell: (each) => (may(ctx.org.role, "operator") ? instanceActions(ctx, each) : "") },
    { title: "Config", class: "wide", cell: (each) => (Object.keys(each.config).length ? h("details", {}, h("summary", {}, summary(each.config)), json(each.config)) : "") },
    { title: "Created", cell: (each) => relTime(each.createdAt) },
    { title: "Id", cell: (each) => idText(each.id) },
    ...(admin ? [{ title: "", label: "More", cell: more }] : []),
  ];
}

/** The plain values of a config on one line. */
function summary(config) {
  const plain = Object.entries(config).filter(([, value]) => typeof value !== "object").slice(0, 3).map(([key, value]) => `${key}=${value}`);
  return plain.join(" ") || "Config";
}
